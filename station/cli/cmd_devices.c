/* imprint devices: the ports of this machine and what the job makes of them. */
#include "station/cli/cli.h"
#include "station/line/ports.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

static void print_words(const struct port *p)
{
    /* Dim: nothing is wrong with such a port. */
    bool dim = p->rule < 0 && isatty(STDOUT_FILENO);

    if (p->rule >= 0)
        printf("%-20s slot %-6s by rule %d   %s", p->name, p->slot, p->rule + 1, p->description);
    else
        printf("%s%-20s not a slot: no rule names it   %s", dim ? "\033[2m" : "", p->name,
               p->description);
    if (*p->usb_id)
        printf("  usb %s", p->usb_id);
    if (*p->usb_path)
        printf("  usb_path %s", p->usb_path);
    puts(dim ? "\033[0m" : "");
}

static void print_port(const struct port *p, bool json)
{
    if (json)
        cli_print_json(json_pack("{s:s, s:s, s:s?, s:i, s:s?, s:s?}", "port", p->name,
                                 "description", p->description, "slot", or_null(p->slot), "rule",
                                 p->rule + 1, "usb", or_null(p->usb_id), "usb_path",
                                 or_null(p->usb_path)));
    else
        print_words(p);
}

/* A rule that names nothing: something is not plugged in, or another rule took its ports. */
static void print_unused(const char *pattern, int number, bool json)
{
    if (json)
        cli_print_json(json_pack("{s:n, s:i, s:s}", "port", "rule", number, "unused", pattern));
    else
        printf("rule %d, '%s': no port, or only ports of rules before it\n", number, pattern);
}

int cmd_devices(struct cli *cli, struct error *err)
{
    static struct ports ports; /* too large for the stack */
    char patterns[JOB_PORT_RULES_MAX][JOB_PATTERN_MAX + 1];
    struct port_rule rules[JOB_PORT_RULES_MAX];
    int rc;

    for (size_t i = 0; i < cli->job.port_count; i++) {
        const struct job_port_rule *rule = &cli->job.ports[i];

        (void)job_port_pattern(rule, patterns[i]);
        rules[i] = (struct port_rule){patterns[i], rule->slot, (int)rule->baud};
    }
    rc = ports_find(rules, cli->job.port_count, NULL, &ports, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < ports.count; i++)
        print_port(&ports.list[i], cli->json);
    for (size_t i = 0; i < cli->job.port_count; i++)
        if (!ports.used[i])
            print_unused(patterns[i], (int)i + 1, cli->json);
    if (ports.slots == 0)
        return error_set(err, ERR_NO_PORT,
                         "no port matches a rule of the job: plug the fixture in, or correct "
                         "'ports' in '%s'",
                         cli->job.path);
    return 0;
}
