/*
 * quota: whether a manifest stays within what the owner ordered. Private to manifests/trust.
 *
 * A station is known by the key that orders name it by; which of them wrote a log, the issuing CAs of
 * the certificates in it say: an order gives each CA to one station, and all in a log are of the same. Its share is that
 * of the order's newest version (orders.h), and all logs of the state together stay within the
 * order. A log in which no record has a certificate, as of derived keys, is held to the largest share.
 * What was accepted before a version with less came stays accepted: of a manifest that adds
 * nothing, such as one that revokes, nothing is refused.
 */
#ifndef MANIFESTS_TRUST_QUOTA_H
#define MANIFESTS_TRUST_QUOTA_H

#include "manifests/record.h"
#include "manifests/statement.h"
#include "manifests/trust/orders.h"
#include "manifests/trust/trust.h"

struct trust_quota {
    const struct trust_orders *orders; /* NULL: any, and nothing is checked */
    struct trust *t;
    int64_t log;
    bool has_station; /* a certificate of this log is known, and an order that lists its CA */
    uint8_t station[SHA256_SIZE]; /* orders.h */
};

/* Finds which station a log in the state is of. */
MUST_USE int trust_quota_load(struct trust_quota *q, struct trust *t,
                              const struct trust_orders *orders, int64_t log, struct error *err);

/* A record names an order that was given, which lists its certificate's issuer. Errors: ERR_REFUSED.
 */
MUST_USE int trust_quota_record(struct trust_quota *q, const struct record *r, struct error *err);

/*
 * The totals of a verified statement, after its records; last: the statement accepted before, or
 * NULL. Errors: ERR_REFUSED.
 */
MUST_USE int trust_quota_totals(const struct trust_quota *q, const struct statement *s,
                                const struct buf *last, struct error *err);

#endif
