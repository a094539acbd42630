/*
 * outbox: results that the plant's systems have not taken yet.
 *
 * Invariants
 *  1. An event is added in the transaction that records what it tells, so that neither is ever there without
 *     the other (a promise of "at least once").
 *  2. Events leave in the order of their numbers, and one is removed only when it was taken.
 *  3. An event's id is random and never changes: whoever gets it again knows it.
 *
 * It is a post box, not a record: nothing is decided by it, and no MAC is on it. What happened is in the
 * ledger and the log of attempts.
 */
#ifndef STATION_STORE_OUTBOX_H
#define STATION_STORE_OUTBOX_H

#include "base/buf.h"
#include "station/store/store.h"

#define OUTBOX_BODY_MAX 4096
#define OUTBOX_TEXT_MAX 200

/* Adds an event inside the open transaction; body is its JSON. */
MUST_USE int outbox_add(struct store *store, const struct buf *body, struct error *err);

/* The oldest; *number is 0 when there is none. body is replaced. */
MUST_USE int outbox_first(struct store *store, int64_t *number, struct buf *body,
                          struct error *err);

/* Each of these is a transaction of its own. The event was taken; it was not, and text says why. */
MUST_USE int outbox_taken(struct store *store, int64_t number, struct error *err);
MUST_USE int outbox_refused(struct store *store, const char *text, struct error *err);

struct outbox_state {
    int64_t depth;
    int64_t oldest;                  /* when it was added: seconds since 1970 UTC, 0 for none */
    int64_t failures;                /* since the last event that was taken */
    int64_t failed;                  /* when the last of them was, 0 for none */
    char error[OUTBOX_TEXT_MAX + 1]; /* and why, or empty */
};
MUST_USE int outbox_state(struct store *store, struct outbox_state *state, struct error *err);

#endif
