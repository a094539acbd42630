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
#include "station/store/store.h"

/*
 * Counts the inventory into out. *whitelisted receives how many credentials were proven or burned:
 * each of them has exactly one record. Each order is opened with the pins, and its inventory compared
 * with the ledger, as before something is issued. Errors: those of order_history_open and
 * quota_check_ledger; of the store, ERR_INTERNAL.
 */
MUST_USE int totals_collect(struct store *store, STACK_OF(X509) * pins, struct buf *out,
                            int64_t *whitelisted, struct error *err);

/* The counts in bytes of the journal. manifest_totals_free(*list). Errors: ERR_STORE, ERR_INTERNAL. */
MUST_USE int totals_read(const struct buf *in, struct manifest_totals **list, size_t *count,
                         struct error *err);

#endif
