#include "agent/port_keys_openssl.h"

#include "pki/scheme.h"

#include <openssl/x509.h>
#include <string.h>

static const struct {
    uint32_t algorithm;
    enum key_type type;
} types[] = {{IMPRINT_ALG_P384, KEY_P384},
             {IMPRINT_ALG_ED25519, KEY_ED25519},
             {IMPRINT_ALG_RSA_2048, KEY_RSA_2048},
             {IMPRINT_ALG_RSA_3072, KEY_RSA_3072}};

#define TYPES (sizeof types / sizeof *types)

static bool put_pkcs8(EVP_PKEY *key, uint8_t *out, size_t cap, size_t *len)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    uint8_t *der = NULL;
    int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
    bool ok = n > 0 && (size_t)n <= cap;

    if (ok)
        memcpy(out, der, *len = (size_t)n);
    OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
    PKCS8_PRIV_KEY_INFO_free(info);
    return ok;
}

static bool make(void *context, uint32_t algorithm, uint8_t *key, size_t cap, size_t *len)
{
    EVP_PKEY *made = NULL;
    bool ok = false;

    (void)context;
    for (size_t i = 0; i < TYPES; i++)
        if (types[i].algorithm == algorithm && key_generate(types[i].type, &made, NULL) == 0)
            ok = put_pkcs8(made, key, cap, len);
    EVP_PKEY_free(made);
    return ok;
}

/* What some HSMs deliver of an EC key has no public half: OpenSSL computes it. */
static EVP_PKEY *open_key(const uint8_t *der, size_t len)
{
    const uint8_t *p = der;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len);
    EVP_PKEY *key = info && p == der + len ? EVP_PKCS82PKEY(info) : NULL;

    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

static bool inspect(void *context, const uint8_t *key, size_t len, uint32_t *algorithm,
                    uint8_t *spki, size_t cap, size_t *spki_len)
{
    EVP_PKEY *handle = open_key(key, len);
    EVP_PKEY_CTX *ctx = handle ? EVP_PKEY_CTX_new(handle, NULL) : NULL;
    struct public_key public;
    bool ok = ctx && EVP_PKEY_pairwise_check(ctx) == 1 && key_of(handle, &public, NULL) == 0 &&
              public.len <= cap;

    (void)context;
    if (ok) {
        memcpy(spki, public.spki, *spki_len = public.len);
        ok = false;
        for (size_t i = 0; i < TYPES; i++)
            if (types[i].type == public.type) {
                *algorithm = types[i].algorithm;
                ok = true;
            }
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(handle);
    return ok;
}

static bool sign(void *context, const uint8_t *key, size_t len, const void *message, size_t n,
                 uint8_t sig[IMPRINT_SIG_MAX], size_t *sig_len)
{
    EVP_PKEY *handle = open_key(key, len);
    struct ca_signer signer;
    struct signature made;
    bool ok = handle && ca_signer_of(handle, &signer, NULL) == 0 &&
              ca_sign(&signer, message, n, &made, NULL) == 0;

    (void)context;
    if (ok) {
        *sig_len = scheme_raw_length(signer.key.type);
        if (signer.key.type == KEY_P384)
            ok = scheme_der_to_raw(made.bytes, made.len, *sig_len / 2, sig) == 0;
        else
            memcpy(sig, made.bytes, made.len);
    }
    EVP_PKEY_free(handle);
    return ok;
}

const struct imprint_agent_keys imprint_agent_keys_openssl = {
    .modes =
        IMPRINT_MODE_P384 | IMPRINT_MODE_ED25519 | IMPRINT_MODE_RSA_2048 | IMPRINT_MODE_RSA_3072,
    .make = make,
    .inspect = inspect,
    .sign = sign,
};
