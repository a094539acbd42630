#include "pki/ec.h"

#include "pki/digest.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING ... } up to the point. */
static const uint8_t spki_prefix[EC_SPKI_SIZE - EC_POINT_SIZE] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

void ec_spki(const uint8_t point[EC_POINT_SIZE], uint8_t spki[EC_SPKI_SIZE])
{
    memcpy(spki, spki_prefix, sizeof spki_prefix);
    memcpy(spki + sizeof spki_prefix, point, EC_POINT_SIZE);
}

/* Not by way of a SubjectPublicKeyInfo: its decoder costs more than the verification that follows. */
static EVP_PKEY *make_public_key(const uint8_t point[EC_POINT_SIZE])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    char group[] = "P-256";
    uint8_t copy[EC_POINT_SIZE]; /* OSSL_PARAM has no const */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, sizeof copy),
        OSSL_PARAM_construct_end()};

    memcpy(copy, point, sizeof copy);
    /* This checks that the point is on the curve. */
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

int ec_public_key(const uint8_t point[EC_POINT_SIZE], EVP_PKEY **key, struct error *err)
{
    EVP_PKEY *made = point[0] == 0x04 ? make_public_key(point) : NULL;

    if (!made)
        return error_set(err, ERR_CRYPTO, "a public key is not a point of P-256");
    *key = made;
    return 0;
}

int ec_point(EVP_PKEY *key, uint8_t point[EC_POINT_SIZE], struct error *err)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der), rc = 0;

    if (len != EC_SPKI_SIZE || memcmp(der, spki_prefix, sizeof spki_prefix) ||
        der[sizeof spki_prefix] != 0x04)
        rc = error_set(err, ERR_CRYPTO, "a public key is not an uncompressed P-256 key");
    else
        memcpy(point, der + sizeof spki_prefix, EC_POINT_SIZE);
    OPENSSL_free(der);
    return rc;
}

void ec_sig_to_der(const uint8_t sig[EC_SIG_SIZE], uint8_t der[EC_SIG_DER_MAX], size_t *len)
{
    uint8_t *p = der;

    for (size_t part = 0; part < 2; part++) {
        const uint8_t *n = sig + 32 * part;
        size_t skip = 0, pad;

        while (skip < 31 && n[skip] == 0)
            skip++;
        pad = n[skip] >> 7;
        if (part == 0)
            p += 2; /* the SEQUENCE header, filled in below */
        *p++ = 0x02;
        *p++ = (uint8_t)(32 - skip + pad);
        if (pad)
            *p++ = 0;
        memcpy(p, n + skip, 32 - skip);
        p += 32 - skip;
    }
    der[0] = 0x30;
    der[1] = (uint8_t)(p - der - 2);
    *len = (size_t)(p - der);
}

int ec_sig_from_der(const uint8_t *der, size_t len, uint8_t sig[EC_SIG_SIZE])
{
    const uint8_t *p = der;
    ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &p, (long)len);
    const BIGNUM *r, *s;
    int rc = ERR_FORMAT;

    if (!parsed)
        return ERR_FORMAT;
    ECDSA_SIG_get0(parsed, &r, &s);
    if (p == der + len && BN_num_bytes(r) <= 32 && BN_num_bytes(s) <= 32 && !BN_is_negative(r) &&
        !BN_is_negative(s)) {
        BN_bn2binpad(r, sig, 32);
        BN_bn2binpad(s, sig + 32, 32);
        rc = 0;
    }
    ECDSA_SIG_free(parsed);
    return rc;
}

int ec_verify(const uint8_t point[EC_POINT_SIZE], const void *message, size_t len,
              const uint8_t sig[EC_SIG_SIZE], struct error *err)
{
    uint8_t der[EC_SIG_DER_MAX];
    size_t der_len;
    EVP_PKEY *key;
    EVP_MD_CTX *ctx = NULL;
    int rc = ec_public_key(point, &key, err);

    if (rc)
        return rc;
    ec_sig_to_der(sig, der, &der_len);
    ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key))
        rc = error_set(err, ERR_CRYPTO, "cannot start an ECDSA verification");
    else if (EVP_DigestVerify(ctx, der, der_len, message, len) != 1)
        rc = error_set(err, ERR_SIGNATURE, "an ECDSA signature does not verify");
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return rc;
}

struct ec_verifier {
    EVP_PKEY *key; /* its point is exchanged for each signature */
    EVP_PKEY_CTX *ctx;
};

struct ec_verifier *ec_verifier_new(void)
{
    struct ec_verifier *v = calloc(1, sizeof *v);

    if (!v)
        return NULL;
    v->key = EVP_EC_gen("P-256");
    v->ctx = v->key ? EVP_PKEY_CTX_new(v->key, NULL) : NULL;
    if (!v->ctx || EVP_PKEY_verify_init(v->ctx) != 1) {
        ec_verifier_free(v);
        return NULL;
    }
    return v;
}

void ec_verifier_free(struct ec_verifier *v)
{
    if (!v)
        return;
    EVP_PKEY_CTX_free(v->ctx);
    EVP_PKEY_free(v->key);
    free(v);
}

int ec_verifier_check(struct ec_verifier *v, const uint8_t point[EC_POINT_SIZE],
                      const void *message, size_t len, const uint8_t sig[EC_SIG_SIZE],
                      struct error *err)
{
    uint8_t der[EC_SIG_DER_MAX], digest[SHA256_SIZE];
    size_t der_len;
    int good;

    /* Setting the point checks that it is on the curve. */
    if (point[0] != 0x04 || EVP_PKEY_set1_encoded_public_key(v->key, point, EC_POINT_SIZE) != 1) {
        ERR_clear_error();
        return error_set(err, ERR_CRYPTO, "a public key is not a point of P-256");
    }
    ec_sig_to_der(sig, der, &der_len);
    sha256(message, len, digest);
    good = EVP_PKEY_verify(v->ctx, der, der_len, digest, sizeof digest) == 1;
    ERR_clear_error();
    return good ? 0 : error_set(err, ERR_SIGNATURE, "an ECDSA signature does not verify");
}

int ec_sign(EVP_PKEY *key, const void *message, size_t len, uint8_t sig[EC_SIG_SIZE],
            struct error *err)
{
    uint8_t der[EC_SIG_DER_MAX];
    size_t der_len = sizeof der;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int rc = 0;

    if (!ctx || !EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) ||
        EVP_DigestSign(ctx, der, &der_len, message, len) != 1 || ec_sig_from_der(der, der_len, sig))
        rc = error_set(err, ERR_CRYPTO, "cannot make an ECDSA signature");
    EVP_MD_CTX_free(ctx);
    return rc;
}
