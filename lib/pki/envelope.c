#include "pki/envelope.h"

#include "base/file.h"

#include <limits.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define FILE_MAX       (256 * 1024)
#define NAME_MAX_TEXT  128
#define RSA_BITS_LEAST 2048

/* ---- recipients ---- */

static bool is_rsa(X509 *cert)
{
    return EVP_PKEY_get_base_id(X509_get0_pubkey(cert)) == EVP_PKEY_RSA;
}

static bool is_known_curve(EVP_PKEY *key)
{
    static const char *const known[] = {SN_X9_62_prime256v1, SN_secp384r1, SN_secp521r1};
    char group[64] = "";

    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(group, known[i]) == 0)
            return true;
    return false;
}

/* What is wrong with a recipient, or NULL. */
static const char *find_fault(X509 *cert, int64_t now)
{
    EVP_PKEY *key = X509_get0_pubkey(cert);
    time_t at = (time_t)now;
    uint32_t wanted;

    if (!key)
        return "its public key cannot be read";
    if (is_rsa(cert) ? EVP_PKEY_get_bits(key) < RSA_BITS_LEAST : !is_known_curve(key))
        return "its key is neither RSA from 2048 bits nor of P-256, P-384 or P-521";
    wanted = is_rsa(cert) ? KU_KEY_ENCIPHERMENT : KU_KEY_AGREEMENT;
    if (!(X509_get_key_usage(cert) & wanted)) /* all bits where it says nothing of usage */
        return is_rsa(cert) ? "its key usage lacks keyEncipherment"
                            : "its key usage lacks keyAgreement";
    if (X509_cmp_time(X509_get0_notBefore(cert), &at) >= 0 ||
        X509_cmp_time(X509_get0_notAfter(cert), &at) <= 0)
        return "it is not valid now";
    return NULL;
}

static int take_recipient(const char *path, int64_t now, X509 *cert, STACK_OF(X509) * list,
                          struct error *err)
{
    char name[NAME_MAX_TEXT];
    const char *fault = find_fault(cert, now);

    X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof name);
    for (char *c = name; *c; c++)
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    if (fault)
        return error_set(err, ERR_REFUSED, "'%s': nothing is encrypted for '%s': %s", path, name,
                         fault);
    if (sk_X509_num(list) == ENVELOPE_RECIPIENTS_MAX)
        return error_set(err, ERR_INPUT, "'%s' holds more than %d certificates", path,
                         ENVELOPE_RECIPIENTS_MAX);
    if (!X509_up_ref(cert) || !sk_X509_push(list, cert))
        return error_set(err, ERR_INTERNAL, "out of memory");
    return 0;
}

static int take_all(const char *path, int64_t now, const struct buf *pem, STACK_OF(X509) * list,
                    struct error *err)
{
    BIO *in = BIO_new_mem_buf(pem->len ? (const void *)pem->data : "", (int)pem->len);
    X509 *cert;
    int rc = in && list ? 0 : error_set(err, ERR_INTERNAL, "out of memory");

    while (rc == 0 && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
        rc = take_recipient(path, now, cert, list, err);
        X509_free(cert);
    }
    BIO_free(in);
    ERR_clear_error(); /* the end of the text is an error to OpenSSL */
    if (rc == 0 && sk_X509_num(list) == 0)
        rc = error_set(err, ERR_INPUT, "'%s' holds no PEM certificate", path);
    return rc;
}

int envelope_read_recipients(const char *path, int64_t now, STACK_OF(X509) * *recipients,
                             struct error *err)
{
    STACK_OF(X509) *list = sk_X509_new_null();
    struct buf pem;
    int rc;

    buf_init(&pem, FILE_MAX);
    rc = file_read(path, &pem, err);
    if (rc == 0)
        rc = take_all(path, now, &pem, list, err);
    buf_done(&pem);
    if (rc)
        envelope_recipients_free(list);
    else
        *recipients = list;
    return rc;
}

void envelope_recipients_free(STACK_OF(X509) * recipients)
{
    sk_X509_pop_free(recipients, X509_free);
}

/* ---- the envelope ---- */

/* SHA-256 where OpenSSL would take SHA-1, and OAEP where it would take PKCS #1 version 1.5. */
static bool add_recipient(CMS_ContentInfo *cms, X509 *cert)
{
    CMS_RecipientInfo *r = CMS_add1_recipient_cert(cms, cert, CMS_KEY_PARAM);
    EVP_PKEY_CTX *ctx = r ? CMS_RecipientInfo_get0_pkey_ctx(r) : NULL;

    if (!ctx)
        return false;
    if (is_rsa(cert))
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
    return EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_sha256()) == 1;
}

static bool put_der(CMS_ContentInfo *cms, struct buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_CMS_ContentInfo(cms, &der);

    if (len > 0)
        buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
    return len > 0 && !buf_failed(out);
}

int envelope_seal(const STACK_OF(X509) * recipients, const void *content, size_t len,
                  struct buf *der, struct error *err)
{
    const unsigned int flags = CMS_BINARY | CMS_PARTIAL;
    CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_256_cbc(), flags);
    BIO *in = len <= INT_MAX ? BIO_new_mem_buf(content, (int)len) : NULL;
    bool good = cms && in && sk_X509_num(recipients) > 0;

    for (int i = 0; good && i < sk_X509_num(recipients); i++)
        good = add_recipient(cms, sk_X509_value(recipients, i));
    good = good && CMS_final(cms, in, NULL, flags) == 1 && put_der(cms, der);
    BIO_free(in);
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
    return good ? 0 : error_set(err, ERR_CRYPTO, "cannot encrypt for the recipients");
}
