#include "base/tar.h"

#include <stdio.h>
#include <string.h>

/* Places in a header. */
enum {
    AT_NAME = 0,
    AT_MODE = 100,
    AT_OWNER = 108,
    AT_GROUP = 116,
    AT_SIZE = 124,
    AT_TIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257
};

#define SUM_SIZE  8
#define SIZE_SIZE 12

/* Of all octets, those of the sum itself as blanks. */
static unsigned sum_of(const uint8_t block[TAR_BLOCK])
{
    unsigned sum = 0;

    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= AT_SUM && i < AT_SUM + SUM_SIZE ? ' ' : block[i];
    return sum;
}

static void put_octal(uint8_t *at, size_t size, uint64_t value)
{
    at[--size] = 0;
    while (size > 0) {
        at[--size] = (uint8_t)('0' + (value & 7));
        value >>= 3;
    }
}

void tar_header(const char *name, uint64_t size, int64_t mtime, uint8_t block[TAR_BLOCK])
{
    memset(block, 0, TAR_BLOCK);
    memcpy(block + AT_NAME, name, strnlen(name, TAR_NAME_MAX));
    put_octal(block + AT_MODE, 8, 0644);
    put_octal(block + AT_OWNER, 8, 0);
    put_octal(block + AT_GROUP, 8, 0);
    put_octal(block + AT_SIZE, SIZE_SIZE, size);
    put_octal(block + AT_TIME, 12, mtime < 0 ? 0 : (uint64_t)mtime);
    block[AT_TYPE] = '0';
    memcpy(block + AT_MAGIC, "ustar\00000", 8);
    put_octal(block + AT_SUM, 7, sum_of(block));
    block[AT_SUM + 7] = ' ';
}

/* Digits up to a blank or NUL; blanks may come first. */
static bool octal(const uint8_t *at, size_t size, uint64_t *out)
{
    size_t i = 0;

    *out = 0;
    while (i < size && at[i] == ' ')
        i++;
    if (i == size || at[i] < '0' || at[i] > '7')
        return false;
    for (; i < size && at[i] >= '0' && at[i] <= '7'; i++)
        *out = *out << 3 | (uint64_t)(at[i] - '0');
    return i == size || at[i] == ' ' || at[i] == 0;
}

static bool is_zero(const uint8_t block[TAR_BLOCK])
{
    for (size_t i = 0; i < TAR_BLOCK; i++)
        if (block[i])
            return false;
    return true;
}

static void take_name(const uint8_t block[TAR_BLOCK], char out[TAR_NAME_MAX + 1])
{
    size_t len = strnlen((const char *)block + AT_NAME, TAR_NAME_MAX);

    for (size_t i = 0; i < len; i++)
        out[i] = block[i] > ' ' && block[i] < 127 ? (char)block[i] : '?';
    out[len] = 0;
}

int tar_parse(const uint8_t block[TAR_BLOCK], struct tar_entry *out)
{
    struct tar_entry e = {.end = is_zero(block)};
    uint64_t sum;

    if (e.end) {
        *out = e;
        return 0;
    }
    if (!octal(block + AT_SUM, SUM_SIZE, &sum) || sum != sum_of(block) ||
        !octal(block + AT_SIZE, SIZE_SIZE, &e.size))
        return ERR_FORMAT;
    take_name(block, e.name);
    e.regular = block[AT_TYPE] == '0' || block[AT_TYPE] == 0;
    *out = e;
    return 0;
}
