/*
 * chain: the issuers of device certificates, each of them proven to come from the pinned device
 * root.
 *
 * chain.pem travels with the manifest and is trusted for nothing: a certificate in it counts only
 * when it is a CA and a chain of these certificates leads to a root that the caller pinned, at
 * the time when the manifest was made.
 */
#ifndef MANIFESTS_CHAIN_H
#define MANIFESTS_CHAIN_H

#include "manifests/cert.h"

#include <openssl/x509.h>

#define CHAIN_MAX 64 /* certificates in chain.pem */

struct chain;

/*
 * Reads and proves the certificates of chain.pem. at: when the manifest was made. Free with
 * chain_free. Errors: ERR_FORMAT (not PEM certificates, or too many), ERR_SIGNATURE (one does not
 * lead to the root, or is not a CA).
 */
MUST_USE int chain_load(const void *pem, size_t len, STACK_OF(X509) * roots, int64_t at,
                        struct chain **chain, struct error *err);
void chain_free(struct chain *chain);

/* What one thread needs to check certificates against a chain, NULL for none. NULL without memory. */
struct chain_checker;
struct chain_checker *chain_checker_new(const struct chain *chain);
void chain_checker_free(struct chain_checker *c);

/*
 * Checks a record that has a certificate: it is signed by the issuer that iss names, its key is
 * spki, its subject serialNumber is sn, and it is not a CA. *cert is what the certificate holds,
 * views into the record's. Errors: ERR_FORMAT (not a certificate), ERR_SIGNATURE (wrong issuer or
 * signature, or a CA), ERR_INTEGRITY (key or serial differ from the record's).
 */
MUST_USE int chain_check(const struct chain_checker *c, const struct record *r, struct cert *cert,
                         struct error *err);

#endif
