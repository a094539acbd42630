/*
 * counting: a counter in a TPM that tells a copy of the whole station from the station.
 *
 * The anchor (hsm/anchor.h) lies on the token, and a copied software token is a copy with its anchor.
 * The counter is in the machine. Its next number stands in the ledger entry of each transaction that
 * gives something out, committed and anchored before the counter is brought there and before anything
 * leaves (store_set_counter). So the database that may go on is the one whose last number the counter
 * has, or is one short of: then a crash came in between, and nothing was given out. Two copies could
 * both be one short and each count once for something else, so the TPM keeps a chain of the entries as
 * well: it is extended by the entry's hash, then counted, and both must fit.
 *
 * A step stands for at most one credential that was given out, also where several slots are answered in
 * one transaction (store_group_counts): how far the counter is ahead of an old copy is how many that copy
 * does not know (counting_catch_up).
 *
 * Which counter it is stands in the ledger, not in a file: in the first entry, or in an entry
 * `counter` that a recovery ticket allowed. station.yaml says only where the TPM is reached. The
 * counter's authorisation is a MAC of the token, so that who has not the token cannot count.
 *
 * Errors: ERR_COUNTER, those of the store and the HSM.
 */
#ifndef STATION_VAULT_COUNTING_H
#define STATION_VAULT_COUNTING_H

#include "base/jcs.h"
#include "station/counter/counter.h"
#include "station/vault/vault.h"

/* What a counter is named by. */
struct counting_made {
    struct counter_id id;
    uint64_t start; /* its first number */
};

/*
 * Opens the counter that the ledger names, if it does, compares, and lets the store count. The store's
 * entries are verified (ledger_resume). Errors: ERR_COUNTER when the counter is ahead, behind, not
 * there, another's, or cannot be reached.
 */
MUST_USE int counting_start(struct anchoring *a, struct store *store, struct error *err);

/*
 * What a start would find, without counting. COUNTING_GONE: it cannot be reached, is not there, not
 * the station's, or behind. why tells it of all but COUNTING_FINE.
 */
enum counting_state { COUNTING_FINE, COUNTING_AHEAD, COUNTING_GONE };
enum counting_state counting_probe(struct anchoring *a, struct store *store, struct error *why);

/*
 * Makes a counter at this index, and lets the store count with it from its next entry on, which has
 * to name it. Errors: ERR_EXISTS.
 */
MUST_USE int counting_make(struct anchoring *a, uint32_t index, struct store *store,
                           struct counting_made *made, struct error *err);

/* Takes back what counting_make made: nothing was committed. */
void counting_unmake(struct anchoring *a, struct store *store);

/* The member "counter" of the entry that names it, and of the transcript. */
void counting_put(struct jcs *j, const struct counting_made *made);

/*
 * For a database that is put in place with a ticket: whatever its ledger says of the value, its next
 * entry bears a number that the counter has not reached. *ahead receives how many steps the counter may
 * have made that it does not know: so often was something given out; 0 when the station has no
 * counter, or *err tells why it cannot be used, which is not an error here: the station then does not
 * start before it has a counter again.
 */
MUST_USE int counting_catch_up(struct anchoring *a, struct store *copy, int64_t *ahead,
                               struct error *err);

/* Gives the TPM back. */
void counting_end(struct anchoring *a);

#endif
