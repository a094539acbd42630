/*
 * ledger: what happened, in order, so that no entry can be changed, dropped or added later (P7).
 *
 * An entry covers one transaction of the store. Its body is canonical JSON:
 *   {"at":<RFC 3339>,"by":<user>,"data":{...},"event":<name>,"seq":<number from 1>}
 * hash = SHA-256("imprint ledger v1\0" ‖ hash of the entry before, or 32 zero bytes ‖ body)
 * mac  = HMAC-SHA256 under the HSM's ledger key over the hash: a bare chain could be extended by
 * anyone who has the file.
 */
#ifndef STATION_STORE_LEDGER_H
#define STATION_STORE_LEDGER_H

#include "base/buf.h"
#include "base/jcs.h"
#include "station/store/store.h"

/* Writes who runs this program, as entries do in "by". */
void ledger_put_user(struct jcs *j, const char *name);

/* The events and what their data holds are listed in docs/station.md. */

/* Appends an entry inside the open transaction. data is one canonical JSON object (base/jcs.h). */
MUST_USE int ledger_append(struct store *store, const char *event, const struct buf *data,
                           struct error *err);

/*
 * Whether event is the newest that the ledger tells of this credential: "claim", "proven",
 * "burned", or NULL for none at all. The tables can be edited without a trace in themselves, the
 * ledger cannot. Errors: ERR_INTEGRITY.
 */
MUST_USE int ledger_expect(struct store *store, int64_t credential, const char *event,
                           struct error *err);

/* How many credentials of an order the ledger tells to be made, and then claimed, proven, burned. */
struct ledger_counts {
    int64_t issued, claimed, proven, burned;
};
MUST_USE int ledger_count_order(struct store *store, const uint8_t order_hash[32],
                                struct ledger_counts *counts, struct error *err);

/*
 * Calls each "order", "amendment" and "close" entry of an order, named by the hash of its first
 * version, from the oldest on; hash is the entry's own, in hexadecimal digits, or empty. Each
 * entry's chain and MAC are verified first if the store has its MAC. Errors: ERR_INTEGRITY.
 */
MUST_USE int ledger_each_version(struct store *store, const uint8_t order_hash[32],
                                 int (*each)(void *context, const char *event, const char *hash,
                                             struct error *err),
                                 void *context, struct error *err);

/* Whether an "order" entry names this id; for when the tables do not have it. */
MUST_USE int ledger_knows_order(struct store *store, const char *id, bool *known,
                                struct error *err);

struct ledger_entry {
    int64_t seq;
    const char *body; /* valid during the call */
    const uint8_t *hash;
};

/* Calls each entry in order, from the first. A negative return of the callback ends the walk. */
MUST_USE int ledger_each(struct store *store,
                         int (*each)(void *context, const struct ledger_entry *entry,
                                     struct error *err),
                         void *context, struct error *err);

/* The body of the first entry, its MAC verified; appended with a NUL. Errors: ERR_INTEGRITY. */
MUST_USE int ledger_first(struct store *store, struct buf *body, struct error *err);

/*
 * Compares the ledger with what the token remembers of it. The same entry: fine. Newer entries that
 * chain from the anchored one and bear the station's MACs: a crash came between commit and anchor,
 * and nothing of them was released. *seq and head receive the last entry, which is to be anchored.
 * Errors: ERR_ROLLBACK for an older database or another history, ERR_INTEGRITY for entries that are
 * not this station's.
 */
MUST_USE int ledger_resume(struct store *store, int64_t anchored, const uint8_t anchored_head[32],
                           int64_t *seq, uint8_t head[32], struct error *err);

/*
 * Verifies numbers, chain and MACs from the first entry to the last, and that the tables hold as
 * many versions of orders, credentials, claims, proofs, burned ones and records as the entries
 * say. *count receives the number of entries. Errors: ERR_INTEGRITY with the number of the entry.
 */
MUST_USE int ledger_verify(struct store *store, int64_t *count, struct error *err);

#endif
