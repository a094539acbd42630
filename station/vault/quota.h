/*
 * quota: no more identities than ordered (P5).
 *
 * What counts is this station's share of the order in force, and all that was made under the order
 * since its first version: an amendment resets nothing.
 *
 * `good` is how many live identities are wanted: an open claim counts, for it may become one.
 * `max_issued` is how many certificates may be signed; quota_issued says which of them keep their
 * place. `spoilage` is how many may be burned.
 *
 * A station burns up to `spoilage` by itself. A supervisor may always say that a device is lost
 * (vault/voiding.h), for else an order could never be closed; but what is burned beyond `spoilage`
 * goes on counting against `good`, or saying so would be a way to more identities than ordered.
 *
 * The counts are read once when the vault opens and kept in step with every commit.
 */
#ifndef STATION_VAULT_QUOTA_H
#define STATION_VAULT_QUOTA_H

#include "station/vault/vault.h"

/* Compares what the tables and the ledger count of an order. Errors: ERR_INTEGRITY. */
MUST_USE int quota_compare(struct store *store, const struct order_row *order,
                           const struct inventory_counts *counts, struct error *err);

/* Reads the counts of the vault's order. Errors: ERR_INTEGRITY when the ledger counts otherwise. */
MUST_USE int quota_load(struct vault *v, struct error *err);

/* Credentials, and requests to a hosted CA, that take a place in max_issued; and credentials in good. */
int64_t quota_issued(const struct inventory_counts *counts);
int64_t quota_live(const struct inventory_counts *counts);

/* Before more certificates are signed, a claim is made, or a claim takes the place of one that is
 * burned: ERR_REFUSED, also when the order has not begun or has ended. */
MUST_USE int quota_check_issue(const struct vault *v, int64_t more, struct error *err);
MUST_USE int quota_check_claim(const struct vault *v, struct error *err);
MUST_USE int quota_check_burn(const struct vault *v, struct error *err);

/* After a commit: count credentials went from one state to another; from -1 they are new. */
void quota_move(struct vault *v, int from, int to, int64_t count);

/*
 * Whether a run has anything to do: the order is valid, or it has ended and there are claims, whose
 * devices are finished. Errors: ERR_REFUSED.
 */
MUST_USE int quota_check_run(const struct vault *v, struct error *err);

/* What was made ahead for the job's devices and given to nobody: credentials, or, where the certificate
 * is signed when a device takes it, keys. */
int64_t quota_stock(const struct vault *v);

/* How many devices may still be begun: what is missing to `good`; no more than are in stock, where the
 * HSM makes the keys; and no more than max_issued leaves, where certificates, or keys that are derived,
 * are made when a device takes them. */
int64_t quota_remaining(const struct vault *v);

/* Bits of enum order_warning. */
unsigned quota_warnings(const struct vault *v);

#endif
