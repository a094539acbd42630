#include "pki/signed.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>

int signed_pins_parse(const struct buf *pem, const char *path, STACK_OF(X509) * *pins,
                      struct error *err)
{
    STACK_OF(X509) *read = sk_X509_new_null();
    BIO *in = BIO_new_mem_buf(pem->len ? (const void *)pem->data : "", (int)pem->len);
    X509 *cert;
    int rc = 0;

    if (!in || !read)
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    while (rc == 0 && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)))
        if (!sk_X509_push(read, cert)) {
            X509_free(cert);
            rc = error_set(err, ERR_INTERNAL, "out of memory");
        }
    BIO_free(in);
    ERR_clear_error(); /* the end of the text is an error to OpenSSL */
    if (rc == 0 && sk_X509_num(read) == 0)
        rc = error_set(err, ERR_INPUT, "'%s' holds no certificate", path);
    if (rc)
        signed_pins_free(read);
    else
        *pins = read;
    return rc;
}

void signed_pins_free(STACK_OF(X509) * pins)
{
    sk_X509_pop_free(pins, X509_free);
}

static bool is_strong(CMS_SignerInfo *signer)
{
    X509_ALGOR *digest = NULL;
    const ASN1_OBJECT *oid = NULL;
    int nid;

    CMS_SignerInfo_get0_algs(signer, NULL, NULL, &digest, NULL);
    X509_ALGOR_get0(&oid, NULL, NULL, digest);
    nid = OBJ_obj2nid(oid);
    return nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512;
}

/* The content, which must be inside. */
static int copy_content(CMS_ContentInfo *cms, struct buf *out, struct error *err)
{
    ASN1_OCTET_STRING **content = CMS_get0_content(cms);

    if (!content || !*content)
        return error_set(err, ERR_FORMAT, "the content is not inside: sign with -nodetach as well");
    buf_put(out, ASN1_STRING_get0_data(*content), (size_t)ASN1_STRING_length(*content));
    return buf_check(out, "a signed document", err);
}

/* detached is the content when it is not inside, or NULL. */
static int verify(CMS_ContentInfo *cms, STACK_OF(X509) * pins, BIO *detached, struct error *err)
{
    STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(cms);
    unsigned flags = CMS_BINARY | CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY;
    BIO *nowhere;
    int ok;

    if (sk_CMS_SignerInfo_num(signers) != 1 || !is_strong(sk_CMS_SignerInfo_value(signers, 0)))
        return error_set(err, ERR_FORMAT, "it must have one signer and SHA-256 or stronger");
    nowhere = BIO_new(BIO_s_null());
    ok = nowhere && CMS_verify(cms, pins, NULL, detached, nowhere, flags) == 1;
    BIO_free(nowhere);
    ERR_clear_error();
    if (!ok)
        return error_set(err, ERR_SIGNATURE,
                         "none of the certificates that this station pins signed it");
    return 0;
}

/* NULL when it is no SignedData in DER. */
static CMS_ContentInfo *parse(const void *der, size_t len)
{
    const unsigned char *p = der;
    CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)len);

    ERR_clear_error();
    if (cms && p == (const unsigned char *)der + len &&
        OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_signed)
        return cms;
    CMS_ContentInfo_free(cms);
    return NULL;
}

int signed_open(const void *der, size_t len, STACK_OF(X509) * pins, struct buf *out,
                struct error *err)
{
    CMS_ContentInfo *cms = parse(der, len);
    int rc = 0;

    if (!cms)
        return error_set(err, ERR_FORMAT,
                         "it is not a signed document: make one with 'openssl cms -sign -binary "
                         "-nodetach -outform DER'");
    if (pins)
        rc = verify(cms, pins, NULL, err);
    if (rc == 0)
        rc = copy_content(cms, out, err);
    CMS_ContentInfo_free(cms);
    return rc;
}

static int verify_detached(CMS_ContentInfo *cms, const void *content, size_t content_len, X509 *pin,
                           struct error *err)
{
    STACK_OF(X509) *pins = sk_X509_new_null();
    BIO *in = BIO_new_mem_buf(content, (int)content_len);
    ASN1_OCTET_STRING **inside = CMS_get0_content(cms);
    int rc;

    if (!pins || !in || !sk_X509_push(pins, pin))
        rc = error_set(err, ERR_INTERNAL, "out of memory");
    else if (inside && *inside) /* it would be verified over that, and not over the content */
        rc = error_set(err, ERR_FORMAT, "the content is inside: sign without -nodetach");
    else
        rc = verify(cms, pins, in, err);
    BIO_free(in);
    sk_X509_free(pins);
    return rc;
}

int signed_detached(const void *der, size_t len, const void *content, size_t content_len, X509 *pin,
                    struct error *err)
{
    CMS_ContentInfo *cms = parse(der, len);
    int rc;

    if (!cms)
        return error_set(err, ERR_FORMAT,
                         "it is not a signature: make one with 'openssl cms -sign -binary -outform "
                         "DER'");
    rc = verify_detached(cms, content, content_len, pin, err);
    CMS_ContentInfo_free(cms);
    return rc;
}

int signed_make(const void *content, size_t len, X509 *cert, EVP_PKEY *key, struct buf *der,
                struct error *err)
{
    BIO *in = BIO_new_mem_buf(content, (int)len);
    CMS_ContentInfo *cms = in ? CMS_sign(cert, key, NULL, in, CMS_BINARY) : NULL;
    unsigned char *bytes = NULL;
    int n = cms ? i2d_CMS_ContentInfo(cms, &bytes) : -1, rc = 0;

    if (n > 0)
        buf_put(der, bytes, (size_t)n);
    else
        rc = error_set(err, ERR_CRYPTO, "cannot sign: is the certificate the key's?");
    OPENSSL_free(bytes);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    ERR_clear_error();
    return rc ? rc : buf_check(der, "a signed document", err);
}
