/*
 * spares: keys made ahead that have no certificate yet, because the serial is known only when a
 * device is in its slot.
 *
 * A spare key becomes a credential's when its certificate is signed at the claim: the wrapped key
 * moves to that row. Those that are left when an order closes are destroyed; they have no
 * certificate, no leaf, and no place in max_issued. A row's MAC covers "imprint spare v1\0" ‖ u64 id ‖
 * order hash ‖ public key ‖ lp(storage) ‖ SHA-256(wrapped). The state is not part of it, as that of a
 * credential is not: the ledger counts spare keys (quota_compare in vault/quota.h), and a key that
 * was used already is found by its public key.
 */
#ifndef STATION_STORE_SPARES_H
#define STATION_STORE_SPARES_H

#include "station/store/inventory.h"

enum spare_state {
    SPARE_UNUSED = 0,
    SPARE_USED = 1,      /* it is a credential's */
    SPARE_DESTROYED = 2, /* the order was closed; nothing of it is left */
    SPARE_REQUESTED = 3  /* a hosted CA was asked for its certificate (requests.h) */
};

/*
 * The functions take the members of a credential that such a key has: id (of the spare key, a number
 * of its own), order_id, point, wrapped, wrapped_hash, storage, mechanism and mac.
 */

/* The id that the next spare key gets. */
MUST_USE int spare_next_id(struct store *store, int64_t *id, struct error *err);

/* Computes wrapped_hash and mac; may run in any thread that mac is good for. Errors: those of mac. */
MUST_USE int spare_seal(struct credential *c, const uint8_t order_hash[32], store_mac_fn mac,
                        void *context, struct error *err);

/* In state SPARE_UNUSED or SPARE_REQUESTED. */
MUST_USE int spare_add(struct store *store, const struct credential *c, enum spare_state state,
                       struct error *err);

/* The key that a request is of, its MAC verified. Errors: ERR_INTEGRITY when the row was changed, or is not
 * that of a key that waits for a certificate. */
MUST_USE int spare_requested(struct store *store, int64_t id, struct credential *c,
                             struct error *err);

/* The oldest unused key of an order, its MAC verified; *found tells whether there is one. Errors:
 * ERR_INTEGRITY when the row was changed. */
MUST_USE int spare_pick(struct store *store, int64_t order_id, enum key_type type,
                        struct credential *c, bool *found, struct error *err);

/* It is a credential's now, or destroyed: the wrapped key is deleted here. */
MUST_USE int spare_end(struct store *store, int64_t id, enum spare_state state, struct error *err);

/*
 * Destroys all unused keys of an order, named by the hash of its first version, and says how many and
 * which in the ledger; without one nothing is written. Inside a transaction.
 */
MUST_USE int spares_destroy(struct store *store, int64_t order_id, const uint8_t order_hash[32],
                            struct error *err);

MUST_USE int spare_count(struct store *store, int64_t order_id, enum spare_state state,
                         int64_t *count, struct error *err);

#endif
