/*
 * totals: what became of every certificate, per order, as a manifest states it (P6).
 *
 * The journal of sealing keeps them as bytes: for each order its hash, u32 number and hashes of its
 * amendments, and its u64 counts in the order of MANIFEST_TOTALS, the orders sorted by hash.
 */
#ifndef STATION_VAULT_TOTALS_H
#define STATION_VAULT_TOTALS_H

#include "manifests/statement.h"
#include "pki/signed.h"
#include "station/store/inventory.h"
#include "station/store/store.h"

/* The totals of one order, without its hash and amendments. */
void totals_of(const struct inventory_counts *counts, struct manifest_totals *totals);

/*
 * Counts the inventory into out. *whitelisted receives how many records that makes: one for each
 * credential that was proven, burned or scrapped, two for one that was proven and then revoked. Each
 * order is opened with the pins, and its inventory compared with the ledger, as before something is
 * issued. Errors: those of order_history_open and quota_compare; of the store, ERR_INTERNAL.
 */
MUST_USE int totals_collect(struct store *store, STACK_OF(X509) * pins, struct buf *out,
                            int64_t *whitelisted, struct error *err);

/* The counts in bytes of the journal. manifest_totals_free(*list). Errors: ERR_STORE, ERR_INTERNAL. */
MUST_USE int totals_read(const struct buf *in, struct manifest_totals **list, size_t *count,
                         struct error *err);

#endif
