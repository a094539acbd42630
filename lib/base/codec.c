#include "base/codec.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hex_encode(const void *bytes, size_t len, char *out)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < len; i++) {
        *out++ = hex_digits[p[i] >> 4];
        *out++ = hex_digits[p[i] & 15];
    }
    *out = 0;
}

/* One more than the value of a digit: whitelists are full of them, and what is no digit is 0. */
static const uint8_t hex_values[256] = {
    ['0'] = 1, ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

static int hex_value(char c)
{
    return hex_values[(uint8_t)c] - 1;
}

int hex_decode(const char *text, void *out, size_t len)
{
    uint8_t *p = out;

    if (strlen(text) != 2 * len)
        return ERR_FORMAT;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return ERR_FORMAT;
        p[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

int hex_decode_any(const char *text, void *out, size_t max, size_t *len)
{
    size_t n = strlen(text) / 2;

    if (n > max || hex_decode(text, out, n))
        return ERR_FORMAT;
    *len = n;
    return 0;
}

/* Characters that base64 of len bytes takes, padding included, without a NUL. */
static size_t base64_size(size_t len)
{
    return (len + 2) / 3 * 4;
}

static void put_group(uint32_t v, uint8_t out[4])
{
    out[0] = (uint8_t)base64_digits[v >> 18];
    out[1] = (uint8_t)base64_digits[v >> 12 & 63];
    out[2] = (uint8_t)base64_digits[v >> 6 & 63];
    out[3] = (uint8_t)base64_digits[v & 63];
}

void base64_put(struct buf *out, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint8_t *room = buf_grow(out, base64_size(len));

    for (; room && len >= 3; len -= 3, p += 3, room += 4)
        put_group((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2], room);
    if (room && len > 0) {
        put_group((uint32_t)p[0] << 16 | (len > 1 ? (uint32_t)p[1] << 8 : 0), room);
        if (len == 1)
            room[2] = '=';
        room[3] = '=';
    }
}

/* The value of a digit plus one, so that what is none is zero. */
#define DIGITS_26(c, v)                                                                            \
    [c] = v, [c + 1] = v + 1, [c + 2] = v + 2, [c + 3] = v + 3, [c + 4] = v + 4, [c + 5] = v + 5,  \
    [c + 6] = v + 6, [c + 7] = v + 7, [c + 8] = v + 8, [c + 9] = v + 9, [c + 10] = v + 10,         \
    [c + 11] = v + 11, [c + 12] = v + 12, [c + 13] = v + 13, [c + 14] = v + 14, [c + 15] = v + 15, \
    [c + 16] = v + 16, [c + 17] = v + 17, [c + 18] = v + 18, [c + 19] = v + 19, [c + 20] = v + 20, \
    [c + 21] = v + 21, [c + 22] = v + 22, [c + 23] = v + 23, [c + 24] = v + 24, [c + 25] = v + 25
static const uint8_t base64_values[256] = {
    DIGITS_26('A', 1), DIGITS_26('a', 27), ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
    ['+'] = 63,        ['/'] = 64};

static int base64_value(char c)
{
    return base64_values[(uint8_t)c] - 1;
}

/* The last group, of four characters that carry n bytes (1 to 3). */
static int decode_last(const char *text, size_t n, uint8_t *out)
{
    uint32_t v = 0;
    uint8_t bytes[3];

    for (size_t i = 0; i < 4; i++) {
        int digit = i <= n ? base64_value(text[i]) : text[i] == '=' ? 0 : -1;

        if (digit < 0)
            return ERR_FORMAT;
        v = v << 6 | (uint32_t)digit;
    }
    bytes[0] = (uint8_t)(v >> 16);
    bytes[1] = (uint8_t)(v >> 8);
    bytes[2] = (uint8_t)v;
    for (size_t i = n; i < 3; i++)
        if (bytes[i])
            return ERR_FORMAT;
    memcpy(out, bytes, n);
    return 0;
}

/* One of four characters that carry three bytes. */
static int decode_group(const char *text, uint8_t out[3])
{
    int a = base64_value(text[0]), b = base64_value(text[1]), c = base64_value(text[2]),
        d = base64_value(text[3]);

    if ((a | b | c | d) < 0)
        return ERR_FORMAT;
    out[0] = (uint8_t)(a << 2 | b >> 4);
    out[1] = (uint8_t)(b << 4 | c >> 2);
    out[2] = (uint8_t)(c << 6 | d);
    return 0;
}

int base64_decode(const char *text, size_t len, struct buf *out)
{
    size_t pads = 0;
    uint8_t *room;

    if (len % 4)
        return ERR_FORMAT;
    if (len && text[len - 1] == '=')
        pads = text[len - 2] == '=' ? 2 : 1;
    room = buf_grow(out, len / 4 * 3 - pads);
    for (; room && len > 4; len -= 4, text += 4, room += 3)
        if (decode_group(text, room))
            return ERR_FORMAT;
    if (room && len && decode_last(text, 3 - pads, room))
        return ERR_FORMAT;
    return buf_failed(out) ? ERR_FORMAT : 0;
}
