/*
 * signatures: the signatures of other algorithms beside manifest.json.p7s, each in a file
 * manifest.json.<algorithm>.p7s over the same bytes, and the policy that says which must be there.
 *
 * Invariants
 *  1. Each algorithm that the policy names has a file that verifies up to its root.
 *  2. A file of a known algorithm verifies, whether the policy names it or not.
 *  3. No two signatures are of one key: a second one of the same key would prove nothing more.
 *  4. What nothing is known of is reported.
 */
#ifndef MANIFESTS_SIGNATURES_H
#define MANIFESTS_SIGNATURES_H

#include "manifests/cms.h"
#include "manifests/statement.h"

#define SIGNATURES_UNKNOWN_MAX 8

/* Which algorithms must be there, by enum cms_algorithm; zero for none. */
struct signatures_policy {
    struct {
        bool required;
        X509 *root; /* owned; NULL: the root of manifest signers */
    } of[CMS_ALGORITHMS];
};

/* What was found; plain data. */
struct signatures {
    struct {
        bool verified;
        struct cms_signer who;
    } of[CMS_ALGORITHMS];
    char unknown[SIGNATURES_UNKNOWN_MAX][STATEMENT_NAME_MAX + 1]; /* names of files */
    size_t unknown_count;
};

/*
 * Adds what text says: an algorithm, or "algorithm=FILE" with the certificate (PEM) of its root.
 * Errors: ERR_USAGE for an unknown algorithm, or the same one twice; those of cms_read_certificate.
 */
MUST_USE int signatures_require(struct signatures_policy *p, const char *text, struct error *err);
void signatures_policy_done(struct signatures_policy *p);

/* Whether name is that of a signature: manifest.json.p7s, or with an algorithm, known or not. */
bool signatures_is_name(const char *name);

/* What they are verified with. */
struct signatures_pins {
    const struct signatures_policy *policy; /* NULL: none is required */
    X509 *root;
    STACK_OF(X509) * device_roots;
    int64_t at;                     /* as with cms_verify */
    const struct cms_signer *first; /* who signed manifest.json.p7s */
};

/* Whether a root of manifest signers has the key of a root of devices: below it any device could sign
 * a manifest. */
bool signatures_is_root(STACK_OF(X509) * device_roots, X509 *root);

/*
 * Verifies those in the folder over manifest, the bytes of manifest.json. Errors: ERR_INCOMPLETE (a
 * required one is missing), ERR_SIGNATURE, ERR_FORMAT (not CMS; too many of which nothing is known),
 * ERR_INPUT (a root has the key of the device root), and those of folder_read.
 */
MUST_USE int signatures_verify(const char *dir, const struct signatures_pins *pins,
                               const struct buf *manifest, struct signatures *found,
                               struct error *err);

#endif
