/*
 * authority: the certificates above devices and above manifests, made in a ceremony.
 *
 *   device root (pathlen 1) ── issuing CA of a station (pathlen 0) ── device
 *   self-signed issuing CA (pathlen 0) ── device
 *   manifest root (pathlen 0) ── manifest signer
 *
 * Invariants
 *  1. Devices and manifests have separate roots on purpose: with the manifest root as trust anchor,
 *     no certificate that ends in a device, however made, verifies a manifest.
 *  2. An issuing CA has a distinguished name of its own, which names the station: revoking one CA
 *     revokes one station.
 *  3. Every certificate is verified under its issuer before it is returned.
 *  4. Each carries a subject key identifier; each but the roots an authority key identifier;
 *     keyUsage and basicConstraints are critical (RFC 5280 section 4.2.1).
 *
 * The keys are OpenSSL handles: in the station backed by the HSM (hsm/signer.h), in tests in
 * memory. On the side of devices keys are of every type of pki/key.h; on that of manifests they are
 * P-256. Serial numbers are 0x01 and 16 random octets. Errors of every function: ERR_CRYPTO, ERR_INPUT
 * for a name that is empty or too long.
 */
#ifndef PKI_AUTHORITY_H
#define PKI_AUTHORITY_H

#include "pki/scheme.h"

#include <openssl/x509.h>

/* Who a certificate is for. */
struct authority_name {
    const char *organization; /* O, 1 to 64 characters */
    const char *unit;         /* OU, as the environment; or NULL */
    const char *common_name;  /* CN, 1 to 64 characters; of an issuing CA, names its station */
};

/* Self-signed. The caller frees *out, here and below. */
MUST_USE int authority_root(const struct authority_name *name, int64_t not_before, EVP_PKEY *key,
                            X509 **out, struct error *err);
MUST_USE int authority_manifest_root(const struct authority_name *name, int64_t not_before,
                                     EVP_PKEY *key, X509 **out, struct error *err);

/* The certificate of point, signed by the root's key. Errors: ERR_INPUT when the name is the root's
 * own, ERR_SIGNATURE when root_key is not the root's. */
MUST_USE int authority_issuing(const struct authority_name *name, int64_t not_before,
                               const uint8_t point[EC_POINT_SIZE], X509 *root, EVP_PKEY *root_key,
                               X509 **out, struct error *err);

/* The same, signed by whoever can sign for the root (pki/scheme.h): its key is signer's. Errors: those
 * of the signer too. */
MUST_USE int authority_root_by(const struct authority_name *name, int64_t not_before,
                               const struct ca_signer *signer, X509 **out, struct error *err);
MUST_USE int authority_issuing_by(const struct authority_name *name, int64_t not_before,
                                  const struct public_key *key, X509 *root,
                                  const struct ca_signer *signer, X509 **out, struct error *err);

/* As authority_issuing, built and not signed, with no issuer: what is asked of who has the root
 * (pki/ca_request.h). */
MUST_USE int authority_issuing_model(const struct authority_name *name, int64_t not_before,
                                     const struct public_key *key, X509 **out, struct error *err);

/* An issuing CA that signs itself: devices are directly below their root, and no other CA is. */
MUST_USE int authority_self_signed(const struct authority_name *name, int64_t not_before,
                                   const struct ca_signer *signer, X509 **out, struct error *err);

/* As authority_issuing, an end entity: keyUsage digitalSignature, extended key usage
 * emailProtection, because `openssl cms -verify` wants that of a signer. */
MUST_USE int authority_manifest_signer(const struct authority_name *name, int64_t not_before,
                                       const uint8_t point[EC_POINT_SIZE], X509 *root,
                                       EVP_PKEY *root_key, X509 **out, struct error *err);

#endif
