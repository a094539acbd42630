#include "agent/port_openssl.h"

#include "pki/ec.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <stdlib.h>

struct port {
    EC_GROUP *p256;
    EVP_MD_CTX *digest;
    bool digest_ok;
};

static bool port_random(void *context, uint8_t *out, size_t len)
{
    (void)context;
    return RAND_priv_bytes(out, (int)len) == 1;
}

static void port_sha256_init(void *context)
{
    struct port *port = context;

    port->digest_ok = EVP_DigestInit_ex(port->digest, EVP_sha256(), NULL) == 1;
}

static void port_sha256_update(void *context, const void *bytes, size_t len)
{
    struct port *port = context;

    if (EVP_DigestUpdate(port->digest, bytes, len) != 1)
        port->digest_ok = false;
}

static bool port_sha256_final(void *context, uint8_t digest[32])
{
    struct port *port = context;

    return port->digest_ok && EVP_DigestFinal_ex(port->digest, digest, NULL) == 1;
}

/* out = d·Q, or d·G where in is NULL; a point is checked to be on the curve when it is decoded. */
static bool multiply(const struct port *port, const uint8_t *scalar, const uint8_t *in,
                     uint8_t out[65])
{
    BN_CTX *ctx = BN_CTX_secure_new();
    BIGNUM *d = BN_secure_new();
    EC_POINT *q = EC_POINT_new(port->p256), *product = EC_POINT_new(port->p256);
    bool ok = ctx && d && q && product && BN_bin2bn(scalar, 32, d);

    if (ok && in)
        ok = EC_POINT_oct2point(port->p256, q, in, 65, ctx) == 1 &&
             EC_POINT_mul(port->p256, product, NULL, q, d, ctx) == 1;
    else if (ok)
        ok = EC_POINT_mul(port->p256, product, d, NULL, NULL, ctx) == 1;
    ok = ok &&
         EC_POINT_point2oct(port->p256, product, POINT_CONVERSION_UNCOMPRESSED, out, 65, ctx) == 65;
    EC_POINT_clear_free(product);
    EC_POINT_free(q);
    BN_clear_free(d);
    BN_CTX_free(ctx);
    return ok;
}

static bool port_public(void *context, const uint8_t scalar[32], uint8_t point[65])
{
    return multiply(context, scalar, NULL, point);
}

static bool port_ecdh(void *context, const uint8_t scalar[32], const uint8_t point[65],
                      uint8_t x[32])
{
    uint8_t product[65];
    bool ok = point[0] == 0x04 && multiply(context, scalar, point, product);

    for (int i = 0; ok && i < 32; i++)
        x[i] = product[1 + i];
    OPENSSL_cleanse(product, sizeof product);
    return ok;
}

static EVP_PKEY *private_key(const struct port *port, const uint8_t scalar[32])
{
    uint8_t point[65];
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    BIGNUM *d = BN_secure_new();

    if (ctx && build && d && multiply(port, scalar, NULL, point) && BN_bin2bn(scalar, 32, d) &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d))
        params = OSSL_PARAM_BLD_to_param(build);
    if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_clear_free(d);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool port_sign(void *context, const uint8_t scalar[32], const uint8_t digest[32],
                      uint8_t sig[64])
{
    EVP_PKEY *key = private_key(context, scalar);
    EVP_PKEY_CTX *ctx = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
    uint8_t der[EC_SIG_DER_MAX];
    size_t len = sizeof der;
    bool ok = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
              EVP_PKEY_sign(ctx, der, &len, digest, 32) == 1 && ec_sig_from_der(der, len, sig) == 0;

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

static bool port_verify(void *context, const uint8_t point[65], const uint8_t digest[32],
                        const uint8_t sig[64])
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx;
    uint8_t der[EC_SIG_DER_MAX];
    size_t len;
    bool ok;

    (void)context;
    if (ec_public_key(point, &key, NULL))
        return false;
    ec_sig_to_der(sig, der, &len);
    ctx = EVP_PKEY_CTX_new(key, NULL);
    ok = ctx && EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_verify(ctx, der, len, digest, 32) == 1;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok;
}

static bool one_block(int encrypt, const uint8_t key[32], const uint8_t in[16], uint8_t out[16])
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    bool ok = ctx && EVP_CipherInit_ex(ctx, EVP_aes_256_ecb(), NULL, key, NULL, encrypt) == 1 &&
              EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
              EVP_CipherUpdate(ctx, out, &len, in, 16) == 1 && len == 16;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static bool port_encrypt(void *context, const uint8_t key[32], const uint8_t in[16],
                         uint8_t out[16])
{
    (void)context;
    return one_block(1, key, in, out);
}

static bool port_decrypt(void *context, const uint8_t key[32], const uint8_t in[16],
                         uint8_t out[16])
{
    (void)context;
    return one_block(0, key, in, out);
}

EVP_PKEY *imprint_agent_port_openssl_key(const struct imprint_agent_crypto *crypto,
                                         const uint8_t scalar[IMPRINT_P256_SCALAR_SIZE])
{
    return private_key(crypto->context, scalar);
}

bool imprint_agent_port_openssl_init(struct imprint_agent_crypto *crypto)
{
    struct port *port = calloc(1, sizeof *port);

    if (!port)
        return false;
    *crypto = (struct imprint_agent_crypto){
        .context = port,
        .random = port_random,
        .sha256_init = port_sha256_init,
        .sha256_update = port_sha256_update,
        .sha256_final = port_sha256_final,
        .p256_public = port_public,
        .p256_ecdh = port_ecdh,
        .p256_sign = port_sign,
        .p256_verify = port_verify,
        .aes256_encrypt = port_encrypt,
        .aes256_decrypt = port_decrypt,
    };
    port->p256 = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    port->digest = EVP_MD_CTX_new();
    if (port->p256 && port->digest)
        return true;
    imprint_agent_port_openssl_done(crypto);
    return false;
}

void imprint_agent_port_openssl_done(struct imprint_agent_crypto *crypto)
{
    struct port *port = crypto->context;

    if (!port)
        return;
    EC_GROUP_free(port->p256);
    EVP_MD_CTX_free(port->digest);
    free(port);
    crypto->context = NULL;
}
