/*
 * ending: what becomes of a credential at last, and the one way to write it down (P6).
 *
 *   from        to         record of the whitelist   the device's claim
 *   ----------- ---------- ------------------------- ------------------
 *   claimed     proven     add or replace            proven
 *   claimed     burned     void, reason burned       burned
 *   available   scrapped   void, reason scrapped     there is none
 *   proven      revoked    revoke                    revoked
 *
 * Each function writes record, states and ledger entry, and deletes the wrapped keys, inside the
 * open transaction of its caller, who has verified where the credential stands.
 */
#ifndef STATION_VAULT_ENDING_H
#define STATION_VAULT_ENDING_H

#include "manifests/record.h"
#include "station/store/claims.h"
#include "station/vault/vault.h"

MUST_USE int ending_proven(struct vault *v, const struct claim *claim,
                           const struct credential *credential, const struct buf *line,
                           const struct buf *evidence, struct error *err);

/* Errors: ERR_REFUSED when claim or credential came to an end before. */
MUST_USE int ending_burn(struct vault *v, const struct claim *claim,
                         const struct credential *credential, struct error *err);
MUST_USE int ending_scrap(struct vault *v, const struct credential *credential, struct error *err);

/* Errors: ERR_INTEGRITY when the record that the ledger names is not that of this claim. */
MUST_USE int ending_revoke(struct vault *v, const struct claim *claim,
                           const struct credential *credential, enum record_reason reason,
                           struct error *err);

/* The same with a `decommission` record: the owner takes the identity off its device (farewell.h). */
MUST_USE int ending_decommission(struct vault *v, const struct claim *claim,
                                 const struct credential *credential, struct error *err);

#endif
