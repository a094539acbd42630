#include "link/frame.h"

#define CRC_SIZE   4
#define BLOCK_FULL 0xff /* a COBS block of 254 bytes that no zero follows */

uint32_t link_crc32(const void *bytes, size_t len)
{
    /* The remainders of one nibble: x^4 times each 4-bit value, reflected polynomial. */
    static const uint32_t nibble[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const uint8_t *p = bytes;
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc = crc >> 4 ^ nibble[(crc ^ p[i]) & 15];
        crc = crc >> 4 ^ nibble[(crc ^ (p[i] >> 4)) & 15];
    }
    return ~crc;
}

static void put_cobs(struct buf *out, const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    while (at <= len) {
        size_t run = 0;

        while (run < BLOCK_FULL - 1 && at + run < len && bytes[at + run])
            run++;
        buf_put_u8(out, (uint8_t)(run + 1));
        buf_put(out, bytes + at, run);
        /* A block that ended at a zero, or at the end, stands for one byte more. */
        at += run < BLOCK_FULL - 1 ? run + 1 : run;
    }
}

void link_frame_stuff(struct buf *out, const uint8_t *bytes, size_t len)
{
    buf_put_u8(out, 0);
    put_cobs(out, bytes, len);
    buf_put_u8(out, 0);
}

void link_frame_encode(struct buf *out, uint8_t message, uint16_t sequence, const uint8_t *payload,
                       size_t len)
{
    struct buf raw;

    buf_init(&raw, IMPRINT_FRAME_MAX);
    buf_put_u8(&raw, IMPRINT_LINK_VERSION);
    buf_put_u8(&raw, message);
    buf_put_u16(&raw, sequence);
    buf_put(&raw, payload, len);
    if (!buf_failed(&raw))
        buf_put_u32(&raw, link_crc32(raw.data, raw.len));
    if (buf_failed(&raw))
        out->failed = true;
    else
        link_frame_stuff(out, raw.data, raw.len);
    buf_done(&raw);
}

void link_frame_reader_init(struct link_frame_reader *r)
{
    r->len = 0;
    r->left = 0;
    r->zero = false;
    r->bad = false;
}

static void append(struct link_frame_reader *r, uint8_t byte)
{
    if (r->len == sizeof r->bytes)
        r->bad = true;
    else
        r->bytes[r->len++] = byte;
}

/* At a delimiter: is there a frame? */
static bool complete(const struct link_frame_reader *r, struct link_frame *frame)
{
    struct reader in;
    uint8_t version, message;
    uint16_t sequence;
    uint32_t crc;
    const uint8_t *payload;
    size_t len = r->len - IMPRINT_FRAME_OVERHEAD;

    if (r->bad || r->left || r->len < IMPRINT_FRAME_OVERHEAD)
        return false;
    reader_init(&in, r->bytes, r->len);
    if (reader_u8(&in, &version) || reader_u8(&in, &message) || reader_u16(&in, &sequence) ||
        reader_view(&in, &payload, len) || reader_u32(&in, &crc) || reader_end(&in) ||
        crc != link_crc32(r->bytes, r->len - CRC_SIZE) || version != IMPRINT_LINK_VERSION)
        return false;
    *frame = (struct link_frame){message, sequence, payload, len};
    return true;
}

bool link_frame_feed(struct link_frame_reader *r, uint8_t byte, struct link_frame *frame)
{
    bool whole = false;

    if (byte == 0) {
        whole = complete(r, frame);
        link_frame_reader_init(r); /* the bytes stay in place for the caller */
    } else if (r->left > 0) {
        append(r, byte);
        r->left--;
    } else {
        if (r->zero)
            append(r, 0);
        r->left = (uint8_t)(byte - 1);
        r->zero = byte != BLOCK_FULL;
    }
    return whole;
}
