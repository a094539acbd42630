/*
 * jws: JSON Web Signatures (RFC 7515) with ES256 (RFC 7518 section 3.4).
 */
#ifndef MANIFESTS_PLATFORM_JWS_H
#define MANIFESTS_PLATFORM_JWS_H

#include "base/buf.h"

#include <openssl/x509.h>

/* The three texts of a JWS, base64url. */
struct jws {
    struct buf input; /* protected header, a dot, payload */
    size_t dot;       /* where the dot is */
    struct buf signature;
};

/* Signs. The key is P-256 and may live in an HSM. jws_done in any case. Errors: ERR_CRYPTO. */
MUST_USE int jws_sign(struct jws *j, const struct buf *header, const struct buf *payload,
                      EVP_PKEY *key, struct error *err);
void jws_done(struct jws *j);

/*
 * Verifies a signature over "<header>.<payload>" with a certificate's P-256 key, whatever its
 * validity. Errors: ERR_SIGNATURE; ERR_FORMAT when it is too long.
 */
MUST_USE int jws_verify(const char *header, const char *payload, const char *signature,
                        X509 *signer, struct error *err);

/* The texts as members of JSON: "payload", and "protected" and "signature". */
void jws_put_payload(struct buf *out, const struct jws *j);
void jws_put_protected(struct buf *out, const struct jws *j);
void jws_put_signature(struct buf *out, const struct jws *j);

#endif
