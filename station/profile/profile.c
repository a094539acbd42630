#include "station/profile/profile.h"

#include "base/file.h"
#include "station/profile/checks.h"
#include "station/schema/schema.h"

#include <stddef.h>
#include <string.h>

#define SHIPPED_MAX 32

#define FIELD(owner, member, yaml, kind, is_required, least, most, what)                           \
    .name = yaml, .type = kind, .required = is_required, .offset = offsetof(struct owner, member), \
    .min = least, .max = most, .meaning = what
#define LIST(owner, member, count, count_owner)                                                    \
    .item_size = sizeof(((struct owner *)0)->member[0]),                                           \
    .count_offset = offsetof(struct owner, count)

static const struct schema_field validity_fields[] = {
    {FIELD(profile_validity, not_before, "not_before", SCHEMA_TEXT, false, 1, 23,
           "'issuance', or a time such as 2026-01-31T00:00:00Z"),
     .check = check_not_before},
    {FIELD(profile_validity, not_after, "not_after", SCHEMA_TEXT, true, 2, 23,
           "99991231235959Z for a life without end, a time, or a duration: 20y, 3650d"),
     .check = check_not_after},
    {.name = NULL}};

static const struct schema_field attribute_fields[] = {
    {FIELD(profile_attribute, type, "attribute", SCHEMA_TEXT, true, 1, PROFILE_OID_MAX,
           "CN, O, OU, C, ST, L, title, serialNumber, DC, or an object identifier")},
    {FIELD(profile_attribute, value, "value", SCHEMA_TEXT, true, 1, PROFILE_TEXT_MAX,
           "its text, with placeholders such as {serial}"),
     .check = check_pattern},
    {.name = NULL}};

static const struct schema_field constraints_fields[] = {
    {FIELD(profile_constraints, critical, "critical", SCHEMA_BOOL, false, 0, 0,
           "default true, as RFC 5280 asks of a CA")},
    {FIELD(profile_constraints, ca, "ca", SCHEMA_BOOL, true, 0, 0,
           "false, but for the profile of an issuing CA")},
    {FIELD(profile_constraints, path_length, "path_length", SCHEMA_INT, false, 0, 9,
           "CAs that may follow below; only with 'ca: true'")},
    {.name = NULL}};

static const struct schema_field usage_fields[] = {
    {FIELD(profile_usage, critical, "critical", SCHEMA_BOOL, false, 0, 0, "default true")},
    {FIELD(profile_usage, bits, "bits", SCHEMA_TEXTS, true, 1, PROFILE_USAGES_MAX,
           "what the key may do, as digitalSignature"),
     LIST(profile_usage, bits, count, profile_usage), .check = check_usage},
    {.name = NULL}};

static const struct schema_field purposes_fields[] = {
    {FIELD(profile_purposes, critical, "critical", SCHEMA_BOOL, false, 0, 0, "default false")},
    {FIELD(profile_purposes, purposes, "purposes", SCHEMA_TEXTS, true, 1, PROFILE_LIST_MAX,
           "names such as clientAuth, or object identifiers"),
     LIST(profile_purposes, purposes, count, profile_purposes), .check = check_purpose},
    {.name = NULL}};

static const struct schema_field policy_fields[] = {
    {FIELD(profile_policy, oid, "oid", SCHEMA_TEXT, true, 3, PROFILE_OID_MAX,
           "object identifier of the policy"),
     .check = check_oid},
    {FIELD(profile_policy, cps, "cps", SCHEMA_TEXT, false, 1, PROFILE_TEXT_MAX,
           "URI of the practice statement"),
     .check = check_uri},
    {.name = NULL}};

static const struct schema_field alt_name_fields[] = {
    {FIELD(profile_alt_name, type, "type", SCHEMA_TEXT, true, 1, 19,
           "dns, uri, email, other_name or hardware_module")},
    {FIELD(profile_alt_name, oid, "oid", SCHEMA_TEXT, false, 1, PROFILE_TEXT_MAX,
           "type of an other_name; hwType of a hardware_module"),
     .check = check_pattern},
    {FIELD(profile_alt_name, value, "value", SCHEMA_TEXT, true, 1, PROFILE_TEXT_MAX,
           "its text; hwSerialNum of a hardware_module"),
     .check = check_pattern},
    {.name = NULL}};

static const struct schema_field alt_names_fields[] = {
    {FIELD(profile_alt_names, critical, "critical", SCHEMA_BOOL, false, 0, 0, "default false")},
    {FIELD(profile_alt_names, names, "names", SCHEMA_LIST, true, 1, PROFILE_NAMES_MAX, "the names"),
     LIST(profile_alt_names, names, count, profile_alt_names), .fields = alt_name_fields,
     .check = check_alt_name},
    {.name = NULL}};

static const struct schema_field crl_fields[] = {
    {FIELD(profile_crl, uri, "uri", SCHEMA_TEXT, true, 1, PROFILE_TEXT_MAX, "where the CRL is"),
     .check = check_uri},
    {FIELD(profile_crl, issuer, "issuer", SCHEMA_LIST, false, 1, PROFILE_ISSUER_MAX,
           "name of who signs it, where that is not the issuing CA (an indirect CRL)"),
     LIST(profile_crl, issuer, issuer_count, profile_crl), .fields = attribute_fields,
     .check = check_issuer_attribute},
    {.name = NULL}};

static const struct schema_field access_fields[] = {
    {FIELD(profile_access, method, "method", SCHEMA_TEXT, true, 1, 15, "ocsp or ca_issuers"),
     .check = check_method},
    {FIELD(profile_access, uri, "uri", SCHEMA_TEXT, true, 1, PROFILE_TEXT_MAX, "where it answers"),
     .check = check_uri},
    {.name = NULL}};

static const struct schema_field extension_fields[] = {
    {FIELD(profile_extension, oid, "oid", SCHEMA_TEXT, true, 3, PROFILE_OID_MAX,
           "object identifier of the extension"),
     .check = check_extension_oid},
    {FIELD(profile_extension, critical, "critical", SCHEMA_BOOL, false, 0, 0, "default false")},
    {FIELD(profile_extension, type, "type", SCHEMA_TEXT, true, 1, 7, "der, utf8 or octets")},
    {FIELD(profile_extension, value, "value", SCHEMA_TEXT, true, 1, PROFILE_DER_MAX,
           "of der: hexadecimal; else a text with placeholders")},
    {.name = NULL}};

static const struct schema_field profile_fields[] = {
    {FIELD(cert_profile, name, "name", SCHEMA_TEXT, true, 1, PROFILE_NAME_MAX,
           "name of the profile: lower-case letters, digits and '-'"),
     .check = check_name},
    {FIELD(cert_profile, title, "title", SCHEMA_TEXT, true, 1, 128, "what it is for, in one line"),
     .check = check_title},
    {FIELD(cert_profile, version, "version", SCHEMA_INT, true, 1, 3, "1 or 3"),
     .check = check_version},
    {FIELD(cert_profile, max_size, "max_size", SCHEMA_INT, false, 200, 2048,
           "most octets that a certificate may have")},
    {FIELD(cert_profile, issuer, "issuer", SCHEMA_TEXT, false, 1, PROFILE_NAME_MAX,
           "profile that the issuing CA follows"),
     .check = check_name},
    {FIELD(cert_profile, validity, "validity", SCHEMA_MAP, true, 0, 0, "from when to when"),
     .fields = validity_fields, .check = check_validity},
    {FIELD(cert_profile, subject, "subject", SCHEMA_LIST, true, 1, PROFILE_ATTRIBUTES_MAX,
           "attributes of the subject's name, in this order"),
     LIST(cert_profile, subject, subject_count, cert_profile), .fields = attribute_fields,
     .check = check_attribute},
    {FIELD(cert_profile, constraints, "basic_constraints", SCHEMA_MAP, false, 0, 0,
           "RFC 5280 section 4.2.1.9"),
     .count_offset = offsetof(struct cert_profile, has_constraints), .fields = constraints_fields,
     .check = check_constraints},
    {FIELD(cert_profile, key_usage, "key_usage", SCHEMA_MAP, false, 0, 0,
           "RFC 5280 section 4.2.1.3"),
     .fields = usage_fields, .check = check_usages},
    {FIELD(cert_profile, purposes, "extended_key_usage", SCHEMA_MAP, false, 0, 0,
           "RFC 5280 section 4.2.1.12"),
     .fields = purposes_fields, .check = check_purposes},
    {FIELD(cert_profile, subject_key_id, "subject_key_identifier", SCHEMA_BOOL, false, 0, 0,
           "whether it is there; default false")},
    {FIELD(cert_profile, authority_key_id, "authority_key_identifier", SCHEMA_BOOL, false, 0, 0,
           "whether it is there; default false")},
    {FIELD(cert_profile, policies, "certificate_policies", SCHEMA_LIST, false, 1, PROFILE_LIST_MAX,
           "RFC 5280 section 4.2.1.4"),
     LIST(cert_profile, policies, policy_count, cert_profile), .fields = policy_fields},
    {FIELD(cert_profile, alt_names, "subject_alt_name", SCHEMA_MAP, false, 0, 0,
           "RFC 5280 section 4.2.1.6"),
     .fields = alt_names_fields},
    {FIELD(cert_profile, crls, "crl_distribution_points", SCHEMA_LIST, false, 1, PROFILE_LIST_MAX,
           "RFC 5280 section 4.2.1.13"),
     LIST(cert_profile, crls, crl_count, cert_profile), .fields = crl_fields},
    {FIELD(cert_profile, access, "authority_information_access", SCHEMA_LIST, false, 1,
           PROFILE_LIST_MAX, "RFC 5280 section 4.2.2.1"),
     LIST(cert_profile, access, access_count, cert_profile), .fields = access_fields},
    {FIELD(cert_profile, extensions, "extensions", SCHEMA_LIST, false, 1, PROFILE_LIST_MAX,
           "other extensions, by object identifier"),
     LIST(cert_profile, extensions, extension_count, cert_profile), .fields = extension_fields,
     .check = check_extension},
    {FIELD(cert_profile, keys, "keys", SCHEMA_TEXTS, false, 1, 5,
           "types of device keys: " KEY_TYPE_NAMES "; default all"),
     LIST(cert_profile, keys, key_count, cert_profile), .check = check_key_type},
    {FIELD(cert_profile, signatures, "signatures", SCHEMA_TEXTS, false, 1, 5,
           "how the issuing CA signs: " SCHEME_NAMES "; default all"),
     LIST(cert_profile, signatures, signature_count, cert_profile), .check = check_signature},
    {.name = NULL}};

int profile_parse(const char *source, const void *text, size_t len, struct cert_profile *out,
                  struct error *err)
{
    int rc;

    memset(out, 0, sizeof *out);
    strcpy(out->validity.not_before, "issuance");
    out->constraints.critical = true;
    out->constraints.path_length = PROFILE_PATH_NONE;
    out->key_usage.critical = true;
    rc = check_ascii(source, text, len, err);
    return rc ? rc : schema_parse(source, text, len, profile_fields, check_profile_whole, out, err);
}

static int read_profile(const char *path, struct cert_profile *out, struct error *err)
{
    struct buf text;
    int rc;

    buf_init(&text, PROFILE_FILE_MAX);
    rc = file_read(path, &text, err);
    if (rc == 0)
        rc = profile_parse(path, text.data, text.len, out, err);
    buf_done(&text);
    return rc;
}

static int no_such(const char *name, struct error *err)
{
    const char *names[SHIPPED_MAX + 1], *near;
    size_t n = 0;

    while (shipped_profiles[n].name && n < SHIPPED_MAX) {
        names[n] = shipped_profiles[n].name;
        n++;
    }
    names[n] = NULL;
    near = schema_nearest(name, names);
    return error_set(err, ERR_MISSING,
                     "there is no profile '%.64s'%s%s%s 'imprint profile list' lists them; a file "
                     "ends in .yaml",
                     name, near ? "; did you mean '" : ":", near ? near : "", near ? "'?" : "");
}

int profile_find(const char *name, struct cert_profile *out, struct error *err)
{
    size_t len = strlen(name);

    if (strchr(name, '/') || (len > 5 && strcmp(name + len - 5, ".yaml") == 0))
        return read_profile(name, out, err);
    for (const struct shipped_profile *p = shipped_profiles; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return profile_parse(name, p->text, strlen(p->text), out, err);
    return no_such(name, err);
}
