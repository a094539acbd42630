/* Chains of issuing CAs: good ones of every kind, and each way of being wrong with its own message. */
#include "check_util.h"

#include "base/clock.h"
#include "pki/ca_chain.h"
#include "pki/cert.h"
#include "pki/profile.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#define DAY (24 * 60 * 60)
#define NOW INT64_C(1795000000)

/* A certificate as OpenSSL makes it of these words; level 0 is the issuing CA. */
struct spec {
    const char *cn;          /* NULL: no subject at all */
    const char *ou;          /* NULL: "test" */
    const char *constraints; /* NULL: none; as in openssl.cnf */
    const char *usage, *extra_name, *extra_value;
    int64_t begin, end; /* seconds from NOW */
    long version;       /* X509_VERSION_* */
    const EVP_MD *digest;
    bool no_ids, long_id, negative, long_number, nul, wrong_authority, unsigned_here;
    const char *key; /* "P-256", "P-224", "RSA-1024", "RSA-2048", "ED25519" */
};

#define LEVELS 4

static struct error err;
static EVP_PKEY *keys[LEVELS], *stranger;
static struct spec specs[LEVELS]; /* root last */
static int levels;

static const struct spec good_issuing = {.cn = "line-1 issuing CA 2",
                                         .constraints = "critical,CA:TRUE,pathlen:0",
                                         .usage = "critical,keyCertSign,cRLSign",
                                         .begin = -DAY,
                                         .end = 3650 * DAY,
                                         .version = X509_VERSION_3};
static const struct spec good_above = {.cn = "Company CA",
                                       .constraints = "critical,CA:TRUE",
                                       .usage = "critical,keyCertSign,cRLSign",
                                       .begin = -2 * DAY,
                                       .end = 7300 * DAY,
                                       .version = X509_VERSION_3};

static EVP_PKEY *make_key(const char *kind)
{
    if (kind && strcmp(kind, "RSA-1024") == 0)
        return EVP_RSA_gen(1024);
    if (kind && strcmp(kind, "RSA-2048") == 0)
        return EVP_RSA_gen(2048);
    if (kind && strcmp(kind, "ED25519") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return EVP_EC_gen(kind ? kind : "P-256");
}

static void add(X509 *cert, X509 *issuer, int nid, const char *name, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    e = nid ? X509V3_EXT_conf_nid(NULL, &ctx, nid, value)
            : X509V3_EXT_conf(NULL, &ctx, name, value);
    ck_assert_msg(e != NULL, "%s %s", name ? name : OBJ_nid2sn(nid), value);
    ck_assert_int_eq(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

static void name_it(X509 *cert, const struct spec *s)
{
    X509_NAME *n = X509_get_subject_name(cert);
    const char *ou = s->ou ? s->ou : "test";

    if (!s->cn)
        return;
    X509_NAME_add_entry_by_txt(n, "OU", MBSTRING_UTF8, (const uint8_t *)ou, -1, -1, 0);
    X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const uint8_t *)s->cn,
                               s->nul ? (int)strlen(s->cn) + 1 : -1, -1, 0);
}

static void number_it(X509 *cert, const struct spec *s)
{
    uint8_t octets[21] = {1, 2, 3};
    ASN1_INTEGER *n = X509_get_serialNumber(cert);

    ASN1_STRING_set(n, octets, s->long_number ? 21 : 3);
    if (s->negative)
        n->type = V_ASN1_NEG_INTEGER;
}

static X509 *build(int level, X509 *issuer)
{
    const struct spec *s = &specs[level];
    X509 *cert = X509_new();
    EVP_PKEY *signer = level + 1 < levels ? keys[level + 1] : keys[level];
    const EVP_MD *digest = s->digest ? s->digest : EVP_sha256();

    X509_set_version(cert, s->version);
    number_it(cert, s);
    ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(NOW + s->begin));
    ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(NOW + s->end));
    name_it(cert, s);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    X509_set_pubkey(cert, keys[level]);
    if (s->constraints)
        add(cert, issuer, NID_basic_constraints, NULL, s->constraints);
    if (s->usage)
        add(cert, issuer, NID_key_usage, NULL, s->usage);
    if (!s->no_ids)
        add(cert, issuer, NID_subject_key_identifier, NULL, s->long_id ? "0102030405" : "hash");
    if (issuer && s->wrong_authority)
        add(cert, cert, NID_authority_key_identifier, NULL, "keyid:always");
    else if (issuer && !specs[level + 1].no_ids)
        add(cert, issuer, NID_authority_key_identifier, NULL, "keyid:always");
    if (s->extra_name)
        add(cert, issuer, 0, s->extra_name, s->extra_value);
    if (EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519)
        digest = NULL;
    ck_assert_int_gt(X509_sign(cert, s->unsigned_here ? stranger : signer, digest), 0);
    return cert;
}

static void append(X509 *cert, struct buf *pem)
{
    ASSERT_OK(cert_pem(cert, pem, &err), err);
}

/* The certificates of all levels, the issuing CA's last: a file may have any order. */
static void build_all(struct buf *pem)
{
    X509 *certs[LEVELS];

    for (int level = 0; level < levels; level++)
        if (!keys[level])
            keys[level] = make_key(specs[level].key);
    for (int level = levels - 1; level >= 0; level--) {
        certs[level] = build(level, level + 1 < levels ? certs[level + 1] : NULL);
        append(certs[level], pem);
    }
    for (int level = 0; level < levels; level++)
        X509_free(certs[level]);
}

static void begin(void)
{
    stranger = EVP_EC_gen("P-256");
    levels = 3;
    specs[0] = good_issuing;
    specs[1] = specs[2] = good_above;
    specs[2].cn = "Company root";
}

static void end(void)
{
    for (int i = 0; i < LEVELS; i++) {
        EVP_PKEY_free(keys[i]);
        keys[i] = NULL;
    }
    EVP_PKEY_free(stranger);
}

static int judge_at(const struct buf *pem, const char *environment, int64_t now)
{
    const struct ca_chain_expect expect = {environment, now};
    struct ca_chain chain = {.count = 0};
    int rc;

    err.text[0] = 0;
    rc = ca_chain_parse(pem, "answer.pem", keys[0], &chain, &err);
    if (rc == 0)
        rc = ca_chain_judge(&chain, &expect, &err);
    ca_chain_done(&chain);
    return rc;
}

static int judge_all(void)
{
    struct buf pem;
    int rc;

    buf_init(&pem, CA_CHAIN_FILE_MAX);
    build_all(&pem);
    rc = judge_at(&pem, "test", NOW);
    buf_done(&pem);
    return rc;
}

/* ---- what is good ---- */

START_TEST(a_chain_of_any_length_and_algorithm_is_good)
{
    static const char *const above[] = {"P-256", "P-384", "P-521", "RSA-2048", "ED25519"};

    for (size_t i = 0; i < sizeof above / sizeof *above; i++) {
        begin();
        specs[1].key = specs[2].key = above[i];
        ASSERT_OK(judge_all(), err);
        end();
    }
    begin();
    levels = 2;
    ASSERT_OK(judge_all(), err);
    end();
    begin();
    levels = 1; /* a CA that is its own root */
    ASSERT_OK(judge_all(), err);
    end();
    begin();
    specs[2].digest = EVP_sha1(); /* nobody verifies the signature of a pinned root */
    ASSERT_OK(judge_all(), err);
    end();
}
END_TEST

/* ---- what is broken: what to change, and what is said ---- */

static void no_constraints(void)
{
    specs[0].constraints = NULL;
}
static void no_ca(void)
{
    specs[0].constraints = "critical,CA:FALSE";
}
static void constraints_not_critical(void)
{
    specs[0].constraints = "CA:TRUE,pathlen:0";
}
static void no_usage(void)
{
    specs[0].usage = NULL;
}
static void no_cert_sign(void)
{
    specs[0].usage = "critical,digitalSignature,cRLSign";
}
static void no_crl_sign(void)
{
    specs[0].usage = "critical,keyCertSign";
}
static void no_path(void)
{
    specs[0].constraints = "critical,CA:TRUE";
}
static void long_path(void)
{
    specs[0].constraints = "critical,CA:TRUE,pathlen:1";
}
static void root_path(void)
{
    specs[2].constraints = "critical,CA:TRUE,pathlen:0";
}
static void above_path(void)
{
    specs[1].constraints = "critical,CA:FALSE";
}
static void above_usage(void)
{
    specs[1].usage = "critical,digitalSignature";
}
static void version_1(void)
{
    specs[0].version = X509_VERSION_1;
}
static void negative(void)
{
    specs[0].negative = true;
}
static void long_number(void)
{
    specs[1].long_number = true;
}
static void no_subject(void)
{
    specs[0].cn = NULL;
}
static void nul(void)
{
    specs[0].nul = true;
}
static void critical_unknown(void)
{
    specs[0].extra_name = "1.3.6.1.4.1.32473.9";
    specs[0].extra_value = "critical,DER:0500";
}
static void malformed(void)
{
    specs[1].extra_name = "2.5.29.30"; /* name constraints that are a NULL */
    specs[1].extra_value = "critical,DER:0500";
}
static void twice(void)
{
    specs[0].extra_name = "basicConstraints";
    specs[0].extra_value = "critical,CA:TRUE,pathlen:0";
}
static void no_ids(void)
{
    specs[0].no_ids = true;
}
static void long_id(void)
{
    specs[0].long_id = true;
}
static void wrong_authority(void)
{
    specs[0].wrong_authority = true;
}
static void not_yet(void)
{
    specs[0].begin = DAY;
}
static void expired(void)
{
    specs[0].end = -1;
}
static void expired_above(void)
{
    specs[1].end = specs[0].end = -1, specs[0].end = 0;
}
static void expired_root(void)
{
    specs[2].end = -1;
    specs[1].end = specs[0].end = -2;
}
static void backwards(void)
{
    specs[0].end = -2 * DAY;
}
static void outlives(void)
{
    specs[0].end = 7301 * DAY;
}
static void other_unit(void)
{
    specs[0].ou = "production";
}
static void weak_rsa(void)
{
    specs[1].key = "RSA-1024";
}
static void weak_curve(void)
{
    specs[1].key = "P-224";
}
static void sha1(void)
{
    specs[0].digest = EVP_sha1();
}
static void sha1_above(void)
{
    specs[1].digest = EVP_sha1();
}
static void stranger_signed(void)
{
    specs[0].unsigned_here = true;
}
static void stranger_above(void)
{
    specs[1].unsigned_here = true;
}
static void one_name(void)
{
    specs[0].cn = specs[1].cn, specs[0].ou = specs[1].ou;
}
static void one_key(void)
{
    keys[1] = make_key(NULL);
    EVP_PKEY_up_ref(keys[1]);
    keys[2] = keys[1];
}
static void forbidden_name(void)
{
    specs[1].extra_name = "nameConstraints";
    specs[1].extra_value = "critical,permitted;DNS:example.com";
    specs[0].extra_name = "subjectAltName";
    specs[0].extra_value = "DNS:ca.example.org";
}

static const struct {
    void (*change)(void);
    int code;
    const char *says;
} broken[] = {
    {no_constraints, ERR_REFUSED, "has no basicConstraints"},
    {no_ca, ERR_REFUSED, "say that it is no CA"},
    {constraints_not_critical, ERR_REFUSED, "are not critical"},
    {no_usage, ERR_REFUSED, "has no keyUsage"},
    {no_cert_sign, ERR_REFUSED, "lacks keyCertSign"},
    {no_crl_sign, ERR_REFUSED, "lacks cRLSign"},
    {no_path, ERR_REFUSED, "no path length"},
    {long_path, ERR_REFUSED, "a path length above 0"},
    {root_path, ERR_REFUSED, "path length of 'Company root' is 0, and 2 CAs"},
    {above_path, ERR_REFUSED, "basicConstraints of 'Company CA'"},
    {above_usage, ERR_REFUSED, "keyUsage of 'Company CA'"},
    {version_1, ERR_REFUSED, "is of version 1"},
    {negative, ERR_REFUSED, "is negative"},
    {long_number, ERR_REFUSED, "21 octets"},
    {no_subject, ERR_REFUSED, "empty subject"},
    {nul, ERR_REFUSED, "has a NUL"},
    {critical_unknown, ERR_REFUSED, "critical extension 1.3.6.1.4.1.32473.9"},
    {malformed, ERR_REFUSED, "is malformed, or there twice"},
    {twice, ERR_REFUSED, "there twice"},
    {no_ids, ERR_REFUSED, "no subjectKeyIdentifier"},
    {long_id, ERR_REFUSED, "has 5 octets"},
    {wrong_authority, ERR_REFUSED, "authorityKeyIdentifier"},
    {not_yet, ERR_CLOCK, "is not valid before 2026-"},
    {expired, ERR_CLOCK, "'line-1 issuing CA 2' expired"},
    {expired_above, ERR_CLOCK, "expired on"},
    {expired_root, ERR_CLOCK, "expired"},
    {backwards, ERR_REFUSED, "ends before it begins"},
    {outlives, ERR_REFUSED, "outlives that of 'Company CA'"},
    {other_unit, ERR_REFUSED, "no OU 'test'"},
    {weak_rsa, ERR_REFUSED, "1024 bits"},
    {weak_curve, ERR_REFUSED, "fewer than 256 bits"},
    {sha1, ERR_REFUSED, "'line-1 issuing CA 2' is signed with sha1"},
    {sha1_above, ERR_REFUSED, "'Company CA' is signed with sha1"},
    {stranger_signed, ERR_SIGNATURE, "was not signed by 'Company CA'"},
    {stranger_above, ERR_SIGNATURE, "was not signed by 'Company root'"},
    {one_name, ERR_REFUSED, "have the name 'Company CA'"},
    {one_key, ERR_REFUSED, "has the key of another CA"},
    {forbidden_name, ERR_SIGNATURE, "OpenSSL refuses the chain: permitted subtree violation"},
};

START_TEST(each_way_of_being_wrong_has_its_own_message)
{
    begin();
    broken[_i].change();
    ck_assert_msg(judge_all() == broken[_i].code, "'%s': %s: %s", broken[_i].says,
                  error_name(err.code), err.text);
    ck_assert_msg(strstr(err.text, broken[_i].says), "'%s' is not in: %s", broken[_i].says,
                  err.text);
    end();
}
END_TEST

/* ---- files ---- */

static int parse_text(const struct buf *pem)
{
    return judge_at(pem, NULL, NOW);
}

static void expect_file(const struct buf *pem, int code, const char *says)
{
    ck_assert_msg(parse_text(pem) == code, "'%s': %s: %s", says, error_name(err.code), err.text);
    ck_assert_msg(strstr(err.text, says), "'%s' is not in: %s", says, err.text);
}

START_TEST(a_file_of_anything_else_is_refused)
{
    struct buf pem, other;
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *own;
    char *text;
    long len;

    begin();
    buf_init(&pem, CA_CHAIN_FILE_MAX);
    buf_init(&other, CA_CHAIN_FILE_MAX);
    build_all(&pem);
    ASSERT_OK(parse_text(&pem), err);

    buf_put(&other, pem.data, pem.len);
    PEM_write_bio_PrivateKey(bio, stranger, NULL, NULL, 0, NULL, NULL);
    len = BIO_get_mem_data(bio, &text);
    buf_put(&other, text, (size_t)len);
    expect_file(&other, ERR_FORMAT, "holds a private key");

    buf_reset(&other);
    buf_put(&other, pem.data, pem.len);
    buf_put_str(&other, "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n");
    expect_file(&other, ERR_FORMAT, "holds a X509 CRL");

    buf_reset(&other);
    buf_put_str(&other, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    expect_file(&other, ERR_FORMAT, "not one certificate in DER");

    buf_reset(&other);
    buf_put_str(&other, "no certificate\n");
    expect_file(&other, ERR_FORMAT, "holds no certificate");

    buf_reset(&other);
    for (int i = 0; i < 6; i++)
        buf_put(&other, pem.data, pem.len);
    expect_file(&other, ERR_FORMAT, "more than 16");

    buf_reset(&other);
    buf_put(&other, pem.data, pem.len);
    buf_put(&other, pem.data, pem.len);
    expect_file(&other, ERR_INPUT, "2 certificates in 'answer.pem' are of the key");

    own = keys[0];
    keys[0] = stranger;
    expect_file(&pem, ERR_MISSING, "answers another request");
    keys[0] = own;
    BIO_free(bio);
    buf_done(&pem);
    buf_done(&other);
    end();
}
END_TEST

/* One certificate of a PEM text, by its place. */
static void cut(const struct buf *pem, int from, int count, struct buf *out)
{
    static const char begins[] = "-----BEGIN";
    const char *at = (const char *)pem->data, *stop;

    buf_reset(out);
    while (from--)
        at = strstr(at + 1, begins);
    stop = at;
    while (count-- && stop)
        stop = strstr(stop + 1, begins);
    buf_put(out, at, stop ? (size_t)(stop - at) : strlen(at));
}

START_TEST(the_way_to_the_root_is_whole_and_nothing_else)
{
    struct buf pem, part, more;

    begin();
    buf_init(&pem, CA_CHAIN_FILE_MAX);
    buf_init(&part, CA_CHAIN_FILE_MAX);
    buf_init(&more, CA_CHAIN_FILE_MAX);
    build_all(&pem); /* root, CA above, issuing CA */
    buf_put_u8(&pem, 0);
    cut(&pem, 1, 2, &part);
    expect_file(&part, ERR_INPUT, "lacks the certificate above 'Company CA'");
    cut(&pem, 2, 1, &part);
    expect_file(&part, ERR_INPUT, "lacks the certificate above 'line-1 issuing CA 2'");

    cut(&pem, 0, 3, &more);
    EVP_PKEY_free(keys[2]);
    keys[2] = NULL;
    specs[2].cn = "Another root";
    buf_reset(&pem);
    build_all(&pem);
    buf_put_u8(&pem, 0);
    cut(&pem, 0, 1, &part);
    buf_put(&more, part.data, part.len);
    expect_file(&more, ERR_INPUT, "'Another root' in 'answer.pem' is not part of the chain");
    buf_done(&pem);
    buf_done(&part);
    buf_done(&more);
    end();
}
END_TEST

/* ---- what is below ---- */

static void chain_of(struct ca_chain *chain)
{
    struct buf pem;

    buf_init(&pem, CA_CHAIN_FILE_MAX);
    build_all(&pem);
    chain->count = 0;
    ASSERT_OK(ca_chain_parse(&pem, "answer.pem", keys[0], chain, &err), err);
    buf_done(&pem);
}

START_TEST(no_certificate_outlives_its_issuer)
{
    struct ca_chain chain;

    begin();
    chain_of(&chain);
    ASSERT_OK(ca_chain_check_life(&chain, NOW, NOW + 3650 * DAY, &err), err);
    ASSERT_FAILS(ca_chain_check_life(&chain, NOW, NOW + 3650 * DAY + 1, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "would outlive CA 'line-1 issuing CA 2'"));
    ASSERT_FAILS(ca_chain_check_life(&chain, NOW, PROFILE_END_OF_TIME, &err), ERR_REFUSED);
    ASSERT_FAILS(ca_chain_check_life(&chain, NOW - DAY - 1, NOW, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "would begin before"));
    ck_assert_int_eq(ca_chain_end(&chain), NOW + 3650 * DAY);
    ca_chain_done(&chain);
    end();
}
END_TEST

/* A device's certificate, not signed, with a DNS name and a usage. */
static X509 *device(const char *dns, const char *usage)
{
    X509 *cert = X509_new();
    char name[80];

    X509_set_version(cert, X509_VERSION_3);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                               (const uint8_t *)"PUMP-1", -1, -1, 0);
    snprintf(name, sizeof name, "DNS:%s", dns);
    add(cert, cert, NID_subject_alt_name, NULL, name);
    add(cert, cert, NID_ext_key_usage, NULL, usage);
    return cert;
}

static int check_device(const char *dns, const char *usage)
{
    struct ca_chain chain;
    X509 *cert = device(dns, usage);
    int rc;

    err.text[0] = 0;
    chain_of(&chain);
    rc = ca_chain_check_names(&chain, cert, &err);
    ca_chain_done(&chain);
    X509_free(cert);
    return rc;
}

START_TEST(name_constraints_and_usages_of_every_ca_hold_below)
{
    begin();
    specs[1].extra_name = "nameConstraints";
    specs[1].extra_value = "critical,permitted;DNS:devices.example.com";
    specs[0].extra_name = "extendedKeyUsage";
    specs[0].extra_value = "clientAuth";
    ASSERT_OK(check_device("a1.devices.example.com", "clientAuth"), err);
    ASSERT_FAILS(check_device("a1.example.com", "clientAuth"), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "name constraints of CA 'Company CA'"));
    ASSERT_FAILS(check_device("a1.devices.example.com", "serverAuth"), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "'TLS Web Server Authentication'"));
    specs[0].extra_value = "anyExtendedKeyUsage";
    ASSERT_OK(check_device("a1.devices.example.com", "serverAuth"), err);
    end();
}
END_TEST

/* Of a doubled or malformed extension OpenSSL says, when asked for it, that there is none. */
static const int read_as_none[] = {NID_ext_key_usage, NID_subject_alt_name};

START_TEST(an_extension_that_cannot_be_read_is_not_taken_for_none)
{
    struct ca_chain chain;
    X509 *cert;

    begin();
    specs[1].extra_name = "nameConstraints";
    specs[1].extra_value = "critical,permitted;DNS:devices.example.com";
    specs[0].extra_name = "extendedKeyUsage";
    specs[0].extra_value = "clientAuth";
    chain_of(&chain);
    cert = device("a1.devices.example.com", "clientAuth");
    add(cert, cert, read_as_none[_i], NULL, _i ? "DNS:a1.example.com" : "serverAuth");
    ASSERT_FAILS(ca_chain_check_names(&chain, cert, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "certificate of 'PUMP-1' has an extension that is"));
    X509_free(cert);
    ca_chain_done(&chain);
    end();
}
END_TEST

CHECK_ITEMS_MAIN("ca_chain", ONCE(a_chain_of_any_length_and_algorithm_is_good),
                 EACH_ROW(each_way_of_being_wrong_has_its_own_message, broken),
                 ONCE(a_file_of_anything_else_is_refused),
                 ONCE(the_way_to_the_root_is_whole_and_nothing_else),
                 ONCE(no_certificate_outlives_its_issuer),
                 ONCE(name_constraints_and_usages_of_every_ca_hold_below),
                 EACH_ROW(an_extension_that_cannot_be_read_is_not_taken_for_none, read_as_none))
