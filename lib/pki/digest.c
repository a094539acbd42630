#include "pki/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct sha256 {
    EVP_MD_CTX *ctx;
};

void sha256(const void *bytes, size_t len, uint8_t out[SHA256_SIZE])
{
    if (!EVP_Digest(bytes, len, out, NULL, EVP_sha256(), NULL))
        abort();
}

struct sha256 *sha256_new(void)
{
    struct sha256 *s = malloc(sizeof *s);

    if (!s)
        abort();
    s->ctx = EVP_MD_CTX_new();
    if (!s->ctx || !EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL))
        abort();
    return s;
}

void sha256_update(struct sha256 *s, const void *bytes, size_t len)
{
    if (!EVP_DigestUpdate(s->ctx, bytes, len))
        abort();
}

void sha256_final(struct sha256 *s, uint8_t out[SHA256_SIZE])
{
    if (!EVP_DigestFinal_ex(s->ctx, out, NULL))
        abort();
    sha256_free(s);
}

void sha256_free(struct sha256 *s)
{
    if (!s)
        return;
    EVP_MD_CTX_free(s->ctx);
    free(s);
}

int sha256_equal(const uint8_t a[SHA256_SIZE], const uint8_t b[SHA256_SIZE])
{
    return CRYPTO_memcmp(a, b, SHA256_SIZE) == 0;
}
