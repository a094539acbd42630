/*
 * slots: what the database knows of each slot of a fixture: for people who look after it.
 *
 * A row decides about no credential and has no MAC: who edits it may let a worn slot go on, and nothing else.
 */
#ifndef STATION_STORE_SLOTS_H
#define STATION_STORE_SLOTS_H

#include "station/store/store.h"

#include <stdbool.h>
#include <stdint.h>

#define SLOT_ROW_LABEL_MAX  32
#define SLOT_ROW_RECENT_MAX 200 /* units that a yield is taken over */
#define SLOT_ROW_WHY_MAX    400

/* What a unit of slot_row.recent did. */
#define SLOT_ROW_PASS 'p'
#define SLOT_ROW_FAIL 'f'

struct slot_row {
    char label[SLOT_ROW_LABEL_MAX + 1];
    int64_t contacts; /* units that were in it since its contacts were renewed */
    int64_t failures; /* in a row, that count (vault/slots.h) */
    bool disabled;    /* until somebody acknowledges */
    char recent[SLOT_ROW_RECENT_MAX + 1]; /* the newest at the end */
    char why[SLOT_ROW_WHY_MAX + 1];       /* of the last failure that counted */
};

/* The row of a label; one of which nothing is known yet is all zero but for its label. */
MUST_USE int slot_row_read(struct store *store, const char *label, struct slot_row *row,
                           struct error *err);

/* Within the caller's transaction. */
MUST_USE int slot_row_write(struct store *store, const struct slot_row *row, struct error *err);

/* Calls each, by labels. */
MUST_USE int slot_row_each(struct store *store,
                           int (*each)(void *context, const struct slot_row *row,
                                       struct error *err),
                           void *context, struct error *err);

#endif
