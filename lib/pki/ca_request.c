#include "pki/ca_request.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define REQUEST_MAX 8192

static bool add_extensions(X509 *model, X509_REQ *request)
{
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    bool good = list != NULL;

    for (int i = 0; good && i < X509_get_ext_count(model); i++) {
        X509_EXTENSION *e = X509_get_ext(model, i);

        if (OBJ_obj2nid(X509_EXTENSION_get_object(e)) != NID_authority_key_identifier)
            good = sk_X509_EXTENSION_push(list, e) > 0;
    }
    if (sk_X509_EXTENSION_num(list) > 0)
        good = good && X509_REQ_add_extensions(request, list) == 1;
    sk_X509_EXTENSION_free(list); /* the extensions stay the model's */
    return good;
}

static int put_pem(X509_REQ *request, struct buf *pem, struct error *err)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    long len = 0;

    if (bio && PEM_write_bio_X509_REQ(bio, request) == 1)
        len = BIO_get_mem_data(bio, &text);
    if (len > 0)
        buf_put(pem, text, (size_t)len);
    BIO_free(bio);
    return len > 0 ? buf_check(pem, "a certification request", err)
                   : error_set(err, ERR_CRYPTO, "cannot write a certification request");
}

/* *request is replaced by the signed one. */
static int sign(const struct ca_signer *signer, X509_REQ **request, struct error *err)
{
    uint8_t *info = NULL;
    int len = i2d_re_X509_REQ_tbs(*request, &info), rc;
    const uint8_t *at;
    struct buf tbs, der;

    if (len <= 0)
        return error_set(err, ERR_CRYPTO, "cannot make a certification request");
    buf_init(&tbs, REQUEST_MAX);
    buf_init(&der, REQUEST_MAX);
    buf_put(&tbs, info, (size_t)len);
    OPENSSL_free(info);
    rc = ca_sign_tbs(signer, &tbs, &der, err);
    at = der.data;
    if (rc == 0) {
        X509_REQ_free(*request);
        *request = d2i_X509_REQ(NULL, &at, (long)der.len);
        if (!*request)
            rc = error_set(err, ERR_CRYPTO, "cannot read the certification request that was made");
    }
    buf_done(&tbs);
    buf_done(&der);
    return rc;
}

static int put_der(X509_REQ *request, struct buf *der, struct error *err)
{
    uint8_t *bytes = NULL;
    int len = i2d_X509_REQ(request, &bytes);

    if (len > 0)
        buf_put(der, bytes, (size_t)len);
    OPENSSL_free(bytes);
    return len > 0 ? buf_check(der, "a certification request", err)
                   : error_set(err, ERR_CRYPTO, "cannot write a certification request");
}

static int make(X509 *model, const struct ca_signer *signer,
                int (*put)(X509_REQ *request, struct buf *out, struct error *err), struct buf *out,
                struct error *err)
{
    X509_REQ *request = X509_REQ_new();
    EVP_PKEY *own = X509_get0_pubkey(model);
    int rc = 0;

    if (!request || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_REQ_set_subject_name(request, X509_get_subject_name(model)) != 1 ||
        X509_REQ_set_pubkey(request, own) != 1 || !add_extensions(model, request))
        rc = error_set(err, ERR_CRYPTO, "cannot make a certification request");
    if (rc == 0)
        rc = sign(signer, &request, err);
    if (rc == 0 && X509_REQ_verify(request, own) != 1)
        rc = error_set(err, ERR_SIGNATURE,
                       "a certification request does not verify: the signing key is not the one "
                       "that is to be certified");
    if (rc == 0)
        rc = put(request, out, err);
    X509_REQ_free(request);
    return rc;
}

int ca_request_write(X509 *model, const struct ca_signer *signer, struct buf *pem,
                     struct error *err)
{
    return make(model, signer, put_pem, pem, err);
}

int device_request_write(X509 *model, const struct ca_signer *signer, struct buf *der,
                         struct error *err)
{
    return make(model, signer, put_der, der, err);
}
