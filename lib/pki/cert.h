/*
 * cert: certificates and public keys as files, and a certificate judged by OpenSSL.
 *
 * Invariants
 *  1. cert_check parses and verifies with OpenSSL alone. With the templates whose output it judges
 *     it shares no more than the certificate that OpenSSL builds for a profile and given values
 *     (pki/profile_build.h).
 *  2. Files are PEM (RFC 7468) with one object. Trailing text is refused, so that nobody reads one
 *     certificate and ships another.
 */
#ifndef PKI_CERT_H
#define PKI_CERT_H

#include "base/buf.h"
#include "pki/ca_chain.h"
#include "pki/cert_profile.h"
#include "pki/profile.h"
#include "pki/scheme.h"

#include <openssl/x509.h>

/* What a device certificate has to say. */
struct cert_expect {
    const uint8_t *number; /* CERT_NUMBER_SIZE octets */
    const char *serial;    /* subject serialNumber */
    const struct public_key *key;
    const struct cert_profile *profile;
    const char *values[VALUE_COUNT]; /* as in struct cert_template_params, and those of the claim */
    enum sig_scheme scheme;          /* how the issuer signs */
};

/*
 * Judges one device certificate: its signature and chain, which is the given one and no other, under
 * strict rules (X509_V_FLAG_X509_STRICT) at its own notBefore; that it outlives none of its CAs; what
 * every device certificate has; and that to the byte it is the certificate that its profile
 * describes. Errors: ERR_SIGNATURE when the chain does not verify, ERR_REFUSED when it outlives a CA,
 * ERR_INTEGRITY when it says something else than expected, ERR_FORMAT when it is not one certificate
 * in DER.
 */
MUST_USE int cert_check(const void *der, size_t len, const struct ca_chain *chain,
                        const struct cert_expect *expect, struct error *err);

/* Its first half: signature and chain at its own notBefore, with further X509_V_FLAG_* flags, and that it
 * outlives none of its CAs. */
MUST_USE int cert_check_chain(X509 *cert, const struct ca_chain *chain, unsigned long flags,
                              struct error *err);

/* The flags for a profile: its own critical extensions, which OpenSSL does not know, are compared. */
unsigned long cert_own_flags(const struct cert_profile *profile);

/* Of a certificate: whether it has this key; how it is signed, false when in no way of pki/scheme.h. */
bool cert_has_key(X509 *cert, const struct public_key *key);
bool cert_scheme(X509 *cert, enum sig_scheme *scheme);

/* The DER of a certificate, appended. */
MUST_USE int cert_der(X509 *cert, struct buf *out, struct error *err);

/* The one certificate in len bytes of DER. Errors: ERR_FORMAT. The caller frees *out. */
MUST_USE int cert_from_der(const void *der, size_t len, X509 **out, struct error *err);

/* PEM text appended to out. */
MUST_USE int cert_pem(X509 *cert, struct buf *out, struct error *err);
MUST_USE int cert_key_pem(const uint8_t point[EC_POINT_SIZE], struct buf *out, struct error *err);

/* A file with one certificate, or one public key on P-256. Errors: those of file_read, ERR_FORMAT.
 */
MUST_USE int cert_read(const char *path, X509 **out, struct error *err);
MUST_USE int cert_key_read(const char *path, uint8_t point[EC_POINT_SIZE], struct error *err);

/* Written whole or not at all (base/file.h), mode 0644. */
MUST_USE int cert_write(const char *path, X509 *cert, struct error *err);
MUST_USE int cert_key_write(const char *path, const uint8_t point[EC_POINT_SIZE],
                            struct error *err);

#endif
