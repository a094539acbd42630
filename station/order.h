/*
 * order: a work order, which fixes what a job may only choose within.
 *
 * An order is JSON that the owner signed (CMS, pki/signed.h). The identity of a version is the
 * SHA-256 of the signed content: an order changed by one byte is another version, and only an
 * amendment that names the version before it may take its place. docs/order.md describes the
 * members, imprint-order(5) as well.
 *
 * Invariants of a parsed order
 *  1. Each station is listed once; the shares together are at most the counts.
 *  2. No two shares have a serial number in common.
 *  3. Of every share max_issued is at least good, and a range of numbers holds max_issued of them.
 *  4. A hosted CA is of one share, and where there is one the HSM makes the keys: by its CA an importer
 *     tells whose a certificate is.
 */
#ifndef STATION_ORDER_H
#define STATION_ORDER_H

#include "base/buf.h"
#include "manifests/platforms/platform.h"
#include "pki/cert_profile.h"
#include "pki/signed.h"
#include "station/job_objects.h"

#include <stdbool.h>
#include <stdint.h>

#define ORDER_FILE_MAX         (1024 * 1024)
#define ORDER_SUITES_MAX       4
#define ORDER_STATIONS_MAX     64
#define ORDER_VENDOR_ROOTS_MAX 8
#define ORDER_EXPORTS_MAX      16
#define ORDER_RECIPIENTS_MAX   8
#define ORDER_ISSUERS_MAX      8

enum order_type { ORDER_FIRST, ORDER_AMENDMENT };

enum order_auth {
    ORDER_AUTH_NONE = 0,     /* whoever answers on the cable gets the key */
    ORDER_AUTH_ENROLLED = 1, /* the device signs with a key whose hash stands in a list */
    ORDER_AUTH_ATTESTED = 2  /* the device signs with a key that a silicon vendor certified */
};

struct order_counts {
    int64_t good;       /* live identities that are wanted */
    int64_t max_issued; /* certificates that may be signed, at least good */
    int64_t spoilage;   /* credentials that may be burned */
    int64_t rework;     /* identities that may be replaced */
};

/* The serials of a station. */
enum order_serials_kind {
    ORDER_SERIALS_RANGE,  /* numbers first to last of a pattern */
    ORDER_SERIALS_PREFIX, /* all that begin with prefix, which may be empty */
    ORDER_SERIALS_LIST    /* those of the file with this hash */
};
struct order_serials {
    char prefix[41];
    int64_t digits, first, last;
    enum order_serials_kind kind;
    uint8_t list[32];
};

/* The manifest that the owner accepted last: the station's log must extend it. */
struct order_after {
    char origin[129];
    int64_t size;
    uint8_t root[32];
};

/* What one station may make. */
struct order_share {
    uint8_t key[32]; /* SHA-256 of the SubjectPublicKeyInfo of station-auth */
    uint8_t issuers[ORDER_ISSUERS_MAX][32]; /* SHA-256 of its issuing CAs' certificates, DER */
    size_t issuer_count;
    bool hosted; /* they are somebody else's, who is sent requests (vault/hosted/) */
    struct order_counts counts;
    struct order_serials serials;
    bool has_after;
    struct order_after after;
};

/* Plain data; may be copied. */
struct order {
    uint8_t hash[32]; /* SHA-256 of the signed content */
    enum order_type type;
    uint8_t amends[32];   /* of an amendment: the version that it takes the place of */
    bool has_recovery;    /* of an amendment: it was written after a restore */
    uint8_t recovery[32]; /* by this ticket, its hash */
    char id[65];          /* the owner's own name for it, the same in all versions */
    char environment[17]; /* must be the station's */
    char product[65];
    char gtin[15];                      /* GTIN-14, or empty */
    char profile[PROFILE_NAME_MAX + 1]; /* empty where no key mode has certificates */
    uint8_t profile_hash[32];           /* of its canonical content, pki/cert_profile.h */
    char use[16];                       /* "registration" or "operational" */
    int64_t from, until;
    bool software_hsm; /* a token of class "software" will do */
    enum order_auth auth;
    uint8_t enrolled[32]; /* SHA-256 of the list; with ORDER_AUTH_ENROLLED */
    uint8_t vendor_roots[ORDER_VENDOR_ROOTS_MAX][32]; /* with ORDER_AUTH_ATTESTED */
    size_t vendor_root_count;
    uint32_t key_modes; /* bits of enum imprint_mode: how keys may be made */
    uint32_t keys;      /* bits 1 << enum key_type: which keys; left out, P-256 alone */
    uint16_t suites[ORDER_SUITES_MAX];
    size_t suite_count;
    bool lock;          /* only a locked device is whitelisted */
    bool symmetric_key; /* a job may have a symmetric key delivered beside a private one */
    uint8_t recipients[ORDER_RECIPIENTS_MAX][32]; /* SHA-256 of the certificates (DER) of those whom
                                                   * symmetric keys may be exported to */
    size_t recipient_count;
    bool has_trust_anchors;
    uint8_t trust_anchors[32]; /* SHA-256 of the object, DER certificates one after the other */
    struct order_object objects[IMPRINT_OBJECTS_MAX + 1];   /* by enum imprint_object: the others */
    const struct export_format *exports[ORDER_EXPORTS_MAX]; /* where the devices will be told to */
    size_t export_count;
    struct order_counts counts;
    struct order_share stations[ORDER_STATIONS_MAX];
    size_t station_count;
};

/*
 * Parses the bytes of an order or an amendment. Unknown or repeated members, and members left out
 * that have no default, are refused. Errors: ERR_INPUT with a text that names source and member.
 */
MUST_USE int order_parse(const char *source, const void *bytes, size_t len, struct order *order,
                         struct error *err);

/*
 * Verifies a signed order with the certificates that the station pins, and parses it. Errors:
 * ERR_SIGNATURE, ERR_INPUT.
 */
MUST_USE int order_open(const char *source, const struct buf *file, STACK_OF(X509) * pins,
                        struct order *order, struct error *err);

/* The share of the station with this key, or NULL. */
const struct order_share *order_share_of(const struct order *order, const uint8_t key[32]);

/* Whether the text is one of these serials; false for every text where they are those of a list. */
bool order_serials_hold(const struct order_serials *serials, const char *text);

/* Whether two ranges have the text of a serial in common, or may have. What another list, or a list
 * and a pattern, have in common cannot be seen here: who has the list asks order_serials_hold
 * (job_serials_bind, restore_check_order). */
bool order_serials_overlap(const struct order_serials *a, const struct order_serials *b);

/* Whether work may begin now: ERR_REFUSED before `from` and after `until`, with what to do. */
MUST_USE int order_check_time(const struct order *order, int64_t now, struct error *err);

/* What the owner should hear in time; bits. */
enum order_warning {
    ORDER_NEAR_GOOD = 1,       /* 95% of good have their identity or are about to */
    ORDER_NEAR_MAX_ISSUED = 2, /* 95% of max_issued are made */
    ORDER_NEAR_END = 4         /* less than 72 hours are left */
};
unsigned order_warnings(const struct order *order, const struct order_share *share, int64_t live,
                        int64_t issued, int64_t now);

#endif
