/*
 * compare: two state files: what changed from one to the other, and both as one.
 */
#ifndef MANIFESTS_TRUST_COMPARE_H
#define MANIFESTS_TRUST_COMPARE_H

#include "manifests/trust/trust.h"
#include "manifests/trust/whitelist_check.h"

/* An identity whose verdict differs. before is WHITELIST_UNKNOWN where it is new, after where it is
 * gone. Texts are valid during the call. */
struct trust_change {
    const char *product, *serial, *origin;
    uint64_t leaf;
    enum whitelist_answer before, after;
};

/*
 * Calls each() for every identity of which t and the state file at older say something else.
 * Scrapped credentials are not mentioned. Errors: those of trust_open and each().
 */
MUST_USE int trust_diff(struct trust *t, const char *older,
                        int (*each)(void *ctx, const struct trust_change *c, struct error *err),
                        void *ctx, struct error *err);

/* Something that two logs both claim. */
struct trust_clone {
    const char
        *what; /* "public key", "certificate number", "live device", "chip of a live device" */
    const char *serial, *product, *origin;
    uint64_t leaf;
    const char *other_serial, *other_product, *other_origin;
    uint64_t other_leaf;
};

struct trust_merged {
    uint64_t logs, identities, decisions, clones; /* that came in; clones that were found */
};

/*
 * Takes the logs and decisions of the state file at path into t: logs that are new, and later
 * manifests of those that are known. All or nothing, and believed: whoever can write that file
 * decides. Calls each() for every clone.
 * Errors:
 *   ERR_DUPLICATE  there are clones; nothing was merged
 *   ERR_FORK       both accepted a log with different histories
 *   ERR_IMPOSTOR   a log or station has other pins, another log, or another root of a required
 *                  signature, there
 *   and those of trust_open and each().
 */
MUST_USE int trust_merge(struct trust *t, const char *path,
                         int (*each)(void *ctx, const struct trust_clone *c, struct error *err),
                         void *ctx, struct trust_merged *merged, struct error *err);

#endif
