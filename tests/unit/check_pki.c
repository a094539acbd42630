/* Certificates being made: serials, the authorities, the device template. */
#include "pki_fixture.h"

#include <openssl/x509v3.h>

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
    EVP_PKEY *p521 = EVP_EC_gen("P-521"), *p384 = EVP_EC_gen("P-384");
    uint8_t point[EC_POINT_SIZE];
    EVP_PKEY *key = new_key(point);

    pki_init(&p);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ASSERT_FAILS(authority_root(&bad[i], p.now, p.root_key, &out, &p.err), ERR_INPUT);
    ASSERT_FAILS(authority_root(&root_name, p.now, p521, &out, &p.err), ERR_CRYPTO);
    ASSERT_FAILS(authority_manifest_root(&root_name, p.now, p384, &out, &p.err), ERR_CRYPTO);
    ASSERT_FAILS(authority_issuing(&root_name, p.now, point, p.root, p.root_key, &out, &p.err),
                 ERR_INPUT);
    ASSERT_FAILS(authority_issuing(&station_name, p.now, point, p.root, p.signer_key, &out, &p.err),
                 ERR_SIGNATURE);
    point[64] ^= 1;
    ASSERT_FAILS(authority_issuing(&station_name, p.now, point, p.root, p.root_key, &out, &p.err),
                 ERR_CRYPTO);
    ck_assert_ptr_null(out);
    EVP_PKEY_free(p521);
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
            serial[i] = "aZ0-bQ9x"[i % 8];
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
                                          "a_b", /* no PrintableString */
                                          "-a1",
                                          "a1-",
                                          "01234567890123456789012345678901234567890123456789"
                                          "01234567890123"};
    struct pki p;
    struct cert_template *t;
    struct cert_subject s = {.number = {1}};
    struct buf tbs;
    uint8_t point[EC_POINT_SIZE];
    EVP_PKEY *key = new_key(point);

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

START_TEST(one_verifier_judges_signatures_of_many_keys)
{
    struct ec_verifier *v = ec_verifier_new();
    uint8_t point[2][EC_POINT_SIZE], sig[2][EC_SIG_SIZE], off_curve[EC_POINT_SIZE];
    struct error why;

    ck_assert_ptr_nonnull(v);
    for (int i = 0; i < 2; i++) {
        EVP_PKEY *key = EVP_EC_gen("P-256");

        ck_assert_int_eq(ec_point(key, point[i], &why), 0);
        ck_assert_int_eq(ec_sign(key, "message", 7, sig[i], &why), 0);
        EVP_PKEY_free(key);
    }
    memcpy(off_curve, point[0], sizeof off_curve);
    off_curve[64] ^= 1;
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ec_verifier_check(v, point[i % 2], "message", 7, sig[i % 2], &why), 0);
        ck_assert_int_eq(ec_verifier_check(v, point[i % 2], "message", 7, sig[1 - i % 2], &why),
                         ERR_SIGNATURE);
        ck_assert_int_eq(ec_verifier_check(v, point[i % 2], "massage", 7, sig[i % 2], &why),
                         ERR_SIGNATURE);
        ck_assert_int_eq(ec_verifier_check(v, off_curve, "message", 7, sig[0], &why), ERR_CRYPTO);
    }
    ec_verifier_free(v);
}
END_TEST

CHECK_MAIN("pki", one_verifier_judges_signatures_of_many_keys,
           serials_are_what_every_platform_takes_as_a_name,
           a_certificate_number_is_one_then_random_then_the_credential,
           authorities_have_the_constraints_of_their_place,
           an_authority_with_a_bad_name_or_key_is_not_made,
           certificates_for_serials_of_every_length_are_what_they_were_made_for,
           a_template_refuses_what_is_not_a_subject, not_before_changes_its_form_in_2050)
