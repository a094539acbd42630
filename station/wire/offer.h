/*
 * offer: how opener and connector hand ports to the line, which can open nothing by itself.
 *
 *   line                                opener                           connector
 *   ASK_ONCE or ASK_WATCH            -> one offer for each port that a
 *                                       rule names, then LISTED; after
 *                                       WATCH, more as they appear
 *   ASK_PORT (port)                  -> it was given back: it is offered -> one offer: the connection,
 *                                       again when it is there             or why there is none
 *
 * An offer is one message with at most one descriptor beside it: a character device for
 * OFFER_SERIAL and OFFER_INPUT, a stream socket otherwise. What else came is closed, and refused.
 *
 * Errors of every function: ERR_GONE when the other process ended; ERR_PROTOCOL for what is no such
 * message or descriptor.
 */
#ifndef STATION_WIRE_OFFER_H
#define STATION_WIRE_OFFER_H

#include "base/error.h"

#include <stdint.h>

#define OFFER_SLOT_MAX 32
#define OFFER_NAME_MAX 128
#define OFFER_FIXTURE                                                                              \
    '@' /* a "slot" that begins with it is the fixture with the number behind it */

enum offer_kind {
    OFFER_SERIAL = 1, /* a serial port */
    OFFER_USB = 2,    /* the bytes of a USB device */
    OFFER_INPUT = 3,  /* what a keyboard types, as the kernel's events */
    OFFER_ADDRESS =
        4, /* from the opener: the label of an address, which the connector connects to */
    OFFER_NOTICE = 5, /* text for a person: a port that cannot be a slot */
    OFFER_LISTED =
        6 /* that was every port; port is how many are slots, status an error of the job */
};

struct offer {
    uint8_t kind;
    uint8_t status; /* 0, or the exit status of why there is no port */
    uint16_t port;  /* the sender's number of it; an address: among those of the job, from 0 */
    char slot[OFFER_SLOT_MAX + 1];
    char name[OFFER_NAME_MAX + 1];
    char message[MESSAGE_CODE_SIZE]; /* with a status: what happened, as in struct error */
    char text[400], local[400];
};

enum offer_ask { ASK_ONCE = 1, ASK_WATCH = 2, ASK_PORT = 3 };

/* fd: the descriptor, or -1; it stays open here. */
MUST_USE int offer_send(int control, const struct offer *offer, int fd, struct error *err);

/* Why there is no port: status, message, text and local. */
void offer_put_error(struct offer *offer, const struct error *err);
int offer_error(const struct offer *offer, struct error *err);

/* *fd is the descriptor, or -1 where the kind has none or status is not 0. */
MUST_USE int offer_receive(int control, struct offer *offer, int *fd, struct error *err);

MUST_USE int offer_ask(int control, enum offer_ask ask, uint16_t port, struct error *err);
MUST_USE int offer_asked(int control, enum offer_ask *ask, uint16_t *port, struct error *err);

#endif
