#include "link/cbor_write.h"

#include <string.h>

void link_cbor_head(struct buf *b, enum link_cbor_major major, uint64_t v)
{
    uint8_t type = (uint8_t)(major << 5);

    if (v < 24) {
        buf_put_u8(b, (uint8_t)(type | v));
    } else if (v <= UINT8_MAX) {
        buf_put_u8(b, type | 24);
        buf_put_u8(b, (uint8_t)v);
    } else if (v <= UINT16_MAX) {
        buf_put_u8(b, type | 25);
        buf_put_u16(b, (uint16_t)v);
    } else if (v <= UINT32_MAX) {
        buf_put_u8(b, type | 26);
        buf_put_u32(b, (uint32_t)v);
    } else {
        buf_put_u8(b, type | 27);
        buf_put_u64(b, v);
    }
}

void link_cbor_uint(struct buf *b, uint64_t key, uint64_t v)
{
    link_cbor_head(b, LINK_CBOR_UINT, key);
    link_cbor_head(b, LINK_CBOR_UINT, v);
}

void link_cbor_bool(struct buf *b, uint64_t key, bool v)
{
    link_cbor_head(b, LINK_CBOR_UINT, key);
    link_cbor_head(b, LINK_CBOR_SIMPLE, v ? LINK_CBOR_TRUE : LINK_CBOR_FALSE);
}

void link_cbor_bytes(struct buf *b, uint64_t key, const void *bytes, size_t len)
{
    link_cbor_head(b, LINK_CBOR_UINT, key);
    link_cbor_head(b, LINK_CBOR_BYTES, len);
    buf_put(b, bytes, len);
}

void link_cbor_text(struct buf *b, uint64_t key, const char *text)
{
    link_cbor_head(b, LINK_CBOR_UINT, key);
    link_cbor_head(b, LINK_CBOR_TEXT, strlen(text));
    buf_put_str(b, text);
}
