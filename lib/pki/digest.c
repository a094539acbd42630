#include "pki/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct sha256 {
    EVP_MD_CTX *ctx;
};

/* Fetched once: OpenSSL otherwise looks for it in its providers at each use. Never freed. */
static EVP_MD *algorithm;

static void fetch(void)
{
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static const EVP_MD *md(void)
{
    static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

    if (!CRYPTO_THREAD_run_once(&once, fetch) || !algorithm)
        abort();
    return algorithm;
}

void sha256(const void *bytes, size_t len, uint8_t out[SHA256_SIZE])
{
    if (!EVP_Digest(bytes, len, out, NULL, md(), NULL))
        abort();
}

struct sha256 *sha256_new(void)
{
    struct sha256 *s = malloc(sizeof *s);

    if (!s)
        abort();
    s->ctx = EVP_MD_CTX_new();
    if (!s->ctx || !EVP_DigestInit_ex(s->ctx, md(), NULL))
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
