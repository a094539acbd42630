/*
 * outgoing: brings the events of the outbox to the plant's program, one after the other, the oldest first.
 *
 * An event that is not taken is tried again after a pause that doubles from OUTGOING_PAUSE_MS to
 * OUTGOING_PAUSE_MAX_MS, and none after it is sent before. Nobody waits for it: a line works as ever.
 */
#ifndef STATION_VAULT_OUTGOING_H
#define STATION_VAULT_OUTGOING_H

#include "station/store/store.h"
#include "station/vault/hooks.h"

#define OUTGOING_PAUSE_MS     1000
#define OUTGOING_PAUSE_MAX_MS 60000
#define OUTGOING_END_MS       5000 /* that the end of a run gives to what is left */

/* Borrowed; ticket must not move while it is open. */
struct outgoing {
    struct store *store;
    struct hooks *hooks;
    struct hook_ticket ticket;
    int64_t number;   /* of the event that was sent */
    int64_t pause_ms; /* 0: the last one was taken */
    int64_t not_before;
    bool empty; /* nothing is left, as far as anybody told */
};

/* hooks NULL, or without an outbox: nothing is ever done. */
void outgoing_init(struct outgoing *o, struct store *store, struct hooks *hooks);
void outgoing_done(struct outgoing *o);

/* Something may have been added. */
void outgoing_wake(struct outgoing *o);

/* Takes an answer that came, and sends what is due. Outside of transactions and groups, beside hooks_work.
 * Errors: those of the store. */
MUST_USE int outgoing_work(struct outgoing *o, struct error *err);

/* For how long at most nothing is to be done: -1 for ever. */
int outgoing_wait_ms(const struct outgoing *o);

/* Sends until nothing is left, one was not taken, or at most_ms. *left: how many stay. */
MUST_USE int outgoing_finish(struct outgoing *o, int64_t most_ms, int64_t *left, struct error *err);

#endif
