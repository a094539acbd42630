/*
 * verify: decides whether a manifest may be imported, from three pins and nothing else.
 *
 * Invariants
 *  1. There is no unverified verification: the manifest root, the device root and the log key are
 *     all required, and the two roots must differ (see cms.h).
 *  2. The signature of manifest.json is verified before any of its members is looked at; every
 *     other file is checked against it, and every record against the Merkle root it states (P8).
 *  3. Memory does not grow with the number of records: what must be compared with all others goes to
 *     temporary files.
 *  4. Nothing in the folder is changed.
 *
 * What no signature can show: that nobody was shown another manifest of the same number. Who keeps
 * the state of the manifest accepted last passes it as after; others compare sequence, size and
 * root.
 */
#ifndef MANIFESTS_VERIFY_H
#define MANIFESTS_VERIFY_H

#include "manifests/cert.h"
#include "manifests/cms.h"
#include "manifests/folder.h"
#include "manifests/rotation.h"
#include "manifests/signatures.h"

/*
 * Receives the records of a manifest while it is being verified, in order, each after its own
 * signatures. Nothing of it counts until manifest_verify returned 0. cert is NULL where the record
 * has no certificate; index is the record's place in the log. A failure ends the verification.
 */
struct verify_sink {
    int (*take)(void *ctx, const struct record *r, const struct cert *cert, uint64_t index,
                struct error *err);
    void *ctx;
};

struct verify_policy {
    const char *root;               /* PEM file: the root of manifest signers */
    const char *device_root;        /* PEM file: the roots of device certificates, one or more */
    const char *log_key;            /* file with the log's verifier key (note.h) */
    const char *after;              /* folder of the manifest accepted last, or NULL */
    const struct buf *after_bytes;  /* or the bytes of its manifest.json */
    int64_t at;                     /* when the signer's certificate must be valid; 0 for now */
    bool skip_proofs;               /* leave out the devices' signatures in the evidence */
    unsigned threads;               /* for signatures; 0: one for each processor */
    const uint8_t *log_spki;        /* EC_SPKI_SIZE bytes: the log key has been rotated to it */
    const uint8_t *signer;          /* SHA256_SIZE bytes: hash of the signer's key, NULL for any */
    const struct verify_sink *sink; /* or NULL */
    const struct signatures_policy
        *signatures;                 /* which other algorithms must have signed, or NULL */
    struct folder_progress progress; /* zero for none */
};

/* What was found; plain data, filled on success only. */
struct verify_report {
    char origin[NOTE_NAME_MAX + 1];
    char station[IMPRINT_STATION_MAX + 1];
    char environment[IMPRINT_ENVIRONMENT_MAX + 1];
    char customer[STATEMENT_TEXT_MAX + 1];
    struct cms_signer signer;
    struct signatures signatures; /* of other algorithms */
    int64_t created;
    uint64_t seq, first, count, size;
    struct merkle_hash root;
    struct merkle_tree tree;     /* of the log at size */
    uint8_t sha256[SHA256_SIZE]; /* of manifest.json */
    bool extends;                /* after was given, and is extended */
    bool has_prev;
    struct rotation rotated[ROTATION_KEYS]; /* by enum rotation_key; key is 0 for none */
    uint64_t by_type[RECORD_TYPES];         /* records of each type */
    uint64_t certificates;                  /* verified up to the device root */
    uint64_t proofs;                        /* proofs of possession verified again */
    uint64_t proofs_derived;                /* of derived keys, which only the owner can verify */
    uint64_t proofs_skipped;                /* not verified again, as the policy asked */
    uint64_t unauthenticated; /* identities whose device showed no identity of its own */
    uint64_t plain;           /* identities delivered in the clear */
};

/*
 * Verifies the manifest in dir. Errors, each with a text of its own that names file and line:
 *   ERR_INPUT       a pin cannot be used, or the two roots are the same
 *   ERR_SIGNATURE   a signature or certificate does not verify, or the signer is wrong
 *   ERR_INTEGRITY   something was changed, or is there unlisted
 *   ERR_INCOMPLETE  a file, record, evidence line or number is missing, repeated, reordered or cut
 *   ERR_ROLLBACK    not newer than after, or counts less
 *   ERR_GAP         manifests between after and this one are missing
 *   ERR_FORK        another log, or another history than that of after
 *   ERR_DUPLICATE   a live device or chip, a key or a certificate serial stands twice
 *   ERR_IMPOSTOR    not signed with the manifest key that the policy names
 *   ERR_PROOF       a proof of possession does not verify, or belongs to something else
 *   ERR_FORMAT      malformed, not canonical, or of a version this program does not know
 *   ERR_IO, ERR_MISSING, ERR_READONLY, ERR_INTERNAL
 */
MUST_USE int manifest_verify(const char *dir, const struct verify_policy *policy,
                             struct verify_report *report, struct error *err);

#endif
