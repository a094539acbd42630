/*
 * order: a work order, which fixes what a job may only choose within.
 *
 * An order is JSON that the owner signed (CMS, pki/signed.h). Its identity is the SHA-256 of the
 * signed content: that hash enters every transcript, every record and the name of the storage key,
 * so an order changed by one byte is another order. docs/order.md describes the members.
 */
#ifndef STATION_ORDER_H
#define STATION_ORDER_H

#include "base/buf.h"
#include "pki/signed.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define ORDER_FILE_MAX         (1024 * 1024)
#define ORDER_SUITES_MAX       4
#define ORDER_VENDOR_ROOTS_MAX 8

enum order_auth {
    ORDER_AUTH_NONE = 0,     /* whoever answers on the cable gets the key */
    ORDER_AUTH_ENROLLED = 1, /* the device signs with a key whose hash stands in a list */
    ORDER_AUTH_ATTESTED = 2  /* the device signs with a key that a silicon vendor certified */
};

struct order {
    uint8_t hash[32];     /* SHA-256 of the signed content */
    char id[65];          /* the owner's own name for it */
    char environment[17]; /* must be the station's */
    char product[65];     /* GTIN-14 or product id */
    char use[16];         /* "registration" or "operational" */
    enum order_auth auth;
    uint8_t enrolled[32]; /* SHA-256 of the list; with ORDER_AUTH_ENROLLED */
    uint8_t vendor_roots[ORDER_VENDOR_ROOTS_MAX][32]; /* SHA-256 of each, DER; with ATTESTED */
    size_t vendor_root_count;
    uint16_t suites[ORDER_SUITES_MAX];
    size_t suite_count;
    int64_t good;       /* live identities that are wanted */
    int64_t max_issued; /* certificates that may be signed, at least good */
    int64_t spoilage;   /* credentials that may be burned */
    bool lock;          /* only a locked device is whitelisted */
    bool has_trust_anchors;
    uint8_t trust_anchors[32]; /* SHA-256 of the object, DER certificates one after the other */
};

/*
 * Parses the bytes of an order. Unknown or repeated members, and device_auth left out, are refused.
 * Errors: ERR_INPUT with a text that names source and the member.
 */
MUST_USE int order_parse(const char *source, const void *bytes, size_t len, struct order *order,
                         struct error *err);

/*
 * Reads the signed order at path and verifies it with the certificates that the station pins;
 * content receives what was signed. pins NULL: for who only shows something and issues nothing, the
 * signature is not looked at and unsigned JSON is taken as well. Errors: ERR_SIGNATURE, ERR_INPUT,
 * those of file_read.
 */
MUST_USE int order_read(const char *path, STACK_OF(X509) * pins, struct order *order,
                        struct buf *content, struct error *err);

#endif
