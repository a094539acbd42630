/* imprint devices: the ports of this machine and what the job makes of them. */
#include "station/cli/cli.h"
#include "station/line/ports.h"

#include <jansson.h>
#include <stdio.h>

static void print_port(const struct port *p, bool json)
{
    if (json)
        cli_print_json(json_pack("{s:s, s:s, s:s?, s:i}", "port", p->name, "description",
                                 p->description, "slot", *p->slot ? p->slot : NULL, "rule",
                                 p->rule + 1));
    else if (p->rule >= 0)
        printf("%-20s slot %-6s by rule %d   %s\n", p->name, p->slot, p->rule + 1, p->description);
    else
        printf("%-20s not a slot: no rule names it   %s\n", p->name, p->description);
}

int cmd_devices(struct cli *cli, struct error *err)
{
    static struct ports ports; /* too large for the stack */
    char addresses[JOB_PORT_RULES_MAX][JOB_ADDRESS_MAX + 1];
    struct port_rule rules[JOB_PORT_RULES_MAX];
    int rc;

    for (size_t i = 0; i < cli->job.port_count; i++) {
        const struct job_port_rule *rule = &cli->job.ports[i];
        bool is_address = job_port_address(rule, addresses[i]);

        rules[i] =
            (struct port_rule){is_address ? addresses[i] : rule->name, rule->slot, (int)rule->baud};
    }
    rc = ports_find(rules, cli->job.port_count, &ports, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < ports.count; i++)
        print_port(&ports.list[i], cli->json);
    if (ports.slots == 0)
        return error_set(err, ERR_NO_PORT,
                         "no port matches a rule of the job: plug the fixture in, or correct "
                         "'ports' in '%s'",
                         cli->job.path);
    return 0;
}
