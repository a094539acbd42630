#include "agent/port_mbedtls.h"

#include <mbedtls/aes.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>
#include <string.h>
#if defined(MBEDTLS_MEMORY_BUFFER_ALLOC_C)
#include <mbedtls/memory_buffer_alloc.h>
#endif

#define SCALAR_SIZE IMPRINT_P256_SCALAR_SIZE
#define POINT_SIZE  IMPRINT_P256_POINT_SIZE

static bool port_random(void *context, uint8_t *out, size_t len)
{
    struct imprint_agent_port_mbedtls *port = context;

    return mbedtls_hmac_drbg_random(&port->random, out, len) == 0;
}

static void port_sha256_init(void *context)
{
    struct imprint_agent_port_mbedtls *port = context;

    mbedtls_sha256_init(&port->digest);
    port->digest_ok = mbedtls_sha256_starts_ret(&port->digest, 0) == 0;
}

static void port_sha256_update(void *context, const void *bytes, size_t len)
{
    struct imprint_agent_port_mbedtls *port = context;

    if (mbedtls_sha256_update_ret(&port->digest, bytes, len) != 0)
        port->digest_ok = false;
}

static bool port_sha256_final(void *context, uint8_t digest[32])
{
    struct imprint_agent_port_mbedtls *port = context;
    bool ok = port->digest_ok && mbedtls_sha256_finish_ret(&port->digest, digest) == 0;

    mbedtls_sha256_free(&port->digest);
    return ok;
}

static bool read_point(const mbedtls_ecp_group *p256, const uint8_t point[65],
                       mbedtls_ecp_point *out)
{
    return point[0] == 0x04 && mbedtls_ecp_point_read_binary(p256, out, point, POINT_SIZE) == 0 &&
           mbedtls_ecp_check_pubkey(p256, out) == 0;
}

/* out = d·Q, or d·G where in is NULL. */
static bool multiply(struct imprint_agent_port_mbedtls *port, const uint8_t *scalar,
                     const uint8_t *in, uint8_t out[65])
{
    mbedtls_ecp_point q, product;
    mbedtls_mpi d;
    size_t len = 0;
    bool ok;

    mbedtls_ecp_point_init(&q);
    mbedtls_ecp_point_init(&product);
    mbedtls_mpi_init(&d);
    ok = mbedtls_mpi_read_binary(&d, scalar, SCALAR_SIZE) == 0 &&
         (!in || read_point(&port->p256, in, &q)) &&
         mbedtls_ecp_mul(&port->p256, &product, &d, in ? &q : &port->p256.G,
                         mbedtls_hmac_drbg_random, &port->random) == 0 &&
         mbedtls_ecp_point_write_binary(&port->p256, &product, MBEDTLS_ECP_PF_UNCOMPRESSED, &len,
                                        out, POINT_SIZE) == 0 &&
         len == POINT_SIZE;
    mbedtls_mpi_free(&d);
    mbedtls_ecp_point_free(&product);
    mbedtls_ecp_point_free(&q);
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
    bool ok = multiply(context, scalar, point, product);

    if (ok)
        memcpy(x, product + 1, 32);
    mbedtls_platform_zeroize(product, sizeof product);
    return ok;
}

static bool port_sign(void *context, const uint8_t scalar[32], const uint8_t digest[32],
                      uint8_t sig[64])
{
    struct imprint_agent_port_mbedtls *port = context;
    mbedtls_mpi d, r, s;
    bool ok;

    mbedtls_mpi_init(&d);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    ok = mbedtls_mpi_read_binary(&d, scalar, SCALAR_SIZE) == 0 &&
         mbedtls_ecdsa_sign_det_ext(&port->p256, &r, &s, &d, digest, 32, MBEDTLS_MD_SHA256,
                                    mbedtls_hmac_drbg_random, &port->random) == 0 &&
         mbedtls_mpi_write_binary(&r, sig, 32) == 0 &&
         mbedtls_mpi_write_binary(&s, sig + 32, 32) == 0;
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&d);
    return ok;
}

static bool port_verify(void *context, const uint8_t point[65], const uint8_t digest[32],
                        const uint8_t sig[64])
{
    struct imprint_agent_port_mbedtls *port = context;
    mbedtls_ecp_point q;
    mbedtls_mpi r, s;
    bool ok;

    mbedtls_ecp_point_init(&q);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    ok = read_point(&port->p256, point, &q) && mbedtls_mpi_read_binary(&r, sig, 32) == 0 &&
         mbedtls_mpi_read_binary(&s, sig + 32, 32) == 0 &&
         mbedtls_ecdsa_verify(&port->p256, digest, 32, &q, &r, &s) == 0;
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&q);
    return ok;
}

static bool port_encrypt(void *context, const uint8_t key[32], const uint8_t in[16],
                         uint8_t out[16])
{
    mbedtls_aes_context aes;
    bool ok;

    (void)context;
    mbedtls_aes_init(&aes);
    ok = mbedtls_aes_setkey_enc(&aes, key, 256) == 0 &&
         mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_ENCRYPT, in, out) == 0;
    mbedtls_aes_free(&aes);
    return ok;
}

static bool port_decrypt(void *context, const uint8_t key[32], const uint8_t in[16],
                         uint8_t out[16])
{
    mbedtls_aes_context aes;
    bool ok;

    (void)context;
    mbedtls_aes_init(&aes);
    ok = mbedtls_aes_setkey_dec(&aes, key, 256) == 0 &&
         mbedtls_aes_crypt_ecb(&aes, MBEDTLS_AES_DECRYPT, in, out) == 0;
    mbedtls_aes_free(&aes);
    return ok;
}

bool imprint_agent_port_mbedtls_init(struct imprint_agent_crypto *crypto,
                                     struct imprint_agent_port_mbedtls *port,
                                     int (*entropy)(void *context, unsigned char *out, size_t len),
                                     void *context)
{
#if defined(MBEDTLS_MEMORY_BUFFER_ALLOC_C)
    mbedtls_memory_buffer_alloc_init(port->pool, sizeof port->pool);
#endif
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
    mbedtls_ecp_group_init(&port->p256);
    mbedtls_sha256_init(&port->digest);
    mbedtls_hmac_drbg_init(&port->random);
    return mbedtls_ecp_group_load(&port->p256, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
           mbedtls_hmac_drbg_seed(&port->random, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
                                  entropy, context, NULL, 0) == 0;
}

void imprint_agent_port_mbedtls_done(struct imprint_agent_port_mbedtls *port)
{
    mbedtls_hmac_drbg_free(&port->random);
    mbedtls_sha256_free(&port->digest);
    mbedtls_ecp_group_free(&port->p256);
}
