/*
 * identities: what a record does to the identities of a state. Private to manifests/trust.
 */
#ifndef MANIFESTS_TRUST_IDENTITIES_H
#define MANIFESTS_TRUST_IDENTITIES_H

#include "manifests/cert.h"
#include "manifests/trust/trust.h"

struct identities {
    struct trust *t;
    int64_t log; /* the row of logs */
};

/*
 * Enters one record; index is its leaf. cert is NULL where it has none. Inside the open transaction.
 * Errors: ERR_DUPLICATE with the device that it collides with; ERR_INTEGRITY when it changes what is
 * not there.
 */
MUST_USE int identities_enter(struct identities *a, const struct record *r, const struct cert *cert,
                              uint64_t index, struct error *err);

#endif
