/*
 * decide: the owner's own decisions about devices, kept with who, why and when.
 *
 * Invariants
 *  1. A decision is never changed or deleted; lifting a hold is another decision.
 *  2. A hold is of a device (product, serial), whatever identity it has. A revocation is of all
 *     identities that the device has had so far, and is for ever; a replacement made later is not
 *     revoked by it.
 */
#ifndef MANIFESTS_TRUST_DECIDE_H
#define MANIFESTS_TRUST_DECIDE_H

#include "manifests/record.h"
#include "manifests/trust/trust.h"

enum trust_kind { TRUST_HOLD, TRUST_LIFT, TRUST_REVOKE };

struct trust_decision {
    enum trust_kind kind;
    const char *product;       /* NULL when only one product has the serial */
    enum record_reason reason; /* RECORD_UNSPECIFIED and after; of a revocation */
    const char *who, *why;     /* 1 to 128 characters each */
};

/*
 * Decides about all these serials, or about none. Errors: ERR_UNKNOWN (a serial is in no accepted
 * manifest), ERR_DUPLICATE (product is needed), ERR_INPUT (who or why), ERR_MISSING (lift of what is
 * not held).
 */
MUST_USE int trust_decide(struct trust *t, const struct trust_decision *d,
                          const char *const *serials, size_t count, struct error *err);

#endif
