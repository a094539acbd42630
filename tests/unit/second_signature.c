#include "second_signature.h"

#include "base/file.h"

#include <openssl/pem.h> /* first: cms.h declares its PEM functions only after this one */

#include <openssl/cms.h>
#include <openssl/rsa.h>
#include <string.h>

static const char *const with_email[] = {"basicConstraints",
                                         "critical,CA:FALSE",
                                         "keyUsage",
                                         "critical,digitalSignature",
                                         "subjectKeyIdentifier",
                                         "hash",
                                         "authorityKeyIdentifier",
                                         "keyid",
                                         "extendedKeyUsage",
                                         "emailProtection",
                                         NULL};
static const char *const without_email[] = {"keyUsage", "critical,digitalSignature", NULL};

const char *second_name(enum cms_algorithm a)
{
    static char name[STATEMENT_NAME_MAX + 1];

    snprintf(name, sizeof name, MANIFEST_NAME ".%s.p7s", cms_algorithm_name(a));
    return name;
}

static EVP_PKEY *make_key(const struct second *what)
{
    static const char *const keys[] = {
        [CMS_ECDSA_P256] = "P-256", [CMS_ECDSA_P384] = "P-384", [CMS_RSA_PSS_3072] = "3072"};
    const char *key = what->key ? what->key : keys[what->name];

    return key[0] == 'P' ? EVP_EC_gen(key) : EVP_RSA_gen((unsigned)strtoul(key, NULL, 10));
}

static X509 *make_certificate(const struct second *what, EVP_PKEY *key)
{
    EVP_PKEY *issuer_key = what->of_device_ca ? kit.ca_key : what->root_key;
    X509 *issuer = what->of_device_ca ? kit.ca : what->root, *cert;

    if (!issuer) {
        issuer_key = kit.root_key;
        issuer = kit.root_cert;
    }
    cert = kit_certificate(key, "Second signer line1", issuer_key, issuer,
                           what->no_email ? without_email : with_email);
    if (what->expired) {
        X509_gmtime_adj(X509_getm_notBefore(cert), -20L * 86400);
        X509_gmtime_adj(X509_getm_notAfter(cert), -10L * 86400);
        ck_assert_int_gt(X509_sign(cert, issuer_key, EVP_sha256()), 0);
    }
    return cert;
}

static void set_padding(const struct second *what, CMS_SignerInfo *si)
{
    EVP_PKEY_CTX *ctx = CMS_SignerInfo_get0_pkey_ctx(si);

    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, what->salt ? what->salt : 32), 1);
}

static void write_cms(const char *dir, const struct second *what, CMS_ContentInfo *cms)
{
    char path[PATH_MAX];
    BIO *out;

    ASSERT_OK(file_join(path, sizeof path, dir, second_name(what->name), &err), err);
    out = BIO_new_file(path, "w");
    ck_assert_int_eq(PEM_write_bio_CMS(out, cms), 1);
    BIO_free(out);
}

void second_sign(const char *dir, const struct second *what)
{
    unsigned flags = CMS_BINARY | CMS_DETACHED | (what->no_attribute ? 0 : CMS_CADES);
    const EVP_MD *md = what->name == CMS_ECDSA_P384 ? EVP_sha384() : EVP_sha256();
    EVP_PKEY *key = make_key(what);
    X509 *cert = make_certificate(what, key);
    CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, flags | CMS_PARTIAL);
    char path[PATH_MAX];
    CMS_SignerInfo *si;
    BIO *in;

    ASSERT_OK(
        file_join(path, sizeof path, what->content ? what->content : dir, MANIFEST_NAME, &err),
        err);
    si = CMS_add1_signer(cms, cert, key, what->md ? what->md : md, flags | CMS_KEY_PARAM);
    ck_assert_ptr_nonnull(si);
    if (EVP_PKEY_is_a(key, "RSA") && what->salt >= 0)
        set_padding(what, si);
    if (what->of_device_ca)
        ck_assert_int_eq(CMS_add1_cert(cms, kit.ca), 1);
    in = BIO_new_file(path, "r");
    ck_assert_int_eq(CMS_final(cms, in, NULL, flags), 1);
    BIO_free(in);
    write_cms(dir, what, cms);
    CMS_ContentInfo_free(cms);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void second_sign_all(const char *dir)
{
    for (enum cms_algorithm a = 0; a < CMS_ALGORITHMS; a++)
        second_sign(dir, &(struct second){.name = a});
}
