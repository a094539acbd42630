/*
 * receiver: what a device does with a blob that was wrapped for it, by OpenSSL. Private to hsm/.
 *
 * The probe plays a device with it, and an export gets a derived key out of a token that shows none.
 */
#ifndef HSM_RECEIVER_H
#define HSM_RECEIVER_H

#include "hsm/credential.h"

#include <openssl/evp.h>

#define RECEIVER_MAX 2048 /* bytes of a payload; a blob is 16 shorter at least */

/*
 * Agrees on the key encryption key of the suite and unwraps by RFC 5649 (docs/device-link.md, section
 * 6). Returns the payload's length, 0 when the blob does not open. The caller wipes payload.
 */
size_t receiver_open(EVP_PKEY *transport, unsigned suite, const uint8_t station_pub[EC_POINT_SIZE],
                     uint8_t context[HSM_CONTEXT_SIZE], const struct buf *blob,
                     uint8_t payload[RECEIVER_MAX]);

#endif
