/*
 * exportable: whether the device of a record may be told to a platform.
 *
 * A folder is believed because the state accepted its manifest.json, and a record because the state
 * knows its certificate at this place of the log: a folder that was changed since is refused.
 */
#ifndef MANIFESTS_TRUST_EXPORTABLE_H
#define MANIFESTS_TRUST_EXPORTABLE_H

#include "manifests/platforms/source.h"
#include "manifests/trust/trust.h"

struct exportable {
    struct trust *t;
    int64_t log;
};

/* Finds the log of an accepted manifest by the bytes of its manifest.json. Errors: ERR_UNKNOWN. */
MUST_USE int exportable_open(struct trust *t, const struct buf *manifest, struct exportable *x,
                             struct error *err);

/* The judge of source.h; context is a struct exportable. Errors: ERR_INTEGRITY. */
MUST_USE int exportable_judge(void *context, const struct record *r, uint64_t index, int *answer,
                              struct error *err);

#endif
