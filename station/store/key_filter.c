#include "station/store/key_filter.h"

#include <stdlib.h>

#define OCTETS_MIN 1024
#define BITS_SET   4

struct key_filter {
    uint64_t mask; /* of the number of a bit */
    uint8_t octets[];
};

struct key_filter *key_filter_new(uint64_t expected)
{
    uint64_t octets = OCTETS_MIN;
    struct key_filter *f;

    while (octets < expected && octets < KEY_FILTER_MAX)
        octets *= 2;
    f = calloc(1, sizeof *f + octets);
    if (f)
        f->mask = octets * 8 - 1;
    return f;
}

void key_filter_free(struct key_filter *f)
{
    free(f);
}

/* The bits of a hash: one half, and then steps of the other. */
static uint64_t bit_of(const struct key_filter *f, uint64_t hash, unsigned i)
{
    return ((hash & UINT32_MAX) + i * ((hash >> 32) | 1)) & f->mask;
}

void key_filter_put(struct key_filter *f, uint64_t hash)
{
    for (unsigned i = 0; i < BITS_SET; i++) {
        uint64_t bit = bit_of(f, hash, i);

        f->octets[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

bool key_filter_may_have(const struct key_filter *f, uint64_t hash)
{
    for (unsigned i = 0; i < BITS_SET; i++) {
        uint64_t bit = bit_of(f, hash, i);

        if (!(f->octets[bit / 8] & 1u << bit % 8))
            return false;
    }
    return true;
}
