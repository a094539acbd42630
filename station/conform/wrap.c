#include "station/conform/wrap.h"

#include "pki/digest.h"

#include <string.h>

#define Z_SIZE 32

size_t wrap_size(size_t len)
{
    return (len + 7) / 8 * 8 + 8;
}

/* AES-256 without padding of its own. */
static int encrypt(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *in, size_t len,
                   struct buf *out, struct error *err)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *room = buf_grow(out, wrap_size(len) + 16);
    int n = 0, last = 0;
    bool done = false;

    if (ctx && room) {
        EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        done = EVP_EncryptInit_ex(ctx, cipher, NULL, key, NULL) == 1 &&
               EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
               EVP_EncryptUpdate(ctx, room, &n, in, (int)len) == 1 &&
               EVP_EncryptFinal_ex(ctx, room + n, &last) == 1;
        out->len -= wrap_size(len) + 16 - (size_t)(n + last);
    }
    EVP_CIPHER_CTX_free(ctx);
    return done ? 0 : error_set(err, ERR_CRYPTO, "AES failed");
}

static int agree(EVP_PKEY *ephemeral, const uint8_t device[EC_POINT_SIZE], uint8_t z[Z_SIZE],
                 struct error *err)
{
    EVP_PKEY *peer = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ephemeral, NULL);
    size_t len = Z_SIZE;
    int rc = ec_public_key(device, &peer, err);

    if (rc == 0 && (!ctx || EVP_PKEY_derive_init(ctx) != 1 ||
                    EVP_PKEY_derive_set_peer(ctx, peer) != 1 || EVP_PKEY_derive(ctx, z, &len) != 1))
        rc = error_set(err, ERR_CRYPTO, "ECDH failed");
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    return rc;
}

int wrap_kek(uint16_t suite, EVP_PKEY *ephemeral, const uint8_t device[EC_POINT_SIZE],
             const uint8_t context[IMPRINT_HASH_SIZE], uint8_t kek[IMPRINT_KEK_SIZE],
             struct error *err)
{
    uint8_t z[Z_SIZE];
    struct buf b;
    int rc = agree(ephemeral, device, z, err);

    if (rc)
        return rc;
    buf_init(&b, 256);
    if (suite == IMPRINT_SUITE_ECB) {
        rc = encrypt(EVP_aes_256_ecb(), z, context, IMPRINT_HASH_SIZE, &b, err);
        if (rc == 0)
            memcpy(kek, b.data, IMPRINT_KEK_SIZE);
    } else {
        buf_put(&b, z, sizeof z);
        buf_put_u32(&b, 1);
        buf_put(&b, context, IMPRINT_HASH_SIZE);
        rc = buf_check(&b, "the key derivation", err);
        if (rc == 0)
            sha256(b.data, b.len, kek);
    }
    buf_done(&b);
    return rc;
}

int wrap_put(const uint8_t kek[IMPRINT_KEK_SIZE], const struct buf *plain, struct buf *out,
             struct error *err)
{
    buf_reset(out);
    return encrypt(EVP_aes_256_wrap_pad(), kek, plain->data, plain->len, out, err);
}
