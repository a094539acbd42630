#include "pki/cert_profile.h"

#include "base/jcs.h"
#include "pki/digest.h"
#include "pki/profile.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CANONICAL_MAX 32768
#define DAY           86400
#define YEAR_1950     INT64_C(-631152000)

/* ---- Patterns. ---- */

static const char *attribute_value(const struct profile_attribute *a, size_t count, size_t *n)
{
    if (*n < count)
        return a[*n].value;
    *n -= count;
    return NULL;
}

static const char *alt_name_pattern(const struct profile_alt_names *names, size_t *n)
{
    if (*n < 2 * names->count)
        return *n % 2 ? names->names[*n / 2].oid : names->names[*n / 2].value;
    *n -= 2 * names->count;
    return NULL;
}

static const char *pointer_pattern(const struct cert_profile *p, size_t *n)
{
    const char *found = NULL;

    for (size_t i = 0; !found && i < p->crl_count; i++) {
        if (*n == 0)
            return p->crls[i].uri;
        --*n;
        found = attribute_value(p->crls[i].issuer, p->crls[i].issuer_count, n);
    }
    if (found)
        return found;
    if (*n < p->access_count)
        return p->access[*n].uri;
    *n -= p->access_count;
    if (*n < p->policy_count)
        return p->policies[*n].cps;
    *n -= p->policy_count;
    return NULL;
}

const char *cert_profile_pattern(const struct cert_profile *p, size_t *at)
{
    size_t n = (*at)++;
    const char *found = attribute_value(p->subject, p->subject_count, &n);

    if (!found)
        found = alt_name_pattern(&p->alt_names, &n);
    if (!found)
        found = pointer_pattern(p, &n);
    if (!found && n < p->extension_count)
        found = strcmp(p->extensions[n].type, "der") ? p->extensions[n].value : "";
    return found;
}

unsigned cert_profile_uses(const struct cert_profile *profile)
{
    unsigned all = 0, uses;
    const char *pattern;
    size_t at = 0;

    while ((pattern = cert_profile_pattern(profile, &at)))
        if (pattern_uses(pattern, &uses, NULL) == 0)
            all |= uses;
    return all;
}

bool cert_profile_has_extensions(const struct cert_profile *p)
{
    return p->has_constraints || p->key_usage.count || p->purposes.count || p->subject_key_id ||
           p->authority_key_id || p->policy_count || p->alt_names.count || p->crl_count ||
           p->access_count || p->extension_count;
}

/* ---- Canonical content. ---- */

static void put_attributes(struct jcs *j, const char *name, const struct profile_attribute *a,
                           size_t count)
{
    jcs_array(j, name);
    for (size_t i = 0; i < count; i++) {
        jcs_object(j, NULL);
        jcs_str(j, "attribute", a[i].type);
        jcs_str(j, "value", a[i].value);
        jcs_end(j);
    }
    jcs_end(j);
}

static void put_texts(struct jcs *j, const char *name, char texts[][PROFILE_OID_MAX + 1],
                      size_t count)
{
    jcs_array(j, name);
    for (size_t i = 0; i < count; i++)
        jcs_str(j, NULL, texts[i]);
    jcs_end(j);
}

static void put_constraints(struct jcs *j, const struct cert_profile *p)
{
    if (!p->has_constraints) {
        jcs_null(j, "basic_constraints");
        return;
    }
    jcs_object(j, "basic_constraints");
    jcs_bool(j, "ca", p->constraints.ca);
    jcs_bool(j, "critical", p->constraints.critical);
    jcs_int(j, "path_length", p->constraints.path_length);
    jcs_end(j);
}

static void put_crls(struct jcs *j, const struct cert_profile *p)
{
    jcs_array(j, "crl_distribution_points");
    for (size_t i = 0; i < p->crl_count; i++) {
        jcs_object(j, NULL);
        put_attributes(j, "issuer", p->crls[i].issuer, p->crls[i].issuer_count);
        jcs_str(j, "uri", p->crls[i].uri);
        jcs_end(j);
    }
    jcs_end(j);
}

static void put_extensions(struct jcs *j, const struct cert_profile *p)
{
    jcs_array(j, "extensions");
    for (size_t i = 0; i < p->extension_count; i++) {
        jcs_object(j, NULL);
        jcs_bool(j, "critical", p->extensions[i].critical);
        jcs_str(j, "oid", p->extensions[i].oid);
        jcs_str(j, "type", p->extensions[i].type);
        jcs_str(j, "value", p->extensions[i].value);
        jcs_end(j);
    }
    jcs_end(j);
}

static void put_policies(struct jcs *j, const struct cert_profile *p)
{
    jcs_array(j, "certificate_policies");
    for (size_t i = 0; i < p->policy_count; i++) {
        jcs_object(j, NULL);
        jcs_str(j, "cps", p->policies[i].cps);
        jcs_str(j, "oid", p->policies[i].oid);
        jcs_end(j);
    }
    jcs_end(j);
}

static void put_access(struct jcs *j, const struct cert_profile *p)
{
    jcs_array(j, "authority_information_access");
    for (size_t i = 0; i < p->access_count; i++) {
        jcs_object(j, NULL);
        jcs_str(j, "method", p->access[i].method);
        jcs_str(j, "uri", p->access[i].uri);
        jcs_end(j);
    }
    jcs_end(j);
}

static void put_alt_names(struct jcs *j, const struct profile_alt_names *names)
{
    jcs_object(j, "subject_alt_name");
    jcs_bool(j, "critical", names->critical);
    jcs_array(j, "names");
    for (size_t i = 0; i < names->count; i++) {
        jcs_object(j, NULL);
        jcs_str(j, "oid", names->names[i].oid);
        jcs_str(j, "type", names->names[i].type);
        jcs_str(j, "value", names->names[i].value);
        jcs_end(j);
    }
    jcs_end(j);
    jcs_end(j);
}

/* const is lost only for the texts, which jcs reads. */
static void put_profile(struct jcs *j, struct cert_profile *p)
{
    jcs_object(j, NULL);
    put_access(j, p);
    jcs_bool(j, "authority_key_identifier", p->authority_key_id);
    put_constraints(j, p);
    put_policies(j, p);
    put_crls(j, p);
    jcs_object(j, "extended_key_usage");
    jcs_bool(j, "critical", p->purposes.critical);
    put_texts(j, "purposes", p->purposes.purposes, p->purposes.count);
    jcs_end(j);
    put_extensions(j, p);
    jcs_str(j, "issuer", p->issuer);
    jcs_object(j, "key_usage");
    put_texts(j, "bits", p->key_usage.bits, p->key_usage.count);
    jcs_bool(j, "critical", p->key_usage.critical);
    jcs_end(j);
    if (p->key_count) /* profiles are older than these two fields, and keep their hashes */
        put_texts(j, "keys", p->keys, p->key_count);
    jcs_int(j, "max_size", p->max_size);
    jcs_str(j, "name", p->name);
    if (p->signature_count)
        put_texts(j, "signatures", p->signatures, p->signature_count);
    put_attributes(j, "subject", p->subject, p->subject_count);
    put_alt_names(j, &p->alt_names);
    jcs_bool(j, "subject_key_identifier", p->subject_key_id);
    jcs_str(j, "title", p->title);
    jcs_object(j, "validity");
    jcs_str(j, "not_after", p->validity.not_after);
    jcs_str(j, "not_before", p->validity.not_before);
    jcs_end(j);
    jcs_int(j, "version", p->version);
    jcs_end(j);
}

int cert_profile_hash(const struct cert_profile *profile, uint8_t hash[32], struct buf *content,
                      struct error *err)
{
    struct cert_profile copy = *profile;
    struct buf text;
    struct jcs j;
    int rc;

    buf_init(&text, CANONICAL_MAX);
    jcs_init(&j, &text);
    put_profile(&j, &copy);
    rc = buf_check(&text, "the canonical content of a profile", err);
    if (rc == 0) {
        sha256(text.data, text.len, hash);
        if (content)
            buf_put(content, text.data, text.len);
    }
    buf_done(&text);
    return rc;
}

/* ---- Algorithms. ---- */

static bool is_in(const char (*list)[PROFILE_OID_MAX + 1], size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return count == 0;
}

static bool agrees(const struct cert_profile *profile)
{
    for (size_t i = 0; i < profile->key_usage.count; i++)
        if (strcmp(profile->key_usage.bits[i], "keyAgreement") == 0)
            return true;
    return false;
}

bool cert_profile_signs(const struct cert_profile *profile, enum sig_scheme scheme)
{
    return is_in(profile->signatures, profile->signature_count, scheme_name(scheme));
}

int cert_profile_allows(const struct cert_profile *profile, enum key_type key,
                        enum sig_scheme scheme, struct error *err)
{
    if (!is_in(profile->keys, profile->key_count, key_type_name(key)))
        return error_set(err, ERR_REFUSED,
                         "profile '%s' is not for keys of type %s: its 'keys' are %s%s",
                         profile->name, key_type_name(key), profile->keys[0],
                         profile->key_count > 1 ? " and others" : "");
    if (agrees(profile) && key != KEY_P256 && key != KEY_P384)
        return error_set(
            err, ERR_REFUSED,
            "profile '%s' has key usage keyAgreement, and keys of type %s cannot agree "
            "on keys",
            profile->name, key_type_name(key));
    if (!cert_profile_signs(profile, scheme))
        return error_set(err, ERR_REFUSED,
                         "profile '%s' is not for certificates signed with %s, as the issuing CA "
                         "does: its 'signatures' are %s%s",
                         profile->name, scheme_name(scheme), profile->signatures[0],
                         profile->signature_count > 1 ? " and others" : "");
    return 0;
}

/* ---- Validity. ---- */

int profile_time(const char *text, int64_t *out, struct error *err)
{
    struct tm tm = {0};
    const char *end = strlen(text) == 20 ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
    char again[32];
    time_t when = end && !*end ? timegm(&tm) : -1;

    if (end && !*end && gmtime_r(&when, &tm) && when >= YEAR_1950 && when <= PROFILE_END_OF_TIME &&
        strftime(again, sizeof again, "%Y-%m-%dT%H:%M:%SZ", &tm) && strcmp(again, text) == 0) {
        *out = when;
        return 0;
    }
    return error_set(err, ERR_INPUT,
                     "'%s' is not a time from 1950 to 9999 such as 2026-01-31T00:00:00Z", text);
}

bool profile_begins_at_issuance(const struct profile_validity *v)
{
    return strcmp(v->not_before, "issuance") == 0;
}

bool profile_end_is_relative(const struct profile_validity *v)
{
    size_t digits = strspn(v->not_after, "0123456789");

    return digits > 0 && digits < 6 && strchr("dy", v->not_after[digits]) && v->not_after[digits] &&
           !v->not_after[digits + 1];
}

/* Years are calendar years; 29 February becomes 28 February where there is none. */
static int add_duration(const char *text, int64_t from, int64_t *out, struct error *err)
{
    char *unit;
    long n = strtol(text, &unit, 10);
    time_t start = from;
    struct tm tm;
    bool leap_day;

    if (*unit == 'd') {
        *out = from + n * INT64_C(86400);
    } else {
        gmtime_r(&start, &tm);
        leap_day = tm.tm_mon == 1 && tm.tm_mday == 29;
        tm.tm_year += (int)n;
        *out = timegm(&tm);
        if (leap_day && tm.tm_mon != 1)
            *out -= DAY;
    }
    if (n > 0 && *out <= PROFILE_END_OF_TIME)
        return 0;
    return error_set(err, ERR_INPUT, "a validity of '%s' is empty or ends after the year 9999",
                     text);
}

int profile_times(const struct profile_validity *v, int64_t issued, int64_t *not_before,
                  int64_t *not_after, struct error *err)
{
    int64_t begin = issued, end = PROFILE_END_OF_TIME;
    int rc = 0;

    if (!profile_begins_at_issuance(v))
        rc = profile_time(v->not_before, &begin, err);
    if (rc == 0 && profile_end_is_relative(v))
        rc = add_duration(v->not_after, begin, &end, err);
    else if (rc == 0 && strcmp(v->not_after, PROFILE_NOT_AFTER))
        rc = profile_time(v->not_after, &end, err);
    if (rc)
        return rc;
    if (begin < YEAR_1950)
        return error_set(err, ERR_INPUT, "a certificate cannot begin before 1950");
    if (end <= begin)
        return error_set(err, ERR_INPUT, "the validity ends before it begins");
    *not_before = begin;
    *not_after = end;
    return 0;
}

/* ---- Names of things. ---- */

struct rule {
    const char *name;
    int nid;
    enum pattern_form form;
    size_t least, most;
};

/* X.520 upper bounds (RFC 5280 appendix A.1). */
static const struct rule rules[] = {
    {"CN", NID_commonName, FORM_TEXT, 1, 64},
    {"O", NID_organizationName, FORM_TEXT, 1, 64},
    {"OU", NID_organizationalUnitName, FORM_TEXT, 1, 64},
    {"C", NID_countryName, FORM_PRINTABLE, 2, 2},
    {"ST", NID_stateOrProvinceName, FORM_TEXT, 1, 128},
    {"L", NID_localityName, FORM_TEXT, 1, 128},
    {"title", NID_title, FORM_TEXT, 1, 64},
    {"serialNumber", NID_serialNumber, FORM_PRINTABLE, 1, 64},
    {"DC", NID_domainComponent, FORM_ASCII, 1, 63},
};

int profile_oid(const char *text, ASN1_OBJECT **out, struct error *err)
{
    *out = strspn(text, "0123456789.") == strlen(text) ? OBJ_txt2obj(text, 1) : NULL;
    if (*out && OBJ_length(*out) <= 64)
        return 0;
    ASN1_OBJECT_free(*out);
    *out = NULL;
    return error_set(err, ERR_INPUT,
                     "'%.80s' is not an object identifier such as 1.3.6.1.4.1.32473.1", text);
}

int profile_attribute_type(const char *text, ASN1_OBJECT **out, struct error *err)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].name, text) == 0) {
            *out = OBJ_nid2obj(rules[i].nid);
            return 0;
        }
    if (profile_oid(text, out, NULL) == 0)
        return 0;
    return error_set(err, ERR_INPUT,
                     "'%.64s' is no attribute: CN, O, OU, C, ST, L, title, serialNumber, DC, or an "
                     "object identifier",
                     text);
}

void profile_attribute_rule(const ASN1_OBJECT *type, enum pattern_form *form, size_t *least,
                            size_t *most)
{
    int nid = OBJ_obj2nid(type);

    *form = FORM_TEXT;
    *least = 1;
    *most = PROFILE_TEXT_MAX;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].nid == nid) {
            *form = rules[i].form;
            *least = rules[i].least;
            *most = rules[i].most;
        }
}

int profile_purpose(const char *text, ASN1_OBJECT **out, struct error *err)
{
    static const struct {
        const char *name;
        int nid;
    } purposes[] = {{"serverAuth", NID_server_auth},  {"clientAuth", NID_client_auth},
                    {"codeSigning", NID_code_sign},   {"emailProtection", NID_email_protect},
                    {"timeStamping", NID_time_stamp}, {"OCSPSigning", NID_OCSP_sign}};

    for (size_t i = 0; i < sizeof purposes / sizeof *purposes; i++)
        if (strcmp(purposes[i].name, text) == 0) {
            *out = OBJ_nid2obj(purposes[i].nid);
            return 0;
        }
    if (profile_oid(text, out, NULL) == 0)
        return 0;
    return error_set(err, ERR_INPUT,
                     "'%.64s' is no purpose: serverAuth, clientAuth, codeSigning, emailProtection, "
                     "timeStamping, OCSPSigning, or an object identifier",
                     text);
}

bool profile_alt_name_kind(const char *type, enum pattern_form *form, int *general)
{
    static const struct {
        const char *type;
        enum pattern_form form;
        int general;
    } kinds[] = {{"dns", FORM_DNS, GEN_DNS},
                 {"uri", FORM_URI, GEN_URI},
                 {"email", FORM_ASCII, GEN_EMAIL},
                 {"other_name", FORM_TEXT, GEN_OTHERNAME},
                 {"hardware_module", FORM_ASCII, GEN_OTHERNAME}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].type, type) == 0) {
            *form = kinds[i].form;
            *general = kinds[i].general;
            return true;
        }
    return false;
}

unsigned profile_usage_bit(const char *name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } bits[] = {{"digitalSignature", KU_DIGITAL_SIGNATURE},
                {"nonRepudiation", KU_NON_REPUDIATION},
                {"keyEncipherment", KU_KEY_ENCIPHERMENT},
                {"dataEncipherment", KU_DATA_ENCIPHERMENT},
                {"keyAgreement", KU_KEY_AGREEMENT},
                {"keyCertSign", KU_KEY_CERT_SIGN},
                {"cRLSign", KU_CRL_SIGN}};

    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        if (strcmp(bits[i].name, name) == 0)
            return bits[i].bit;
    return 0;
}
