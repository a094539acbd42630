#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_done(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

void buf_wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_done(b);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

/* Moves to a larger block by hand, so that no stale copy of a secret is left behind by realloc. */
static bool grow_to(struct buf *b, size_t cap)
{
    uint8_t *bigger = malloc(cap);

    if (!bigger)
        return false;
    if (b->data) {
        memcpy(bigger, b->data, b->len);
        explicit_bzero(b->data, b->cap);
        free(b->data);
    }
    b->data = bigger;
    b->cap = cap;
    return true;
}

uint8_t *buf_grow(struct buf *b, size_t len)
{
    size_t need, cap;

    if (b->failed || len > b->limit - b->len) {
        b->failed = true;
        return NULL;
    }
    need = b->len + len;
    if (need > b->cap) {
        cap = b->cap < 128 ? 128 : b->cap;
        while (cap < need)
            cap *= 2;
        if (!grow_to(b, cap > b->limit ? b->limit : cap)) {
            b->failed = true;
            return NULL;
        }
    }
    b->len = need;
    return b->data ? b->data + need - len : NULL; /* nothing was asked of an empty one */
}

void buf_reserve(struct buf *b, size_t len)
{
    if (buf_grow(b, len))
        b->len -= len;
}

void buf_put(struct buf *b, const void *bytes, size_t len)
{
    uint8_t *room;

    if (len == 0)
        return;
    room = buf_grow(b, len);
    if (room)
        memcpy(room, bytes, len);
}

static void put_be(struct buf *b, uint64_t v, size_t width)
{
    uint8_t *room = buf_grow(b, width);

    for (size_t i = 0; room && i < width; i++)
        room[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    put_be(b, v, 1);
}

void buf_put_u16(struct buf *b, uint16_t v)
{
    put_be(b, v, 2);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    put_be(b, v, 4);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    put_be(b, v, 8);
}

void buf_put_str(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

void buf_put_lp(struct buf *b, const void *bytes, size_t len)
{
    if (len > UINT16_MAX) {
        b->failed = true;
        return;
    }
    buf_put_u16(b, (uint16_t)len);
    buf_put(b, bytes, len);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    char text[1024];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        b->failed = true;
    else
        buf_put(b, text, (size_t)n);
}

int buf_check(const struct buf *b, const char *what, struct error *err)
{
    if (b->failed)
        return error_set(err, ERR_INTERNAL, "%s is larger than %zu bytes, or out of memory", what,
                         b->limit);
    return 0;
}

void reader_init(struct reader *r, const void *bytes, size_t len)
{
    r->p = bytes;
    r->left = len;
}

int reader_view(struct reader *r, const uint8_t **view, size_t len)
{
    if (len > r->left)
        return ERR_FORMAT;
    *view = r->p;
    r->p += len;
    r->left -= len;
    return 0;
}

int reader_bytes(struct reader *r, void *out, size_t len)
{
    const uint8_t *view;

    if (reader_view(r, &view, len))
        return ERR_FORMAT;
    if (len)
        memcpy(out, view, len);
    return 0;
}

static int read_be(struct reader *r, uint64_t *v, size_t width)
{
    const uint8_t *view;
    uint64_t value = 0;

    if (reader_view(r, &view, width))
        return ERR_FORMAT;
    for (size_t i = 0; i < width; i++)
        value = value << 8 | view[i];
    *v = value;
    return 0;
}

int reader_u8(struct reader *r, uint8_t *v)
{
    return reader_bytes(r, v, 1);
}

int reader_u16(struct reader *r, uint16_t *v)
{
    uint64_t value;

    if (read_be(r, &value, 2))
        return ERR_FORMAT;
    *v = (uint16_t)value;
    return 0;
}

int reader_u32(struct reader *r, uint32_t *v)
{
    uint64_t value;

    if (read_be(r, &value, 4))
        return ERR_FORMAT;
    *v = (uint32_t)value;
    return 0;
}

int reader_u64(struct reader *r, uint64_t *v)
{
    return read_be(r, v, 8);
}

int reader_lp(struct reader *r, const uint8_t **view, size_t *len, size_t max)
{
    struct reader saved = *r;
    uint16_t n;

    if (reader_u16(r, &n) || n > max || reader_view(r, view, n)) {
        *r = saved;
        return ERR_FORMAT;
    }
    *len = n;
    return 0;
}

int reader_lp_str(struct reader *r, char *out, size_t size)
{
    const uint8_t *view;
    size_t len;

    if (reader_lp(r, &view, &len, size - 1) || memchr(view, 0, len))
        return ERR_FORMAT;
    memcpy(out, view, len);
    out[len] = 0;
    return 0;
}

int reader_end(const struct reader *r)
{
    return r->left == 0 ? 0 : ERR_FORMAT;
}
