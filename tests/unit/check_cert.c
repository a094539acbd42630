/* Certificates being judged, by us, by OpenSSL and by GnuTLS, and kept in files. */
#include "pki_fixture.h"

#include "base/file.h"
#include "pki/x509_build.h"

#include <openssl/cms.h>
#include <openssl/x509v3.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(a_certificate_with_any_bit_changed_is_refused)
{
    struct pki p;
    struct cert_template *t;
    struct made m;

    pki_init(&p);
    t = new_template(&p, 10);
    make(&p, t, "A1-0000001", &m);
    ASSERT_OK(judge(&p, &m), p.err);
    for (size_t i = 0; i < m.der.len; i++) {
        m.der.data[i] ^= (uint8_t)(1u << (i % 8));
        ck_assert_msg(judge(&p, &m) != 0, "byte %zu", i);
        m.der.data[i] ^= (uint8_t)(1u << (i % 8));
    }
    buf_put_u8(&m.der, 0);
    ASSERT_FAILS(judge(&p, &m), ERR_FORMAT);
    m.der.len -= 2;
    ASSERT_FAILS(judge(&p, &m), ERR_FORMAT);
    made_done(&m);
    cert_template_free(t);
    pki_done(&p);
}
END_TEST

START_TEST(a_certificate_made_for_something_else_is_refused)
{
    struct pki p, other;
    struct cert_template *t;
    struct made m;
    struct cert_expect right;
    uint8_t number[CERT_NUMBER_SIZE], point[EC_POINT_SIZE];
    EVP_PKEY *key = new_key(point);
    const struct public_key another = key_p256(point);

    pki_init(&p);
    pki_init(&other);
    t = new_template(&p, 10);
    make(&p, t, "A1-0000001", &m);
    right = m.expect;
    memcpy(number, right.number, sizeof number);
    number[16] ^= 1;
    m.expect.number = number;
    ASSERT_FAILS(judge(&p, &m), ERR_INTEGRITY);
    m.expect = right;
    m.expect.serial = "A1-0000002";
    ASSERT_FAILS(judge(&p, &m), ERR_INTEGRITY);
    m.expect = right;
    m.expect.key = &another;
    ASSERT_FAILS(judge(&p, &m), ERR_INTEGRITY);
    m.expect = right;
    ASSERT_FAILS(judge(&other, &m), ERR_SIGNATURE);
    ASSERT_FAILS(
        cert_check(m.der.data, m.der.len, CHAIN(p.issuing, p.manifest_root), &m.expect, &p.err),
        ERR_SIGNATURE);
    ASSERT_OK(judge(&p, &m), p.err);
    EVP_PKEY_free(key);
    made_done(&m);
    cert_template_free(t);
    pki_done(&p);
    pki_done(&other);
}
END_TEST

START_TEST(a_certificate_older_than_its_authority_is_refused)
{
    struct pki p;
    struct cert_template *t;
    struct made m;

    pki_init(&p);
    t = new_template(&p, 10);
    p.now -= 3600;
    make(&p, t, "A1-0000001", &m);
    ASSERT_FAILS(judge(&p, &m), ERR_SIGNATURE);
    made_done(&m);
    cert_template_free(t);
    pki_done(&p);
}
END_TEST

START_TEST(a_certificate_that_is_no_device_certificate_is_refused)
{
    struct pki p;
    struct buf der;
    X509 *ca;
    uint8_t point[EC_POINT_SIZE], number[CERT_NUMBER_SIZE] = {1};
    EVP_PKEY *key = new_key(point);
    const struct public_key public = key_p256(point);
    struct cert_expect expect = {number, "A1-0000001", &public, idevid_profile(), {NULL}, 0};

    idevid_values(expect.values);
    pki_init(&p);
    buf_init(&der, CERT_DER_MAX);
    /* Chains to the root all right, but is an issuing CA itself. */
    ASSERT_OK(authority_issuing(&signer_name, p.now, point, p.root, p.root_key, &ca, &p.err),
              p.err);
    ASSERT_OK(cert_der(ca, &der, &p.err), p.err);
    ASSERT_FAILS(cert_check(der.data, der.len, CHAIN(p.issuing, p.root), &expect, &p.err),
                 ERR_SIGNATURE);
    X509_free(ca);
    buf_reset(&der);
    /* Has digitalSignature alone, and a purpose that a device has not. */
    ASSERT_OK(authority_manifest_signer(&signer_name, p.now, point, p.issuing, p.issuing_key, &ca,
                                        &p.err),
              p.err);
    ASSERT_OK(cert_der(ca, &der, &p.err), p.err);
    ASSERT_FAILS(cert_check(der.data, der.len, CHAIN(p.issuing, p.root), &expect, &p.err),
                 ERR_INTEGRITY);
    X509_free(ca);
    buf_done(&der);
    EVP_PKEY_free(key);
    pki_done(&p);
}
END_TEST

/* How a forged device certificate differs from a right one. */
enum flaw {
    FLAW_NONE,
    FLAW_HW_SERIAL,
    FLAW_NO_ALT_NAME,
    FLAW_SUBJECT_SERIAL,
    FLAW_NO_SUBJECT_SERIAL,
    FLAW_KEY_USAGE,
    FLAW_NO_KEY_USAGE,
    FLAW_PURPOSE,
    FLAW_EXPIRES,
    FLAW_NO_AUTHORITY_ID,
    FLAW_OTHER_AUTHORITY_ID,
    FLAW_DIGEST
};

static bool add_hw_module(X509 *cert, const ASN1_OBJECT *type, const char *serial)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool good = sk_GENERAL_NAME_push(names, x509_hw_module(type, serial)) > 0 &&
                x509_add(cert, NID_subject_alt_name, names, false);

    GENERAL_NAMES_free(names);
    return good;
}

/* Built by OpenSSL step by step and signed by the issuing CA: only the contents are at fault. */
static X509 *forge(struct pki *p, enum flaw flaw, const struct made *m)
{
    X509 *cert = x509_start(m->subject.number, X509_VERSION_3, p->now, PROFILE_END_OF_TIME);
    X509_NAME *name = X509_get_subject_name(cert);
    ASN1_OBJECT *type = OBJ_txt2obj(HW_TYPE, 1);
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(p->issuing);
    const char *serial = m->subject.serial, *other = "A1-0000002";
    uint8_t other_id[CERT_KEY_ID_SIZE] = {1};
    unsigned usage = KU_DIGITAL_SIGNATURE | (flaw == FLAW_KEY_USAGE ? KU_KEY_AGREEMENT : 0);
    bool good = X509_set_issuer_name(cert, X509_get_subject_name(p->issuing)) == 1;

    if (flaw == FLAW_EXPIRES)
        ASN1_TIME_set_string_X509(X509_getm_notAfter(cert), "99991231235958Z");
    good &= x509_name_add(name, OBJ_nid2obj(NID_organizationName), "Acme");
    if (flaw != FLAW_NO_SUBJECT_SERIAL)
        good &= x509_name_add(name, OBJ_nid2obj(NID_serialNumber),
                              flaw == FLAW_SUBJECT_SERIAL ? other : serial);
    good &= x509_name_add(name, OBJ_nid2obj(NID_commonName), serial) &&
            x509_add_constraints(cert, false, -1, true) && x509_set_key(cert, &m->subject.key);
    if (flaw != FLAW_NO_KEY_USAGE)
        good &= x509_add_key_usage(cert, usage, true);
    if (flaw == FLAW_PURPOSE)
        good &= x509_add_purpose(cert, NID_client_auth);
    good &= x509_add_key_id(cert, &m->subject.key);
    if (flaw != FLAW_NO_AUTHORITY_ID)
        good &= x509_add_authority(
            cert, flaw == FLAW_OTHER_AUTHORITY_ID ? other_id : ASN1_STRING_get0_data(id));
    if (flaw != FLAW_NO_ALT_NAME)
        good &= add_hw_module(cert, type, flaw == FLAW_HW_SERIAL ? other : serial);
    good &= X509_sign(cert, p->issuing_key, flaw == FLAW_DIGEST ? EVP_sha384() : EVP_sha256()) > 0;
    ck_assert(good);
    ASN1_OBJECT_free(type);
    return cert;
}

START_TEST(a_certificate_with_one_flaw_in_its_profile_is_refused_for_that)
{
    static const struct {
        enum flaw flaw;
        int rc;
        const char *text;
    } cases[] = {
        {FLAW_NONE, 0, ""},
        {FLAW_HW_SERIAL, ERR_INTEGRITY, "not what profile"},
        {FLAW_NO_ALT_NAME, ERR_INTEGRITY, "not what profile"},
        {FLAW_SUBJECT_SERIAL, ERR_INTEGRITY, "subject serialNumber"},
        {FLAW_NO_SUBJECT_SERIAL, ERR_INTEGRITY, "subject serialNumber"},
        {FLAW_KEY_USAGE, ERR_INTEGRITY, "not what profile"},
        {FLAW_NO_KEY_USAGE, ERR_INTEGRITY, "not what profile"},
        {FLAW_PURPOSE, ERR_INTEGRITY, "not what profile"},
        {FLAW_EXPIRES, ERR_INTEGRITY, "not what profile"},
        {FLAW_DIGEST, ERR_INTEGRITY, "form"},
        {FLAW_NO_AUTHORITY_ID, ERR_SIGNATURE, "uthority"}, /* strict rules ask for it */
        {FLAW_OTHER_AUTHORITY_ID, ERR_SIGNATURE, "issuer"},
    };
    struct pki p;
    struct cert_template *t;
    struct made m;

    pki_init(&p);
    t = new_template(&p, 10);
    make(&p, t, "A1-0000001", &m);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        X509 *cert = forge(&p, cases[i].flaw, &m);
        int rc;

        buf_reset(&m.der);
        p.err = (struct error)ERROR_INIT;
        ASSERT_OK(cert_der(cert, &m.der, &p.err), p.err);
        rc = judge(&p, &m);
        ck_assert_msg(rc == cases[i].rc && strstr(p.err.text, cases[i].text), "case %zu: %s: %s", i,
                      error_name(rc), p.err.text);
        X509_free(cert);
    }
    made_done(&m);
    cert_template_free(t);
    pki_done(&p);
}
END_TEST

/* ---- Other programs as judges. ---- */

static void put_cert(const char *dir, const char *name, X509 *cert)
{
    struct error err = ERROR_INIT;
    char path[128];

    ASSERT_OK(file_join(path, sizeof path, dir, name, &err), err);
    ASSERT_OK(cert_write(path, cert, &err), err);
}

static void run_judge(const char *script, const char *dir, const char *argument)
{
    char command[512];
    int status;

    ck_assert(snprintf(command, sizeof command, "%s/%s %s %s", IMPRINT_JUDGES, script, dir,
                       argument) < (int)sizeof command);
    status = system(command);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", command);
}

START_TEST(openssl_and_gnutls_accept_the_chain_and_refuse_a_strangers)
{
    static const char *const serials[] = {"a1", "A1-0000001",
                                          "00-pump-of-40-characters-0123456789abcdef"};
    char dir[] = "/tmp/check_pki_XXXXXX";
    struct pki p, stranger;
    struct cert_template *t;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    pki_init(&p);
    pki_init(&stranger);
    t = new_template(&p, 10);
    put_cert(dir, "root.pem", p.root);
    put_cert(dir, "issuing.pem", p.issuing);
    put_cert(dir, "stranger.pem", stranger.root);
    for (size_t i = 0; i < sizeof serials / sizeof *serials; i++) {
        struct made m;
        X509 *cert;

        make(&p, t, serials[i], &m);
        ASSERT_OK(cert_from_der(m.der.data, m.der.len, &cert, &p.err), p.err);
        put_cert(dir, "device.pem", cert);
        run_judge("certificates.sh", dir, serials[i]);
        X509_free(cert);
        made_done(&m);
    }
    cert_template_free(t);
    ASSERT_OK(file_remove_tree(dir, &p.err), p.err);
    pki_done(&p);
    pki_done(&stranger);
}
END_TEST

static void put_cms(const char *dir, const char *name, X509 *cert, EVP_PKEY *key, X509 *ca)
{
    static const char message[] = "manifest";
    STACK_OF(X509) *chain = sk_X509_new_null();
    BIO *content = BIO_new_mem_buf(message, sizeof message - 1);
    CMS_ContentInfo *cms;
    struct error err = ERROR_INIT;
    char path[128];
    uint8_t *der = NULL;
    int len;

    if (ca)
        ck_assert_int_gt(sk_X509_push(chain, ca), 0);
    cms = CMS_sign(cert, key, chain, content, CMS_DETACHED | CMS_BINARY | CMS_CADES);
    ck_assert_ptr_nonnull(cms);
    len = i2d_CMS_ContentInfo(cms, &der);
    ck_assert_int_gt(len, 0);
    ASSERT_OK(file_join(path, sizeof path, dir, name, &err), err);
    ASSERT_OK(file_write(path, der, (size_t)len, 0644, &err), err);
    ASSERT_OK(file_join(path, sizeof path, dir, "message", &err), err);
    ASSERT_OK(file_write(path, message, sizeof message - 1, 0644, &err), err);
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    BIO_free(content);
    sk_X509_free(chain);
}

START_TEST(a_device_certificate_does_not_pass_as_a_manifest_signer)
{
    char dir[] = "/tmp/check_pki_XXXXXX";
    struct pki p;
    struct cert_template *t;
    struct made m;
    X509 *device;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    pki_init(&p);
    t = new_template(&p, 10);
    make(&p, t, "A1-0000001", &m);
    ASSERT_OK(cert_from_der(m.der.data, m.der.len, &device, &p.err), p.err);
    put_cert(dir, "manifest-root.pem", p.manifest_root);
    put_cert(dir, "device-root.pem", p.root);
    put_cms(dir, "signer.cms", p.signer, p.signer_key, NULL);
    put_cms(dir, "device.cms", device, m.key, p.issuing);
    run_judge("manifest-signer.sh", dir, "");
    X509_free(device);
    made_done(&m);
    cert_template_free(t);
    ASSERT_OK(file_remove_tree(dir, &p.err), p.err);
    pki_done(&p);
}
END_TEST

/* ---- Files. ---- */

START_TEST(certificates_and_keys_come_back_from_their_files)
{
    char dir[] = "/tmp/check_pki_XXXXXX", path[64];
    struct pki p;
    X509 *read = NULL;
    uint8_t point[EC_POINT_SIZE], again[EC_POINT_SIZE];
    EVP_PKEY *key = new_key(point);

    ck_assert_ptr_nonnull(mkdtemp(dir));
    pki_init(&p);
    ASSERT_OK(file_join(path, sizeof path, dir, "c.pem", &p.err), p.err);
    ASSERT_FAILS(cert_read(path, &read, &p.err), ERR_MISSING);
    ASSERT_OK(cert_write(path, p.issuing, &p.err), p.err);
    ASSERT_OK(cert_read(path, &read, &p.err), p.err);
    ck_assert_int_eq(X509_cmp(read, p.issuing), 0);
    ASSERT_FAILS(cert_key_read(path, again, &p.err), ERR_FORMAT);
    ASSERT_OK(cert_key_write(path, point, &p.err), p.err);
    ASSERT_OK(cert_key_read(path, again, &p.err), p.err);
    ck_assert_mem_eq(point, again, sizeof point);
    X509_free(read);
    read = NULL;
    ASSERT_FAILS(cert_read(path, &read, &p.err), ERR_FORMAT);
    ck_assert_ptr_null(read);
    point[64] ^= 1;
    ASSERT_FAILS(cert_key_write(path, point, &p.err), ERR_CRYPTO);
    ASSERT_OK(file_remove_tree(dir, &p.err), p.err);
    EVP_PKEY_free(key);
    pki_done(&p);
}
END_TEST

START_TEST(a_file_with_more_or_less_than_one_object_is_refused)
{
    char dir[] = "/tmp/check_pki_XXXXXX", path[64];
    struct pki p;
    struct buf text;
    X509 *read = NULL;
    uint8_t point[EC_POINT_SIZE];
    size_t one;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    pki_init(&p);
    ASSERT_OK(file_join(path, sizeof path, dir, "c.pem", &p.err), p.err);
    buf_init(&text, 10000);
    ASSERT_OK(cert_pem(p.issuing, &text, &p.err), p.err);
    one = text.len;
    ASSERT_OK(cert_pem(p.root, &text, &p.err), p.err);
    ASSERT_OK(file_write(path, text.data, text.len, 0644, &p.err), p.err);
    ASSERT_FAILS(cert_read(path, &read, &p.err), ERR_FORMAT);
    ASSERT_OK(file_write(path, text.data, one - 30, 0644, &p.err), p.err);
    ASSERT_FAILS(cert_read(path, &read, &p.err), ERR_FORMAT);
    ASSERT_OK(file_write(path, "", 0, 0644, &p.err), p.err);
    ASSERT_FAILS(cert_read(path, &read, &p.err), ERR_FORMAT);
    ASSERT_FAILS(cert_key_read(path, point, &p.err), ERR_FORMAT);
    ck_assert_ptr_null(read);
    buf_done(&text);
    ASSERT_OK(file_remove_tree(dir, &p.err), p.err);
    pki_done(&p);
}
END_TEST

CHECK_MAIN("cert", a_certificate_with_any_bit_changed_is_refused,
           a_certificate_made_for_something_else_is_refused,
           a_certificate_older_than_its_authority_is_refused,
           a_certificate_that_is_no_device_certificate_is_refused,
           a_certificate_with_one_flaw_in_its_profile_is_refused_for_that,
           openssl_and_gnutls_accept_the_chain_and_refuse_a_strangers,
           a_device_certificate_does_not_pass_as_a_manifest_signer,
           certificates_and_keys_come_back_from_their_files,
           a_file_with_more_or_less_than_one_object_is_refused)
