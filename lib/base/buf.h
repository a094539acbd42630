/*
 * buf: bytes being written, and bytes being read, without a length ever computed by hand.
 *
 * Invariants
 *  1. A writer that once failed (no memory, over its limit, a field too long for its length prefix)
 *     stays failed: write a whole structure, then ask buf_failed() once.
 *  2. A reader never goes past its end. Its functions return 0 or ERR_FORMAT and set outputs
 *     only on success, so a message is one chain of reads joined by || that ends with
 *     reader_end().
 *  3. All integers are big-endian. lp(x) is a u16 length, then x (docs/device-link.md).
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing byte buffer. The caller reads data and len, and calls the functions to change them. */
struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t limit; /* never grows past this many bytes */
    bool failed;
};

/* No allocation happens before the first byte. limit: the most bytes that it may ever hold. */
void buf_init(struct buf *b, size_t limit);

/* Frees what it holds. As buf_done, buf_wipe also clears the bytes first, for contents that are
 * secret. */
void buf_done(struct buf *b);
void buf_wipe(struct buf *b);

/* Forgets the contents and a failure, and keeps the memory. */
void buf_reset(struct buf *b);

void buf_put(struct buf *b, const void *bytes, size_t len);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_str(struct buf *b, const char *text);             /* without its NUL */
void buf_put_lp(struct buf *b, const void *bytes, size_t len); /* u16 length ‖ bytes */
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Takes the memory for len more bytes at once, where it is known how many will come; fails as buf_grow. */
void buf_reserve(struct buf *b, size_t len);

/* Room for len bytes, uninitialised; NULL once failed. Valid until the next call on b. */
uint8_t *buf_grow(struct buf *b, size_t len);

static inline bool buf_failed(const struct buf *b)
{
    return b->failed;
}

/* 0, or ERR_INTERNAL with a text when b failed. what names the structure that was being built. */
MUST_USE int buf_check(const struct buf *b, const char *what, struct error *err);

struct reader {
    const uint8_t *p;
    size_t left;
};

void reader_init(struct reader *r, const void *bytes, size_t len);

MUST_USE int reader_u8(struct reader *r, uint8_t *v);
MUST_USE int reader_u16(struct reader *r, uint16_t *v);
MUST_USE int reader_u32(struct reader *r, uint32_t *v);
MUST_USE int reader_u64(struct reader *r, uint64_t *v);
MUST_USE int reader_bytes(struct reader *r, void *out, size_t len);           /* copies len bytes */
MUST_USE int reader_view(struct reader *r, const uint8_t **view, size_t len); /* no copy */
/* A length prefix and a view of at most max bytes. */
MUST_USE int reader_lp(struct reader *r, const uint8_t **view, size_t *len, size_t max);
/* A length-prefixed text without NUL, copied with a NUL into out, which holds size bytes. */
MUST_USE int reader_lp_str(struct reader *r, char *out, size_t size);
/* ERR_FORMAT unless every byte was read. */
MUST_USE int reader_end(const struct reader *r);

#endif
