/*
 * cms: the signature over manifest.json or an export of the ledger, in a form that stock
 * `openssl cms` verifies.
 *
 * Detached CMS SignedData (RFC 5652), PEM, one signer, SHA-256, with the signing-certificate
 * attribute of CAdES-BES (ETSI EN 319 122-1) and the signer's certificates included.
 *
 * Device certificates have keyUsage digitalSignature and no extended key usage, so below the device
 * root each of them could sign a manifest. The manifest signer therefore has a root of its own, and
 * here its certificate must carry the extended key usage emailProtection and not be a CA.
 */
#ifndef MANIFESTS_CMS_H
#define MANIFESTS_CMS_H

#include "base/buf.h"
#include "manifests/cms_algorithm.h"
#include "pki/digest.h"
#include "pki/signer.h"

#include <stdint.h>

#define CMS_SUBJECT_MAX 256

/* Who signed, for messages. */
struct cms_signer {
    char subject[CMS_SUBJECT_MAX]; /* RFC 2253 */
    int64_t not_after;
    uint8_t key[SHA256_SIZE]; /* SHA-256 of the SubjectPublicKeyInfo */
};

/*
 * Appends the signature of content as PEM. The key may live in an HSM. Errors: ERR_CRYPTO;
 * ERR_INPUT when the signer's certificate is not one of a manifest signer, or not the key's.
 */
MUST_USE int cms_sign(const struct signer *signer, const void *content, size_t len, struct buf *pem,
                      struct error *err);

/*
 * The same with another algorithm, by whoever holds the certificate's key (pki/scheme.h): OpenSSL builds
 * what is signed and signer signs it. Errors: also ERR_INPUT when signer has no key of this algorithm;
 * those of the signer.
 */
MUST_USE int cms_sign_as(enum cms_algorithm algorithm, const struct ca_signer *signer, X509 *cert,
                         const struct buf *content, struct buf *pem, struct error *err);

/*
 * Verifies the signature of content up to the pinned root. at: the time at which certificates must
 * be valid, 0 for now. who may be NULL. Errors: ERR_FORMAT (not a detached CMS in PEM with one
 * SHA-256 signer), ERR_SIGNATURE (everything else, so when no signed attribute names the certificate).
 */
MUST_USE int cms_verify(const void *pem, size_t pem_len, const void *content, size_t len,
                        X509 *root, int64_t at, struct cms_signer *who, struct error *err);

/* As cms_verify, of a signature that must have this algorithm, and the hash that belongs to it. */
MUST_USE int cms_verify_as(enum cms_algorithm algorithm, const struct buf *pem,
                           const struct buf *content, X509 *root, int64_t at,
                           struct cms_signer *who, struct error *err);

/* Reads the one certificate in a PEM file. Errors: ERR_INPUT, and those of file_read. */
MUST_USE int cms_read_certificate(const char *path, X509 **cert, struct error *err);

/* The same for a file with 1 to CMS_ROOTS_MAX of them; sk_X509_pop_free frees *certs. */
#define CMS_ROOTS_MAX 32
MUST_USE int cms_read_certificates(const char *path, STACK_OF(X509) * *certs, struct error *err);

#endif
