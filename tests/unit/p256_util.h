/* p256_util: calls about keys of any type, for tests that are about P-256 points. */
#ifndef TESTS_P256_UTIL_H
#define TESTS_P256_UTIL_H

#include "hsm/credential.h"
#include "pki/scheme.h"

#include <string.h>

static inline int make_p256(struct hsm *h, const char *storage, uint8_t point[EC_POINT_SIZE],
                            struct buf *wrapped, struct error *err)
{
    struct public_key key;
    int rc = hsm_credential_make(h, storage, KEY_P256, &key, wrapped, err);

    if (rc == 0)
        memcpy(point, key_point(&key), EC_POINT_SIZE);
    return rc;
}

static inline int rewrap_begin_p256(struct hsm *h, const char *storage, const void *wrapped,
                                    size_t len, const uint8_t point[EC_POINT_SIZE],
                                    struct hsm_rewrap **out, uint8_t station_pub[EC_POINT_SIZE],
                                    struct error *err)
{
    const struct public_key key = key_p256(point);

    return hsm_credential_rewrap_begin(h, storage, wrapped, len, &key, out, station_pub, err);
}

#endif
