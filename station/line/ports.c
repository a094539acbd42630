#include "station/line/ports.h"

#include "station/connector/address.h"
#include "station/line/input.h"
#include "station/line/serial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    const struct port *x = a, *y = b;

    return strverscmp(x->name, y->name);
}

/* The number of the socket on its hub, at the end of a USB path; number where there is none. */
static unsigned socket_number(const struct port *p, unsigned number)
{
    const char *end = strrchr(p->usb_path, '.');

    if (!end)
        end = strchr(p->usb_path, '-');
    return end ? (unsigned)atoi(end + 1) : number;
}

/* The label with {n} or {port} replaced; false when it does not fit. */
static bool make_label(const char *pattern, const struct port *p, unsigned number,
                       char out[PORT_LABEL_MAX + 1])
{
    const char *mark = strstr(pattern, "{n}");
    const char *end = mark ? mark + strlen("{n}") : NULL;
    int n;

    if (!mark && (mark = strstr(pattern, "{port}"))) {
        end = mark + strlen("{port}");
        number = socket_number(p, number);
    }
    if (!mark)
        n = snprintf(out, PORT_LABEL_MAX + 1, "%s", pattern);
    else
        n = snprintf(out, PORT_LABEL_MAX + 1, "%.*s%u%s", (int)(mark - pattern), pattern, number,
                     end);
    return n >= 0 && n <= PORT_LABEL_MAX;
}

/* The next number that no place of this rule has. */
static unsigned free_number(const struct port_numbers *numbers, int rule)
{
    unsigned next = 1;

    for (size_t i = 0; i < numbers->count; i++)
        if (numbers->list[i].rule == rule && numbers->list[i].number >= next)
            next = numbers->list[i].number + 1;
    return next;
}

/* The number that this place had, or the next one; 0 when more were seen than can be remembered. */
static unsigned number_of(struct port_numbers *numbers, const struct port *p)
{
    const char *place = *p->usb_path ? p->usb_path : p->name;
    size_t i = 0;

    while (i < numbers->count && (numbers->list[i].taken || numbers->list[i].rule != p->rule ||
                                  strcmp(numbers->list[i].place, place)))
        i++;
    if (i == PORT_NUMBERS)
        return 0;
    if (i == numbers->count) {
        numbers->list[i].number = free_number(numbers, p->rule);
        numbers->list[i].rule = p->rule;
        strcpy(numbers->list[i].place, place);
        numbers->count++;
    }
    numbers->list[i].taken = true;
    return numbers->list[i].number;
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

/* A port that gets no label is no slot. */
static int give_label(const struct port_rule *rule, struct port_numbers *numbers,
                      struct ports *ports, size_t index, struct error *err)
{
    struct port *p = &ports->list[index];
    unsigned number = number_of(numbers, p);
    int rc = 0;

    if (number == 0 || !make_label(rule->slot, p, number, p->slot))
        rc = error_set(err, ERR_INPUT, "the slot label of port '%s' is too long", p->name);
    else
        rc = refuse_same_label(ports, index, err);
    if (rc) {
        p->slot[0] = 0;
        p->rule = -1;
        return rc;
    }
    p->baud = rule->baud;
    ports->slots++;
    return 0;
}

static int first_rule(const struct port_rule *rules, size_t rule_count, const struct port *p)
{
    for (size_t r = 0; r < rule_count; r++)
        if (!port_differs(&rules[r], p, NULL))
            return (int)r;
    return -1;
}

int ports_assign(const struct port_rule *rules, size_t rule_count, struct port_numbers *numbers,
                 struct ports *ports, struct error *err)
{
    static struct port_numbers anew; /* too large for the stack */
    struct port_numbers *n = numbers ? numbers : &anew;
    int rc = 0;

    anew.count = 0;
    for (size_t i = 0; i < n->count; i++)
        n->list[i].taken = false;
    qsort(ports->list, ports->count, sizeof *ports->list, compare_names);
    ports->slots = 0;
    memset(ports->used, 0, sizeof ports->used);
    for (size_t i = 0; i < ports->count; i++) {
        struct port *p = &ports->list[i];

        p->slot[0] = 0;
        p->rule = first_rule(rules, rule_count, p);
        if (p->rule < 0)
            continue;
        ports->used[p->rule] = true;
        if (give_label(&rules[p->rule], n, ports, i, rc ? NULL : err))
            rc = ERR_INPUT;
    }
    return rc;
}

/* What a device says of itself is shown to people: it shall not speak to their terminal. */
static void plain(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    for (; *out; out++)
        if (*out < 0x20 || *out > 0x7e)
            *out = '?';
}

static int add_port(void *context, const struct serial_info *info)
{
    struct ports *ports = context;
    struct port *p = &ports->list[ports->count];

    if (ports->count == PORTS_MAX || strlen(info->name) > PORT_NAME_MAX)
        return 0; /* beyond what a fixture has: such a port is not a slot */
    snprintf(p->name, sizeof p->name, "%s", info->name);
    plain(p->description, sizeof p->description, info->description ? info->description : "");
    if (info->usb_vid >= 0)
        snprintf(p->usb_id, sizeof p->usb_id, "%04x:%04x", (uint16_t)info->usb_vid,
                 (uint16_t)info->usb_pid);
    p->usb_bus = info->usb_bus;
    p->usb_address = info->usb_address;
    ports->count++;
    return 0;
}

/* Tells the serial ports of this device where it is; false when it has none. */
static bool place_serial(struct ports *ports, const struct usb_info *info)
{
    bool found = false;

    for (size_t i = 0; i < ports->count; i++) {
        struct port *p = &ports->list[i];

        if (p->kind != PORT_SERIAL || p->usb_bus != info->bus || p->usb_address != info->address)
            continue;
        strcpy(p->usb_path, info->path);
        strcpy(p->driver, info->driver);
        found = true;
    }
    return found;
}

/* What is found, and the rules by which it is judged whether a device without a port is worth a word. */
struct search {
    struct ports *ports;
    const struct port_rule *rules;
    size_t rule_count;
};

/* Some rule means this device by its ids or its place. */
static bool is_meant(const struct search *s, const struct port *p)
{
    struct port_difference why;

    for (size_t r = 0; r < s->rule_count; r++)
        if (!address_is(s->rules[r].pattern) && port_differs(&s->rules[r], p, &why) &&
            strcmp(why.field, "driver") == 0)
            return true;
    return false;
}

/* A serial adapter, too, may have such an interface: then its serial port is the one to use. */
static int add_usb(void *context, const struct usb_info *info)
{
    const struct search *s = context;
    struct ports *ports = s->ports;
    struct port *p = &ports->list[ports->count];

    if (place_serial(ports, info) || ports->count == PORTS_MAX)
        return 0;
    memset(p, 0, sizeof *p);
    p->kind = info->bulk ? PORT_USB : PORT_NONE;
    snprintf(p->name, sizeof p->name, "usb:%s", info->path);
    snprintf(p->usb_id, sizeof p->usb_id, "%04x:%04x", (uint16_t)info->vid, (uint16_t)info->pid);
    strcpy(p->usb_path, info->path);
    strcpy(p->driver, info->driver);
    strcpy(p->description,
           info->bulk ? "a vendor-specific USB interface" : "a USB device that is no port");
    p->usb_bus = info->bus;
    p->usb_address = info->address;
    if (info->bulk || is_meant(s, p))
        ports->count++;
    return 0;
}

static void add_inputs(const struct port_rule *rules, size_t count, struct ports *ports)
{
    for (size_t i = 0; i < count && ports->count < PORTS_MAX; i++) {
        struct port *p = &ports->list[ports->count];

        if (!input_is(rules[i].pattern))
            continue;
        p->kind = PORT_INPUT;
        snprintf(p->name, sizeof p->name, "%s", rules[i].pattern);
        strcpy(p->description, "a keyboard");
        ports->count++;
    }
}

static void add_addresses(const struct port_rule *rules, size_t count, struct ports *ports)
{
    for (size_t i = 0; i < count && ports->count < PORTS_MAX; i++) {
        struct port *p = &ports->list[ports->count];

        if (!address_is(rules[i].pattern))
            continue;
        p->kind = PORT_ADDRESS;
        snprintf(p->name, sizeof p->name, "%s", rules[i].pattern);
        strcpy(p->description, "an address of the job");
        ports->count++;
    }
}

int ports_find(const struct port_rule *rules, size_t rule_count, struct port_numbers *numbers,
               struct ports *ports, struct error *err)
{
    struct search search = {ports, rules, rule_count};
    int rc;

    memset(ports, 0, sizeof *ports);
    add_addresses(rules, rule_count, ports);
    add_inputs(rules, rule_count, ports);
    rc = serial_list(add_port, ports, err);
    if (rc == 0)
        rc = usb_list(add_usb, &search, err);
    return rc ? rc : ports_assign(rules, rule_count, numbers, ports, err);
}
