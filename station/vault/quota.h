/*
 * quota: no more identities than ordered (P5).
 *
 * `good` is how many live identities are wanted: an open claim counts, for it may become one.
 * `max_issued` is how many certificates may be signed; none is given back. `spoilage` is how many
 * may be burned. The counts are read once when the vault opens and kept in step with every commit.
 */
#ifndef STATION_VAULT_QUOTA_H
#define STATION_VAULT_QUOTA_H

#include "station/vault/vault.h"

/* Reads the counts of the vault's order. Errors: ERR_INTEGRITY when the ledger counts otherwise. */
MUST_USE int quota_load(struct vault *v, struct error *err);

/* Before more certificates are signed, a claim is made, or a credential is burned: ERR_REFUSED. */
MUST_USE int quota_check_issue(const struct vault *v, int64_t more, struct error *err);
MUST_USE int quota_check_claim(const struct vault *v, struct error *err);
MUST_USE int quota_check_burn(const struct vault *v, struct error *err);

/* After a commit: count credentials went from one state to another; from -1 they are new. */
void quota_move(struct vault *v, int from, int to, int64_t count);

/* True when 95% of what was ordered is made or claimed. */
bool quota_nearly_done(const struct vault *v);

#endif
