/* OpenSSL signing with HSM keys, beside the hot path, on a real token. */
#include "softhsm.h"

#include "base/clock.h"
#include "hsm/credential.h"
#include "hsm/signer.h"
#include "p256_util.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "pki/template.h"
#include "station/profile/profile.h"

#include <openssl/cms.h>
#include <openssl/x509v3.h>

static const struct authority_name root_name = {"Acme", "test", "Acme Device Root"},
                                   station_name = {"Acme", "test", "Acme Station line1"},
                                   manifest_name = {"Acme", "test", "Acme Manifest Root"},
                                   signer_name = {"Acme", "test", "Acme Manifest line1"};

/* A ceremony: every key on the token, every certificate signed by it. */
struct ceremony {
    struct hsm *h;
    struct error err;
    X509 *root, *issuing, *manifest_root, *signer;
};

static X509 *self_sign(struct ceremony *c, enum hsm_key key)
{
    EVP_PKEY *handle;
    X509 *cert;

    ASSERT_OK(hsm_signer_open(c->h, key, &handle, &c->err), c->err);
    if (key == HSM_KEY_ROOT)
        ASSERT_OK(authority_root(&root_name, clock_utc(), handle, &cert, &c->err), c->err);
    else
        ASSERT_OK(authority_manifest_root(&manifest_name, clock_utc(), handle, &cert, &c->err),
                  c->err);
    ASSERT_OK(hsm_signer_close(handle, 0, &c->err), c->err);
    return cert;
}

static void ceremony_init(struct ceremony *c)
{
    uint8_t issuing[EC_POINT_SIZE], signer[EC_POINT_SIZE];
    EVP_PKEY *root, *manifest;

    *c = (struct ceremony){.h = softhsm_open()};
    for (enum hsm_key key = 0; key < HSM_KEY_COUNT; key++)
        ASSERT_OK(hsm_key_create(c->h, key, &c->err), c->err);
    c->root = self_sign(c, HSM_KEY_ROOT);
    c->manifest_root = self_sign(c, HSM_KEY_MANIFEST_ROOT);
    ASSERT_OK(hsm_key_point(c->h, HSM_KEY_ISSUING_CA, issuing, &c->err), c->err);
    ASSERT_OK(hsm_key_point(c->h, HSM_KEY_MANIFEST_SIGN, signer, &c->err), c->err);
    ASSERT_OK(hsm_signer_open(c->h, HSM_KEY_ROOT, &root, &c->err), c->err);
    ASSERT_OK(hsm_signer_open(c->h, HSM_KEY_MANIFEST_ROOT, &manifest, &c->err), c->err);
    ASSERT_OK(
        authority_issuing(&station_name, clock_utc(), issuing, c->root, root, &c->issuing, &c->err),
        c->err);
    ASSERT_OK(authority_manifest_signer(&signer_name, clock_utc(), signer, c->manifest_root,
                                        manifest, &c->signer, &c->err),
              c->err);
    ASSERT_OK(hsm_signer_close(root, 0, &c->err), c->err);
    ASSERT_OK(hsm_signer_close(manifest, 0, &c->err), c->err);
}

static void ceremony_done(struct ceremony *c)
{
    X509_free(c->root);
    X509_free(c->issuing);
    X509_free(c->manifest_root);
    X509_free(c->signer);
    hsm_close(c->h);
}

/* One device certificate by the functions of the hot path, judged by OpenSSL. */
static void issue(struct ceremony *c, const char *storage)
{
    static struct cert_profile profile;
    struct cert_template_params params = {.profile = &profile, .issuer = c->issuing};
    struct cert_subject s = {.serial = "A1-0000001", .not_before = clock_utc()};
    struct cert_expect expect = {s.number, s.serial, &s.key, &profile, {NULL}, 0};
    struct cert_template *t;
    struct buf wrapped, tbs, der;
    uint8_t random[CERT_RANDOM_SIZE];
    struct ca_signer signer;

    buf_init(&wrapped, 256);
    buf_init(&tbs, CERT_DER_MAX);
    buf_init(&der, CERT_DER_MAX);
    ASSERT_OK(profile_find("idevid", &profile, &c->err), c->err);
    params.values[VALUE_ORGANIZATION] = expect.values[VALUE_ORGANIZATION] = "Acme";
    params.values[VALUE_HARDWARE_TYPE] = expect.values[VALUE_HARDWARE_TYPE] = "1.3.6.1.4.1.99999.1";
    ASSERT_OK(cert_template_new(&params, 10, &t, &c->err), c->err);
    ASSERT_OK(hsm_credential_make(c->h, storage, KEY_P256, &s.key, &wrapped, &c->err), c->err);
    ASSERT_OK(hsm_random(c->h, random, sizeof random, &c->err), c->err);
    cert_number(random, 1, s.number);
    ASSERT_OK(cert_template_tbs(t, &s, &tbs, &c->err), c->err);
    ASSERT_OK(hsm_ca_signer(c->h, HSM_KEY_ISSUING_CA, &signer, &c->err), c->err);
    ASSERT_OK(ca_sign_tbs(&signer, &tbs, &der, &c->err), c->err);
    ASSERT_OK(cert_check(der.data, der.len, CHAIN(c->issuing, c->root), &expect, &c->err), c->err);
    cert_template_free(t);
    buf_done(&wrapped);
    buf_done(&tbs);
    buf_done(&der);
}

START_TEST(a_ceremony_makes_both_hierarchies_with_keys_that_never_leave_the_token)
{
    struct ceremony c;

    ceremony_init(&c);
    ck_assert_int_eq(X509_verify(c.root, X509_get0_pubkey(c.root)), 1);
    ck_assert_int_eq(X509_verify(c.issuing, X509_get0_pubkey(c.root)), 1);
    ck_assert_int_eq(X509_verify(c.signer, X509_get0_pubkey(c.manifest_root)), 1);
    ck_assert_int_ne(X509_verify(c.signer, X509_get0_pubkey(c.root)), 1);
    ceremony_done(&c);
}
END_TEST

START_TEST(the_hot_path_works_before_beside_and_after_a_signer)
{
    static const uint8_t order[SHA256_SIZE] = {1};
    struct ceremony c;
    EVP_PKEY *key;
    char storage[HSM_STORAGE_NAME_SIZE];

    ceremony_init(&c);
    ASSERT_OK(hsm_storage_create(c.h, order, KEY_P256, storage, &c.err), c.err);
    issue(&c, storage);
    ASSERT_OK(hsm_signer_open(c.h, HSM_KEY_MANIFEST_SIGN, &key, &c.err), c.err);
    issue(&c, storage);
    ASSERT_OK(hsm_recycle(c.h, &c.err), c.err);
    ASSERT_OK(hsm_signer_close(key, 0, &c.err), c.err);
    issue(&c, storage);
    ASSERT_OK(hsm_recycle(c.h, &c.err), c.err);
    issue(&c, storage);
    ceremony_done(&c);
}
END_TEST

START_TEST(a_manifest_signed_with_an_hsm_key_verifies_as_cades)
{
    static const char message[] = "manifest";
    struct ceremony c;
    EVP_PKEY *key;
    CMS_ContentInfo *cms;
    X509_STORE *store = X509_STORE_new(), *wrong = X509_STORE_new();
    BIO *content = BIO_new_mem_buf(message, sizeof message - 1);

    ceremony_init(&c);
    ASSERT_OK(hsm_signer_open(c.h, HSM_KEY_MANIFEST_SIGN, &key, &c.err), c.err);
    cms = CMS_sign(c.signer, key, NULL, content, CMS_DETACHED | CMS_BINARY | CMS_CADES);
    ck_assert_ptr_nonnull(cms);
    ck_assert_int_eq(X509_STORE_add_cert(store, c.manifest_root), 1);
    ck_assert_int_eq(X509_STORE_add_cert(wrong, c.root), 1);
    (void)BIO_reset(content);
    ck_assert_int_eq(CMS_verify(cms, NULL, store, content, NULL, CMS_BINARY | CMS_CADES), 1);
    (void)BIO_reset(content);
    ck_assert_int_ne(CMS_verify(cms, NULL, wrong, content, NULL, CMS_BINARY | CMS_CADES), 1);
    BIO_free(content);
    content = BIO_new_mem_buf("manifesT", 8);
    ck_assert_int_ne(CMS_verify(cms, NULL, store, content, NULL, CMS_BINARY | CMS_CADES), 1);
    BIO_free(content);
    CMS_ContentInfo_free(cms); /* refers to the key */
    ASSERT_OK(hsm_signer_close(key, 0, &c.err), c.err);
    X509_STORE_free(store);
    X509_STORE_free(wrong);
    ceremony_done(&c);
}
END_TEST

START_TEST(a_signer_for_a_key_that_is_missing_or_cannot_sign_is_refused)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();
    EVP_PKEY *key = NULL;
    uint8_t out[8];

    ASSERT_FAILS(hsm_signer_open(h, HSM_KEY_ROOT, &key, &err), ERR_MISSING);
    ASSERT_OK(hsm_key_create(h, HSM_KEY_LEDGER_HMAC, &err), err);
    ASSERT_FAILS(hsm_signer_open(h, HSM_KEY_LEDGER_HMAC, &key, &err), ERR_INTERNAL);
    ck_assert_ptr_null(key);
    ASSERT_FAILS(hsm_signer_close(NULL, ERR_MISSING, &err), ERR_MISSING);
    ASSERT_OK(hsm_random(h, out, sizeof out, &err), err);
    ASSERT_OK(hsm_recycle(h, &err), err);
    hsm_close(h);
}
END_TEST

START_TEST(a_signer_closed_in_the_middle_of_a_rewrap_leaves_the_rewrap_alone)
{
    static const uint8_t order[SHA256_SIZE] = {1}, context[HSM_CONTEXT_SIZE] = {2};
    struct ceremony c;
    EVP_PKEY *key, *device = EVP_EC_gen("P-256");
    struct hsm_rewrap *r;
    struct buf wrapped, blob;
    char storage[HSM_STORAGE_NAME_SIZE];
    uint8_t point[EC_POINT_SIZE], station_pub[EC_POINT_SIZE], dev_pub[EC_POINT_SIZE];

    ceremony_init(&c);
    buf_init(&wrapped, 256);
    buf_init(&blob, 256);
    ASSERT_OK(hsm_storage_create(c.h, order, KEY_P256, storage, &c.err), c.err);
    ASSERT_OK(make_p256(c.h, storage, point, &wrapped, &c.err), c.err);
    ASSERT_OK(ec_point(device, dev_pub, &c.err), c.err);
    ASSERT_OK(hsm_signer_open(c.h, HSM_KEY_MANIFEST_SIGN, &key, &c.err), c.err);
    ASSERT_OK(
        rewrap_begin_p256(c.h, storage, wrapped.data, wrapped.len, point, &r, station_pub, &c.err),
        c.err);
    ASSERT_OK(hsm_signer_close(key, 0, &c.err), c.err);
    ASSERT_OK(hsm_credential_rewrap_finish(r, 1, dev_pub, context, &blob, &c.err), c.err);
    ck_assert_uint_eq(blob.len, wrapped.len);
    issue(&c, storage);
    EVP_PKEY_free(device);
    buf_done(&wrapped);
    buf_done(&blob);
    ceremony_done(&c);
}
END_TEST

static int self_signed(EVP_PKEY *key, struct error *err)
{
    X509 *cert = NULL;
    int rc = authority_root(&root_name, clock_utc(), key, &cert, err);

    X509_free(cert);
    return rc;
}

START_TEST(a_signer_outlives_a_lost_session_and_a_finalised_module)
{
    struct ceremony c;
    EVP_PKEY *key;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();

    ceremony_init(&c);
    ASSERT_OK(hsm_signer_open(c.h, HSM_KEY_ROOT, &key, &c.err), c.err);
    ck_assert_uint_eq(p11->C_CloseAllSessions(softhsm_slot(p11, TEST_TOKEN)), CKR_OK);
    ASSERT_OK(self_signed(key, &c.err), c.err);
    ck_assert_uint_eq(p11->C_Finalize(NULL), CKR_OK);
    ASSERT_OK(self_signed(key, &c.err), c.err);
    ASSERT_OK(hsm_signer_close(key, 0, &c.err), c.err);
    ceremony_done(&c);
}
END_TEST

START_TEST(what_the_token_said_reaches_whoever_closes_the_signer)
{
    struct ceremony c;
    EVP_PKEY *key;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session;
    struct error err = ERROR_INIT;
    int rc;

    ceremony_init(&c);
    ASSERT_OK(hsm_signer_open(c.h, HSM_KEY_ROOT, &key, &c.err), c.err);
    session = softhsm_session(p11);
    ck_assert_uint_eq(
        p11->C_DestroyObject(session, softhsm_find(p11, session, CKO_PRIVATE_KEY, "root-ca")),
        CKR_OK);
    rc = self_signed(key, &err);
    ck_assert_int_eq(rc, ERR_CRYPTO);
    ASSERT_FAILS(hsm_signer_close(key, rc, &err), ERR_HSM);
    ck_assert_ptr_nonnull(strstr(err.text, "only the public half of key 'root-ca'"));
    ceremony_done(&c);
}
END_TEST

START_TEST(another_digest_is_not_signed)
{
    static const uint8_t message[] = "message";
    struct ceremony c;
    EVP_PKEY *key;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t sig[128];
    size_t len = sizeof sig;

    ceremony_init(&c);
    ASSERT_OK(hsm_signer_open(c.h, HSM_KEY_ROOT, &key, &c.err), c.err);
    ck_assert_int_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, key), 1);
    ck_assert_int_ne(EVP_DigestSign(ctx, sig, &len, message, sizeof message), 1);
    EVP_MD_CTX_free(ctx);
    ASSERT_FAILS(hsm_signer_close(key, ERR_INTERNAL, &c.err), ERR_CRYPTO);
    ceremony_done(&c);
}
END_TEST

TOKEN_MAIN("signer",
           ON_ANY(a_ceremony_makes_both_hierarchies_with_keys_that_never_leave_the_token,
                  the_hot_path_works_before_beside_and_after_a_signer,
                  a_manifest_signed_with_an_hsm_key_verifies_as_cades,
                  a_signer_for_a_key_that_is_missing_or_cannot_sign_is_refused,
                  a_signer_closed_in_the_middle_of_a_rewrap_leaves_the_rewrap_alone,
                  a_signer_outlives_a_lost_session_and_a_finalised_module,
                  what_the_token_said_reaches_whoever_closes_the_signer,
                  another_digest_is_not_signed),
           ON_SOFTHSM(NULL))
