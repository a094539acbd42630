/*
 * orders: what the owner ordered, as far as a manifest is held to it.
 *
 * Invariants
 *  1. Every version of an order that is given names one that is given, down to the first, and no
 *     two name the same one: each order has exactly one newest version.
 *  2. The newest version that the owner gave counts, whatever a station names.
 */
#ifndef MANIFESTS_TRUST_ORDERS_H
#define MANIFESTS_TRUST_ORDERS_H

#include "base/error.h"
#include "pki/digest.h"

#include <stdbool.h>
#include <stdint.h>

#define TRUST_ORDERS_MAX   256
#define TRUST_STATIONS_MAX 64
#define TRUST_ISSUERS_MAX  8

struct trust_counts {
    uint64_t issued; /* certificates, of an order max_issued */
    uint64_t good;   /* live identities */
};

/* What one station may make. Its certificates are of its issuing CAs, which no other station has; but
 * for a hosted CA, which is one station's within an order and may be another's in another. */
struct trust_share {
    uint8_t station[SHA256_SIZE]; /* of its key; where an order names none, its first issuing CA */
    uint8_t issuers[TRUST_ISSUERS_MAX][SHA256_SIZE]; /* of the certificates */
    size_t issuer_count;
    bool hosted; /* they are hosted CAs */
    struct trust_counts counts;
};

struct trust_order {
    uint8_t hash[SHA256_SIZE]; /* of its content */
    bool amendment;
    uint8_t amends[SHA256_SIZE]; /* of an amendment */
    struct trust_counts counts;  /* of all stations together */
    struct trust_share stations[TRUST_STATIONS_MAX];
    size_t station_count;
};

struct trust_orders {
    struct trust_order at[TRUST_ORDERS_MAX];
    size_t count;
};

/*
 * Reads an order, as JSON or as signed, and adds it; the same file may come again. Its signature is
 * not verified: the caller names its own file. Errors: ERR_INPUT, those of file_read.
 */
MUST_USE int trust_orders_read(const char *path, struct trust_orders *orders, struct error *err);

/* Once all are read: invariant 1. Errors: ERR_INPUT. */
MUST_USE int trust_orders_check(const struct trust_orders *orders, struct error *err);

/* The version with a hash, or NULL. */
const struct trust_order *trust_orders_find(const struct trust_orders *orders,
                                            const uint8_t hash[SHA256_SIZE]);

/* The first version of the order that o is a version of, and the newest. */
const struct trust_order *trust_orders_first(const struct trust_orders *orders,
                                             const struct trust_order *o);
const struct trust_order *trust_orders_newest(const struct trust_orders *orders,
                                              const struct trust_order *o);

/* The share that lists an issuing CA, and that of a station; or NULL. */
const struct trust_share *trust_order_share(const struct trust_order *o,
                                            const uint8_t issuer[SHA256_SIZE]);
const struct trust_share *trust_order_share_of(const struct trust_order *o,
                                               const uint8_t station[SHA256_SIZE]);

#endif
