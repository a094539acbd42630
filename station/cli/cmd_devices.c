/* imprint devices: the ports of this machine and what the job makes of them. */
#include "station/cli/cli.h"
#include "station/line/ports.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

/* Prints where the port is, without the end of the line. */
static void print_words(const struct port *p)
{
    if (p->rule >= 0)
        printf("%-20s slot %-6s by rule %d   %s", p->name, p->slot, p->rule + 1, p->description);
    else
        printf("%-20s not a slot: no rule names it   %s", p->name, p->description);
    if (*p->usb_id)
        printf("  usb %s", p->usb_id);
    if (*p->usb_path)
        printf("  usb_path %s", p->usb_path);
    if (*p->driver)
        printf("  driver %s", p->driver);
}

/* Why a rule does not name a port: "rule 2 (slot B): product is 0001, not 00ff". */
static void print_reason(int number, const struct port_rule *rule,
                         const struct port_difference *why)
{
    printf("\n    rule %d (slot %s): ", number, rule->slot);
    if (strcmp(why->field, "driver") == 0)
        printf("driver is %s: it needs %s", *why->has ? why->has : "none", why->wants);
    else if (*why->has)
        printf("%s is %s, not %s", why->field, why->has, why->wants);
    else
        printf("it has no %s, which would be %s", why->field, why->wants);
}

/* The rules that were tried and name another port: all, or those before the one that does. */
static size_t rules_tried(const struct port *p, size_t rule_count)
{
    return p->rule >= 0 ? (size_t)p->rule : rule_count;
}

static json_t *reasons_json(const struct port *p, const struct port_rule *rules, size_t rule_count)
{
    struct port_difference why;
    json_t *list = json_array();

    for (size_t r = 0; r < rules_tried(p, rule_count); r++)
        if (port_differs(&rules[r], p, &why))
            json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:s, s:s?}", "rule", (int)r + 1,
                                                  "slot", rules[r].slot, "field", why.field,
                                                  "wants", why.wants, "has", or_null(why.has)));
    return list;
}

static void print_port(const struct port *p, const struct port_rule *rules, size_t rule_count)
{
    /* Dim: nothing is wrong with such a port. */
    bool dim = p->rule < 0 && isatty(STDOUT_FILENO);
    struct port_difference why;

    if (dim)
        fputs("\033[2m", stdout);
    print_words(p);
    for (size_t r = 0; p->rule < 0 && r < rule_count; r++)
        if (port_differs(&rules[r], p, &why))
            print_reason((int)r + 1, &rules[r], &why);
    puts(dim ? "\033[0m" : "");
}

static void print_json(const struct port *p, const struct port_rule *rules, size_t rule_count)
{
    cli_print_json(json_pack("{s:s, s:s, s:s?, s:i, s:s?, s:s?, s:s?, s:o}", "port", p->name,
                             "description", p->description, "slot", or_null(p->slot), "rule",
                             p->rule + 1, "usb", or_null(p->usb_id), "usb_path",
                             or_null(p->usb_path), "driver", or_null(p->driver), "why",
                             reasons_json(p, rules, rule_count)));
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
        (cli->json ? print_json : print_port)(&ports.list[i], rules, cli->job.port_count);
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
