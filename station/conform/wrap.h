/*
 * wrap: the key encryption key of docs/device-link.md section 6, and AES key wrap with padding (RFC
 * 5649) under it, by OpenSSL: the station itself does both in its HSM.
 */
#ifndef STATION_CONFORM_WRAP_H
#define STATION_CONFORM_WRAP_H

#include "agent/ids.h"
#include "base/buf.h"
#include "pki/ec.h"

/* Bytes that len bytes are wrapped to. */
size_t wrap_size(size_t len);

/* The key encryption key of suite 1 or 2. Errors: ERR_CRYPTO, also for a point off the curve. */
MUST_USE int wrap_kek(uint16_t suite, EVP_PKEY *ephemeral, const uint8_t device[EC_POINT_SIZE],
                      const uint8_t context[IMPRINT_HASH_SIZE], uint8_t kek[IMPRINT_KEK_SIZE],
                      struct error *err);

/* Replaces the contents of out by the wrapped plain. Errors: ERR_CRYPTO. */
MUST_USE int wrap_put(const uint8_t kek[IMPRINT_KEK_SIZE], const struct buf *plain, struct buf *out,
                      struct error *err);

#endif
