/*
 * codec: bytes as text and back. Strict: what is not the one canonical form is refused.
 */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include "base/buf.h"

/* Lower-case hexadecimal. out holds 2 * len + 1 bytes. */
void hex_encode(const void *bytes, size_t len, char *out);

/*
 * Exactly 2 * len lower-case hexadecimal digits of text, which ends there. Errors: ERR_FORMAT.
 */
MUST_USE int hex_decode(const char *text, void *out, size_t len);

/* As hex_decode for any length up to max bytes; *len is set on success. */
MUST_USE int hex_decode_any(const char *text, void *out, size_t max, size_t *len);

/* Standard base64 with padding (RFC 4648 section 4), without line ends, appended to out. */
void base64_put(struct buf *out, const void *bytes, size_t len);

/*
 * Decodes len characters of standard padded base64, appended to out. Unused bits that are not zero,
 * a missing pad or any other character are refused. Errors: ERR_FORMAT.
 */
MUST_USE int base64_decode(const char *text, size_t len, struct buf *out);

#endif
