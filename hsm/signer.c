/* An EC_KEY_METHOD is deprecated, but all of OpenSSL 3 honours it, and a provider would be far more
 * code for the same one function. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "hsm/signer.h"

#include "hsm/session.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <stdlib.h>

/* What an EC_KEY of ours carries. */
struct backing {
    struct hsm *h;
    enum hsm_key key;
    struct error err; /* of the last signature that failed */
};

static EC_KEY_METHOD *method; /* made once, for the life of the process */
static int slot;              /* where a key keeps its struct backing */

static ECDSA_SIG *pack(const uint8_t sig[EC_SIG_SIZE])
{
    ECDSA_SIG *packed = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, EC_SIG_SIZE / 2, NULL);
    BIGNUM *s = BN_bin2bn(sig + EC_SIG_SIZE / 2, EC_SIG_SIZE / 2, NULL);

    if (packed && r && s && ECDSA_SIG_set0(packed, r, s) == 1)
        return packed;
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(packed);
    return NULL;
}

static ECDSA_SIG *sign(const unsigned char *digest, int len, const BIGNUM *kinv, const BIGNUM *r,
                       EC_KEY *key)
{
    struct backing *b = EC_KEY_get_ex_data(key, slot);
    uint8_t sig[EC_SIG_SIZE];
    int rc;

    (void)kinv;
    (void)r;
    if (len != SHA256_SIZE)
        rc = error_set(&b->err, ERR_CRYPTO, "key '%s' signs SHA-256 digests only",
                       hsm_key_label(b->key));
    else
        rc = key_sign_digest(b->h, b->key, digest, sig, &b->err);
    if (rc == 0)
        return pack(sig);
    ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "%s", b->err.text);
    return NULL;
}

static void free_backing(void *parent, void *backing, CRYPTO_EX_DATA *data, int index, long argl,
                         void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    free(backing);
}

static bool make_method(void)
{
    int (*encode)(int, const unsigned char *, int, unsigned char *, unsigned *, const BIGNUM *,
                  const BIGNUM *, EC_KEY *);

    if (method)
        return true;
    slot = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, free_backing);
    method = slot >= 0 ? EC_KEY_METHOD_new(EC_KEY_OpenSSL()) : NULL;
    if (!method)
        return false;
    EC_KEY_METHOD_get_sign(method, &encode, NULL, NULL);
    EC_KEY_METHOD_set_sign(method, encode, NULL, sign);
    return true;
}

/* The public half, and instead of the private one a way to the token. */
static EC_KEY *make_key(struct hsm *h, enum hsm_key key, const uint8_t point[EC_POINT_SIZE])
{
    struct backing *b = calloc(1, sizeof *b);
    EC_KEY *made = make_method() ? EC_KEY_new_by_curve_name(NID_X9_62_prime256v1) : NULL;

    if (b && made && EC_KEY_oct2key(made, point, EC_POINT_SIZE, NULL) == 1 &&
        EC_KEY_set_method(made, method) == 1 && EC_KEY_set_ex_data(made, slot, b) == 1) {
        *b = (struct backing){h, key, ERROR_INIT};
        return made;
    }
    EC_KEY_free(made);
    free(b);
    return NULL;
}

int hsm_signer_open(struct hsm *h, enum hsm_key key, EVP_PKEY **out, struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    EVP_PKEY *handle = EVP_PKEY_new();
    EC_KEY *made = NULL;
    int rc = hsm_key_check(h, key, err);

    if (rc == 0)
        rc = hsm_key_point(h, key, point, err);
    if (rc == 0)
        made = make_key(h, key, point);
    if (rc == 0 && (!handle || !made || EVP_PKEY_assign_EC_KEY(handle, made) != 1)) {
        EC_KEY_free(made);
        rc = error_set(err, ERR_CRYPTO, "cannot make an OpenSSL handle of key '%s'",
                       hsm_key_label(key));
    }
    if (rc)
        EVP_PKEY_free(handle);
    else
        *out = handle;
    return rc;
}

int hsm_signer_close(EVP_PKEY *key, int rc, struct error *err)
{
    const EC_KEY *own = key ? EVP_PKEY_get0_EC_KEY(key) : NULL;
    const struct backing *b = own ? EC_KEY_get_ex_data(own, slot) : NULL;

    if (rc && b && b->err.code) {
        rc = b->err.code;
        if (err)
            *err = b->err;
    }
    EVP_PKEY_free(key);
    return rc;
}

/* ---- CAs. ---- */

static int sign_for_root(void *context, enum sig_scheme scheme, const void *bytes, size_t len,
                         bool digested, struct signature *sig, struct error *err)
{
    return hsm_certify(context, HSM_KEY_ROOT, scheme, bytes, len, digested, sig, err);
}

static int sign_for_issuer(void *context, enum sig_scheme scheme, const void *bytes, size_t len,
                           bool digested, struct signature *sig, struct error *err)
{
    return hsm_certify(context, HSM_KEY_ISSUING_CA, scheme, bytes, len, digested, sig, err);
}

int hsm_ca_signer(struct hsm *h, enum hsm_key key, struct ca_signer *out, struct error *err)
{
    int rc = hsm_key_check(h, key, err);

    if (rc == 0 && key != HSM_KEY_ROOT && key != HSM_KEY_ISSUING_CA)
        rc = error_set(err, ERR_INTERNAL, "key '%s' is not that of a CA", hsm_key_label(key));
    if (rc == 0)
        rc = hsm_key_public(h, key, &out->key, &out->scheme, err);
    out->sign = key == HSM_KEY_ROOT ? sign_for_root : sign_for_issuer;
    out->context = h;
    return rc;
}
