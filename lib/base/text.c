#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

size_t text_character(const void *bytes, size_t left)
{
    const uint8_t *p = bytes;
    size_t len = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

    if (len > left || (*p >= 0x80 && *p < 0xc2))
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    /* Longer than needed, a surrogate, or past the last character. */
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
        (*p == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

size_t text_cut(const char *text, size_t most)
{
    size_t all = strlen(text), kept = 0, len;

    while (kept < all && (len = text_character(text + kept, all - kept)) && kept + len <= most)
        kept += len;
    return kept;
}

/* C1 controls, and all of U+2000 to U+206F but the dashes, quotation marks and dots in the middle of it:
 * among the rest are marks of direction, joiners and separators of lines. */
static bool is_sign(const uint8_t *p, size_t len)
{
    if (len == 1)
        return *p >= 0x20 && *p < 0x7f;
    if (len == 2)
        return *p != 0xc2 || p[1] >= 0xa0;
    if (p[0] == 0xe2 && (p[1] == 0x80 || p[1] == 0x81))
        return p[1] == 0x80 && p[2] >= 0x90 && p[2] <= 0xa7;
    return !(p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf); /* a byte order mark */
}

char *text_readable(const char *text, char *out, size_t size)
{
    size_t left = strlen(text), used = 0, len;

    for (; left > 0; text += len, left -= len) {
        bool good;

        len = text_character(text, left);
        good = len > 0 && is_sign((const uint8_t *)text, len);
        if (len == 0)
            len = 1;
        if (used + (good ? len : 1) >= size)
            break;
        memcpy(out + used, good ? text : "?", good ? len : 1);
        used += good ? len : 1;
    }
    out[used] = 0;
    return out;
}
