/* Certificates: the authorities, the device template, and what OpenSSL and GnuTLS say of them. */
#include "check_util.h"

#include "base/clock.h"
#include "base/file.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "pki/template.h"

#include <openssl/cms.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HW_TYPE "1.3.6.1.4.1.99999.1.2"

static const struct authority_name root_name = {"Acme", "production", "Acme Device Root"},
                                   station_name = {"Acme", "production", "Acme Station line1"},
                                   manifest_name = {"Acme", "production", "Acme Manifest Root"},
                                   signer_name = {"Acme", "production", "Acme Manifest line1"};

/* Both hierarchies, with keys in memory. */
struct pki {
    struct error err;
    int64_t now;
    EVP_PKEY *root_key, *issuing_key, *manifest_key, *signer_key;
    X509 *root, *issuing, *manifest_root, *signer;
};

static EVP_PKEY *new_key(uint8_t point[EC_POINT_SIZE])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct error err = ERROR_INIT;

    ck_assert_ptr_nonnull(key);
    if (point)
        ASSERT_OK(ec_point(key, point, &err), err);
    return key;
}

static void pki_init(struct pki *p)
{
    uint8_t issuing[EC_POINT_SIZE], signer[EC_POINT_SIZE];

    *p = (struct pki){.now = clock_utc()};
    p->root_key = new_key(NULL);
    p->manifest_key = new_key(NULL);
    p->issuing_key = new_key(issuing);
    p->signer_key = new_key(signer);
    ASSERT_OK(authority_root(&root_name, p->now, p->root_key, &p->root, &p->err), p->err);
    ASSERT_OK(authority_issuing(&station_name, p->now, issuing, p->root, p->root_key, &p->issuing,
                                &p->err),
              p->err);
    ASSERT_OK(authority_manifest_root(&manifest_name, p->now, p->manifest_key, &p->manifest_root,
                                      &p->err),
              p->err);
    ASSERT_OK(authority_manifest_signer(&signer_name, p->now, signer, p->manifest_root,
                                        p->manifest_key, &p->signer, &p->err),
              p->err);
}

static void pki_done(struct pki *p)
{
    EVP_PKEY_free(p->root_key);
    EVP_PKEY_free(p->issuing_key);
    EVP_PKEY_free(p->manifest_key);
    EVP_PKEY_free(p->signer_key);
    X509_free(p->root);
    X509_free(p->issuing);
    X509_free(p->manifest_root);
    X509_free(p->signer);
}

/* A device certificate, and all that it was made of. */
struct made {
    struct cert_subject subject;
    EVP_PKEY *key;
    struct buf der;
    struct cert_expect expect;
};

static struct cert_template *new_template(struct pki *p, size_t serial_len)
{
    struct cert_template_params params = {"Acme", NULL, HW_TYPE, p->issuing};
    struct cert_template *t = NULL;

    ASSERT_OK(cert_template_new(&params, serial_len, &t, &p->err), p->err);
    return t;
}

static void make(struct pki *p, struct cert_template *t, const char *serial, struct made *m)
{
    static const uint8_t random[CERT_RANDOM_SIZE] = {0xff, 0, 0x80, 1, 2, 3, 4, 5, 6, 7};
    uint8_t sig[EC_SIG_SIZE];
    struct buf tbs;

    *m = (struct made){.subject = {.serial = serial, .not_before = p->now}};
    m->key = new_key(m->subject.point);
    cert_number(random, 42, m->subject.number);
    m->expect = (struct cert_expect){m->subject.number, serial, m->subject.point};
    buf_init(&tbs, CERT_DER_MAX);
    buf_init(&m->der, CERT_DER_MAX);
    ASSERT_OK(cert_template_tbs(t, &m->subject, &tbs, &p->err), p->err);
    ASSERT_OK(ec_sign(p->issuing_key, tbs.data, tbs.len, sig, &p->err), p->err);
    ASSERT_OK(cert_assemble(&tbs, sig, &m->der, &p->err), p->err);
    buf_done(&tbs);
}

static void made_done(struct made *m)
{
    EVP_PKEY_free(m->key);
    buf_done(&m->der);
}

static int judge(struct pki *p, const struct made *m)
{
    return cert_check(m->der.data, m->der.len, p->issuing, p->root, &m->expect, &p->err);
}

START_TEST(serials_are_what_every_platform_takes_as_a_name)
{
    static const char *const good[] = {
        "a1", "Z-_9", "A1-0000001", "0_0",
        "012345678901234567890123456789012345678901234567890123456789012"};
    static const char *const bad[] = {
        "",
        "a",
        "-a",
        "a-",
        "_a",
        "a_",
        "a b",
        "a.b",
        "a/b",
        "a'b",
        "\n12",
        "12\n",
        "a\tb",
        "a:b",
        "a,b",
        "\xc3\xa4"
        "1",
        "a+b",
        "a%b",
        "../a",
        "a\x7f"
        "b",
        "0123456789012345678901234567890123456789012345678901234567890123"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct error err = ERROR_INIT;

        ASSERT_OK(serial_valid(good[i], &err), err);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(serial_valid(bad[i], NULL) == ERR_INPUT, "'%s'", bad[i]);
}
END_TEST

START_TEST(a_certificate_number_is_one_then_random_then_the_credential)
{
    static const uint8_t random[CERT_RANDOM_SIZE] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
    static const uint8_t expected[CERT_NUMBER_SIZE] = {1,  10, 11, 12, 13, 14, 15, 16, 17,
                                                       18, 19, 0,  1,  2,  3,  4,  5};
    uint8_t number[CERT_NUMBER_SIZE];

    cert_number(random, UINT64_C(0x000102030405), number);
    ck_assert_mem_eq(number, expected, sizeof number);
    cert_number(random, CERT_CREDENTIAL_MAX, number);
    ck_assert_mem_eq(number + 11, "\xff\xff\xff\xff\xff\xff", 6);
}
END_TEST

START_TEST(authorities_have_the_constraints_of_their_place)
{
    struct pki p;

    pki_init(&p);
    ck_assert_int_eq(X509_get_pathlen(p.root), 1);
    ck_assert_int_eq(X509_get_pathlen(p.issuing), 0);
    ck_assert_int_eq(X509_get_pathlen(p.manifest_root), 0);
    ck_assert_int_eq(X509_check_ca(p.root), 1);
    ck_assert_int_eq(X509_check_ca(p.issuing), 1);
    ck_assert_int_eq(X509_check_ca(p.manifest_root), 1);
    ck_assert_int_eq(X509_check_ca(p.signer), 0);
    ck_assert_uint_eq(X509_get_key_usage(p.issuing), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    ck_assert_uint_eq(X509_get_key_usage(p.signer), KU_DIGITAL_SIGNATURE);
    ck_assert_uint_eq(X509_get_extended_key_usage(p.signer), XKU_SMIME);
    ck_assert_int_eq(X509_check_issued(p.root, p.issuing), X509_V_OK);
    ck_assert_int_eq(X509_check_issued(p.manifest_root, p.signer), X509_V_OK);
    ck_assert_int_ne(X509_check_issued(p.root, p.signer), X509_V_OK);
    ck_assert_int_ne(X509_check_issued(p.manifest_root, p.issuing), X509_V_OK);
    ck_assert_int_eq(ASN1_STRING_length(X509_get0_serialNumber(p.signer)), CERT_NUMBER_SIZE);
    ck_assert_ptr_nonnull(X509_get0_subject_key_id(p.signer));
    ck_assert_ptr_nonnull(X509_get0_authority_key_id(p.signer));
    pki_done(&p);
}
END_TEST

START_TEST(an_authority_with_a_bad_name_or_key_is_not_made)
{
    static const struct authority_name bad[] = {
        {"", NULL, "cn"},
        {NULL, NULL, "cn"},
        {"o", NULL, ""},
        {"o", "", "cn"},
        {"o", NULL, "01234567890123456789012345678901234567890123456789012345678901234"}};
    struct pki p;
    X509 *out = NULL;
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *p384 = EVP_EC_gen("P-384");
    uint8_t point[EC_POINT_SIZE];
    EVP_PKEY *key = new_key(point);

    pki_init(&p);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ASSERT_FAILS(authority_root(&bad[i], p.now, p.root_key, &out, &p.err), ERR_INPUT);
    ASSERT_FAILS(authority_root(&root_name, p.now, rsa, &out, &p.err), ERR_CRYPTO);
    ASSERT_FAILS(authority_root(&root_name, p.now, p384, &out, &p.err), ERR_CRYPTO);
    ASSERT_FAILS(authority_issuing(&root_name, p.now, point, p.root, p.root_key, &out, &p.err),
                 ERR_INPUT);
    ASSERT_FAILS(authority_issuing(&station_name, p.now, point, p.root, p.signer_key, &out, &p.err),
                 ERR_SIGNATURE);
    point[64] ^= 1;
    ASSERT_FAILS(authority_issuing(&station_name, p.now, point, p.root, p.root_key, &out, &p.err),
                 ERR_CRYPTO);
    ck_assert_ptr_null(out);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(key);
    pki_done(&p);
}
END_TEST

START_TEST(certificates_for_serials_of_every_length_are_what_they_were_made_for)
{
    struct pki p;
    struct cert_template *t;

    pki_init(&p);
    t = new_template(&p, 10);
    for (size_t len = SERIAL_MIN; len <= SERIAL_MAX; len++) {
        char serial[SERIAL_MAX + 1] = {0};
        struct made m;

        for (size_t i = 0; i < len; i++)
            serial[i] = "aZ0-_Q9x"[i % 8];
        serial[len - 1] = 'K';
        make(&p, t, serial, &m);
        ASSERT_OK(judge(&p, &m), p.err);
        made_done(&m);
    }
    cert_template_free(t);
    pki_done(&p);
}
END_TEST

START_TEST(a_template_refuses_what_is_not_a_subject)
{
    static const char *const serials[] = {"",
                                          "a",
                                          "a b",
                                          "-a1",
                                          "a1-",
                                          "01234567890123456789012345678901234567890123456789"
                                          "01234567890123"};
    struct pki p;
    struct cert_template *t;
    struct cert_subject s = {.number = {1}};
    struct buf tbs;
    EVP_PKEY *key = new_key(s.point);

    pki_init(&p);
    t = new_template(&p, 10);
    buf_init(&tbs, CERT_DER_MAX);
    s.not_before = p.now;
    for (size_t i = 0; i < sizeof serials / sizeof *serials; i++) {
        s.serial = serials[i];
        ASSERT_FAILS(cert_template_tbs(t, &s, &tbs, &p.err), ERR_INPUT);
    }
    s.serial = "A1-0000001";
    s.number[0] = 0x81;
    ASSERT_FAILS(cert_template_tbs(t, &s, &tbs, &p.err), ERR_INPUT);
    s.number[0] = 0x01;
    s.not_before = INT64_C(-631152001);
    ASSERT_FAILS(cert_template_tbs(t, &s, &tbs, &p.err), ERR_INPUT);
    ck_assert_uint_eq(tbs.len, 0);
    buf_done(&tbs);
    buf_init(&tbs, 100);
    s.not_before = p.now;
    ASSERT_FAILS(cert_template_tbs(t, &s, &tbs, &p.err), ERR_INTERNAL);
    buf_done(&tbs);
    EVP_PKEY_free(key);
    cert_template_free(t);
    pki_done(&p);
}
END_TEST

START_TEST(template_parameters_that_cannot_be_a_certificate_are_refused)
{
    static const struct {
        const char *organization, *common_name, *hw_type;
        size_t serial_len;
    } bad[] = {
        {"", NULL, HW_TYPE, 10},
        {"01234567890123456789012345678901234567890123456789012345678901234", NULL, HW_TYPE, 10},
        {"Acme", "pump", HW_TYPE, 10},
        {"Acme", "{serial}{serial}", HW_TYPE, 10},
        {"Acme", "", HW_TYPE, 10},
        {"Acme", NULL, "", 10},
        {"Acme", NULL, "1.2.x", 10},
        {"Acme", NULL, "pump", 10},
        {"Acme", NULL, HW_TYPE, 1},
        {"Acme", NULL, HW_TYPE, 64},
        {"Acme", "a-pump-of-some-kind-{serial}", HW_TYPE, 45},
    };
    struct pki p;
    struct cert_template *t = NULL;
    struct cert_template_params params;

    pki_init(&p);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        params = (struct cert_template_params){bad[i].organization, bad[i].common_name,
                                               bad[i].hw_type, p.issuing};
        ck_assert_msg(cert_template_new(&params, bad[i].serial_len, &t, &p.err) == ERR_INPUT,
                      "case %zu: %s", i, p.err.text);
    }
    params = (struct cert_template_params){"Acme", NULL, HW_TYPE, p.signer};
    ASSERT_FAILS(cert_template_new(&params, 10, &t, &p.err), ERR_INPUT);
    ck_assert_ptr_null(t);
    pki_done(&p);
}
END_TEST

START_TEST(a_common_name_pattern_and_a_confusing_organization_come_out_right)
{
    /* Holds the characters with which a template is compiled, doubled and in a row. */
    static const char organization[] = "QQ ZZ XXX JJJJ KK 00000000 pump-QQ";
    struct pki p;
    struct cert_template_params params = {organization, "pump-{serial}-Q", HW_TYPE, NULL};
    struct cert_template *t = NULL;
    struct made m;
    X509 *cert;
    char text[128];

    pki_init(&p);
    params.issuer = p.issuing;
    ASSERT_OK(cert_template_new(&params, 2, &t, &p.err), p.err);
    make(&p, t, "QQ", &m);
    ASSERT_OK(judge(&p, &m), p.err);
    ASSERT_OK(cert_from_der(m.der.data, m.der.len, &cert, &p.err), p.err);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text, sizeof text);
    ck_assert_str_eq(text, "pump-QQ-Q");
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_organizationName, text, sizeof text);
    ck_assert_str_eq(text, organization);
    X509_free(cert);
    made_done(&m);
    cert_template_free(t);
    pki_done(&p);
}
END_TEST

START_TEST(not_before_changes_its_form_in_2050)
{
    static const struct {
        int64_t when;
        int type;
        const char *text;
    } cases[] = {{INT64_C(2524607999), V_ASN1_UTCTIME, "491231235959Z"},
                 {INT64_C(2524608000), V_ASN1_GENERALIZEDTIME, "20500101000000Z"},
                 {INT64_C(4102444800), V_ASN1_GENERALIZEDTIME, "21000101000000Z"}};
    struct pki p;
    struct cert_template *t;

    pki_init(&p);
    t = new_template(&p, 10);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct made m;
        X509 *cert;

        p.now = cases[i].when;
        make(&p, t, "A1-0000001", &m);
        ASSERT_OK(judge(&p, &m), p.err);
        ASSERT_OK(cert_from_der(m.der.data, m.der.len, &cert, &p.err), p.err);
        ck_assert_int_eq(ASN1_STRING_type(X509_get0_notBefore(cert)), cases[i].type);
        ck_assert_mem_eq(ASN1_STRING_get0_data(X509_get0_notBefore(cert)), cases[i].text,
                         strlen(cases[i].text));
        X509_free(cert);
        made_done(&m);
    }
    cert_template_free(t);
    pki_done(&p);
}
END_TEST

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
    m.expect.point = point;
    ASSERT_FAILS(judge(&p, &m), ERR_INTEGRITY);
    m.expect = right;
    ASSERT_FAILS(judge(&other, &m), ERR_SIGNATURE);
    ASSERT_FAILS(cert_check(m.der.data, m.der.len, p.issuing, p.manifest_root, &m.expect, &p.err),
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
    struct cert_expect expect = {number, "A1-0000001", point};

    pki_init(&p);
    buf_init(&der, CERT_DER_MAX);
    /* Chains to the root all right, but is an issuing CA itself. */
    ASSERT_OK(authority_issuing(&signer_name, p.now, point, p.root, p.root_key, &ca, &p.err),
              p.err);
    ASSERT_OK(cert_der(ca, &der, &p.err), p.err);
    ASSERT_FAILS(cert_check(der.data, der.len, p.issuing, p.root, &expect, &p.err), ERR_SIGNATURE);
    X509_free(ca);
    buf_reset(&der);
    /* Has digitalSignature alone, and a purpose that a device has not. */
    ASSERT_OK(authority_manifest_signer(&signer_name, p.now, point, p.issuing, p.issuing_key, &ca,
                                        &p.err),
              p.err);
    ASSERT_OK(cert_der(ca, &der, &p.err), p.err);
    ASSERT_FAILS(cert_check(der.data, der.len, p.issuing, p.root, &expect, &p.err), ERR_INTEGRITY);
    X509_free(ca);
    buf_done(&der);
    EVP_PKEY_free(key);
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
                                          "00-pump_of-40-characters-0123456789abcdef"};
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

CHECK_MAIN("pki", serials_are_what_every_platform_takes_as_a_name,
           a_certificate_number_is_one_then_random_then_the_credential,
           authorities_have_the_constraints_of_their_place,
           an_authority_with_a_bad_name_or_key_is_not_made,
           certificates_for_serials_of_every_length_are_what_they_were_made_for,
           a_template_refuses_what_is_not_a_subject,
           template_parameters_that_cannot_be_a_certificate_are_refused,
           a_common_name_pattern_and_a_confusing_organization_come_out_right,
           not_before_changes_its_form_in_2050, a_certificate_with_any_bit_changed_is_refused,
           a_certificate_made_for_something_else_is_refused,
           a_certificate_older_than_its_authority_is_refused,
           a_certificate_that_is_no_device_certificate_is_refused,
           openssl_and_gnutls_accept_the_chain_and_refuse_a_strangers,
           a_device_certificate_does_not_pass_as_a_manifest_signer,
           certificates_and_keys_come_back_from_their_files,
           a_file_with_more_or_less_than_one_object_is_refused)
