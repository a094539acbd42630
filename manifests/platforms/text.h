/*
 * text: pieces of text that several formats write.
 */
#ifndef MANIFESTS_PLATFORM_TEXT_H
#define MANIFESTS_PLATFORM_TEXT_H

#include "base/buf.h"

#include <openssl/x509.h>

/* Letters and digits, of which every platform allows all. */
#define TEXT_ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* A text is 1 to most characters long and has none that is not in set. */
bool text_is(const char *text, const char *set, size_t most);

/* A JSON text with its quotes. Control characters are escaped; other bytes stay as they are. */
void text_json(struct buf *out, const char *text);

/* base64url without padding (RFC 4648 section 5). */
void text_base64url(struct buf *out, const void *bytes, size_t len);

/* Decodes len characters of it, appended to out. Errors: ERR_FORMAT. */
MUST_USE int text_base64url_decode(const char *text, size_t len, struct buf *out);

/* A certificate in PEM (RFC 7468), as it is; and as a JSON text. */
void text_pem(struct buf *out, X509 *cert);
void text_pem_json(struct buf *out, X509 *cert);

/* The DER of a certificate in base64, without quotes. */
void text_der_base64(struct buf *out, X509 *cert);

/*
 * Appends "<base64url of header>.<base64url of payload>", which a JWS signs (RFC 7515 section 5.1),
 * and *dot receives where the dot is.
 */
void text_jws_input(struct buf *out, const struct buf *header, const struct buf *payload,
                    size_t *dot);

#endif
