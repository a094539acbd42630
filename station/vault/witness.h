/*
 * witness: the lines that the whitelist gets: a record, and the evidence it names.
 */
#ifndef STATION_VAULT_WITNESS_H
#define STATION_VAULT_WITNESS_H

#include "manifests/record.h"
#include "station/vault/session.h"

/* The `add` record, or `replace` of one that had an identity (vault/rework.h), and evidence line of a device whose proof verified over nonce. */
MUST_USE int witness_add(const struct vault *v, const struct session *s,
                         const struct wire_proof *proof, const uint8_t nonce[IMPRINT_NONCE_SIZE],
                         struct buf *line, struct buf *evidence, struct error *err);

/* The `void` record of a burned credential: also its revocation. */
MUST_USE int witness_burned(const struct vault *v, const struct claim *claim,
                            const struct credential *credential, struct buf *line,
                            struct error *err);

/* The `void` record of a credential that nothing was released of. */
MUST_USE int witness_scrapped(const struct vault *v, const struct credential *credential,
                              struct buf *line, struct error *err);

/* The `revoke` or `decommission` record (type) of a credential that was proven; ref is the leaf of the
 * record that gave the identity. */
MUST_USE int witness_revoked(const struct vault *v, const struct claim *claim,
                             const struct credential *credential, int64_t ref,
                             enum record_type type, enum record_reason reason, struct buf *line,
                             struct error *err);

#endif
