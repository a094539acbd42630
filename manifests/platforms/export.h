/*
 * export: a folder of files for one platform, which is there whole or not at all.
 *
 *     export.json        what is in it: platform, manifests, files with their hashes, counts
 *     export.json.p7s    its signature, when a station made it
 *     <platform>-00000.* and so on, or the one name that the platform asks for
 *
 * Invariants
 *  1. What the platform would refuse is refused here, before the folder appears: a serial that
 *     breaks its rules, a key type that it does not take, an id that stands twice.
 *  2. Nothing is left out in silence: each device that is not exported is counted in export.json.
 *  3. Memory does not grow but for a hash of each id (ids.h), to find one that stands twice.
 */
#ifndef MANIFESTS_PLATFORM_EXPORT_H
#define MANIFESTS_PLATFORM_EXPORT_H

#include "manifests/platforms/platform.h"

#define EXPORT_FORMAT "imprint-export/1"
#define EXPORT_INDEX  "export.json"

/* Why a device is not exported: X(enumerator, member of export.json), by the members' names. */
#define EXPORT_LEFT_LIST(X)                                                                        \
    X(EXPORT_ENDED, "ended") /* revoked, replaced or decommissioned */                             \
    X(EXPORT_HELD, "held")                                                                         \
    X(EXPORT_OTHER_RECIPIENTS, "other_recipients") /* its order names not all of these */          \
    X(EXPORT_WITHOUT_CERTIFICATE, "without_certificate")                                           \
    X(EXPORT_WITHOUT_KEY, "without_symmetric_key")

enum export_left {
#define EXPORT_LEFT_ENUM(name, member) name,
    EXPORT_LEFT_LIST(EXPORT_LEFT_ENUM)
#undef EXPORT_LEFT_ENUM
        EXPORT_LEFT_COUNT
};

/* What was exported; plain data. */
struct export_report {
    uint64_t devices, files, left[EXPORT_LEFT_COUNT];
};

struct export;

/*
 * Fills the values of a run's settings from "NAME=VALUE" texts, which stay the caller's; names that
 * are not given get their standard value. Errors: ERR_USAGE (unknown, repeated or missing setting, or
 * a value that is not printable ASCII or that the platform refuses).
 */
MUST_USE int export_settings(struct platform_run *run, const char *const *texts, size_t count,
                             struct error *err);

/* Begins the folder. run outlives it. Errors: ERR_EXISTS; ERR_USAGE when the format signs and there
 * is no signer, or is secret and there is no recipient; those of files. */
MUST_USE int export_begin(const struct platform_run *run, const char *dir, struct export **e,
                          struct error *err);

/* Names a manifest that devices come from. Errors: ERR_INTERNAL. */
MUST_USE int export_source(struct export *e, const char *origin, uint64_t seq,
                           const uint8_t sha256[SHA256_SIZE], struct error *err);

/*
 * Exports one device; issuer is the certificate that record->iss names. After an error only
 * export_abort remains. Errors: ERR_REFUSED with device and rule, ERR_DUPLICATE, ERR_FORMAT (the
 * certificate), ERR_CRYPTO, those of writing.
 */
MUST_USE int export_device(struct export *e, const struct record *record, X509 *issuer,
                           struct error *err);

/* The same in a secret format, by its key. */
MUST_USE int export_key(struct export *e, const struct record *record,
                        const uint8_t key[PLATFORM_KEY_SIZE], struct error *err);

/* Counts a device that is not exported. */
void export_leave(struct export *e, enum export_left why);

/*
 * Ends the files, writes export.json and gives the folder its name; e is freed in any case. sign
 * appends a detached signature of export.json; NULL: none. Errors: those of sign and of files.
 */
struct export_sign {
    int (*sign)(void *context, const struct buf *content, struct buf *pem, struct error *err);
    void *context;
};
MUST_USE int export_finish(struct export *e, const struct export_sign *sign,
                           struct export_report *report, struct error *err);

/* Gives up, and removes what was written. NULL is fine. */
void export_abort(struct export *e);

#endif
