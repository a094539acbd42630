#include "hsm/receiver.h"

#include "agent/ids.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/kdf.h>
#include <string.h>

#define Z_SIZE 32

static int agree(EVP_PKEY *device, const uint8_t station_pub[EC_POINT_SIZE], uint8_t z[Z_SIZE])
{
    EVP_PKEY *station = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(device, NULL);
    size_t len = Z_SIZE;
    int good = ctx && ec_public_key(station_pub, &station, NULL) == 0 &&
               EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, station) == 1 &&
               EVP_PKEY_derive(ctx, z, &len) == 1 && len == Z_SIZE;

    EVP_PKEY_free(station);
    EVP_PKEY_CTX_free(ctx);
    return good;
}

static int kek_by_ecb(const uint8_t z[Z_SIZE], const uint8_t context[HSM_CONTEXT_SIZE],
                      uint8_t kek[IMPRINT_KEK_SIZE])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0, good;

    good = ctx && EVP_EncryptInit_ex2(ctx, EVP_aes_256_ecb(), z, NULL, NULL) == 1 &&
           EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
           EVP_EncryptUpdate(ctx, kek, &len, context, HSM_CONTEXT_SIZE) == 1 &&
           len == IMPRINT_KEK_SIZE;
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

static int kek_by_x963(uint8_t z[Z_SIZE], uint8_t context[HSM_CONTEXT_SIZE],
                       uint8_t kek[IMPRINT_KEK_SIZE])
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "X963KDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, z, Z_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, context, HSM_CONTEXT_SIZE),
        OSSL_PARAM_END};
    int good = ctx && EVP_KDF_derive(ctx, kek, IMPRINT_KEK_SIZE, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return good;
}

/* RFC 5649; 0 when the blob is anything else. */
static size_t unwrap(const uint8_t kek[IMPRINT_KEK_SIZE], const struct buf *blob,
                     uint8_t payload[RECEIVER_MAX])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-WRAP-PAD", NULL);
    int len = 0, good;

    good = ctx && cipher && blob->len < RECEIVER_MAX - 16 &&
           EVP_DecryptInit_ex2(ctx, cipher, kek, NULL, NULL) == 1 &&
           EVP_DecryptUpdate(ctx, payload, &len, blob->data, (int)blob->len) == 1;
    EVP_CIPHER_free(cipher);
    EVP_CIPHER_CTX_free(ctx);
    return good && len > 0 ? (size_t)len : 0;
}

size_t receiver_open(EVP_PKEY *device, unsigned suite, const uint8_t station_pub[EC_POINT_SIZE],
                     uint8_t context[HSM_CONTEXT_SIZE], const struct buf *blob,
                     uint8_t payload[RECEIVER_MAX])
{
    uint8_t z[Z_SIZE], kek[IMPRINT_KEK_SIZE];
    size_t len = 0;
    bool good = agree(device, station_pub, z);

    if (good)
        good =
            suite == IMPRINT_SUITE_ECB ? kek_by_ecb(z, context, kek) : kek_by_x963(z, context, kek);
    if (good)
        len = unwrap(kek, blob, payload);
    explicit_bzero(z, sizeof z);
    explicit_bzero(kek, sizeof kek);
    return len;
}
