/*
 * cms_algorithm: the algorithms of signatures beside manifest.json.p7s, by the names that files and
 * policies have for them.
 *
 * A name stands for one key, one hash and one encoding of the signature's parameters, so that nobody
 * can put a weaker one under it:
 *
 *   ecdsa-p256     P-256, SHA-256                         (RFC 5754 section 3.3)
 *   ecdsa-p384     P-384, SHA-384
 *   rsa-pss-3072   RSA of 3072 bits, RSASSA-PSS with SHA-256, MGF1 with SHA-256, salt of 32 octets
 *                  (RFC 4056)
 *
 * Ed25519 is missing because the CMS of OpenSSL 3.0 cannot verify it.
 */
#ifndef MANIFESTS_CMS_ALGORITHM_H
#define MANIFESTS_CMS_ALGORITHM_H

#include "pki/scheme.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

enum cms_algorithm { CMS_ECDSA_P256, CMS_ECDSA_P384, CMS_RSA_PSS_3072, CMS_ALGORITHMS };

const char *cms_algorithm_name(enum cms_algorithm a);

/* The algorithm with the name of len characters; CMS_ALGORITHMS when there is none. */
enum cms_algorithm cms_algorithm_find(const char *name, size_t len);

/* What a key of it is, and how it signs. */
struct ca_algorithm cms_algorithm_key(enum cms_algorithm a);

/* The hash, as OpenSSL numbers it. */
int cms_algorithm_digest(enum cms_algorithm a);

/* Whether a SignerInfo's signatureAlgorithm is the one, to the octet. */
bool cms_algorithm_is(enum cms_algorithm a, const X509_ALGOR *signature);

/* Whether a signer's certificate has such a key. */
bool cms_algorithm_fits(enum cms_algorithm a, X509 *cert);

#endif
