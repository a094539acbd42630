/*
 * slots: whether the vault serves a slot, by what happened in it before.
 *
 * Each unit counts once, when it passed or the line gave it up (RESULT with last): repeats of one unit are
 * one. A failure counts against the slot where its next step is to press the unit in again (no answer, gone,
 * garbage) and the vault did not refuse the unit. What the unit, the order or the station is to blame for
 * counts as a contact alone. A unit that passed, also again, ends the failures in a row.
 *
 *   condition    when                                          then
 *   ------------ --------------------------------------------- -----------------------------------
 *   good
 *   worn         nine tenths of its limit of units             people are told, and it goes on
 *   failing      so many failures in a row as station.yaml     nothing begins there until somebody
 *                says                                            acknowledges
 *   worn out     its limit of units                            nothing begins there until its
 *                                                                contacts are renewed
 *
 * Invariants
 *  1. The vault decides at OPEN; what the line says of it is for people. It is durable: a restart changes
 *     nothing.
 *  2. A line that was taken over can count for any slot and acknowledge any: that costs time, and nothing
 *     else follows from a slot's row.
 */
#ifndef STATION_VAULT_SLOTS_H
#define STATION_VAULT_SLOTS_H

#include "station/store/slots.h"
#include "station/vault/vault.h"
#include "station/wire/wire.h"

enum slots_end {
    SLOTS_PASSED,
    SLOTS_FAILED, /* counts against the slot */
    SLOTS_OTHER   /* it does not */
};

/* How a unit ended: code, as of base/error.h; refused: by the vault; next: what the line would have people
 * do. */
enum slots_end slots_end_of(int code, bool refused, enum error_next next);

/* Counts one unit, within the caller's transaction. why: of SLOTS_FAILED. */
MUST_USE int slots_count(struct vault *v, const char *slot, enum slots_end end, const char *why,
                         struct error *err);

/* What is to be said of a slot; its state and text. */
MUST_USE int slots_condition(const struct vault *v, const char *slot, struct wire_condition *out,
                             struct error *err);

/* The same of a row at hand. */
void slots_judge(const struct config *config, const struct slot_row *row,
                 struct wire_condition *out);

/*
 * Somebody looked at a failing slot, and it goes on, in a transaction of its own. *was: it was failing;
 * otherwise nothing changes. Errors: ERR_REFUSED for one that is worn out; those of the store.
 */
MUST_USE int slots_acknowledge(struct vault *v, const char *slot, bool *was, struct error *err);

/* As a person signs for it: what happened stands in the ledger. Errors: ERR_MISSING for a slot of which
 * nothing is known. */
enum slots_care { SLOTS_ACKNOWLEDGED, SLOTS_RENEWED /* its contacts: their count begins anew */ };
MUST_USE int slots_care_for(struct store *store, const char *slot, enum slots_care care,
                            struct slot_row *row, struct error *err);

/* Of a hundred of the last units how many passed, in tenths; -1 without any. *units: of how many. */
int slots_yield(const struct slot_row *row, size_t *units);

#endif
