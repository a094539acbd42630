/*
 * cbor_write: writes the deterministic CBOR (RFC 8949 section 4.2.1) that the device link is made
 * of.
 *
 * The caller writes keys in ascending order; lengths are definite and integers shortest by
 * construction. A failure stays in the buffer (buf_failed).
 */
#ifndef LINK_CBOR_WRITE_H
#define LINK_CBOR_WRITE_H

#include "base/buf.h"

enum link_cbor_major {
    LINK_CBOR_UINT = 0,
    LINK_CBOR_BYTES = 2,
    LINK_CBOR_TEXT = 3,
    LINK_CBOR_ARRAY = 4,
    LINK_CBOR_MAP = 5,
    LINK_CBOR_SIMPLE = 7
};

#define LINK_CBOR_FALSE 20
#define LINK_CBOR_TRUE  21

void link_cbor_head(struct buf *b, enum link_cbor_major major, uint64_t v);

/* A key of a map and its value. */
void link_cbor_uint(struct buf *b, uint64_t key, uint64_t v);
void link_cbor_bool(struct buf *b, uint64_t key, bool v);
void link_cbor_bytes(struct buf *b, uint64_t key, const void *bytes, size_t len);
void link_cbor_text(struct buf *b, uint64_t key, const char *text);

#endif
