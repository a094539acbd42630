/*
 * plant: what the plant's programs have to say about a unit, and what they are told of it.
 *
 *   before_claim   asked for a device that is new here, once all else allows its claim and nothing was
 *                  claimed yet. A device that is known (it goes on, or passes again) is not asked about:
 *                  for it nothing is claimed.
 *   after_result   asked when the line tells how a device ended, pass or fail, unless another attempt with
 *                  it follows. What is recorded does not depend on it.
 *   outbox         gets the same result, added where it is recorded, and identities that ended.
 *
 *   answer         mode block                                 mode warn
 *   -------------- ------------------------------------------ -------------------------------------
 *   yes            goes on                                    goes on
 *   no, or none    before_claim: refused, nothing claimed     goes on; the result says what was said
 *                  after_result: a pass is shown as a
 *                  failure until it is answered yes; the
 *                  credential stays proven. A failure stays
 *                  what it was.
 */
#ifndef STATION_VAULT_PLANT_H
#define STATION_VAULT_PLANT_H

#include "station/vault/session.h"

/*
 * Asks before_claim, the first time; after that, judges the answer. *waits: there is none yet, and the
 * request is to be answered again once hooks_is_open(&s->ticket) is false. Errors: ERR_REFUSED; those of
 * naming_find.
 */
MUST_USE int plant_may_claim(struct vault *v, struct session *s, bool *waits, struct error *err);

/* How an attempt ended. */
struct plant_result {
    int code;         /* 0 for a pass, otherwise one of base/error.h */
    const char *text; /* why, or empty */
};

/*
 * Writes the result into s->result, for after_result, and into the outbox: inside the transaction that
 * records it. Nothing is done where the station has neither.
 */
MUST_USE int plant_tell(struct vault *v, struct session *s, const struct plant_result *result,
                        struct error *err);

/*
 * An identity that a device may have came to its end: "burned" or "revoked". For the outbox alone, which gets
 * it in the open transaction; also of commands that run no programs.
 */
MUST_USE int plant_tell_end(struct vault *v, const char *state, const struct claim *claim,
                            const struct credential *credential, struct error *err);

/* As plant_may_claim, for after_result and s->result. Errors: ERR_REFUSED, of a pass alone. */
MUST_USE int plant_takes_result(struct vault *v, struct session *s, bool passed, bool *waits,
                                struct error *err);

#endif
