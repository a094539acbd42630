/*
 * envelope: secrets for recipients who have a certificate, and for nobody else (CMS EnvelopedData,
 * RFC 5652 section 6; ECDH by RFC 5753).
 *
 * The content is encrypted with AES-256-CBC under a fresh key, and that key for each recipient: for an
 * RSA key with RSAES-OAEP and SHA-256, for one of P-256, P-384 or P-521 with ephemeral-static ECDH, the
 * X9.63 KDF with SHA-256 and AES-256 key wrap. `openssl cms -decrypt` opens it. An envelope says nothing
 * of who made it, nor does it show a change: whoever writes one signs its hash elsewhere.
 */
#ifndef PKI_ENVELOPE_H
#define PKI_ENVELOPE_H

#include "base/buf.h"

#include <openssl/x509.h>

#define ENVELOPE_RECIPIENTS_MAX 8

/*
 * The certificates of a PEM file, 1 to ENVELOPE_RECIPIENTS_MAX, each good for it at this time (seconds
 * since 1970 UTC): RSA from 2048 bits or a curve of above, a key usage, where there is one, of
 * keyEncipherment or keyAgreement, and not expired. envelope_recipients_free. Errors: ERR_INPUT,
 * ERR_REFUSED with certificate and reason; ERR_MISSING, ERR_IO.
 */
MUST_USE int envelope_read_recipients(const char *path, int64_t now, STACK_OF(X509) * *recipients,
                                      struct error *err);
void envelope_recipients_free(STACK_OF(X509) * recipients);

/* Appends the envelope, DER. Errors: ERR_CRYPTO. */
MUST_USE int envelope_seal(const STACK_OF(X509) * recipients, const void *content, size_t len,
                           struct buf *der, struct error *err);

#endif
