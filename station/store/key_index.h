/*
 * key_index: finds a public key that the HSM made twice, whatever the size of the inventory.
 *
 * Of each key the first 8 bytes of SHA-256(key_stored) are kept, and never the place where it is: two keys
 * with the same 8 bytes are then looked for in the whole inventory and compared, which happens once
 * in a station's life at most unless the HSM's random source is broken.
 *
 * Invariants
 *  1. Hashes come to the table key_recent, one row for each call: a batch costs three pages and not
 *     one for each key. When KEY_RECENT_MAX are there, they are merged into the table key_index: 65536
 *     sorted rows, one for each value of the first two bytes. So a key is looked up in memory and in
 *     one row.
 *  2. The recent ones are in memory, 8 MB, from the first call on. A rollback of a transaction that
 *     added some forgets all; the next call reads them again. Who adds batches also has a filter of the others in memory
 *     (key_filter.h), so that a batch does not read a thousand rows from all over the disk.
 */
#ifndef STATION_STORE_KEY_INDEX_H
#define STATION_STORE_KEY_INDEX_H

#include "pki/key.h"
#include "station/store/store.h"

#define KEY_RECENT_MAX 524288

struct key_hash {
    uint64_t hash;      /* not 0 */
    int64_t credential; /* with a minus sign: a spare key (spares.h) */
};
struct key_hash key_hash_of(const struct public_key *key, int64_t credential);

/*
 * Adds the public keys of credentials or spare keys that the inventory has already, 1 to KEY_RECENT_MAX,
 * inside the open transaction. A credential made of a spare key has its key there already. Sorts hashes. Errors: ERR_DUPLICATE when another credential has one of the keys.
 */
MUST_USE int key_index_add(struct store *store, struct key_hash *hashes, size_t count,
                           struct error *err);

/* The credential that has this public key, 0 for none; of a spare key, its id with a minus sign. */
MUST_USE int key_index_find(struct store *store, const struct public_key *key, int64_t *credential,
                            struct error *err);

/* For the store: a transaction ended, and what is in memory is kept or dropped; the store is closed. */
void key_index_committed(struct store *store);
void key_index_rolled_back(struct store *store);
void key_index_forget(struct store *store);

#endif
