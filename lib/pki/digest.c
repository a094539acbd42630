#include "pki/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

struct sha256 {
    EVP_MD_CTX *ctx;
};

/* Fetched once: OpenSSL 3 otherwise looks an algorithm up, under a lock, for every digest. */
static EVP_MD *sha256_md, *sha1_md;

static void fetch(void)
{
    sha256_md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    sha1_md = EVP_MD_fetch(NULL, "SHA1", NULL);
    if (!sha256_md || !sha1_md)
        abort();
}

static const EVP_MD *fetched(EVP_MD *const *md)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    if (pthread_once(&once, fetch))
        abort();
    return *md;
}

void sha256(const void *bytes, size_t len, uint8_t out[SHA256_SIZE])
{
    if (!EVP_Digest(bytes, len, out, NULL, fetched(&sha256_md), NULL))
        abort();
}

void sha1(const void *bytes, size_t len, uint8_t out[SHA1_SIZE])
{
    if (!EVP_Digest(bytes, len, out, NULL, fetched(&sha1_md), NULL))
        abort();
}

struct sha256 *sha256_new(void)
{
    struct sha256 *s = malloc(sizeof *s);

    if (!s)
        abort();
    s->ctx = EVP_MD_CTX_new();
    if (!s->ctx || !EVP_DigestInit_ex(s->ctx, fetched(&sha256_md), NULL))
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
