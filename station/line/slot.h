/*
 * slot: everything that happens to the one device in one slot, from the first HELLO to its result.
 *
 * Invariants
 *  1. The device never gets a byte that the vault did not hand out for it; what it answers decides
 *     nothing here, it is passed on (P10).
 *  2. Whatever goes wrong is told to the vault and to the operator, with what to do next. What was
 *     claimed stays claimed: the same command later goes on where this one ended (P9).
 *  3. Every wait has a deadline.
 */
#ifndef STATION_LINE_SLOT_H
#define STATION_LINE_SLOT_H

#include "link/transport.h"
#include "station/line/ports.h"

#include <stdbool.h>

struct slot_limits {
    int hello_ms;   /* how long the port may stay silent */
    int request_ms; /* for one answer */
    int repeats;    /* of a request without an answer */
};

/* One slot and its port, which was opened before the line was confined. */
struct slot_port {
    const struct port *port;
    struct transport *transport; /* NULL when it did not open; closed by slot_run */
    struct error failure;        /* why, then */
};

/*
 * Provisions one device. control is the socket to the vault; *stop, when it becomes true, ends the
 * work unless a delivery has begun. Emits the events of the slot, the last one PASS or FAIL.
 * Returns 0 for PASS, otherwise what FAIL said; err receives its text.
 */
MUST_USE int slot_run(int control, struct slot_port *port, const struct slot_limits *limits,
                      const volatile bool *stop, struct error *err);

#endif
