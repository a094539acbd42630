/*
 * closing: closing.json, with which a station ends an order: what became of every certificate.
 *
 * Invariants
 *  1. The bytes are canonical JSON and one line end, as those of manifest.json.
 *  2. The totals add up and nothing is left: unresolved and unused are 0. What does not cannot be
 *     written, and is refused when it is read.
 *  3. `format` tells it from a manifest, which the same key signs.
 */
#ifndef MANIFESTS_CLOSING_H
#define MANIFESTS_CLOSING_H

#include "manifests/cms.h"
#include "manifests/statement.h"

#define CLOSING_FORMAT    "order-closing/1"
#define CLOSING_NAME      "closing.json"
#define CLOSING_SIGNATURE "closing.json.p7s"
#define CLOSING_MAX       (1 << 20) /* bytes of closing.json */

struct closing {
    char id[65]; /* the owner's name for the order */
    char product[RECORD_PROD_MAX + 1];
    char station[IMPRINT_STATION_MAX + 1];
    char environment[IMPRINT_ENVIRONMENT_MAX + 1];
    char customer[STATEMENT_TEXT_MAX + 1];
    char origin[NOTE_NAME_MAX + 1];
    struct manifest_totals totals; /* with the order's hash and amendments; on the heap */
    uint64_t manifest, size;       /* the last manifest when it was closed, 0 for none; its log */
    struct merkle_hash root;
    char storage[65]; /* label of the storage key that was destroyed; empty: there was none */
    uint64_t keys;    /* keys that never had a certificate and were destroyed */
    int64_t closed;   /* seconds since 1970 UTC */
    char by[65];      /* who closed it, as they said */
    char reason[257]; /* and why */
};

/* Appends the exact bytes. Errors: ERR_INPUT; ERR_INCOMPLETE when invariant 2 does not hold. */
MUST_USE int closing_write(const struct closing *c, struct buf *out, struct error *err);

/* Reads exactly such bytes; closing_done. Errors: ERR_FORMAT, ERR_INCOMPLETE. */
MUST_USE int closing_parse(const void *bytes, size_t len, struct closing *c, struct error *err);
void closing_done(struct closing *c);

struct closing_policy {
    const char *root;     /* PEM file: the root of manifest signers */
    const char *manifest; /* folder of the manifest that the statement names, or NULL */
    int64_t at;           /* when the signer's certificate must be valid; 0 for now */
};

/*
 * Whether a manifest's statement is the one that c names, with the same totals of the order. Errors:
 * ERR_INTEGRITY.
 */
MUST_USE int closing_compare(const struct closing *c, const struct statement *s, struct error *err);

/*
 * Verifies the statement in dir: its signature, and with a manifest that it is the one named, that
 * it is signed, and that both give the same totals. Whether that manifest is complete is for
 * manifest_verify. Errors: ERR_SIGNATURE, ERR_FORMAT, ERR_INCOMPLETE (the totals), ERR_INTEGRITY
 * (the manifest says otherwise), those of files.
 */
MUST_USE int closing_verify(const char *dir, const struct closing_policy *policy, struct closing *c,
                            struct cms_signer *signer, struct error *err);

#endif
