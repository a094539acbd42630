#include "pki/scheme.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#define PSS_SALT 32

struct scheme {
    const char *name;
    size_t len;
    uint8_t algorithm[SCHEME_DER_MAX];
    const EVP_MD *(*digest)(void);
};

/* RSASSA-PSS-params of SHA-256: hash, mask generation with the same, salt length; DER leaves out
 * the trailer field, which has its default. */
static const struct scheme schemes[SCHEMES] = {
    [SCHEME_ECDSA_SHA256] = {"ecdsa-sha256",
                             12,
                             {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03,
                              0x02},
                             EVP_sha256},
    [SCHEME_ECDSA_SHA384] = {"ecdsa-sha384",
                             12,
                             {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03,
                              0x03},
                             EVP_sha384},
    [SCHEME_RSA_PSS_SHA256] = {"rsa-pss-sha256",
                               67,
                               {0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
                                0x01, 0x01, 0x0a, 0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06,
                                0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
                                0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86,
                                0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06,
                                0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
                                0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20},
                               EVP_sha256},
    [SCHEME_RSA_PKCS1_SHA256] = {"rsa-pkcs1-sha256",
                                 15,
                                 {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
                                  0x01, 0x0b, 0x05, 0x00},
                                 EVP_sha256},
    [SCHEME_ED25519] = {"ed25519", 7, {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}, NULL},
};

const char *scheme_name(enum sig_scheme scheme)
{
    return schemes[scheme].name;
}

bool scheme_named(const char *name, enum sig_scheme *scheme)
{
    for (int i = 0; i < SCHEMES; i++)
        if (strcmp(schemes[i].name, name) == 0) {
            *scheme = (enum sig_scheme)i;
            return true;
        }
    return false;
}

bool scheme_fits(enum sig_scheme scheme, enum key_type type)
{
    bool rsa = scheme == SCHEME_RSA_PSS_SHA256 || scheme == SCHEME_RSA_PKCS1_SHA256;

    return rsa ? key_type_is_rsa(type) : scheme == scheme_of(type);
}

enum sig_scheme scheme_of(enum key_type type)
{
    static const enum sig_scheme of[KEY_TYPES] = {
        [KEY_P256] = SCHEME_ECDSA_SHA256,       [KEY_P384] = SCHEME_ECDSA_SHA384,
        [KEY_RSA_2048] = SCHEME_RSA_PSS_SHA256, [KEY_RSA_3072] = SCHEME_RSA_PSS_SHA256,
        [KEY_ED25519] = SCHEME_ED25519,
    };

    return of[type];
}

const uint8_t *scheme_algorithm(enum sig_scheme scheme, size_t *len)
{
    *len = schemes[scheme].len;
    return schemes[scheme].algorithm;
}

bool scheme_parse(const uint8_t *algorithm, size_t len, enum sig_scheme *scheme)
{
    for (int i = 0; i < SCHEMES; i++)
        if (len == schemes[i].len && memcmp(algorithm, schemes[i].algorithm, len) == 0) {
            *scheme = (enum sig_scheme)i;
            return true;
        }
    return false;
}

/* Two INTEGERs, each perhaps with a zero in front, in a SEQUENCE. */
size_t scheme_longest(enum key_type type)
{
    static const size_t longest[KEY_TYPES] = {72, 104, 256, 384, 64};

    return longest[type];
}

size_t scheme_raw_length(enum key_type type)
{
    static const size_t lengths[KEY_TYPES] = {64, 96, 256, 384, 64};

    return lengths[type];
}

const EVP_MD *scheme_digest(enum sig_scheme scheme)
{
    return schemes[scheme].digest ? schemes[scheme].digest() : NULL;
}

/* What EVP has to know of a scheme beside the digest. */
static bool set_padding(EVP_PKEY_CTX *ctx, enum sig_scheme scheme)
{
    if (scheme == SCHEME_RSA_PKCS1_SHA256)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    if (scheme != SCHEME_RSA_PSS_SHA256)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, PSS_SALT) == 1;
}

static bool kind_fits(EVP_PKEY *key, enum sig_scheme scheme)
{
    struct public_key is;

    return key_of(key, &is, NULL) == 0 && scheme_fits(scheme, is.type);
}

EVP_PKEY_CTX *scheme_verifier(EVP_PKEY *key, enum sig_scheme scheme)
{
    EVP_PKEY_CTX *ctx = kind_fits(key, scheme) ? EVP_PKEY_CTX_new(key, NULL) : NULL;

    if (ctx && EVP_PKEY_verify_init(ctx) == 1 && set_padding(ctx, scheme) &&
        (!scheme_digest(scheme) || EVP_PKEY_CTX_set_signature_md(ctx, scheme_digest(scheme)) == 1))
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return NULL;
}

int scheme_verify(EVP_PKEY *key, enum sig_scheme scheme, const void *message, size_t len,
                  const void *sig, size_t sig_len, struct error *err)
{
    EVP_MD_CTX *ctx = kind_fits(key, scheme) ? EVP_MD_CTX_new() : NULL;
    EVP_PKEY_CTX *how = NULL;
    bool good = ctx && EVP_DigestVerifyInit(ctx, &how, scheme_digest(scheme), NULL, key) == 1 &&
                set_padding(how, scheme) && EVP_DigestVerify(ctx, sig, sig_len, message, len) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good ? 0
                : error_set(err, ERR_SIGNATURE, "a signature (%s) does not verify",
                            schemes[scheme].name);
}

int scheme_verify_key(const struct public_key *key, enum sig_scheme scheme, const void *message,
                      size_t len, const void *sig, size_t sig_len, struct error *err)
{
    EVP_PKEY *handle;
    int rc = key_open(key, &handle, err);

    if (rc)
        return rc;
    rc = scheme_verify(handle, scheme, message, len, sig, sig_len, err);
    EVP_PKEY_free(handle);
    return rc;
}

int scheme_verify_raw(const struct public_key *key, const void *message, size_t len,
                      const void *sig, size_t sig_len, struct error *err)
{
    struct signature der;

    if (sig_len != scheme_raw_length(key->type))
        return error_set(err, ERR_SIGNATURE,
                         "a signature has %zu bytes, and one of type %s has %zu", sig_len,
                         key_type_name(key->type), scheme_raw_length(key->type));
    if (key->type == KEY_P256)
        return ec_verify(key_point(key), message, len, sig, err);
    if (key->type != KEY_P384)
        return scheme_verify_key(key, scheme_of(key->type), message, len, sig, sig_len, err);
    if (scheme_raw_to_der(sig, sig_len, &der))
        return error_set(err, ERR_INTERNAL, "out of memory");
    return scheme_verify_key(key, scheme_of(key->type), message, len, der.bytes, der.len, err);
}

/* ---- r ‖ s. ---- */

int scheme_raw_to_der(const uint8_t *raw, size_t len, struct signature *der)
{
    int half = (int)len / 2, made = -1;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, half, NULL), *s = BN_bin2bn(raw + half, half, NULL);
    uint8_t *p = der->bytes;

    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        made = i2d_ECDSA_SIG(sig, NULL) <= (int)sizeof der->bytes ? i2d_ECDSA_SIG(sig, &p) : -1;
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    der->len = made > 0 ? (size_t)made : 0;
    return made > 0 ? 0 : ERR_INTERNAL;
}

int scheme_der_to_raw(const uint8_t *der, size_t len, size_t half, uint8_t *raw)
{
    const uint8_t *p = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
    const BIGNUM *r, *s;
    int rc = ERR_FORMAT;

    ERR_clear_error();
    if (!sig)
        return ERR_FORMAT;
    ECDSA_SIG_get0(sig, &r, &s);
    if (p == der + len && !BN_is_negative(r) && !BN_is_negative(s) &&
        BN_bn2binpad(r, raw, (int)half) > 0 && BN_bn2binpad(s, raw + half, (int)half) > 0)
        rc = 0;
    ECDSA_SIG_free(sig);
    return rc;
}

/* ---- Signing with a handle. ---- */

static bool sign_digest(EVP_PKEY *key, enum sig_scheme scheme, const void *digest, size_t len,
                        struct signature *sig)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    bool good = ctx && EVP_PKEY_sign_init(ctx) == 1 && set_padding(ctx, scheme) &&
                EVP_PKEY_CTX_set_signature_md(ctx, scheme_digest(scheme)) == 1 &&
                EVP_PKEY_sign(ctx, sig->bytes, &sig->len, digest, len) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static bool sign_message(EVP_PKEY *key, enum sig_scheme scheme, const void *message, size_t len,
                         struct signature *sig)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how = NULL;
    bool good = ctx && EVP_DigestSignInit(ctx, &how, scheme_digest(scheme), NULL, key) == 1 &&
                set_padding(how, scheme) &&
                EVP_DigestSign(ctx, sig->bytes, &sig->len, message, len) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

static int sign_with_handle(void *context, enum sig_scheme scheme, const void *bytes, size_t len,
                            bool digested, struct signature *sig, struct error *err)
{
    bool good;

    sig->len = sizeof sig->bytes;
    good = digested ? sign_digest(context, scheme, bytes, len, sig)
                    : sign_message(context, scheme, bytes, len, sig);
    ERR_clear_error();
    return good ? 0 : error_set(err, ERR_CRYPTO, "a key does not sign (%s)", schemes[scheme].name);
}

int ca_signer_of(EVP_PKEY *handle, struct ca_signer *out, struct error *err)
{
    int rc = key_of(handle, &out->key, err);

    if (rc)
        return rc;
    out->scheme = scheme_of(out->key.type);
    out->sign = sign_with_handle;
    out->context = handle;
    return 0;
}

int ca_sign(const struct ca_signer *signer, const void *message, size_t len, struct signature *sig,
            struct error *err)
{
    return signer->sign(signer->context, signer->scheme, message, len, false, sig, err);
}

bool ca_algorithm_named(const char *name, struct ca_algorithm *out)
{
    static const struct {
        const char *name;
        struct ca_algorithm algorithm;
    } all[] = {
        {"p256", {KEY_P256, SCHEME_ECDSA_SHA256}},
        {"p384", {KEY_P384, SCHEME_ECDSA_SHA384}},
        {"rsa2048-pss", {KEY_RSA_2048, SCHEME_RSA_PSS_SHA256}},
        {"rsa2048-pkcs1", {KEY_RSA_2048, SCHEME_RSA_PKCS1_SHA256}},
        {"rsa3072-pss", {KEY_RSA_3072, SCHEME_RSA_PSS_SHA256}},
        {"rsa3072-pkcs1", {KEY_RSA_3072, SCHEME_RSA_PKCS1_SHA256}},
        {"ed25519", {KEY_ED25519, SCHEME_ED25519}},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) {
            *out = all[i].algorithm;
            return true;
        }
    return false;
}

/* ---- Certificates. ---- */

int scheme_tbs(X509 *cert, enum sig_scheme scheme, struct buf *tbs, struct error *err)
{
    const uint8_t *p = schemes[scheme].algorithm;
    X509_ALGOR *wanted = d2i_X509_ALGOR(NULL, &p, (long)schemes[scheme].len);
    /* X509_sign sets it like this; it has no const outside, for others are only to read it. */
    X509_ALGOR *own = (X509_ALGOR *)(uintptr_t)X509_get0_tbs_sigalg(cert);
    uint8_t *der = NULL;
    int len = wanted && X509_ALGOR_copy(own, wanted) == 1 ? i2d_re_X509_tbs(cert, &der) : -1;

    if (len > 0)
        buf_put(tbs, der, (size_t)len);
    OPENSSL_free(der);
    X509_ALGOR_free(wanted);
    if (len <= 0)
        return error_set(err, ERR_CRYPTO, "OpenSSL cannot encode a certificate");
    return buf_check(tbs, "a certificate to be signed", err);
}

/* The DER header of a value of len content octets. */
static void put_header(struct buf *out, uint8_t tag, size_t len)
{
    buf_put_u8(out, tag);
    if (len >= 256) {
        buf_put_u8(out, 0x82);
        buf_put_u8(out, (uint8_t)(len >> 8));
    } else if (len >= 128) {
        buf_put_u8(out, 0x81);
    }
    buf_put_u8(out, (uint8_t)len);
}

int scheme_assemble(const struct buf *tbs, enum sig_scheme scheme, const struct signature *sig,
                    struct buf *der, struct error *err)
{
    size_t header = sig->len + 1 >= 256 ? 4 : sig->len + 1 >= 128 ? 3 : 2;

    put_header(der, 0x30, tbs->len + schemes[scheme].len + header + 1 + sig->len);
    buf_put(der, tbs->data, tbs->len);
    buf_put(der, schemes[scheme].algorithm, schemes[scheme].len);
    put_header(der, 0x03, sig->len + 1);
    buf_put_u8(der, 0); /* unused bits of the BIT STRING */
    buf_put(der, sig->bytes, sig->len);
    return buf_check(der, "a certificate", err);
}

int ca_sign_tbs(const struct ca_signer *signer, const struct buf *tbs, struct buf *der,
                struct error *err)
{
    struct signature sig;
    int rc = ca_sign(signer, tbs->data, tbs->len, &sig, err);

    return rc ? rc : scheme_assemble(tbs, signer->scheme, &sig, der, err);
}

int ca_sign_cert(const struct ca_signer *signer, X509 **cert, struct error *err)
{
    struct buf tbs, der;
    const uint8_t *p;
    X509 *made = NULL;
    int rc;

    buf_init(&tbs, 16384);
    buf_init(&der, 16384);
    rc = scheme_tbs(*cert, signer->scheme, &tbs, err);
    if (rc == 0)
        rc = ca_sign_tbs(signer, &tbs, &der, err);
    p = der.data;
    if (rc == 0 && !(made = d2i_X509(NULL, &p, (long)der.len)))
        rc = error_set(err, ERR_CRYPTO, "OpenSSL does not read a certificate that it built");
    if (rc == 0) {
        X509_free(*cert);
        *cert = made;
    }
    buf_done(&tbs);
    buf_done(&der);
    return rc;
}
