/*
 * trust: the state that an importer keeps: which manifests it accepted, and the whitelist that they
 * make.
 *
 * One SQLite file. It is as trustworthy as whoever can write it: keep it where only the importer
 * writes.
 *
 * Invariants
 *  1. A manifest is accepted whole or not at all, after it was verified (verify.h) as the very next
 *     one of its log. A crash, a kill or a full disk leaves the state before or after it.
 *  2. Nothing accepted is ever accepted otherwise: for each log the state keeps sequence, size,
 *     root, the bytes of every manifest.json and the frontier. An older, a forked and a missing
 *     manifest are told apart.
 *  3. Of all logs in the file together: one live identity for a device (product, serial) and for a
 *     chip; one identity for a public key, and for issuer and certificate number, for ever.
 *  4. The owner's decisions are kept beside what the logs say and never change it; both must be
 *     good for a device to be trusted.
 *
 * Errors of every function: ERR_FULL, ERR_READONLY, ERR_BUSY, ERR_STORE (failed or damaged).
 */
#ifndef MANIFESTS_TRUST_H
#define MANIFESTS_TRUST_H

#include "base/error.h"

#include <stdint.h>

struct trust;

enum trust_mode {
    TRUST_READ,  /* several processes may read while one writes */
    TRUST_WRITE, /* ERR_MISSING when there is no file */
    TRUST_CREATE /* as TRUST_WRITE, and makes the file where there is none */
};

/*
 * Opens a state file. Errors: ERR_MISSING; ERR_FORMAT when it is something else, or of a newer
 * program.
 */
MUST_USE int trust_open(const char *path, enum trust_mode mode, struct trust **trust,
                        struct error *err);
void trust_close(struct trust *t); /* NULL is fine */

/* What the log says of an identity. The numbers are in the file. */
enum trust_state {
    TRUST_LIVE = 1,
    TRUST_REPLACED,
    TRUST_REVOKED,
    TRUST_DECOMMISSIONED,
    TRUST_BURNED,
    TRUST_SCRAPPED
};

#define TRUST_LEAF_BITS 48 /* an identity's number is log << 48 | leaf index */

#endif
