#include "station/line/ports.h"

#include "station/connector/address.h"
#include "station/line/input.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define ID_DIGITS 4 /* of a vendor and of a product; a colon lies between */

/* What follows the prefix, or NULL. */
static const char *after(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* Notes what differs; always true. */
static bool differs(struct port_difference *why, const char *field, const char *wants,
                    const char *has)
{
    if (why) {
        why->field = field;
        snprintf(why->wants, sizeof why->wants, "%s", wants);
        snprintf(why->has, sizeof why->has, "%s", has);
    }
    return true;
}

static bool id_differs(const char *id, const struct port *p, struct port_difference *why)
{
    const char *product = strlen(p->usb_id) > ID_DIGITS ? p->usb_id + ID_DIGITS + 1 : "";

    if (strncasecmp(id, p->usb_id, ID_DIGITS)) {
        char wants[ID_DIGITS + 1], has[ID_DIGITS + 1];

        snprintf(wants, sizeof wants, "%s", id);
        snprintf(has, sizeof has, "%s", p->usb_id);
        return differs(why, "vendor", wants, has);
    }
    return strcasecmp(id, p->usb_id) && differs(why, "product", id + ID_DIGITS + 1, product);
}

/* Whatever else fits: there must be a port. */
static bool kind_differs(const struct port *p, struct port_difference *why)
{
    return p->kind == PORT_NONE &&
           differs(why, "driver", "a serial port or a vendor-specific bulk interface", p->driver);
}

static bool name_differs(const char *pattern, const struct port *p, struct port_difference *why)
{
    if (p->kind == PORT_SERIAL)
        return fnmatch(pattern, p->name, 0) && differs(why, "name", pattern, p->name);
    return differs(why, "name", pattern, "");
}

bool port_differs(const struct port_rule *rule, const struct port *p, struct port_difference *why)
{
    const char *id = after(rule->pattern, RULE_USB);
    const char *path = after(rule->pattern, RULE_USB_PATH);

    if (id)
        return id_differs(id, p, why) || kind_differs(p, why);
    if (path)
        return ((!*p->usb_path || fnmatch(path, p->usb_path, 0)) &&
                differs(why, "usb_path", path, p->usb_path)) ||
               kind_differs(p, why);
    if (input_is(rule->pattern))
        return (p->kind != PORT_INPUT || strcmp(rule->pattern, p->name)) &&
               differs(why, "name", rule->pattern, p->kind == PORT_INPUT ? p->name : "");
    if (address_is(rule->pattern))
        return (p->kind != PORT_ADDRESS || strcmp(rule->pattern, p->name)) &&
               differs(why, "address", rule->pattern, p->kind == PORT_ADDRESS ? p->name : "");
    return name_differs(rule->pattern, p, why);
}
