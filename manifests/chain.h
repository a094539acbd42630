/*
 * chain: the issuers of device certificates, each of them proven to come from the pinned device
 * root.
 *
 * chain.pem travels with the manifest and is trusted for nothing: a certificate in it counts only
 * when it is a CA, a chain of these certificates leads to a root that the caller pinned, and no path
 * length (RFC 5280 section 4.2.1.9) on the way is exceeded.
 *
 * Times are judged for each device certificate by itself: every CA above it was valid when it began.
 * So a CA may expire while what it signed waits for its manifest, and a certificate that begins after
 * its CA ended is refused whenever the manifest was made.
 */
#ifndef MANIFESTS_CHAIN_H
#define MANIFESTS_CHAIN_H

#include "manifests/cert.h"

#include <openssl/x509.h>

#define CHAIN_MAX 64 /* certificates in chain.pem */

struct chain;

/*
 * Reads and proves the certificates of chain.pem, but for their times. Free with chain_free. Errors:
 * ERR_FORMAT (not PEM certificates, or too many), ERR_SIGNATURE (one does not lead to the root, is not
 * a CA, or is below one whose path length forbids that).
 */
MUST_USE int chain_load(const void *pem, size_t len, STACK_OF(X509) * roots, struct chain **chain,
                        struct error *err);
void chain_free(struct chain *chain);

/* What one thread needs to check certificates against a chain, NULL for none. NULL without memory. */
struct chain_checker;
struct chain_checker *chain_checker_new(const struct chain *chain);
void chain_checker_free(struct chain_checker *c);

/*
 * Checks a record that has a certificate: it is signed by the issuer that iss names, which is valid
 * with all above it when the certificate begins; the name constraints and extended key usages of these
 * allow it; its key is spki, its subject serialNumber is sn, and it is not a CA. *cert is what the
 * certificate holds, views into the record's. Errors: ERR_FORMAT (not a certificate), ERR_SIGNATURE
 * (wrong issuer or signature, what its issuers do not allow, or a CA), ERR_INTEGRITY (key or serial
 * differ from the record's).
 */
MUST_USE int chain_check(const struct chain_checker *c, const struct record *r, struct cert *cert,
                         struct error *err);

#endif
