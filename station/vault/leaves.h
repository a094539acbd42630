/*
 * leaves: the station's records as leaves of its Merkle log.
 */
#ifndef STATION_VAULT_LEAVES_H
#define STATION_VAULT_LEAVES_H

#include "manifests/merkle.h"
#include "station/store/store.h"

/* Pushes count records from index first on, their MACs verified. Errors: those of whitelist_each. */
MUST_USE int leaves_push(struct store *store, int64_t first, int64_t count,
                         struct merkle_tree *tree, struct error *err);

#endif
