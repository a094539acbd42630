/*
 * credential_bench: a token that holds the storage key of one order and one credential under it.
 */
#ifndef TESTS_CREDENTIAL_BENCH_H
#define TESTS_CREDENTIAL_BENCH_H

#include "device_play.h"
#include "softhsm.h"

#include "hsm/credential.h"
#include "p256_util.h"

static const uint8_t order_a[SHA256_SIZE] = {0xa1, 2, 3};

/* A token with one credential under the storage key of order_a. */
struct bench {
    struct hsm *h;
    struct error err;
    char storage[HSM_STORAGE_NAME_SIZE];
    uint8_t point[EC_POINT_SIZE];
    struct buf wrapped;
};

static inline void bench_init(struct bench *b)
{
    *b = (struct bench){.h = softhsm_open()};
    buf_init(&b->wrapped, BLOB_MAX);
    ASSERT_OK(hsm_storage_create(b->h, order_a, KEY_P256, b->storage, &b->err), b->err);
    ASSERT_OK(make_p256(b->h, b->storage, b->point, &b->wrapped, &b->err), b->err);
}

static inline void bench_done(struct bench *b)
{
    buf_done(&b->wrapped);
    hsm_close(b->h);
}

static inline int begin(struct bench *b, struct hsm_rewrap **r, uint8_t station_pub[EC_POINT_SIZE])
{
    return rewrap_begin_p256(b->h, b->storage, b->wrapped.data, b->wrapped.len, b->point, r,
                             station_pub, &b->err);
}

#endif
