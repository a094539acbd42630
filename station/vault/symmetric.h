/*
 * symmetric: symmetric keys of devices, beside a certificate or in the place of one (key mode
 * `derived`): what they are derived from, and the credentials that are nothing else.
 *
 * A key is derived in the HSM (hsm/derived.h) whenever it is needed, from
 *
 *   "imprint derive v1\0" ‖ lp(environment) ‖ lp(order hash) ‖ lp(product) ‖ lp(serial)
 *                         ‖ lp(SHA-256(leaf certificate)) ‖ 00 00 01 00
 *
 * order hash is that of the order's first version; in derived mode there is no leaf certificate, and
 * its lp() is two zero bytes.
 *
 * Invariants
 *  1. One key, one device: a key beside a certificate changes with it. One in its place is that of the
 *     serial, so a serial whose derived key was released once gets no second one (symmetric_issue).
 *  2. A key that is needed again must have the check value that its claim says.
 */
#ifndef STATION_VAULT_SYMMETRIC_H
#define STATION_VAULT_SYMMETRIC_H

#include "base/secret.h"
#include "station/store/claims.h"
#include "station/vault/vault.h"

/* What a credential's key is derived from; appended. Errors: those of the store. */
MUST_USE int symmetric_input(const struct config *config, struct store *store,
                             const struct credential *c, struct buf *input, struct error *err);

/* Whether this job gives its devices a symmetric key. */
bool symmetric_is_wanted(const struct vault *v);

/*
 * Before a job that wants symmetric keys does anything: the token can derive them, and has the master
 * key. Errors: ERR_REFUSED with what the token lacks, ERR_MISSING when the ceremony made none.
 */
MUST_USE int symmetric_check_token(const struct vault *v, struct error *err);

/* Sets the check value of the claim's key. Errors: those of hsm/derived.h. */
MUST_USE int symmetric_name(const struct vault *v, const struct credential *c, struct claim *claim,
                            struct error *err);

/* HMAC-SHA256 of a message under the credential's key, which must be the claim's. Errors:
 * ERR_INTEGRITY when it is another. */
MUST_USE int symmetric_mac(const struct vault *v, const struct credential *c,
                           const struct claim *claim, const struct buf *message, uint8_t mac[32],
                           struct error *err);

/* The key itself, for an export, likewise compared; secret_free. */
MUST_USE int symmetric_export(const struct config *config, struct store *store, struct hsm *hsm,
                              const struct credential *c, const struct claim *claim,
                              struct secret **key, struct error *err);

/*
 * Inside the transaction of a claim: a credential of this serial that is a derived key, available,
 * with its ledger entry. named: by label or chip, and not the job's next. quota_move is the caller's after the commit, as with certifier_committed.
 * Errors: ERR_REFUSED when the serial had a derived key before, or max_issued is reached;
 * ERR_DUPLICATE; those of naming_judge.
 */
MUST_USE int symmetric_issue(struct vault *v, const char *serial, bool named, struct credential *c,
                             struct error *err);

#endif
