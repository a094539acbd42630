/*
 * record: one leaf of the log, that is, one line of canonical JSON about one device.
 *
 * Invariants
 *  1. Members are those of the table in docs/manifest-format.md; which of them a record must,
 *     may and must not have follows from t, mode, reason and whether there is a certificate. The
 *     same table drives writing and reading.
 *  2. Reading accepts exactly the bytes that writing would give, so each record has one leaf hash.
 *  3. ext and crit are kept word for word, for members that later versions define.
 */
#ifndef MANIFESTS_RECORD_H
#define MANIFESTS_RECORD_H

#include "agent/ids.h"
#include "base/buf.h"
#include "pki/digest.h"

#define RECORD_LINE_MAX 65535 /* bytes of a line without its line end; also of an evidence line */
#define RECORD_PROD_MAX 64
#define RECORD_HSM_MAX  32
#define RECORD_LOT_MAX  20
#define RECORD_CERT_MAX 8192
#define RECORD_SPKI_MAX 2048
#define RECORD_N_SIZE   32

enum record_type {
    RECORD_ADD = 1,
    RECORD_REPLACE,
    RECORD_REVOKE,
    RECORD_VOID,
    RECORD_ATTR,
    RECORD_DECOMMISSION,
    RECORD_RECOMMISSION,
    RECORD_ROTATE,
    RECORD_TYPES
};

enum record_mode { RECORD_MODE_HSM = 1, RECORD_MODE_DEVICE, RECORD_MODE_DERIVED };
enum record_auth { RECORD_AUTH_ATTESTED = 1, RECORD_AUTH_ENROLLED, RECORD_AUTH_NONE };
enum record_use { RECORD_USE_REGISTRATION = 1, RECORD_USE_OPERATIONAL };

/* scrapped and burned are for void, the RFC 5280 names for revoke and decommission. */
enum record_reason {
    RECORD_SCRAPPED = 1,
    RECORD_BURNED,
    RECORD_UNSPECIFIED,
    RECORD_KEY_COMPROMISE,
    RECORD_CA_COMPROMISE,
    RECORD_AFFILIATION_CHANGED,
    RECORD_SUPERSEDED,
    RECORD_CESSATION_OF_OPERATION,
    RECORD_CERTIFICATE_HOLD,
    RECORD_PRIVILEGE_WITHDRAWN,
    RECORD_AA_COMPROMISE,
    RECORD_REASONS
};
extern const char *const record_reason_names[RECORD_REASONS];

/* Bytes that belong to someone else, or to the record's held. p is NULL when absent. */
struct record_bytes {
    const uint8_t *p;
    size_t len;
};

/* Absent when gtin is empty; the other members may be empty one by one. Dates: YYYY-MM-DD. */
struct record_udi {
    char gtin[15]; /* 14 digits */
    char lot[RECORD_LOT_MAX + 1];
    char exp[11];
    char mfd[11];
};

/* Absent when version is empty. */
struct record_fw {
    char version[IMPRINT_FIRMWARE_MAX + 1];
    bool has_sha256, has_debug; /* the device reported them */
    uint8_t sha256[SHA256_SIZE];
    bool debug; /* a debug port is open */
};

/*
 * Start from zero, then set what the type of record has. Members that the type cannot have are
 * ignored where they are fixed-size values, and refused where they are pointers or texts.
 */
struct record {
    enum record_type t;
    int64_t ts; /* seconds since 1970 UTC */
    uint8_t order[SHA256_SIZE];
    char prod[RECORD_PROD_MAX + 1];
    char sn[IMPRINT_SERIAL_MAX + 1];
    uint8_t tx[IMPRINT_TX_SIZE];
    struct record_bytes cert; /* DER */
    uint8_t iss[SHA256_SIZE]; /* SHA-256 of the issuer's certificate */
    struct record_bytes spki; /* DER */
    uint8_t n[RECORD_N_SIZE]; /* random; written only without spki */
    uint8_t chip[IMPRINT_CHIP_ID_MAX];
    size_t chip_len;
    struct record_udi udi;
    struct record_fw fw;
    enum record_mode mode;
    enum record_auth auth;
    bool plain; /* delivered in the clear by a driver that the order allows */
    bool lock;  /* the proof says that the device is locked */
    char hsm[RECORD_HSM_MAX + 1];
    enum record_use use;
    uint8_t ev[SHA256_SIZE]; /* SHA-256 of the evidence line without its line end */
    uint64_t ref;            /* leaf index of the record that this one changes */
    enum record_reason reason;
    const char *ext, *crit; /* JSON texts, NULL when absent */

    struct buf held; /* what a parsed record's pointers point into */
};

/*
 * Appends the canonical line, without line end. Errors: ERR_INPUT names the member that the type
 * needs, cannot have, or whose value is not possible.
 */
MUST_USE int record_write(const struct record *r, struct buf *line, struct error *err);

/*
 * Reads a line without its line end; free with record_done. Errors: ERR_FORMAT when it is not
 * exactly what record_write writes, or when crit names a member that this version does not know.
 */
MUST_USE int record_parse(const void *line, size_t len, struct record *r, struct error *err);

/* Frees what a parsed record holds. Harmless on any other that began as zero. */
void record_done(struct record *r);

/* True for a type that changes an earlier record, which ref names. */
bool record_has_ref(const struct record *r);

/* The word for a type ("add") or a reason ("burned"); "?" for no such value. */
const char *record_type_name(enum record_type t);
const char *record_reason_name(enum record_reason reason);

#endif
