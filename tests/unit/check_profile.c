/* Certificate profiles: what is refused and where, and what the accepted ones become. */
#include "pki_fixture.h"

#include "base/file.h"
#include "station/profile/platforms.h"
#include "station/profile/sample.h"

#include <openssl/x509v3.h>

/* The profile that has every field that there is. */
static const char *everything(void)
{
    static struct buf text;
    struct error err = ERROR_INIT;

    if (!text.len) {
        buf_init(&text, 10000);
        ASSERT_OK(file_read(IMPRINT_JUDGES "/everything.yaml", &text, &err), err);
        buf_put_u8(&text, 0);
    }
    return (const char *)text.data;
}

/* The same with one change. */
static char *changed(const char *from, const char *to)
{
    const char *all = everything(), *at = strstr(all, from);
    char *text = malloc(strlen(all) + strlen(to) + 1);

    ck_assert_msg(at && text, "'%s' is not there", from);
    sprintf(text, "%.*s%s%s", (int)(at - all), all, to, at + strlen(from));
    return text;
}

static int parse(const char *text, struct cert_profile *out, struct error *err)
{
    return profile_parse("p", text, strlen(text), out, err);
}

static const struct {
    const char *from, *to, *says;
} broken[] = {
    {"name: all", "nam: all", ":1:1: unknown field 'nam'; did you mean 'name'?"},
    {"name: all\n", "",
     ":1:1: missing field 'name' (name of the profile: lower-case letters, digits and '-')"},
    {"name: all", "name: All",
     ":1:7: 'All' is no name of a profile: lower-case letters, digits and '-'"},
    {"name: all", "name: all\nname: all", ":2:1: duplicate key"},
    {"title: every field that there is", "title: \"\"",
     ":2:9: 'title' must be a text of 1 to 128 bytes (what it is for, in one line)"},
    {"title: every field that there is", "title: \"a\\tb\"",
     ":2:9: the title holds a control character"},
    {"version: 3", "version: 2",
     ":3:10: version 2 only adds unique identifiers that nobody uses: 1 or 3"},
    {"version: 3", "version: 4", ":3:10: 'version' must be a whole number from 1 to 3 (1 or 3)"},
    {"version: 3", "version: 1",
     ":3:1: version 1 has no extensions (RFC 5280 section 4.1.2.9): say 'version: 3', or leave t"},
    {"max_size: 2000", "max_size: 100",
     ":4:11: 'max_size' must be a whole number from 200 to 2048 (most octets that a certificate"},
    {"max_size: 2000", "issuer: ../x",
     ":4:9: '../x' is no name of a profile: lower-case letters, digits and '-'"},
    {"not_before: issuance", "not_before: now",
     ":6:15: not_before 'now' is neither 'issuance' nor a time such as 2026-01-31T00:00:00Z"},
    {"not_before: issuance", "not_before: 2026-02-30T00:00:00Z",
     ":6:15: not_before '2026-02-30T00:00:00Z' is neither 'issuance' nor a time such as 2026-01-"},
    {"not_after: 20y", "not_after: 20 years",
     ":7:14: not_after '20 years' is none of 99991231235959Z (no end), a time such as 2046-01-31"},
    {"not_after: 20y", "not_after: 0d",
     ":7:3: a validity of '0d' is empty or ends after the year 9999"},
    {"not_after: 20y", "not_after: 9999y",
     ":7:3: a validity of '9999y' is empty or ends after the year 9999"},
    {"not_before: issuance\n  not_after: 20y",
     "not_before: 2027-01-01T00:00:00Z\n  not_after: 2026-01-01T00:00:00Z",
     ":7:3: the validity ends before it begins"},
    {"validity:\n  not_before: issuance\n  not_after: 20y\n", "validity: 20y\n",
     ":5:1: expected 'name: value' lines, the first being 'not_before' ('issuance', or a time su"},
    {"value: CH", "value: Switzerland",
     ":10:5: C may have 2 to 2 characters, 'Switzerland' has 11"},
    {"value: CH", "value: \"C@\"",
     ":10:5: 'C@' holds character 0x40, which a PrintableString cannot"},
    {"attribute: C\n", "attribute: Country\n",
     ":9:5: 'Country' is no attribute: CN, O, OU, C, ST, L, title, serialNumber, DC, or an objec"},
    {"    value: \"{organization}\"\n  - attribute: serialNumber",
     "    value: \"{organisation}\"\n  - attribute: serialNumber",
     ":12:13: there is no value '{organisation}': the values are {serial}, {chip_id}, {udi}, {pr"},
    {"    value: \"{organization}\"\n  - attribute: serialNumber",
     "    value: \"{organization\"\n  - attribute: serialNumber",
     ":12:13: a '{' has no '}': write '{{' for the character itself"},
    {"    value: \"{organization}\"\n  - attribute: serialNumber",
     "    value: \"organization}\"\n  - attribute: serialNumber",
     ":12:13: a '}' stands alone: write '}}' for the character itself"},
    {"    value: \"{organization}\"\n  - attribute: serialNumber",
     "    value: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\n  - "
     "attribute: serialNumber",
     ":12:5: O may have 1 to 64 characters, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    {"    value: \"{serial}\"\n  - attribute: CN", "    value: \"SN-{serial}\"\n  - attribute: CN",
     ":8:1: the subject needs one serialNumber with value \"{serial}\": by it a manifest's record"},
    {"attribute: 1.3.6.1.4.1.32473.9", "attribute: 1.3.x",
     ":17:5: '1.3.x' is no attribute: CN, O, OU, C, ST, L, title, serialNumber, DC, or an object"},
    {"  ca: false", "  ca: false\n  path_length: 0",
     ":21:3: path_length is for CAs: leave it out, or say 'ca: true'"},
    {"  ca: false", "  ca: no",
     ":20:7: 'ca' must be true or false (false, but for the profile of an issuing CA)"},
    {"  ca: false", "  ca: true\n  critical: false",
     ":21:3: the basic constraints of a CA are critical (RFC 5280 section 4.2.1.9)"},
    {"  ca: false", "  ca: true", ":19:1: a CA needs key usage keyCertSign"},
    {"bits: [digitalSignature, keyAgreement]", "bits: []",
     ":22:3: 'bits' must be a list of 1 to 7 items (what the key may do, as digitalSignature)"},
    {"bits: [digitalSignature, keyAgreement]", "bits: [digitalsignature]",
     ":22:10: 'digitalsignature' is no key usage: digitalSignature, nonRepudiation, keyEncipherm"},
    {"bits: [digitalSignature, keyAgreement]", "bits: [keyAgreement, keyAgreement]",
     ":22:3: 'keyAgreement' is there twice"},
    {"bits: [digitalSignature, keyAgreement]", "bits: [digitalSignature, keyCertSign]",
     ":21:1: keyCertSign and cRLSign are for CAs: a device with them could sign certificates whe"},
    {"bits: [digitalSignature, keyAgreement]", "bits: [digitalSignature, {a: b}]",
     ":22:3: an item of 'bits' must be a text of 1 to 64 bytes (what the key may do, as digitalS"},
    {"purposes: [clientAuth, 1.3.6.1.4.1.32473.8]", "purposes: [client]",
     ":24:14: 'client' is no purpose: serverAuth, clientAuth, codeSigning, emailProtection, time"},
    {"purposes: [clientAuth, 1.3.6.1.4.1.32473.8]", "purposes: [clientAuth, clientAuth]",
     ":24:3: 'clientAuth' is there twice"},
    {"authority_key_identifier: true", "authority_key_identifier: false",
     ":3:1: version 3 needs 'authority_key_identifier: true' (RFC 5280 section 4.2.1.1); verifie"},
    {"subject_key_identifier: true", "subject_key_identifier: yes",
     ":25:25: 'subject_key_identifier' must be true or false (whether it is there; default false"},
    {"oid: 1.3.6.1.4.1.32473.7", "oid: 1.2.840.x",
     ":28:10: '1.2.840.x' is not an object identifier such as 1.3.6.1.4.1.32473.1"},
    {"https://example.com/cps", "example.com/cps", ":29:11: 'example.com/cps' is not a URI"},
    {"https://example.com/cps", "https://example.com/a cps",
     ":29:11: 'https://example.com/a cps' holds character 0x20, which a URI cannot"},
    {"https://example.com/cps", "https://example.com/%zz",
     ":29:11: 'https://example.com/%zz' is not a URI"},
    {"type: dns\n", "type: host\n",
     ":33:7: 'host' is no name of a subject: dns, uri, email, other_name, hardware_module"},
    {"\"{serial}.devices.example.com\"", "\"{serial}..example.com\"",
     ":34:7: 'A1..example.com' is not a DNS name"},
    {"\"{serial}.devices.example.com\"", "\"*.{serial}.example.com\"",
     ":34:7: '*.A1.example.com' holds character 0x2a, which a DNS name cannot"},
    {"\"{serial}@example.com\"", "\"{serial}\"", ":38:7: 'A1' is no address of mail"},
    {"      oid: 1.3.6.1.4.1.32473.5\n", "", ":39:7: other_name needs 'oid' (the name's type)"},
    {"oid: 1.3.6.1.4.1.32473.5", "oid: \"{serial}\"",
     ":40:7: only {hardware_type} of a hardware_module can be an oid"},
    {"    - type: dns\n", "    - type: dns\n      oid: 1.2.3\n", ":34:7: a dns has no 'oid'"},
    {"\"{organization} revocations\"", "\"revocations of {serial}\"",
     ":50:9: the issuer of a CRL is one for all devices: 'revocations of {serial}' is one for ea"},
    {"method: ocsp", "method: crl", ":52:13: method 'crl' is neither 'ocsp' nor 'ca_issuers'"},
    {"uri: \"http://ocsp.example.com\"", "url: \"http://ocsp.example.com\"",
     ":53:5: unknown field 'url'; did you mean 'uri'?"},
    {"value: \"0500\"", "value: \"05\"", ":59:5: '05' is not one value in DER"},
    {"value: \"0500\"", "value: \"0500 0500\"", ":59:5: '0500 0500' is not lower-case hexadecimal"},
    {"value: \"0500\"", "value: \"05000500\"", ":59:5: '05000500' is not one value in DER"},
    {"oid: 1.3.6.1.4.1.32473.1\n", "oid: 2.5.29.15\n",
     ":57:10: extension 2.5.29.15 has a field of its own: 'key_usage'"},
    {"oid: 1.3.6.1.4.1.32473.3\n", "oid: 1.3.6.1.4.1.32473.1\n",
     ":56:1: extension 1.3.6.1.4.1.32473.1 is there twice (RFC 5280 section 4.2)"},
    {"type: octets", "type: integer", ":65:5: type 'integer' is none of der, utf8, octets"},
    {"name: all", "name: all # \xc3\xa9",
     ":1:13: byte 0xc3: profiles are written in printable ASCII and indented with spaces; a name"},
    {"name: all", "name: all\n\tx: 1",
     ":2:1: byte 0x09: profiles are written in printable ASCII and indented with spaces; a name"},
    {"name: all", "name: [all", ":3:8: missing comma in flow sequence"},
};

START_TEST(a_broken_profile_is_refused_with_a_message_of_its_own_and_its_place)
{
    static struct cert_profile profile;
    const size_t count = sizeof broken / sizeof *broken;

    ck_assert_uint_ge(count, 40);
    for (size_t i = 0; i < count; i++) {
        char *text = changed(broken[i].from, broken[i].to);
        struct error err = ERROR_INIT;

        ASSERT_FAILS(parse(text, &profile, &err), ERR_INPUT);
        ck_assert_msg(strncmp(err.text + 1, broken[i].says, strlen(broken[i].says)) == 0,
                      "case %zu: %s", i, err.text);
        for (size_t k = 0; k < i; k++)
            ck_assert_msg(strcmp(broken[i].says, broken[k].says), "cases %zu, %zu", i, k);
        free(text);
    }
}
END_TEST

/* ---- Templates. ---- */

static const struct sample_algorithms p256; /* zero is P-256 everywhere */

/* A device certificate of a profile, by template; judged, and its size compared with what was
 * promised. */
static void issue(struct pki *p, struct cert_template *t, const struct cert_profile *profile,
                  const char *const values[VALUE_COUNT], int64_t when)
{
    static const uint8_t random[CERT_RANDOM_SIZE] = {0xff, 0, 0x80, 1, 2, 3, 4, 5, 6, 7};
    struct cert_subject s = {.serial = values[VALUE_SERIAL],
                             .chip_id = values[VALUE_CHIP_ID],
                             .udi = values[VALUE_UDI],
                             .not_before = when};
    struct cert_expect expect = {s.number, s.serial, &s.key, profile, {NULL}, 0};
    uint8_t point[EC_POINT_SIZE];
    EVP_PKEY *key = new_key(point);
    struct ca_signer signer;
    struct buf tbs, der;
    size_t size;

    buf_init(&tbs, CERT_DER_MAX);
    buf_init(&der, CERT_DER_MAX);
    s.key = key_p256(point);
    memcpy(expect.values, values, sizeof expect.values);
    cert_number(random, 42, s.number);
    ASSERT_OK(cert_template_tbs(t, &s, &tbs, &p->err), p->err);
    ASSERT_OK(cert_template_size(t, &s, &size, &p->err), p->err);
    ASSERT_OK(ca_signer_of(p->issuing_key, &signer, &p->err), p->err);
    ASSERT_OK(ca_sign_tbs(&signer, &tbs, &der, &p->err), p->err);
    ck_assert_uint_le(der.len, size);
    ck_assert_uint_ge(der.len + 8, size);
    ASSERT_OK(cert_check(der.data, der.len, CHAIN(p->issuing, p->root), &expect, &p->err), p->err);
    buf_done(&tbs);
    buf_done(&der);
    EVP_PKEY_free(key);
}

static void start(struct pki *p, const struct cert_profile *profile,
                  const char *values[VALUE_COUNT], struct cert_template **t)
{
    struct cert_template_params params = {.profile = profile};

    pki_init(p);
    params.issuer = p->issuing;
    sample_values(values);
    memcpy(params.values, values, sizeof params.values);
    ASSERT_OK(cert_template_new(&params, 10, t, &p->err), p->err);
}

START_TEST(a_profile_with_every_field_is_patched_for_values_of_every_length)
{
    static struct cert_profile profile;
    const char *values[VALUE_COUNT];
    struct cert_template *t;
    struct error err = ERROR_INIT;
    struct pki p;

    ASSERT_OK(parse(everything(), &profile, &err), err);
    start(&p, &profile, values, &t);
    for (size_t len = SERIAL_MIN; len <= 40; len++) {
        char serial[SERIAL_MAX + 1] = "", chip[65] = "", udi[65] = "";

        memset(serial, 'a' + (int)len % 26, len);
        memset(chip, '0' + (int)len % 10, 1 + len % 7);
        memset(udi, 'Z' - (int)len % 26, 1 + len % 11);
        values[VALUE_SERIAL] = serial;
        values[VALUE_CHIP_ID] = chip;
        values[VALUE_UDI] = udi;
        issue(&p, t, &profile, values, p.now + (int64_t)len);
    }
    cert_template_free(t);
    pki_done(&p);
}
END_TEST

START_TEST(the_text_of_an_extension_is_the_one_of_its_device)
{
    static struct cert_profile profile;
    const char *values[VALUE_COUNT];
    struct sample s;
    struct error err = ERROR_INIT;
    GENERAL_NAMES *names;
    X509_EXTENSION *e;
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.32473.2", 1);
    char cn[65];

    ASSERT_OK(parse(everything(), &profile, &err), err);
    sample_values(values);
    values[VALUE_PRODUCT] = "a/b c";
    ASSERT_OK(sample_make(&profile, values, 1000000000, &p256, &s, &err), err);
    names = X509_get_ext_d2i(s.cert, NID_subject_alt_name, NULL, NULL);
    ck_assert_int_eq(sk_GENERAL_NAME_num(names), 5);
    ck_assert_str_eq((const char *)ASN1_STRING_get0_data(sk_GENERAL_NAME_value(names, 1)->d.ia5),
                     "https://example.com/a%2Fb%20c/A1-0000001?order=ACME-2026-0142");
    X509_NAME_get_text_by_NID(X509_get_subject_name(s.cert), NID_commonName, cn, sizeof cn);
    ck_assert_str_eq(cn, "{a/b c}-A1-0000001");
    e = X509_get_ext(s.cert, X509_get_ext_by_OBJ(s.cert, oid, -1));
    ck_assert_int_eq(X509_EXTENSION_get_critical(e), 1);
    ck_assert_mem_eq(ASN1_STRING_get0_data(X509_EXTENSION_get_data(e)),
                     "\x0c\x1b"
                     "A1-0000001 0123456789abcdef",
                     29);
    ASN1_OBJECT_free(oid);
    GENERAL_NAMES_free(names);
    sample_done(&s);
}
END_TEST

/* Both ends of a validity, at issue times on both sides of 2050. */
START_TEST(validity_is_absolute_relative_or_without_end)
{
    static const struct {
        const char *not_before, *not_after;
        int64_t issued, begin, end;
    } cases[] = {{"issuance", "99991231235959Z", 1000000000, 1000000000, 253402300799},
                 {"issuance", "30d", 1000000000, 1000000000, 1002592000},
                 {"issuance", "1y", 951782400, 951782400, 983318400},     /* 29 February 2000 */
                 {"issuance", "20y", 1893456000, 1893456000, 2524608000}, /* 2030 to 2050 */
                 {"issuance", "20y", 2524607999, 2524607999, 3155759999},
                 {"issuance", "20y", 2524608000, 2524608000, 3155760000},
                 {"2026-01-31T00:00:00Z", "2049-12-31T23:59:59Z", 5, 1769817600, 2524607999},
                 {"2051-01-31T00:00:00Z", "1d", 5, 2558736000, 2558822400}};
    static struct cert_profile profile;
    const char *values[VALUE_COUNT];

    sample_values(values);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_INIT;
        struct sample s;
        struct tm tm[2];

        profile = *idevid_profile();
        strcpy(profile.validity.not_before, cases[i].not_before);
        strcpy(profile.validity.not_after, cases[i].not_after);
        ASSERT_OK(sample_make(&profile, values, cases[i].issued, &p256, &s, &err), err);
        ck_assert_int_eq(ASN1_TIME_to_tm(X509_get0_notBefore(s.cert), &tm[0]), 1);
        ck_assert_int_eq(ASN1_TIME_to_tm(X509_get0_notAfter(s.cert), &tm[1]), 1);
        ck_assert_msg(timegm(&tm[0]) == cases[i].begin && timegm(&tm[1]) == cases[i].end,
                      "case %zu: %ld to %ld", i, (long)timegm(&tm[0]), (long)timegm(&tm[1]));
        ck_assert_int_eq(ASN1_STRING_type(X509_get0_notBefore(s.cert)),
                         cases[i].begin < 2524608000 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME);
        sample_done(&s);
    }
}
END_TEST

START_TEST(a_template_is_refused_where_a_value_does_not_fit)
{
    static const struct {
        enum pattern_value value;
        const char *text, *says;
    } cases[] = {{VALUE_ORGANIZATION, NULL, "no value for '{organization}'"},
                 {VALUE_ORGANIZATION, "", "has 0 characters"},
                 {VALUE_ORGANIZATION,
                  "01234567890123456789012345678901234567890123456789012345678901234",
                  "has 65 characters"},
                 {VALUE_ORGANIZATION, "a\nb", "character 0x0a"},
                 {VALUE_ORGANIZATION, "\xff", "not a text"},
                 {VALUE_HARDWARE_TYPE, NULL, "no value for '{hardware_type}'"},
                 {VALUE_HARDWARE_TYPE, "pump", "not an object identifier"},
                 {VALUE_HARDWARE_TYPE, "1.2.x", "not an object identifier"}};
    struct pki p;

    pki_init(&p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cert_template_params params = {.profile = idevid_profile(), .issuer = p.issuing};
        struct cert_template *t;

        sample_values(params.values);
        params.values[cases[i].value] = cases[i].text;
        ASSERT_FAILS(cert_template_new(&params, 10, &t, &p.err), ERR_INPUT);
        ck_assert_msg(strstr(p.err.text, cases[i].says), "case %zu: %s", i, p.err.text);
    }
    pki_done(&p);
}
END_TEST

START_TEST(a_template_keeps_to_the_size_and_the_issuer_of_its_profile)
{
    static struct cert_profile profile;
    struct cert_template_params params = {.profile = &profile};
    struct cert_template *t;
    struct pki p;

    pki_init(&p);
    profile = *idevid_profile();
    profile.max_size = 400;
    params.issuer = p.issuing;
    sample_values(params.values);
    ASSERT_FAILS(cert_template_new(&params, 10, &t, &p.err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(p.err.text, "may have 400"));
    profile.max_size = 0;
    ASSERT_FAILS(cert_template_new(&params, 1, &t, &p.err), ERR_INPUT);
    ASSERT_FAILS(cert_template_new(&params, SERIAL_MAX + 1, &t, &p.err), ERR_INPUT);
    params.issuer = p.signer;
    ASSERT_FAILS(cert_template_new(&params, 10, &t, &p.err), ERR_INPUT);
    /* A DAC under an issuing CA that is no PAI: a commissioner would refuse it. */
    params.issuer = p.issuing;
    ASSERT_OK(profile_find("matter-dac", &profile, &p.err), p.err);
    ASSERT_FAILS(cert_template_new(&params, 10, &t, &p.err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(p.err.text, "profile 'matter-pai'"));
    ASSERT_OK(profile_find("matter-pai", &profile, &p.err), p.err);
    ASSERT_FAILS(cert_template_new(&params, 10, &t, &p.err), ERR_INPUT);
    pki_done(&p);
}
END_TEST

START_TEST(a_dac_has_the_ids_of_its_pai)
{
    static struct cert_profile profile;
    const char *values[VALUE_COUNT];
    struct error err = ERROR_INIT;
    struct sample pai;
    static const struct {
        const char *vendor, *product;
        int rc;
    } cases[] = {{"FFF1", "8000", 0},         {"FFF2", "8000", ERR_INPUT},
                 {"fff1", "8000", ERR_INPUT}, {"FFF1", "80", ERR_INPUT},
                 {"FFF1", "800G", ERR_INPUT}, {NULL, "8000", ERR_INPUT},
                 {"FFF1", NULL, ERR_INPUT}};

    sample_values(values);
    ASSERT_OK(profile_find("matter-pai", &profile, &err), err);
    ASSERT_OK(sample_make(&profile, values, 1000000000, &p256, &pai, &err), err);
    ASSERT_OK(profile_find("matter-dac", &profile, &err), err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc;

        values[VALUE_VENDOR_ID] = cases[i].vendor;
        values[VALUE_PRODUCT_ID] = cases[i].product;
        rc = cert_issuer_check(&profile, values, pai.cert, &err);
        ck_assert_msg(rc == cases[i].rc, "case %zu: %s", i, err.text);
    }
    sample_done(&pai);
}
END_TEST

/* ---- Hashes and names. ---- */

static void hash_of(const char *text, uint8_t hash[32])
{
    static struct cert_profile profile;
    struct error err = ERROR_INIT;

    ASSERT_OK(parse(text, &profile, &err), err);
    ASSERT_OK(cert_profile_hash(&profile, hash, NULL, &err), err);
}

START_TEST(the_hash_of_a_profile_is_that_of_its_content)
{
    static const struct {
        const char *from, *to;
    } same[] = {{"name: all", "# a comment\nname:   'all'"},
                {"not_before: issuance\n", "\n"},
                {"ca: false", "ca: false\n  critical: true"},
                {"bits: [digitalSignature, keyAgreement]",
                 "bits:\n    - digitalSignature\n    - keyAgreement"}},
      other[] = {
          {"name: all", "name: al"},
          {"every field", "each field"},
          {"max_size: 2000", "max_size: 1999"},
          {"max_size: 2000", "issuer: some"},
          {"issuance", "2026-01-01T00:00:00Z"},
          {"20y", "19y"},
          {"value: CH", "value: CN"},
          {"ca: false", "ca: false\n  critical: false"},
          {"bits: [digitalSignature, keyAgreement]", "bits: [keyAgreement, digitalSignature]"},
          {"key_usage:\n", "key_usage:\n  critical: false\n"},
          {"purposes: [clientAuth", "purposes: [serverAuth"},
          {"extended_key_usage:\n", "extended_key_usage:\n  critical: true\n"},
          {"subject_key_identifier: true", "subject_key_identifier: false"},
          {"com/cps", "com/cp"},
          {"1.3.6.1.4.1.32473.6", "1.3.6.1.4.1.32473.66"},
          {"subject_alt_name:\n", "subject_alt_name:\n  critical: true\n"},
          {"type: dns", "type: uri\n      value: 'a:b'\n    - type: dns"},
          {"{udi}{udi}", "{udi}"},
          {"1.3.6.1.4.1.32473.5", "1.3.6.1.4.1.32473.55"},
          {"indirect.crl", "other.crl"},
          {" revocations", ""},
          {"method: ocsp", "method: ca_issuers"},
          {"ca.cer", "ca.der"},
          {"0500", "0101ff"},
          {"critical: true\n    type: utf8", "type: utf8"},
          {"type: octets", "type: utf8"}};
    uint8_t plain[32], hash[32];

    hash_of(everything(), plain);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char *text = changed(same[i].from, same[i].to);

        hash_of(text, hash);
        ck_assert_msg(memcmp(hash, plain, sizeof hash) == 0, "same %zu", i);
        free(text);
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        char *text = changed(other[i].from, other[i].to);

        hash_of(text, hash);
        ck_assert_msg(memcmp(hash, plain, sizeof hash) != 0, "other %zu", i);
        free(text);
    }
}
END_TEST

START_TEST(a_name_that_is_none_names_the_nearest)
{
    static struct cert_profile profile;
    struct error err = ERROR_INIT;

    ASSERT_FAILS(profile_find("idevit", &profile, &err), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean 'idevid'?"));
    ASSERT_FAILS(profile_find("./none.yaml", &profile, &err), ERR_MISSING);
    ASSERT_FAILS(profile_find("idevid.yaml", &profile, &err), ERR_MISSING);
}
END_TEST

START_TEST(every_shipped_profile_makes_a_certificate_that_its_platform_takes)
{
    static const struct {
        const char *profile, *platform;
        int most;
    } cases[] = {{"idevid", "IEEE 802.1AR", 600}, {"matter-dac", "Matter", 600},
                 {"aws-iot", "AWS IoT", 600},     {"azure-dps", "Azure DPS", 600},
                 {"wisun", "Wi-SUN FAN", 600},    {"tls-client", "TLS client", 600},
                 {"minimal", "TLS client", 300}};
    static struct cert_profile profile;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct platform *p = platforms;
        const char *values[VALUE_COUNT], *why;
        struct sample s;
        struct error err = ERROR_INIT;

        while (strcmp(p->name, cases[i].platform))
            p++;
        sample_values(values);
        ASSERT_OK(profile_find(cases[i].profile, &profile, &err), err);
        ck_assert_str_eq(profile.name, cases[i].profile);
        ASSERT_OK(sample_make(&profile, values, clock_utc(), &p256, &s, &err), err);
        why = p->refuses(s.cert, s.issuing);
        ck_assert_msg(!why, "%s: %s", cases[i].profile, why);
        ck_assert_int_le(i2d_X509(s.cert, NULL), cases[i].most);
        sample_done(&s);
    }
}
END_TEST

CHECK_MAIN("profile", a_broken_profile_is_refused_with_a_message_of_its_own_and_its_place,
           a_profile_with_every_field_is_patched_for_values_of_every_length,
           the_text_of_an_extension_is_the_one_of_its_device,
           validity_is_absolute_relative_or_without_end,
           a_template_is_refused_where_a_value_does_not_fit,
           a_template_keeps_to_the_size_and_the_issuer_of_its_profile, a_dac_has_the_ids_of_its_pai,
           the_hash_of_a_profile_is_that_of_its_content, a_name_that_is_none_names_the_nearest,
           every_shipped_profile_makes_a_certificate_that_its_platform_takes)
