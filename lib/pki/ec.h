/*
 * ec: P-256 keys and ECDSA signatures in the forms that the project keeps them in.
 *
 * A public key is an uncompressed point (SEC 1 section 2.3.3), 65 bytes; a SubjectPublicKeyInfo
 * (RFC 5480) of it is always the same 91 bytes; a raw signature is r ‖ s, 64 bytes.
 */
#ifndef PKI_EC_H
#define PKI_EC_H

#include "base/error.h"

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#define EC_POINT_SIZE  65
#define EC_SPKI_SIZE   91
#define EC_SIG_SIZE    64
#define EC_SIG_DER_MAX 72

/* The SubjectPublicKeyInfo of a point. The point is not checked. */
void ec_spki(const uint8_t point[EC_POINT_SIZE], uint8_t spki[EC_SPKI_SIZE]);

/*
 * A key handle for a point that lies on the curve. Errors: ERR_CRYPTO. The caller frees *key.
 */
MUST_USE int ec_public_key(const uint8_t point[EC_POINT_SIZE], EVP_PKEY **key, struct error *err);

/* The point of a P-256 key. Errors: ERR_CRYPTO when it is any other key. */
MUST_USE int ec_point(EVP_PKEY *key, uint8_t point[EC_POINT_SIZE], struct error *err);

/*
 * Verifies a raw signature over a message (hashed here with SHA-256). Errors: ERR_SIGNATURE when it
 * does not verify, ERR_CRYPTO when the point is not on the curve.
 */
MUST_USE int ec_verify(const uint8_t point[EC_POINT_SIZE], const void *message, size_t len,
                       const uint8_t sig[EC_SIG_SIZE], struct error *err);

/*
 * Verifies many signatures, each several times as fast as ec_verify does: nothing is looked up and
 * no key is decoded anew. One thread at a time.
 */
struct ec_verifier;

/* NULL without memory. NULL is freed fine. */
struct ec_verifier *ec_verifier_new(void);
void ec_verifier_free(struct ec_verifier *v);

/* As ec_verify. */
MUST_USE int ec_verifier_check(struct ec_verifier *v, const uint8_t point[EC_POINT_SIZE],
                               const void *message, size_t len, const uint8_t sig[EC_SIG_SIZE],
                               struct error *err);

/* Signs a message with a key handle. Errors: ERR_CRYPTO. */
MUST_USE int ec_sign(EVP_PKEY *key, const void *message, size_t len, uint8_t sig[EC_SIG_SIZE],
                     struct error *err);

/* Raw to DER (ECDSA-Sig-Value, RFC 3279 section 2.2.3), and back. *len: bytes written, at most 72.
 */
void ec_sig_to_der(const uint8_t sig[EC_SIG_SIZE], uint8_t der[EC_SIG_DER_MAX], size_t *len);
MUST_USE int ec_sig_from_der(const uint8_t *der, size_t len, uint8_t sig[EC_SIG_SIZE]);

#endif
