#include "manifests/cms.h"

#include "base/file.h"

#include <openssl/pem.h> /* first: cms.h declares its PEM functions only after this one */

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define CERT_FILE_MAX 65536

/* Why OpenSSL failed, in its own words; the queue is empty afterwards. */
static const char *openssl_reason(void)
{
    const char *data = NULL, *reason = NULL;
    int flags = 0;
    unsigned long code = ERR_peek_last_error_all(NULL, NULL, NULL, &data, &flags);

    if ((flags & ERR_TXT_STRING) && data && *data)
        reason = data;
    else if (code)
        reason = ERR_reason_error_string(code);
    return reason ? reason : "no reason given";
}

static bool is_manifest_signer(X509 *cert)
{
    uint32_t flags = X509_get_extension_flags(cert);

    return !(flags & EXFLAG_INVALID) && X509_check_ca(cert) == 0 && (flags & EXFLAG_XKUSAGE) &&
           (X509_get_extended_key_usage(cert) & XKU_SMIME) &&
           (X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE);
}

static int write_pem(CMS_ContentInfo *cms, struct buf *pem, struct error *err)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    long len;
    int rc = 0;

    if (!out || !PEM_write_bio_CMS(out, cms) || (len = BIO_get_mem_data(out, &text)) <= 0)
        rc = error_set(err, ERR_CRYPTO, "cannot encode a signature: %s", openssl_reason());
    else
        buf_put(pem, text, (size_t)len);
    BIO_free(out);
    return rc ? rc : buf_check(pem, "the signature", err);
}

int cms_sign(const struct signer *signer, const void *content, size_t len, struct buf *pem,
             struct error *err)
{
    const unsigned flags = CMS_DETACHED | CMS_BINARY | CMS_CADES;
    CMS_ContentInfo *cms;
    BIO *in;
    int rc;

    if (!signer->cert || !is_manifest_signer(signer->cert))
        return error_set(err, ERR_INPUT,
                         "the manifest signer's certificate needs keyUsage digitalSignature and "
                         "extendedKeyUsage emailProtection, and must not be a CA");
    in = len <= INT32_MAX ? BIO_new_mem_buf(content, (int)len) : NULL;
    cms = in ? CMS_sign(signer->cert, signer->key, signer->chain, in, flags) : NULL;
    if (cms)
        rc = write_pem(cms, pem, err);
    else
        rc = error_set(err, ERR_CRYPTO, "cannot sign: %s", openssl_reason());
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    ERR_clear_error();
    return rc;
}

/* ---- Signatures that OpenSSL builds and somebody else makes. ---- */

/* What CMS_final would add: RFC 5652 section 11. */
static bool add_attributes(CMS_SignerInfo *info, enum cms_algorithm a, const struct buf *content)
{
    const EVP_MD *md = EVP_get_digestbynid(cms_algorithm_digest(a));
    ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool done = now && EVP_Digest(content->data, content->len, digest, &len, md, NULL) == 1 &&
                CMS_signed_add1_attr_by_NID(info, NID_pkcs9_contentType, V_ASN1_OBJECT,
                                            OBJ_nid2obj(NID_pkcs7_data), -1) == 1 &&
                CMS_signed_add1_attr_by_NID(info, NID_pkcs9_signingTime, now->type, now, -1) == 1 &&
                CMS_signed_add1_attr_by_NID(info, NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING,
                                            digest, (int)len) == 1;

    ASN1_TIME_free(now);
    return done;
}

/* The bytes that are signed: the attributes as a SET OF, in DER (RFC 5652 section 5.4). */
static int encode_attributes(CMS_SignerInfo *info, struct buf *out)
{
    STACK_OF(X509_ATTRIBUTE) *list = sk_X509_ATTRIBUTE_new_null(); /* borrows them */
    uint8_t *der = NULL;
    int len = 0;

    for (int i = 0; list && i < CMS_signed_get_attr_count(info); i++)
        if (sk_X509_ATTRIBUTE_push(list, CMS_signed_get_attr(info, i)) <= 0)
            goto end;
    if (list)
        len = ASN1_item_i2d((ASN1_VALUE *)list, &der, ASN1_ITEM_rptr(PKCS7_ATTR_SIGN));
    if (len > 0)
        buf_put(out, der, (size_t)len);
end:
    OPENSSL_free(der);
    sk_X509_ATTRIBUTE_free(list);
    return len > 0;
}

static bool set_signature(CMS_SignerInfo *info, enum cms_algorithm a, const struct signature *sig)
{
    size_t len;
    const uint8_t *der = scheme_algorithm(cms_algorithm_key(a).scheme, &len);
    X509_ALGOR *made = d2i_X509_ALGOR(NULL, &der, (long)len), *place = NULL;
    bool done;

    CMS_SignerInfo_get0_algs(info, NULL, NULL, NULL, &place);
    done =
        made && X509_ALGOR_copy(place, made) == 1 &&
        ASN1_OCTET_STRING_set(CMS_SignerInfo_get0_signature(info), sig->bytes, (int)sig->len) == 1;
    X509_ALGOR_free(made);
    return done;
}

static int sign_info(CMS_SignerInfo *info, enum cms_algorithm a, const struct ca_signer *signer,
                     const struct buf *content, struct error *err)
{
    struct signature sig;
    struct buf attributes;
    int rc = 0;

    buf_init(&attributes, 65536);
    if (!add_attributes(info, a, content) || !encode_attributes(info, &attributes))
        rc = error_set(err, ERR_CRYPTO, "cannot build a signature: %s", openssl_reason());
    if (rc == 0)
        rc = ca_sign(signer, attributes.data, attributes.len, &sig, err);
    if (rc == 0 && !set_signature(info, a, &sig))
        rc = error_set(err, ERR_CRYPTO, "cannot build a signature: %s", openssl_reason());
    buf_done(&attributes);
    return rc;
}

static int check_second(enum cms_algorithm a, const struct ca_signer *signer, X509 *cert,
                        struct error *err)
{
    const struct ca_algorithm want = cms_algorithm_key(a);

    if (is_manifest_signer(cert) && cms_algorithm_fits(a, cert) && signer->key.type == want.key &&
        signer->scheme == want.scheme)
        return 0;
    return error_set(err, ERR_INPUT,
                     "a signer of %s needs a key of that kind, and a certificate of it with "
                     "keyUsage digitalSignature and extendedKeyUsage emailProtection that is no CA",
                     cms_algorithm_name(a));
}

int cms_sign_as(enum cms_algorithm algorithm, const struct ca_signer *signer, X509 *cert,
                const struct buf *content, struct buf *pem, struct error *err)
{
    const unsigned flags = CMS_DETACHED | CMS_BINARY | CMS_CADES | CMS_PARTIAL;
    CMS_ContentInfo *cms = NULL;
    CMS_SignerInfo *info = NULL;
    EVP_PKEY *key = NULL;
    int rc = check_second(algorithm, signer, cert, err);

    if (rc == 0)
        rc = key_open(&signer->key, &key, err); /* no private half: it does not sign here */
    if (rc == 0 &&
        (!(cms = CMS_sign(NULL, NULL, NULL, NULL, flags)) ||
         !(info = CMS_add1_signer(cms, cert, key,
                                  EVP_get_digestbynid(cms_algorithm_digest(algorithm)), flags))))
        rc = error_set(err, ERR_INPUT, "cannot sign, is the certificate another key's? %s",
                       openssl_reason());
    if (rc == 0)
        rc = sign_info(info, algorithm, signer, content, err);
    if (rc == 0)
        rc = write_pem(cms, pem, err);
    CMS_ContentInfo_free(cms);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return rc;
}

/* A store that trusts the one root, at the one time. */
static X509_STORE *make_store(X509 *root, int64_t at)
{
    X509_STORE *store = X509_STORE_new();

    if (!store || !X509_STORE_add_cert(store, root)) {
        X509_STORE_free(store);
        return NULL;
    }
    if (at)
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)at);
    return store;
}

/* algorithm CMS_ALGORITHMS: any with SHA-256. */
static int check_form(CMS_ContentInfo *cms, enum cms_algorithm algorithm, struct error *err)
{
    int hash = algorithm < CMS_ALGORITHMS ? cms_algorithm_digest(algorithm) : NID_sha256;
    STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);
    X509_ALGOR *digest = NULL, *signature = NULL;

    if (sk_CMS_SignerInfo_num(infos) == 1)
        CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(infos, 0), NULL, NULL, &digest,
                                 &signature);
    if (!digest || CMS_is_detached(cms) != 1 || OBJ_obj2nid(digest->algorithm) != hash)
        return error_set(err, ERR_FORMAT,
                         "the signature is not a detached CMS with exactly one %s signer",
                         hash == NID_sha256 ? "SHA-256" : "SHA-384");
    if (algorithm < CMS_ALGORITHMS && !cms_algorithm_is(algorithm, signature))
        return error_set(err, ERR_SIGNATURE, "the signature is not one of %s",
                         cms_algorithm_name(algorithm));
    /* CAdES-BES: OpenSSL looks at the attribute where it is there, and does not miss it. */
    if (CMS_signed_get_attr_by_NID(sk_CMS_SignerInfo_value(infos, 0),
                                   NID_id_smime_aa_signingCertificateV2, -1) < 0)
        return error_set(err, ERR_SIGNATURE,
                         "the signature does not name its signing certificate (CAdES-BES)");
    return 0;
}

/* OpenSSL takes no empty content for none. */
static BIO *content_bio(const void *content, size_t len)
{
    return len <= INT32_MAX ? BIO_new_mem_buf(len ? content : "", (int)len) : NULL;
}

static void describe(X509 *cert, struct cms_signer *who)
{
    BIO *out = BIO_new(BIO_s_mem());
    uint8_t *spki = NULL;
    struct tm end;
    int n = 0, len;

    *who = (struct cms_signer){.not_after = 0};
    if (out && X509_NAME_print_ex(out, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0)
        n = BIO_read(out, who->subject, sizeof who->subject - 1);
    who->subject[n > 0 ? n : 0] = 0;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end))
        who->not_after = (int64_t)timegm(&end);
    len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &spki);
    if (len > 0)
        sha256(spki, (size_t)len, who->key);
    OPENSSL_free(spki);
    BIO_free(out);
}

static int check_signer(CMS_ContentInfo *cms, enum cms_algorithm algorithm, struct cms_signer *who,
                        struct error *err)
{
    STACK_OF(X509) *signers = CMS_get0_signers(cms);
    X509 *cert = sk_X509_value(signers, 0);
    struct cms_signer found = {.subject = "?"};
    int rc = 0;

    if (cert)
        describe(cert, &found);
    if (!cert || !is_manifest_signer(cert))
        rc = error_set(err, ERR_SIGNATURE,
                       "it is signed by '%s', whose certificate is not one of a manifest signer "
                       "(emailProtection, no CA): do not accept it",
                       found.subject);
    else if (algorithm < CMS_ALGORITHMS && !cms_algorithm_fits(algorithm, cert))
        rc = error_set(err, ERR_SIGNATURE, "it is signed by '%s', whose key is not one of %s",
                       found.subject, cms_algorithm_name(algorithm));
    else if (who)
        *who = found;
    sk_X509_free(signers);
    return rc;
}

static int verify_with(X509_STORE *store, CMS_ContentInfo *cms, BIO *in,
                       enum cms_algorithm algorithm, struct cms_signer *who, struct error *err)
{
    if (CMS_verify(cms, NULL, store, in, NULL, CMS_BINARY | CMS_CADES) != 1)
        return error_set(
            err, ERR_SIGNATURE,
            "the signature does not verify under the pinned manifest root (%s): what it "
            "is over was changed, or someone else signed it",
            openssl_reason());
    return check_signer(cms, algorithm, who, err);
}

/* Frees armor and in. */
static int verify(enum cms_algorithm algorithm, BIO *armor, BIO *in, X509 *root, int64_t at,
                  struct cms_signer *who, struct error *err)
{
    CMS_ContentInfo *cms = armor ? PEM_read_bio_CMS(armor, NULL, NULL, NULL) : NULL;
    X509_STORE *store = make_store(root, at);
    int rc;

    ERR_clear_error();
    if (!in || !store)
        rc = error_set(err, ERR_INTERNAL, "out of memory for verifying a signature");
    else if (!cms)
        rc = error_set(err, ERR_FORMAT, "the signature is not CMS in PEM: get the folder again");
    else
        rc = check_form(cms, algorithm, err);
    if (rc == 0)
        rc = verify_with(store, cms, in, algorithm, who, err);
    X509_STORE_free(store);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    BIO_free(armor);
    ERR_clear_error();
    return rc;
}

int cms_verify(const void *pem, size_t pem_len, const void *content, size_t len, X509 *root,
               int64_t at, struct cms_signer *who, struct error *err)
{
    return verify(CMS_ALGORITHMS, content_bio(pem, pem_len), content_bio(content, len), root, at,
                  who, err);
}

int cms_verify_as(enum cms_algorithm algorithm, const struct buf *pem, const struct buf *content,
                  X509 *root, int64_t at, struct cms_signer *who, struct error *err)
{
    return verify(algorithm, content_bio(pem->data, pem->len),
                  content_bio(content->data, content->len), root, at, who, err);
}

static STACK_OF(X509) * read_all(const struct buf *bytes)
{
    STACK_OF(X509) *list = sk_X509_new_null();
    BIO *in = BIO_new_mem_buf(bytes->len ? (const void *)bytes->data : "", (int)bytes->len);
    X509 *cert;

    while (in && list && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)))
        if (sk_X509_push(list, cert) <= 0)
            X509_free(cert);
    BIO_free(in);
    ERR_clear_error();
    return list;
}

int cms_read_certificates(const char *path, STACK_OF(X509) * *certs, struct error *err)
{
    STACK_OF(X509) *list = NULL;
    struct buf bytes;
    int rc;

    buf_init(&bytes, CMS_ROOTS_MAX * CERT_FILE_MAX);
    rc = file_read(path, &bytes, err);
    if (rc == 0) {
        list = read_all(&bytes);
        if (sk_X509_num(list) < 1 || sk_X509_num(list) > CMS_ROOTS_MAX)
            rc = error_set(err, ERR_INPUT, "'%s' does not hold 1 to %d certificates in PEM", path,
                           CMS_ROOTS_MAX);
    }
    if (rc)
        sk_X509_pop_free(list, X509_free);
    else
        *certs = list;
    buf_done(&bytes);
    return rc;
}

int cms_read_certificate(const char *path, X509 **cert, struct error *err)
{
    struct buf bytes;
    BIO *in = NULL;
    X509 *first = NULL, *second = NULL;
    int rc;

    buf_init(&bytes, CERT_FILE_MAX);
    rc = file_read(path, &bytes, err);
    if (rc == 0) {
        in = BIO_new_mem_buf(bytes.data, (int)bytes.len);
        first = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
        second = first ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
        if (!first || second)
            rc = error_set(err, ERR_INPUT, "'%s' does not hold exactly one certificate in PEM",
                           path);
    }
    if (rc == 0) {
        *cert = first;
        first = NULL;
    }
    X509_free(first);
    X509_free(second);
    BIO_free(in);
    buf_done(&bytes);
    ERR_clear_error();
    return rc;
}
