#include "station/line/ports.h"

#include "station/connector/address.h"
#include "station/line/serial.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    const struct port *x = a, *y = b;

    return strverscmp(x->name, y->name);
}

/* The label with {n} replaced by number; false when it does not fit. */
static bool make_label(const char *pattern, unsigned number, char out[PORT_LABEL_MAX + 1])
{
    const char *mark = strstr(pattern, "{n}");
    int n;

    if (!mark)
        n = snprintf(out, PORT_LABEL_MAX + 1, "%s", pattern);
    else
        n = snprintf(out, PORT_LABEL_MAX + 1, "%.*s%u%s", (int)(mark - pattern), pattern, number,
                     mark + 3);
    return n >= 0 && n <= PORT_LABEL_MAX;
}

static int refuse_same_label(const struct ports *ports, size_t index, struct error *err)
{
    const struct port *p = &ports->list[index];

    for (size_t i = 0; i < index; i++)
        if (strcmp(ports->list[i].slot, p->slot) == 0)
            return error_set(err, ERR_INPUT,
                             "ports '%s' and '%s' would both be slot '%s': use {n} in the rule's "
                             "slot, or narrow its name",
                             ports->list[i].name, p->name, p->slot);
    return 0;
}

static bool matches(const struct port_rule *rule, const char *name)
{
    if (address_is(rule->pattern) || address_is(name))
        return strcmp(rule->pattern, name) == 0;
    return fnmatch(rule->pattern, name, 0) == 0;
}

int ports_assign(const struct port_rule *rules, size_t rule_count, struct ports *ports,
                 struct error *err)
{
    unsigned matched[PORT_RULES_MAX] = {0};

    qsort(ports->list, ports->count, sizeof *ports->list, compare_names);
    ports->slots = 0;
    for (size_t i = 0; i < ports->count; i++) {
        struct port *p = &ports->list[i];

        p->rule = -1;
        p->slot[0] = 0;
        for (size_t r = 0; r < rule_count && p->rule < 0; r++)
            if (matches(&rules[r], p->name))
                p->rule = (int)r;
        if (p->rule < 0)
            continue;
        p->baud = rules[p->rule].baud;
        if (!make_label(rules[p->rule].slot, ++matched[p->rule], p->slot))
            return error_set(err, ERR_INPUT, "the slot label of port '%s' is too long", p->name);
        if (refuse_same_label(ports, i, err))
            return ERR_INPUT;
        ports->slots++;
    }
    return 0;
}

static int add_port(void *context, const struct serial_info *info)
{
    struct ports *ports = context;
    struct port *p = &ports->list[ports->count];

    if (ports->count == PORTS_MAX || strlen(info->name) > PORT_NAME_MAX)
        return 0; /* beyond what a fixture has: such a port is not a slot */
    snprintf(p->name, sizeof p->name, "%s", info->name);
    snprintf(p->description, sizeof p->description, "%s",
             info->description ? info->description : "");
    ports->count++;
    return 0;
}

static void add_addresses(const struct port_rule *rules, size_t count, struct ports *ports)
{
    for (size_t i = 0; i < count && ports->count < PORTS_MAX; i++) {
        struct port *p = &ports->list[ports->count];

        if (!address_is(rules[i].pattern))
            continue;
        snprintf(p->name, sizeof p->name, "%s", rules[i].pattern);
        strcpy(p->description, "an address of the job");
        ports->count++;
    }
}

int ports_find(const struct port_rule *rules, size_t rule_count, struct ports *ports,
               struct error *err)
{
    int rc;

    memset(ports, 0, sizeof *ports);
    add_addresses(rules, rule_count, ports);
    rc = serial_list(add_port, ports, err);
    return rc ? rc : ports_assign(rules, rule_count, ports, err);
}
