/*
 * unique: finds what stands in a batch twice: live devices, live chips, keys, certificate serials.
 *
 * A revocation must name a record of the same device that gave it an identity, and an identity is
 * revoked once.
 *
 * Records are added in log order; unique_check() then sorts 8-byte hashes of them. Memory: 22 MB for any
 * number of records; from 60,000 on up to 120 bytes for each lie in temporary files (scratch.h). Two different values meet in an 8-byte hash about once in 10^5 batches
 * of ten million, and then a good batch is refused, never a bad one accepted.
 *
 * A device (product, serial) is live from an add, replace, recommission or attr record on, until
 * one that revokes, decommissions or replaces it. A batch cannot know what was live before it: that
 * is for who keeps the accepted state.
 */
#ifndef MANIFESTS_UNIQUE_H
#define MANIFESTS_UNIQUE_H

#include "manifests/cert.h"

struct unique;

/* first: the leaf index of the first record. NULL without memory. */
struct unique *unique_new(uint64_t first);
void unique_free(struct unique *u);

/*
 * Adds the next record; cert is what its certificate holds, NULL when it has none. A ref that
 * points into this batch must point to an earlier record of the same device. Errors: ERR_INTEGRITY
 * (ref); ERR_FULL, ERR_READONLY, ERR_IO (temporary files).
 */
MUST_USE int unique_add(struct unique *u, const struct record *r, const struct cert *cert,
                        struct error *err);

/* Errors: ERR_DUPLICATE, with both lines in the text; those of temporary files. Call once, at the end. */
MUST_USE int unique_check(struct unique *u, struct error *err);

#endif
