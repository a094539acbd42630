/*
 * accept: verifies a manifest as the next one of its log and enters it into the state.
 */
#ifndef MANIFESTS_TRUST_ACCEPT_H
#define MANIFESTS_TRUST_ACCEPT_H

#include "manifests/trust/orders.h"
#include "manifests/trust/required.h"
#include "manifests/trust/trust.h"
#include "manifests/verify.h"

struct trust_accepted {
    struct verify_report report; /* of a manifest that was accepted now */
    uint64_t seq;
    char origin[NOTE_NAME_MAX + 1];
    bool before;                /* it was accepted before, and nothing was done */
    bool newest;                /* it is the last of its log in the state */
    bool given[CMS_ALGORITHMS]; /* the policy named it: of a known manifest nothing was verified */
    struct required required[CMS_ALGORITHMS]; /* what the state requires of this log */
};

/*
 * Accepts the manifest in dir; policy has the pins, and its after and sink are not looked at. The
 * signatures that it requires are required of this log from now on, with those that were before; of a
 * manifest that was accepted before, from the next one on, with nothing verified below their roots:
 * ERR_INPUT when one has the key of a device root. orders
 * NULL: any; else it is held to them, which trust_orders_check found to be sound (orders.h). Errors,
 * besides those of manifest_verify:
 *   ERR_GAP        manifests before it were not accepted yet
 *   ERR_FORK       another manifest of this number, or of another history, was accepted
 *   ERR_ROLLBACK   it counts less than what was accepted
 *   ERR_IMPOSTOR   the log was accepted with other pins, or with another root of a signature, or another log names the same station
 *   ERR_DUPLICATE  a live device or chip, a key or a certificate number is in the state already
 *   ERR_REFUSED    an order is not among those given, does not list the issuing CA, or allows this
 *                  station, or all together, less
 */
MUST_USE int trust_accept(struct trust *t, const char *dir, const struct verify_policy *policy,
                          const struct trust_orders *orders, struct trust_accepted *accepted,
                          struct error *err);

#endif
