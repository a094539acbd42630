/*
 * required: the signature algorithms that the state requires of a log besides that of
 * manifest.json.p7s. Functions are private to manifests/trust.
 *
 * Once required, always required: whoever accepts the next manifest and forgets the option is held
 * to it all the same.
 */
#ifndef MANIFESTS_TRUST_REQUIRED_H
#define MANIFESTS_TRUST_REQUIRED_H

#include "manifests/signatures.h"
#include "manifests/trust/trust.h"

/*
 * What manifest seq of the log must have: what given (NULL: nothing) names, and what the state
 * requires from this number or an older one on. log 0: a new log. Call signatures_policy_done in
 * any case. Errors: ERR_IMPOSTOR when given names another root for an algorithm than the state.
 */
MUST_USE int required_load(struct trust *t, int64_t log, int64_t seq,
                           const struct signatures_policy *given, struct signatures_policy *out,
                           struct error *err);

/* What the state has of one algorithm. */
struct required {
    uint64_t since;            /* the first manifest that must have it; 0: not required */
    bool own;                  /* below a root of its own, not that of manifest signers */
    uint8_t root[SHA256_SIZE]; /* of its DER, if it has one */
};

/* By enum cms_algorithm. Errors: those of required_load. */
MUST_USE int required_list(struct trust *t, int64_t log, struct required list[CMS_ALGORITHMS],
                           struct error *err);

/* Keeps what is required from manifest since on, where it is not kept yet. */
MUST_USE int required_keep(struct trust *t, int64_t log, int64_t since,
                           const struct signatures_policy *p, struct error *err);

#endif
