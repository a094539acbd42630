/*
 * place: the life of one slot, in a thread of its own: a port comes, devices come and go on it, each is
 * provisioned and its result stands until it was taken out; the port goes, another one comes.
 *
 * Invariants
 *  1. A device that stays is not provisioned again; the same port is never served by two threads.
 *  2. An attempt is repeated at most limits->retries times, and each repeat says why.
 *  3. Every port that was taken is given back to who opened it.
 *  4. A slot with a fixture begins only while its gate is free (gate.h).
 *  5. Of a slot that the vault closed (slot_is_closed) the port is kept and nothing is asked.
 */
#ifndef STATION_LINE_PLACE_H
#define STATION_LINE_PLACE_H

#include "station/line/gate.h"
#include "station/line/slot.h"
#include "station/wire/offer.h"

#include <pthread.h>
#include <stdatomic.h>

/* What all slots share. */
struct line {
    int control; /* to the vault */
    int wake;    /* a byte is written here when a thread ended or asks all to end */
    bool once;
    struct slot_limits limits;
    volatile bool stop, paused;
    atomic_bool done; /* the order is fulfilled: the reason of the stop */
};

/* A port as it was offered: fd, or why there is none. */
struct place_port {
    enum offer_kind kind;
    uint16_t number;
    int source; /* whom to ask for it again */
    int fd;
    char name[OFFER_NAME_MAX + 1];
    struct error failure;
};

struct place {
    struct line *line;
    struct gate *gate; /* of the slot's fixture, or NULL */
    char label[OFFER_SLOT_MAX + 1];
    pthread_t thread;
    atomic_bool ended;
    int result;           /* with line->once: 0 or the error of the slot */
    bool stands;          /* a failure stays in sight though its port is gone */
    int told;             /* the failure to open that was reported last */
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct place_port inbox;
    bool has_port, acknowledged, failed;
    struct slot slot;
};

/* Starts the thread. gate: of the slot's fixture, or NULL. Errors: ERR_INTERNAL. place_join afterwards. */
MUST_USE int place_start(struct place *p, struct line *line, const char *label, struct gate *gate,
                         struct error *err);
void place_join(struct place *p);

/* Hands a port over; one that was handed over before and not taken is closed. */
void place_give(struct place *p, const struct place_port *port);

/* A slot that failed, or is disabled, begins again; false for any other. */
bool place_acknowledge(struct place *p);

/* A scanner said something about the slot. */
void place_scanned(struct place *p);

/* After line->stop or line->paused changed. */
void place_wake(struct place *p);

#endif
