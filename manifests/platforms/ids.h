/*
 * ids: which ids were seen, in a table with eight bytes for each.
 *
 * Kept by the first eight bytes of SHA-256: of ten million different ids, two are taken for one
 * with a probability of three in a million, and then an export is refused that could have been made.
 */
#ifndef MANIFESTS_PLATFORM_IDS_H
#define MANIFESTS_PLATFORM_IDS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Begins as zero. */
struct ids {
    uint64_t *slots; /* 0: free */
    size_t size, used;
};

/* Adds an id; *known tells whether it was there. folds_case: letters count without their case.
 * Errors: ERR_INTERNAL. */
MUST_USE int ids_add(struct ids *ids, const char *id, bool folds_case, bool *known,
                     struct error *err);
void ids_done(struct ids *ids);

#endif
