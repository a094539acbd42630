/*
 * closing: ends an order: what is unused is scrapped, the storage key destroyed, the totals signed.
 *
 * The steps, each committed before the next begins, so that the same call goes on wherever the one
 * before was stopped:
 *   1. nothing is unresolved, and the whole ledger verifies: the ledger says `close`, and from then
 *      on nothing is made, delivered or voided under the order
 *   2. credentials that nobody got are scrapped, in batches; keys without a certificate are destroyed
 *   3. what was recorded is sealed, so that a manifest has the totals of the statement
 *   4. the token remembers that the order is closed (vault/closed.h), and the storage key is destroyed:
 *      wrapped keys in old backups are inert from then on
 *   5. the statement's bytes are kept, and the ledger says `closed` with their hash
 *   6. it is signed, and the folder statements/<id> takes its name
 */
#ifndef STATION_VAULT_CLOSING_H
#define STATION_VAULT_CLOSING_H

#include "manifests/closing.h"
#include "station/vault/vault.h"

/* Called now and then with the credentials that were scrapped so far. */
struct closing_watch {
    void (*progress)(void *context, int64_t done, int64_t total);
    void *context;
};

struct closed {
    struct manifest_totals totals; /* without amendments */
    uint64_t manifest;             /* the one that holds the same totals, 0 for none */
    bool before;                   /* it was closed already; nothing changed */
    char dir[PATH_MAX];            /* of the statement */
};

/*
 * Closes the order of this id; v was opened without a job. The statement names who closed it and
 * why as the ledger's entry of step 1 does (store_set_actor). Errors: ERR_UNRESOLVED when devices are neither proven nor
 * given up (claim_each_unresolved names them); ERR_INTEGRITY; those of sealing_run.
 */
MUST_USE int closing_run(struct vault *v, const char *id, const struct closing_watch *watch,
                         struct closed *out, struct error *err);

#endif
