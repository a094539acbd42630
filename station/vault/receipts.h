/*
 * receipts: the owner's answers to manifests, so that one that never arrived is noticed.
 *
 * A receipt (manifests/receipt.h) is kept as receipts/NNNNNN.p7 in the station's directory, by the
 * number of its manifest, and as an entry of the ledger. A file proves nothing: it is verified
 * whenever it counts. A receipt speaks for its manifest and all before it, for a log is accepted in
 * order.
 */
#ifndef STATION_VAULT_RECEIPTS_H
#define STATION_VAULT_RECEIPTS_H

#include "manifests/receipt.h"
#include "station/vault/vault.h"

#define RECEIPTS_WAIT (24 * 3600) /* seconds after which a receipt is missed */

/*
 * Takes a receipt in; the store is open for writing and has its MACs. *before: it was here already,
 * and nothing changed. Errors: ERR_SIGNATURE (no pinned signer), ERR_INPUT (not a receipt),
 * ERR_REFUSED (another log or environment), ERR_ROLLBACK (the owner accepted a manifest that this
 * station does not have), ERR_FORK (another one than the station sealed); those of files and the
 * store.
 */
MUST_USE int receipts_add(const struct config *config, struct store *store, const char *source,
                          const struct buf *signed_bytes, struct receipt *r, bool *before,
                          struct error *err);

/* How far the owner answered. */
struct receipts_state {
    int64_t published; /* number of the last manifest, 0 for none */
    int64_t received;  /* of the last one with a receipt, 0 for none */
    int64_t since;     /* when the first one without was sealed; 0: all have one */
    bool overdue;      /* that was more than RECEIPTS_WAIT ago */
};

/* pins: as vault_show_signers gives them. Errors: ERR_INTEGRITY for a file in receipts/ that is not
 * a receipt for this log; those of the store. */
MUST_USE int receipts_read(const struct config *config, struct store *store, STACK_OF(X509) * pins,
                           int64_t now, struct receipts_state *out, struct error *err);

#endif
