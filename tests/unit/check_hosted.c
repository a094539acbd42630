/* What a hosted CA signed: what it may choose by itself, and everything else, refused by name. */
#include "pki_fixture.h"

#include "pki/ca_request.h"
#include "pki/hosted.h"
#include "pki/profile_build.h"

#include <openssl/x509v3.h>

#define DAY  INT64_C(86400)
#define WEEK (7 * DAY) /* so old are the CAs */

/* A certificate that is not signed yet. */
struct draft {
    struct pki *p;
    X509 *cert;
    int64_t begin, end;
};

struct rig {
    struct pki p;
    const struct cert_profile *profile;
    struct ca_chain chain;
    struct public_key key;
    struct hosted_expect expect;
    const char *values[VALUE_COUNT];
};

static void rig_init(struct rig *r, const char *profile)
{
    static struct cert_profile found;
    uint8_t point[EC_POINT_SIZE];

    pki_init(&r->p);
    ASSERT_OK(profile_find(profile, &found, &r->p.err), r->p.err);
    r->profile = &found;
    r->chain = (struct ca_chain){{r->p.issuing, r->p.root}, 2};
    EVP_PKEY_free(new_key(point));
    r->key = key_p256(point);
    r->expect = (struct hosted_expect){.serial = "A1-0000001",
                                       .key = &r->key,
                                       .profile = r->profile,
                                       .asked = r->p.now + WEEK,
                                       .now = r->p.now + WEEK};
    idevid_values(r->expect.values);
    r->expect.values[VALUE_ENVIRONMENT] = "production";
}

static void draft_init(struct rig *r, struct draft *d)
{
    static const uint8_t number[CERT_NUMBER_SIZE] = {1, 2, 3};
    const char *values[VALUE_COUNT];
    struct profile_input input = {number, &r->key, r->expect.now, values, r->p.issuing};

    memcpy(values, r->expect.values, sizeof values);
    values[VALUE_SERIAL] = "A1-0000001";
    *d = (struct draft){.p = &r->p};
    ASSERT_OK(profile_build(r->profile, &input, &d->cert, &r->p.err), r->p.err);
    ck_assert(ca_times(d->cert, &d->begin, &d->end));
}

static int judge_draft(struct rig *r, struct draft *d, EVP_PKEY *by)
{
    struct ca_signer signer;
    struct buf der;
    int rc;

    buf_init(&der, 8192);
    ASSERT_OK(ca_signer_of(by, &signer, &r->p.err), r->p.err);
    ASSERT_OK(ca_sign_cert(&signer, &d->cert, &r->p.err), r->p.err);
    ASSERT_OK(cert_der(d->cert, &der, &r->p.err), r->p.err);
    rc = hosted_check(der.data, der.len, &r->chain, &r->expect, &r->p.err);
    buf_done(&der);
    X509_free(d->cert);
    return rc;
}

/* ---- changes */

static void set_begin(struct draft *d, int64_t begin)
{
    ck_assert_ptr_nonnull(ASN1_TIME_set(X509_getm_notBefore(d->cert), (time_t)begin));
}

static void set_end(struct draft *d, int64_t end)
{
    ck_assert_ptr_nonnull(ASN1_TIME_set(X509_getm_notAfter(d->cert), (time_t)end));
}

static void add_value(struct draft *d, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(X509_add_ext(d->cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

static void take_out(struct draft *d, int nid)
{
    X509_EXTENSION_free(X509_delete_ext(d->cert, X509_get_ext_by_NID(d->cert, nid, -1)));
}

static void nothing(struct draft *d)
{
    (void)d;
}

static void another_number(struct draft *d)
{
    ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(d->cert), 7), 1);
}

static void another_order(struct draft *d)
{
    X509_EXTENSION *first = X509_delete_ext(d->cert, 0);

    ck_assert_int_eq(X509_add_ext(d->cert, first, -1), 1);
    X509_EXTENSION_free(first);
}

static void another_string_type(struct draft *d)
{
    X509_NAME *name = X509_get_subject_name(d->cert);

    for (int i = 0; i < X509_NAME_entry_count(name); i++)
        X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i))->type = V_ASN1_UTF8STRING;
    name = X509_NAME_dup(name); /* encoded anew */
    X509_NAME_add_entry_by_NID(name, NID_title, MBSTRING_UTF8, (const uint8_t *)"x", 1, -1, 0);
    X509_NAME_ENTRY_free(X509_NAME_delete_entry(name, X509_NAME_entry_count(name) - 1));
    ck_assert_int_eq(X509_set_subject_name(d->cert, name), 1);
    X509_NAME_free(name);
}

static void yesterday(struct draft *d)
{
    set_begin(d, d->begin - DAY);
    set_end(d, d->end - DAY);
}

static void shorter_by_a_day(struct draft *d)
{
    set_end(d, d->end - DAY);
}

static void shorter_by_two_days(struct draft *d)
{
    set_end(d, d->end - 2 * DAY);
}

static void longer_by_a_second(struct draft *d)
{
    set_end(d, d->end + 1);
}

static void last_week(struct draft *d)
{
    set_begin(d, d->begin - 7 * DAY);
}

static void in_two_days(struct draft *d)
{
    set_begin(d, d->begin + 2 * DAY);
}

static void a_ca(struct draft *d)
{
    take_out(d, NID_basic_constraints);
    add_value(d, NID_basic_constraints, "critical,CA:TRUE");
}

static void a_whole_ca(struct draft *d)
{
    a_ca(d);
    take_out(d, NID_key_usage);
    add_value(d, NID_key_usage, "critical,keyCertSign");
}

static void constraints_not_critical(struct draft *d)
{
    take_out(d, NID_basic_constraints);
    add_value(d, NID_basic_constraints, "CA:FALSE");
}

static void more_usages(struct draft *d)
{
    take_out(d, NID_key_usage);
    add_value(d, NID_key_usage, "critical,digitalSignature,keyAgreement");
}

static void a_server_as_well(struct draft *d)
{
    take_out(d, NID_ext_key_usage);
    add_value(d, NID_ext_key_usage, "clientAuth,serverAuth");
}

static void no_usage(struct draft *d)
{
    take_out(d, NID_ext_key_usage);
}

static void a_name_besides(struct draft *d)
{
    add_value(d, NID_subject_alt_name, "DNS:www.example.com");
}

static void twice(struct draft *d)
{
    add_value(d, NID_ext_key_usage, "clientAuth");
}

static void another_serial(struct draft *d)
{
    X509_NAME *name = X509_get_subject_name(d->cert);

    X509_NAME_ENTRY_free(
        X509_NAME_delete_entry(name, X509_NAME_get_index_by_NID(name, NID_serialNumber, -1)));
    X509_NAME_add_entry_by_NID(name, NID_serialNumber, MBSTRING_ASC, (const uint8_t *)"A1-0000002",
                               -1, 2, 0);
}

static void another_case(struct draft *d)
{
    X509_NAME *name = X509_get_subject_name(d->cert);

    X509_NAME_ENTRY_free(X509_NAME_delete_entry(name, 0));
    X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_ASC, (const uint8_t *)"ACME",
                               -1, 0, 0);
}

static void a_unit_besides(struct draft *d)
{
    X509_NAME_add_entry_by_NID(X509_get_subject_name(d->cert), NID_organizationalUnitName,
                               MBSTRING_ASC, (const uint8_t *)"admin", -1, -1, 0);
}

static void negative_number(struct draft *d)
{
    ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(d->cert), -7), 1);
}

static void no_number(struct draft *d)
{
    ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(d->cert), 0), 1);
}

static void version_1(struct draft *d)
{
    ck_assert_int_eq(X509_set_version(d->cert, X509_VERSION_1), 1);
}

static void another_key(struct draft *d)
{
    EVP_PKEY *key = new_key(NULL);

    ck_assert_int_eq(X509_set_pubkey(d->cert, key), 1);
    EVP_PKEY_free(key);
}

static void a_list_besides(struct draft *d)
{
    add_value(d, NID_crl_distribution_points, "URI:http://example.com/");
}

static const struct {
    void (*change)(struct draft *d);
    int expected;
    const char *text;
} cases[] = {
    {nothing, 0, NULL},
    {another_number, 0, NULL},
    {another_order, 0, NULL},
    {another_string_type, 0, NULL},
    {yesterday, 0, NULL},
    {shorter_by_a_day, 0, NULL},
    {shorter_by_two_days, ERR_CLOCK, "ends at another time"},
    {longer_by_a_second, ERR_CLOCK, "ends at another time"},
    {last_week, ERR_CLOCK, "more than two days before"},
    {in_two_days, ERR_CLOCK, "more than a day from now"},
    {a_ca, ERR_INTEGRITY, "another value the extension 'X509v3 Basic Constraints'"},
    {a_whole_ca, ERR_INTEGRITY, "it is that of a CA"},
    {constraints_not_critical, ERR_INTEGRITY, "not critical"},
    {more_usages, ERR_INTEGRITY, "another value the extension 'X509v3 Key Usage'"},
    {a_server_as_well, ERR_INTEGRITY, "another value the extension 'X509v3 Extended Key Usage'"},
    {no_usage, ERR_INTEGRITY, "lacks the extension 'X509v3 Extended Key Usage'"},
    {a_name_besides, ERR_INTEGRITY, "besides the extension 'X509v3 Subject Alternative Name'"},
    {a_list_besides, ERR_INTEGRITY, "besides the extension 'X509v3 CRL Distribution Points'"},
    {twice, ERR_INTEGRITY, "twice"},
    {another_serial, ERR_INTEGRITY, "its subject is another"},
    {another_case, ERR_INTEGRITY, "its subject is another"},
    {a_unit_besides, ERR_INTEGRITY, "its subject is another"},
    {negative_number, ERR_INTEGRITY, "serial number"},
    {no_number, ERR_INTEGRITY, "serial number"},
    {version_1, ERR_INTEGRITY, "its version is another"},
    {another_key, ERR_INTEGRITY, "its public key is another"},
};

START_TEST(a_hosted_ca_may_choose_little)
{
    struct rig r;
    struct draft d;
    int rc;

    rig_init(&r, "tls-client");
    draft_init(&r, &d);
    cases[_i].change(&d);
    rc = judge_draft(&r, &d, r.p.issuing_key);
    ck_assert_msg(rc == cases[_i].expected, "case %d: %d, %s", _i, rc, r.p.err.text);
    if (rc)
        ck_assert_msg(strstr(r.p.err.text, cases[_i].text) != NULL, "%s", r.p.err.text);
    pki_done(&r.p);
}
END_TEST

START_TEST(another_ca_with_the_name_of_the_hosted_one_is_not_it)
{
    struct rig r;
    struct draft d;

    rig_init(&r, "tls-client");
    draft_init(&r, &d);
    ASSERT_FAILS(judge_draft(&r, &d, r.p.root_key), ERR_SIGNATURE);
    pki_done(&r.p);
}
END_TEST

/* Made twenty years ago for twenty years: right when it was made, and of no use now. */
START_TEST(what_has_ended_is_refused)
{
    struct rig r;
    struct draft d;

    rig_init(&r, "tls-client");
    draft_init(&r, &d);
    r.expect.now = d.end;
    ASSERT_FAILS(judge_draft(&r, &d, r.p.issuing_key), ERR_CLOCK);
    ck_assert_ptr_nonnull(strstr(r.p.err.text, "has ended"));
    pki_done(&r.p);
}
END_TEST

/* Of every shipped profile that takes a P-256 key below any CA. */
START_TEST(what_the_station_would_sign_is_good_from_a_hosted_ca)
{
    static const char *const names[] = {"idevid", "aws-iot", "azure-dps", "tls-client", "minimal"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct rig r;
        struct draft d;

        rig_init(&r, names[i]);
        draft_init(&r, &d);
        ASSERT_OK(judge_draft(&r, &d, r.p.issuing_key), r.p.err);
        pki_done(&r.p);
    }
}
END_TEST

START_TEST(cut_or_longer_it_is_no_certificate)
{
    struct rig r;
    struct draft d;
    struct ca_signer signer;
    struct buf der;

    rig_init(&r, "tls-client");
    draft_init(&r, &d);
    buf_init(&der, 8192);
    ASSERT_OK(ca_signer_of(r.p.issuing_key, &signer, &r.p.err), r.p.err);
    ASSERT_OK(ca_sign_cert(&signer, &d.cert, &r.p.err), r.p.err);
    ASSERT_OK(cert_der(d.cert, &der, &r.p.err), r.p.err);
    ASSERT_FAILS(hosted_check(der.data, der.len - 1, &r.chain, &r.expect, &r.p.err), ERR_FORMAT);
    buf_put_u8(&der, 0);
    ASSERT_FAILS(hosted_check(der.data, der.len, &r.chain, &r.expect, &r.p.err), ERR_FORMAT);
    buf_done(&der);
    X509_free(d.cert);
    pki_done(&r.p);
}
END_TEST

/* Signed as it is: a criticality, true as BER may have it. */
static void put_ber(struct draft *d, struct buf *tbs)
{
    static const uint8_t yes[] = {0x01, 0x01, 0xff};
    uint8_t *der = NULL, *at;
    int len = i2d_re_X509_tbs(d->cert, &der);

    ck_assert_int_gt(len, 0);
    at = memmem(der, (size_t)len, yes, sizeof yes);
    ck_assert_ptr_nonnull(at);
    at[2] = 0x01;
    buf_put(tbs, der, (size_t)len);
    OPENSSL_free(der);
}

/* The length of the whole in one octet more than it takes. */
static void lengthen(struct buf *der)
{
    ck_assert_uint_eq(der->data[1], 0x82);
    buf_put_u8(der, 0);
    memmove(der->data + 3, der->data + 2, der->len - 3);
    der->data[1] = 0x83;
    der->data[2] = 0;
}

/* OpenSSL reads it, and finds the signature good. */
static void refuse_ber(struct rig *r, const struct buf *ber, const char *why)
{
    X509 *read;

    ASSERT_OK(cert_from_der(ber->data, ber->len, &read, &r->p.err), r->p.err);
    ck_assert_int_eq(X509_verify(read, r->p.issuing_key), 1);
    X509_free(read);
    ASSERT_FAILS(hosted_check(ber->data, ber->len, &r->chain, &r->expect, &r->p.err),
                 ERR_INTEGRITY);
    ck_assert_msg(strstr(r->p.err.text, why) != NULL, "%s", r->p.err.text);
}

START_TEST(what_is_ber_and_not_der_is_refused)
{
    struct ca_signer signer;
    struct buf tbs, der;
    struct draft d;
    struct rig r;

    rig_init(&r, "tls-client");
    draft_init(&r, &d);
    buf_init(&tbs, 8192);
    buf_init(&der, 8192);
    ASSERT_OK(ca_signer_of(r.p.issuing_key, &signer, &r.p.err), r.p.err);
    ASSERT_OK(ca_sign_cert(&signer, &d.cert, &r.p.err), r.p.err); /* names the algorithm */
    put_ber(&d, &tbs);
    ASSERT_OK(ca_sign_tbs(&signer, &tbs, &der, &r.p.err), r.p.err);
    refuse_ber(&r, &der, "not in DER");
    buf_reset(&der);
    ASSERT_OK(cert_der(d.cert, &der, &r.p.err), r.p.err);
    ASSERT_OK(hosted_check(der.data, der.len, &r.chain, &r.expect, &r.p.err), r.p.err);
    lengthen(&der);
    refuse_ber(&r, &der, "not written as DER");
    X509_free(d.cert);
    buf_done(&tbs);
    buf_done(&der);
    pki_done(&r.p);
}
END_TEST

/* The request has the subject, and asks for the extensions that only the device's side knows. */
START_TEST(a_device_asks_for_what_its_profile_describes)
{
    static const char *const names[] = {"tls-client", "minimal"};

    for (size_t i = 0; i < 2; i++) {
        struct rig r;
        struct draft d;
        struct ca_signer signer;
        struct buf der;
        const uint8_t *at;
        STACK_OF(X509_EXTENSION) * asked;
        X509_REQ *request;
        EVP_PKEY *key = new_key(NULL);

        rig_init(&r, names[i]);
        ASSERT_OK(key_of(key, &r.key, &r.p.err), r.p.err);
        draft_init(&r, &d);
        buf_init(&der, 8192);
        ASSERT_OK(ca_signer_of(key, &signer, &r.p.err), r.p.err);
        ASSERT_OK(device_request_write(d.cert, &signer, &der, &r.p.err), r.p.err);
        at = der.data;
        request = d2i_X509_REQ(NULL, &at, (long)der.len);
        ck_assert_ptr_nonnull(request);
        ck_assert_int_eq(X509_REQ_verify(request, key), 1);
        ck_assert_int_eq(
            X509_NAME_cmp(X509_REQ_get_subject_name(request), X509_get_subject_name(d.cert)), 0);
        ck_assert_int_eq(X509_REQ_get_attr_count(request), i == 0);
        asked = X509_REQ_get_extensions(request);
        /* all but the authority's key identifier */
        ck_assert_int_eq(sk_X509_EXTENSION_num(asked), i == 0 ? X509_get_ext_count(d.cert) - 1 : 0);
        ck_assert_int_lt(X509v3_get_ext_by_NID(asked, NID_authority_key_identifier, -1), 0);
        sk_X509_EXTENSION_pop_free(asked, X509_EXTENSION_free);
        X509_REQ_free(request);
        X509_free(d.cert);
        EVP_PKEY_free(key);
        buf_done(&der);
        pki_done(&r.p);
    }
}
END_TEST

CHECK_ITEMS_MAIN("hosted", EACH_ROW(a_hosted_ca_may_choose_little, cases),
                 ONCE(another_ca_with_the_name_of_the_hosted_one_is_not_it),
                 ONCE(what_has_ended_is_refused),
                 ONCE(what_the_station_would_sign_is_good_from_a_hosted_ca),
                 ONCE(cut_or_longer_it_is_no_certificate), ONCE(what_is_ber_and_not_der_is_refused),
                 ONCE(a_device_asks_for_what_its_profile_describes))
