/*
 * ports: which serial ports, USB devices and addresses are slots, by the rules of the job.
 *
 * Invariants
 *  1. A port that no rule names is listed, never opened.
 *  2. The first rule that matches wins. Ports are taken in the natural order of their names
 *     (ttyACM2 before ttyACM10), so that {n} in a slot label means the same on every start.
 *  3. An address or keyboard that a rule names is one port, there or not; no pattern matches it.
 *  4. Two ports never get one slot label: the second is an error of the job, and no slot.
 *  5. A USB device is one port: its serial port if it has one, otherwise its vendor-specific bulk
 *     interface (usb.h).
 *  6. Within one struct port_numbers a place keeps its number, whatever else is plugged in or out: a USB
 *     place by its path, any other port by its name.
 */
#ifndef STATION_LINE_PORTS_H
#define STATION_LINE_PORTS_H

#include "base/error.h"
#include "station/line/usb.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORTS_MAX      256
#define PORT_NAME_MAX  128
#define PORT_LABEL_MAX 32
#define PORT_RULES_MAX                                                                             \
    48 /* of a job, and the scanners and fixtures of a station, which are no slots */
#define PORT_NUMBERS 512

struct port_rule {
    const char *pattern; /* fnmatch(3) over a serial port's whole name, or, with their prefixes, ids
                            or places of USB devices, or an address (connector/address.h) */
    const char
        *slot; /* label; {n} is replaced by the number of the port among those of the rule, {port}
                         by that of the socket on its USB hub */
    int baud;  /* 0: the port is somebody else's, and not opened */
};

enum port_kind { PORT_SERIAL, PORT_USB, PORT_INPUT, PORT_ADDRESS, PORT_NONE };

/*
 * A serial port, a USB device, or a keyboard (input.h) or address that a rule names. PORT_NONE is a USB device that a rule means
 * but that gives neither a serial port nor a bulk interface: it is listed, so that it is explained.
 */
struct port {
    enum port_kind kind;
    char name[PORT_NAME_MAX + 1];
    char description[65];            /* what the system knows of it, may be empty */
    char usb_id[10];                 /* "1209:0001", of a serial port as well; empty without USB */
    char usb_path[USB_PATH_MAX + 1]; /* "1-2.3", likewise */
    int usb_bus, usb_address;
    char driver[USB_DRIVER_MAX + 1]; /* of the kernel, of a USB device; empty: none has it */
    char slot[PORT_LABEL_MAX + 1];   /* empty: no rule matches */
    int rule;                        /* index of the rule, -1 for none */
    int baud;
};

struct ports {
    struct port list[PORTS_MAX];
    size_t count;
    size_t slots;              /* how many a rule names */
    bool used[PORT_RULES_MAX]; /* the rule names a port */
};

/* Which number each place got. Zero-initialise. */
struct port_numbers {
    struct {
        int rule;
        unsigned number;
        char place[PORT_NAME_MAX + 1];
        bool taken; /* by a port of this time */
    } list[PORT_NUMBERS];
    size_t count;
};

/*
 * Lists the machine's ports and gives each its slot. numbers may be NULL: then each call counts anew.
 * Errors: ERR_IO when the ports cannot be listed; ERR_INPUT when two ports would get one label or one
 * is too long: the others have their slots all the same.
 */
MUST_USE int ports_find(const struct port_rule *rules, size_t rule_count,
                        struct port_numbers *numbers, struct ports *ports, struct error *err);

/* As ports_find for ports of which all but slot, rule and baud is filled in already. */
MUST_USE int ports_assign(const struct port_rule *rules, size_t rule_count,
                          struct port_numbers *numbers, struct ports *ports, struct error *err);

/* What is other than a rule wants. */
struct port_difference {
    const char
        *field; /* "vendor", "product", "usb_path", "name", "driver" or "address", as in the docs */
    char wants[PORT_NAME_MAX + 1];
    char has[PORT_NAME_MAX + 1]; /* empty: the port has none */
};

/*
 * Whether the rule names another port than this one; then *why, which may be NULL, has the first thing that
 * differs. This is how rules are matched: who asks gets the reason that counts.
 */
bool port_differs(const struct port_rule *rule, const struct port *port,
                  struct port_difference *why);

#endif
