/*
 * accepted: the whitelist that a device is looked up in: what an importer accepted, or what the manifests of a
 * folder say once they are verified.
 *
 * Nothing is written but, for a folder, a state in a temporary folder that accepted_done removes.
 */
#ifndef STATION_VERIFY_ACCEPTED_H
#define STATION_VERIFY_ACCEPTED_H

#include "manifests/trust/trust.h"

#include <limits.h>

/* Starts as zero. */
struct accepted {
    struct trust *trust;
    char scratch[PATH_MAX]; /* the temporary folder, or empty */
};

/* The state file that `imprint-manifest accept` keeps. Errors: those of trust_open. */
MUST_USE int accepted_open(const char *state, struct accepted *a, struct error *err);

/*
 * Verifies every manifest in the folder (folders.h), from the first on, as an importer with the pins in the
 * folder trust would: manifest-root.pem, device-root.pem, log.vkey. The devices' proofs of then are left out: the
 * device at hand makes another. Errors: those of folders_each and trust_accept.
 */
MUST_USE int accepted_verify(const char *manifests, const char *trust, struct accepted *a,
                             struct error *err);

void accepted_done(struct accepted *a);

#endif
