/*
 * orders: takes the owner's orders in, and opens them again whenever something is issued (P5).
 *
 * An order is its first version and the amendments after it, each naming the hash of the one
 * before. The hash of the first names the order in ledger, totals and storage key for ever; the
 * last one is in force, and its hash enters transcripts and records.
 *
 * Invariants
 *  1. No row is trusted: each version's signature is verified with the station's pins, each is
 *     chained to the one before, and all together are exactly those that the ledger tells of.
 *  2. A version that is in force fits this station: environment, key, an issuing CA that is active,
 *     class of HSM.
 */
#ifndef STATION_VAULT_ORDERS_H
#define STATION_VAULT_ORDERS_H

#include "station/order.h"
#include "station/store/orders.h"

struct vault;

/* All versions of one order, verified. */
struct order_history {
    struct order_row row;
    struct order *versions;
    size_t count;
};

/*
 * Opens the order of this id. In a store that has its MAC the ledger's entries are verified as
 * well. order_history_done in any case. Errors: ERR_MISSING when the station has no such order,
 * ERR_SIGNATURE, ERR_INTEGRITY; those of the store.
 */
MUST_USE int order_history_open(struct store *store, STACK_OF(X509) * pins, const char *id,
                                struct order_history *h, struct error *err);
void order_history_done(struct order_history *h);

/* The version in force, and the one with this hash or NULL. */
const struct order *order_in_force(const struct order_history *h);
const struct order *order_version(const struct order_history *h, const uint8_t hash[32]);

/* Whether anything may be made, delivered or voided under it. Errors: ERR_REFUSED. */
MUST_USE int orders_check_open(const struct order_history *h, struct error *err);

/* Invariant 2; *share receives what is this station's. Errors: ERR_REFUSED with what to do. */
MUST_USE int orders_check_station(const struct vault *v, const struct order *order,
                                  const struct order_share **share, struct error *err);

enum order_taken {
    ORDER_TAKEN,       /* it is in force now */
    ORDER_TAKEN_BEFORE /* the station has these very bytes; nothing changed */
};

/*
 * Takes a signed order or amendment in; v was opened without a job. order receives what it says.
 * Errors: ERR_SIGNATURE, ERR_INPUT; ERR_REFUSED when it is not for this station, when the id
 * belongs to another order, or when an amendment is not of the version in force or changes what may
 * not change; ERR_MISSING when the order that it amends is not there; ERR_ROLLBACK when the
 * station's log does not extend the manifest that the owner accepted.
 */
MUST_USE int orders_take(struct vault *v, const char *source, const struct buf *bytes,
                         struct order *order, enum order_taken *taken, struct error *err);

#endif
