/*
 * device_play: the device's side of a delivery, played by OpenSSL: transport key, key agreement, key
 * encryption key of each suite, RFC 5649.
 */
#ifndef TESTS_DEVICE_PLAY_H
#define TESTS_DEVICE_PLAY_H

#include "check_util.h"

#include "agent/ids.h"
#include "base/buf.h"
#include "hsm/credential.h"
#include "pki/ec.h"

#include <openssl/ec.h>
#include <openssl/evp.h>

#define BLOB_MAX 256

struct device {
    EVP_PKEY *key;
    uint8_t pub[EC_POINT_SIZE];
};

static inline void device_init(struct device *d)
{
    struct error err = ERROR_INIT;

    d->key = EVP_EC_gen("P-256");
    ck_assert_ptr_nonnull(d->key);
    ASSERT_OK(ec_point(d->key, d->pub, &err), err);
}

static inline void kek_by_ecb(uint8_t z[32], const uint8_t ctx[HSM_CONTEXT_SIZE],
                              uint8_t kek[IMPRINT_KEK_SIZE])
{
    EVP_CIPHER_CTX *ecb = EVP_CIPHER_CTX_new();
    int len;

    ck_assert_int_eq(EVP_EncryptInit_ex(ecb, EVP_aes_256_ecb(), NULL, z, NULL), 1);
    EVP_CIPHER_CTX_set_padding(ecb, 0);
    ck_assert_int_eq(EVP_EncryptUpdate(ecb, kek, &len, ctx, HSM_CONTEXT_SIZE), 1);
    ck_assert_int_eq(len, IMPRINT_KEK_SIZE);
    EVP_CIPHER_CTX_free(ecb);
}

/* ANSI X9.63 with one block: SHA-256(Z, counter 1, SharedInfo). */
static inline void kek_by_x963(uint8_t z[32], const uint8_t ctx[HSM_CONTEXT_SIZE],
                               uint8_t kek[IMPRINT_KEK_SIZE])
{
    uint8_t block[32 + 4 + HSM_CONTEXT_SIZE] = {0};

    memcpy(block, z, 32);
    block[35] = 1;
    memcpy(block + 36, ctx, HSM_CONTEXT_SIZE);
    sha256(block, sizeof block, kek);
}

static inline void device_kek(struct device *d, unsigned suite,
                              const uint8_t station_pub[EC_POINT_SIZE],
                              const uint8_t ctx[HSM_CONTEXT_SIZE], uint8_t kek[IMPRINT_KEK_SIZE])
{
    struct error err = ERROR_INIT;
    EVP_PKEY *peer;
    EVP_PKEY_CTX *derive = EVP_PKEY_CTX_new(d->key, NULL);
    uint8_t z[32];
    size_t z_len = sizeof z;

    ASSERT_OK(ec_public_key(station_pub, &peer, &err), err);
    ck_assert_int_eq(EVP_PKEY_derive_init(derive), 1);
    ck_assert_int_eq(EVP_PKEY_derive_set_peer(derive, peer), 1);
    ck_assert_int_eq(EVP_PKEY_derive(derive, z, &z_len), 1);
    (suite == IMPRINT_SUITE_ECB ? kek_by_ecb : kek_by_x963)(z, ctx, kek);
    EVP_PKEY_CTX_free(derive);
    EVP_PKEY_free(peer);
}

/* The length of the payload, or -1 when the integrity check of RFC 5649 fails. */
static inline int device_unwrap(const uint8_t kek[IMPRINT_KEK_SIZE], const struct buf *blob,
                                uint8_t payload[BLOB_MAX])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = -1;

    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    ck_assert_int_eq(EVP_DecryptInit_ex(ctx, EVP_aes_256_wrap_pad(), NULL, kek, NULL), 1);
    if (EVP_DecryptUpdate(ctx, payload, &len, blob->data, (int)blob->len) != 1)
        len = -1;
    EVP_CIPHER_CTX_free(ctx);
    return len;
}

#endif
