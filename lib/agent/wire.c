#include "agent/wire.h"

#include <string.h>

#define CBOR_FALSE 20
#define CBOR_TRUE  21

void imprint_agent_read(struct imprint_agent_reader *r, const uint8_t *bytes, size_t len)
{
    r->p = bytes;
    r->left = len;
    r->bad = false;
}

void imprint_agent_write(struct imprint_agent_writer *w, uint8_t *room, size_t cap)
{
    w->start = room;
    w->len = 0;
    w->cap = cap;
    w->bad = false;
}

uint32_t imprint_agent_load_u32(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

uint32_t imprint_agent_load_u16(const uint8_t bytes[2])
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

void imprint_agent_store_u32(uint8_t bytes[4], uint32_t v)
{
    bytes[0] = (uint8_t)(v >> 24);
    bytes[1] = (uint8_t)(v >> 16);
    bytes[2] = (uint8_t)(v >> 8);
    bytes[3] = (uint8_t)v;
}

void imprint_agent_store_u16(uint8_t bytes[2], uint32_t v)
{
    bytes[0] = (uint8_t)(v >> 8);
    bytes[1] = (uint8_t)v;
}

uint32_t imprint_agent_crc32(uint32_t crc, const uint8_t *bytes, size_t len)
{
    size_t i;
    int bit;

    /* Bit by bit: a frame takes far longer on the wire, and a table would cost 1 kB of flash. */
    crc = ~crc;
    for (i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) ? 0xedb88320u : 0);
    }
    return ~crc;
}

bool imprint_agent_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    uint8_t difference = 0;
    size_t i;

    for (i = 0; i < len; i++)
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}

void imprint_agent_wipe(void *bytes, size_t len)
{
    volatile uint8_t *p = bytes;

    while (len--)
        *p++ = 0;
}

const uint8_t *imprint_agent_take(struct imprint_agent_reader *r, size_t len)
{
    const uint8_t *at = r->p;

    if (r->bad || len > r->left) {
        r->bad = true;
        return NULL;
    }
    r->p += len;
    r->left -= len;
    return at;
}

const uint8_t *imprint_agent_take_lp(struct imprint_agent_reader *r, size_t max, size_t *len)
{
    const uint8_t *prefix = imprint_agent_take(r, 2);

    *len = prefix ? imprint_agent_load_u16(prefix) : 0;
    if (*len > max)
        r->bad = true;
    return imprint_agent_take(r, *len);
}

uint32_t imprint_agent_cbor_head(struct imprint_agent_reader *r, enum imprint_agent_major major,
                                 uint32_t max)
{
    const uint8_t *head = imprint_agent_take(r, 1);
    uint32_t v, shortest;

    if (!head)
        return 0;
    v = *head & 0x1fu;
    shortest = 0;
    if (v >= 24) {
        /* 24, 25 and 26 announce one, two and four bytes; eight bytes exceed every limit here. */
        size_t width = (size_t)1 << (v - 24);
        size_t i;
        const uint8_t *more = v <= 26 ? imprint_agent_take(r, width) : NULL;

        shortest = v == 24 ? 24u : v == 25 ? 0x100u : 0x10000u;
        v = 0;
        for (i = 0; more && i < width; i++)
            v = v << 8 | more[i];
        if (!more)
            r->bad = true;
    }
    if (*head >> 5 != (int)major || v < shortest || v > max)
        r->bad = true;
    return r->bad ? 0 : v;
}

void imprint_agent_cbor_exact(struct imprint_agent_reader *r, enum imprint_agent_major major,
                              uint32_t v)
{
    if (imprint_agent_cbor_head(r, major, v) != v)
        r->bad = true;
}

static void expect_key(struct imprint_agent_reader *r, uint32_t key)
{
    imprint_agent_cbor_exact(r, IMPRINT_AGENT_UINT, key);
}

uint32_t imprint_agent_cbor_uint(struct imprint_agent_reader *r, uint32_t key, uint32_t max)
{
    expect_key(r, key);
    return imprint_agent_cbor_head(r, IMPRINT_AGENT_UINT, max);
}

const uint8_t *imprint_agent_cbor_string(struct imprint_agent_reader *r, uint32_t key,
                                         enum imprint_agent_major major, size_t max, size_t *len)
{
    expect_key(r, key);
    *len = imprint_agent_cbor_head(r, major, (uint32_t)max);
    if (*len == 0)
        r->bad = true;
    return imprint_agent_take(r, *len);
}

void imprint_agent_cbor_empty(struct imprint_agent_reader *r, uint32_t key)
{
    expect_key(r, key);
    imprint_agent_cbor_exact(r, IMPRINT_AGENT_BYTES, 0);
}

const uint8_t *imprint_agent_cbor_fixed(struct imprint_agent_reader *r, uint32_t key, size_t len)
{
    size_t got;
    const uint8_t *bytes = imprint_agent_cbor_string(r, key, IMPRINT_AGENT_BYTES, len, &got);

    if (got != len)
        r->bad = true;
    return r->bad ? NULL : bytes;
}

void imprint_agent_put(struct imprint_agent_writer *w, const void *bytes, size_t len)
{
    if (w->bad || len > w->cap - w->len) {
        w->bad = true;
        return;
    }
    if (len)
        memcpy(w->start + w->len, bytes, len);
    w->len += len;
}

void imprint_agent_put_u8(struct imprint_agent_writer *w, uint32_t v)
{
    uint8_t byte = (uint8_t)v;

    imprint_agent_put(w, &byte, 1);
}

void imprint_agent_put_u16(struct imprint_agent_writer *w, uint32_t v)
{
    imprint_agent_put_u8(w, v >> 8);
    imprint_agent_put_u8(w, v);
}

void imprint_agent_put_lp(struct imprint_agent_writer *w, const void *bytes, size_t len)
{
    imprint_agent_put_u16(w, (uint32_t)len);
    imprint_agent_put(w, bytes, len);
}

void imprint_agent_put_tagged(struct imprint_agent_writer *w, uint32_t algorithm,
                              const uint8_t *bytes, size_t len)
{
    imprint_agent_put_u16(w, (uint32_t)(len + 2));
    imprint_agent_put_u16(w, algorithm);
    imprint_agent_put(w, bytes, len);
}

void imprint_agent_put_head(struct imprint_agent_writer *w, enum imprint_agent_major major,
                            uint32_t v)
{
    /* The argument is in the head, or in one, two or four bytes: heads 24, 25 and 26. */
    uint32_t width = v < 24 ? 0 : v < 0x100 ? 1 : v < 0x10000 ? 2 : 4;

    imprint_agent_put_u8(w, (uint32_t)major << 5 | (width ? 24 + width / 2 : v));
    while (width-- > 0)
        imprint_agent_put_u8(w, v >> 8 * width);
}

void imprint_agent_put_open(struct imprint_agent_writer *w, uint32_t key,
                            enum imprint_agent_major major, uint32_t v)
{
    imprint_agent_put_head(w, IMPRINT_AGENT_UINT, key);
    imprint_agent_put_head(w, major, v);
}

void imprint_agent_put_pair(struct imprint_agent_writer *w, uint32_t key, uint32_t algorithm,
                            const uint8_t *bytes, size_t len)
{
    imprint_agent_put_uint(w, key, algorithm);
    imprint_agent_put_string(w, key + 1, IMPRINT_AGENT_BYTES, bytes, len);
}

void imprint_agent_put_uint(struct imprint_agent_writer *w, uint32_t key, uint32_t v)
{
    imprint_agent_put_open(w, key, IMPRINT_AGENT_UINT, v);
}

void imprint_agent_put_bool(struct imprint_agent_writer *w, uint32_t key, bool v)
{
    imprint_agent_put_open(w, key, IMPRINT_AGENT_SIMPLE, v ? CBOR_TRUE : CBOR_FALSE);
}

void imprint_agent_put_string(struct imprint_agent_writer *w, uint32_t key,
                              enum imprint_agent_major major, const void *bytes, size_t len)
{
    imprint_agent_put_open(w, key, major, (uint32_t)len);
    imprint_agent_put(w, bytes, len);
}
