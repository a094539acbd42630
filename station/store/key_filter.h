/*
 * key_filter: says of most hashes that a set does not have them, without a look at the set.
 *
 * A Bloom filter over hashes whose 64 bits are uniform: 1 to 2 octets for each expected hash, four bits
 * set of each. Of hashes that were not added 2 % at most are said to be there, perhaps; of those that
 * were, none is said not to be. With more than KEY_FILTER_MAX / 2 hashes it errs more often, and takes
 * no more memory.
 */
#ifndef STATION_STORE_KEY_FILTER_H
#define STATION_STORE_KEY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_FILTER_MAX (UINT64_C(1) << 26) /* octets */

struct key_filter;

/* For so many hashes. NULL without memory. */
struct key_filter *key_filter_new(uint64_t expected);
void key_filter_free(struct key_filter *f); /* NULL is fine */

void key_filter_put(struct key_filter *f, uint64_t hash);
bool key_filter_may_have(const struct key_filter *f, uint64_t hash);

#endif
