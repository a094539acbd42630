/*
 * event: the ledger entries about one credential.
 */
#ifndef STATION_VAULT_EVENT_H
#define STATION_VAULT_EVENT_H

#include "station/store/claims.h"
#include "station/vault/vault.h"

#define EVENT_NO_LEAF (-1)

/*
 * Appends the entry inside the open transaction. claim is NULL for a credential that has none; leaf
 * is the index of the record that the whitelist got with it.
 */
MUST_USE int event_put(struct vault *v, const char *event, const struct claim *claim,
                       const struct credential *credential, int64_t leaf, struct error *err);

#endif
