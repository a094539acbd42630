/*
 * scheme: how certificates, revocation lists and proofs are signed, and who signs.
 *
 *   ecdsa-sha256, ecdsa-sha384      RFC 5758 section 3.2; of P-256 and of P-384
 *   rsa-pss-sha256                  RFC 4055: SHA-256, MGF1 with SHA-256, a salt of 32 octets
 *   rsa-pkcs1-sha256                RFC 4055 section 5: RSASSA-PKCS1-v1_5
 *   ed25519                         RFC 8410
 *
 * A signature here is what the BIT STRING of a certificate holds: of ECDSA an ECDSA-Sig-Value.
 * Devices send ECDSA's r ‖ s instead; scheme_verify_raw takes that.
 */
#ifndef PKI_SCHEME_H
#define PKI_SCHEME_H

#include "base/buf.h"
#include "pki/key.h"

#include <openssl/x509.h>

#define SCHEME_SIG_MAX     384 /* of RSA with 3072 bits */
#define SCHEME_DER_MAX     67  /* the AlgorithmIdentifier of rsa-pss-sha256 */
#define SCHEME_NAMES       "ecdsa-sha256, ecdsa-sha384, rsa-pss-sha256, rsa-pkcs1-sha256, ed25519"
#define SCHEME_MESSAGE_MAX (64u << 20) /* what Ed25519, which hashes twice, is given at once */

enum sig_scheme {
    SCHEME_ECDSA_SHA256,
    SCHEME_ECDSA_SHA384,
    SCHEME_RSA_PSS_SHA256,
    SCHEME_RSA_PKCS1_SHA256,
    SCHEME_ED25519,
    SCHEMES
};

struct signature {
    size_t len;
    uint8_t bytes[SCHEME_SIG_MAX];
};

const char *scheme_name(enum sig_scheme scheme);
bool scheme_named(const char *name, enum sig_scheme *scheme);

/* Whether keys of this type sign so; and how they sign unless somebody says otherwise: RSA with PSS. */
bool scheme_fits(enum sig_scheme scheme, enum key_type type);
enum sig_scheme scheme_of(enum key_type type);

/* Its AlgorithmIdentifier, DER; and the scheme of one. False: none of these. */
const uint8_t *scheme_algorithm(enum sig_scheme scheme, size_t *len);
bool scheme_parse(const uint8_t *algorithm, size_t len, enum sig_scheme *scheme);

/* The longest signature in a certificate, and the length of a raw one, of keys of this type. */
size_t scheme_longest(enum key_type type);
size_t scheme_raw_length(enum key_type type);

/* The digest that the scheme signs, NULL of Ed25519, which signs the message. */
const EVP_MD *scheme_digest(enum sig_scheme scheme);

/* An initialised context to verify digests (of Ed25519, messages) with, for scheme_check; NULL when
 * key and scheme do not fit or memory is out. Freed with EVP_PKEY_CTX_free. */
EVP_PKEY_CTX *scheme_verifier(EVP_PKEY *key, enum sig_scheme scheme);

/* Errors of all three: ERR_SIGNATURE when it does not verify, ERR_CRYPTO when the key is not valid. */
MUST_USE int scheme_verify(EVP_PKEY *key, enum sig_scheme scheme, const void *message, size_t len,
                           const void *sig, size_t sig_len, struct error *err);
MUST_USE int scheme_verify_key(const struct public_key *key, enum sig_scheme scheme,
                               const void *message, size_t len, const void *sig, size_t sig_len,
                               struct error *err);
MUST_USE int scheme_verify_raw(const struct public_key *key, const void *message, size_t len,
                               const void *sig, size_t sig_len, struct error *err);

/*
 * What keys of CAs are and how they sign, by one name: "p256", "p384", "rsa2048-pss", "rsa2048-pkcs1",
 * "rsa3072-pss", "rsa3072-pkcs1", "ed25519".
 */
#define CA_ALGORITHM_NAMES                                                                         \
    "p256, p384, rsa2048-pss, rsa2048-pkcs1, rsa3072-pss, rsa3072-pkcs1, ed25519"
struct ca_algorithm {
    enum key_type key;
    enum sig_scheme scheme;
};
bool ca_algorithm_named(const char *name, struct ca_algorithm *out);

/*
 * Who signs for a CA: a handle in memory, or a key in an HSM (hsm/keys.h).
 */
struct ca_signer {
    struct public_key key;
    enum sig_scheme scheme;
    /* Signs a message, or where digested is set what scheme_digest made of one. */
    int (*sign)(void *context, enum sig_scheme scheme, const void *bytes, size_t len, bool digested,
                struct signature *sig, struct error *err);
    void *context;
};

/* The handle stays the caller's. Errors: ERR_CRYPTO for a key of no known type. */
MUST_USE int ca_signer_of(EVP_PKEY *handle, struct ca_signer *out, struct error *err);

/* Signs a message. Errors: those of the signer. */
MUST_USE int ca_sign(const struct ca_signer *signer, const void *message, size_t len,
                     struct signature *sig, struct error *err);

/* ECDSA signatures of any curve: r ‖ s from DER with halves of this size, and back. */
MUST_USE int scheme_raw_to_der(const uint8_t *raw, size_t len, struct signature *der);
MUST_USE int scheme_der_to_raw(const uint8_t *der, size_t len, size_t half, uint8_t *raw);

/*
 * Sets the signature algorithm of a certificate that is otherwise complete, and appends its
 * TBSCertificate. Errors: ERR_CRYPTO.
 */
MUST_USE int scheme_tbs(X509 *cert, enum sig_scheme scheme, struct buf *tbs, struct error *err);

/* Appends the SEQUENCE of what is signed (a TBSCertificate, or a request's), algorithm and
 * signature. */
MUST_USE int scheme_assemble(const struct buf *tbs, enum sig_scheme scheme,
                             const struct signature *sig, struct buf *der, struct error *err);

/* Both with the signature between them: the whole certificate, appended. */
MUST_USE int ca_sign_tbs(const struct ca_signer *signer, const struct buf *tbs, struct buf *der,
                         struct error *err);

/* Signs cert; *cert is replaced by the signed one. Errors: ERR_CRYPTO, those of the signer. */
MUST_USE int ca_sign_cert(const struct ca_signer *signer, X509 **cert, struct error *err);

#endif
