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

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
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

size_t base64_size(size_t len)
{
    return (len + 2) / 3 * 4;
}

void base64_put(struct buf *out, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint8_t *room = buf_grow(out, base64_size(len));

    for (size_t i = 0; room && i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t v = (uint32_t)p[i] << 16;

        if (n > 1)
            v |= (uint32_t)p[i + 1] << 8;
        if (n > 2)
            v |= p[i + 2];
        *room++ = (uint8_t)base64_digits[v >> 18];
        *room++ = (uint8_t)base64_digits[v >> 12 & 63];
        *room++ = n > 1 ? (uint8_t)base64_digits[v >> 6 & 63] : '=';
        *room++ = n > 2 ? (uint8_t)base64_digits[v & 63] : '=';
    }
}

static int base64_value(char c)
{
    const char *at = c ? strchr(base64_digits, c) : NULL;

    return at ? (int)(at - base64_digits) : -1;
}

/* One group of four characters that carries n bytes (1 to 3). */
static int decode_group(const char *text, size_t n, struct buf *out)
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
    buf_put(out, bytes, n);
    return 0;
}

int base64_decode(const char *text, size_t len, struct buf *out)
{
    if (len % 4)
        return ERR_FORMAT;
    for (size_t i = 0; i < len; i += 4) {
        size_t n = 3;

        if (i + 4 == len && text[i + 3] == '=')
            n = text[i + 2] == '=' ? 1 : 2;
        if (decode_group(text + i, n, out))
            return ERR_FORMAT;
    }
    return buf_failed(out) ? ERR_FORMAT : 0;
}
