/*
 * accept: verifies a manifest as the next one of its log and enters it into the state.
 */
#ifndef MANIFESTS_TRUST_ACCEPT_H
#define MANIFESTS_TRUST_ACCEPT_H

#include "manifests/trust/trust.h"
#include "manifests/verify.h"

#define TRUST_ORDERS_MAX 256

/* An order that the owner gave; only its hash and ceiling matter here. */
struct trust_order {
    uint8_t hash[SHA256_SIZE]; /* of its content */
    uint64_t max_issued;
};

struct trust_orders {
    struct trust_order at[TRUST_ORDERS_MAX];
    size_t count;
};

/*
 * Reads an order, as JSON or as signed, and adds it. Its signature is not verified: the caller
 * names its own file. Errors: ERR_INPUT, those of file_read.
 */
MUST_USE int trust_order_read(const char *path, struct trust_orders *orders, struct error *err);

struct trust_accepted {
    struct verify_report report; /* of a manifest that was accepted now */
    uint64_t seq;
    char origin[NOTE_NAME_MAX + 1];
    bool before; /* it was accepted before, and nothing was done */
    bool newest; /* it is the last of its log in the state */
};

/*
 * Accepts the manifest in dir; policy has the pins, and its after and sink are not looked at.
 * orders NULL: any. Errors, besides those of manifest_verify:
 *   ERR_GAP        manifests before it were not accepted yet
 *   ERR_FORK       another manifest of this number, or of another history, was accepted
 *   ERR_ROLLBACK   it counts less than what was accepted
 *   ERR_IMPOSTOR   the log was accepted with other pins, or another log names the same station
 *   ERR_DUPLICATE  a live device or chip, a key or a certificate number is in the state already
 *   ERR_REFUSED    an order is not among those given, or more was issued than it allows
 */
MUST_USE int trust_accept(struct trust *t, const char *dir, const struct verify_policy *policy,
                          const struct trust_orders *orders, struct trust_accepted *accepted,
                          struct error *err);

#endif
