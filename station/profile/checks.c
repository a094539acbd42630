#include "station/profile/checks.h"

#include "base/codec.h"
#include "pki/cert_profile.h"
#include "pki/profile.h"

#include <openssl/x509v3.h>
#include <string.h>

#define VALUES_FOR_CLAIM (1u << VALUE_CHIP_ID | 1u << VALUE_UDI)

int check_ascii(const char *source, const void *text, size_t len, struct error *err)
{
    const unsigned char *p = text;
    size_t line = 1, column = 1;

    for (size_t i = 0; i < len; i++, column++) {
        if (p[i] == '\n') {
            line++;
            column = 0;
        } else if (p[i] < 0x20 || p[i] > 0x7e) {
            return error_set(err, ERR_INPUT,
                             "%s:%zu:%zu: byte 0x%02x: profiles are written in printable ASCII and "
                             "indented with spaces; a name in other letters is a value of the job",
                             source, line, column, p[i]);
        }
    }
    return 0;
}

/* ---- Texts. ---- */

int check_name(const void *value, const char **member, struct error *err)
{
    const char *name = value;

    (void)member;
    if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name) && name[0] != '-')
        return 0;
    return error_set(err, ERR_INPUT,
                     "'%s' is no name of a profile: lower-case letters, digits and '-'", name);
}

static bool is_printable(const char *text)
{
    while (*text >= 0x20 && *text <= 0x7e)
        text++;
    return !*text;
}

int check_title(const void *value, const char **member, struct error *err)
{
    (void)member;
    return is_printable(value) ? 0
                               : error_set(err, ERR_INPUT, "the title holds a control character");
}

int check_not_before(const void *value, const char **member, struct error *err)
{
    int64_t when;

    (void)member;
    if (strcmp(value, "issuance") == 0)
        return 0;
    return profile_time(value, &when, NULL) == 0
               ? 0
               : error_set(err, ERR_INPUT,
                           "not_before '%s' is neither 'issuance' nor a time such as "
                           "2026-01-31T00:00:00Z",
                           (const char *)value);
}

int check_not_after(const void *value, const char **member, struct error *err)
{
    struct profile_validity v = {"issuance", ""};
    int64_t when;

    (void)member;
    snprintf(v.not_after, sizeof v.not_after, "%s", (const char *)value);
    if (strcmp(value, PROFILE_NOT_AFTER) == 0 || profile_end_is_relative(&v) ||
        profile_time(value, &when, NULL) == 0)
        return 0;
    return error_set(err, ERR_INPUT,
                     "not_after '%s' is none of " PROFILE_NOT_AFTER
                     " (no end), a time such as 2046-01-31T00:00:00Z, a duration such as 20y or "
                     "3650d",
                     v.not_after);
}

int check_pattern(const void *value, const char **member, struct error *err)
{
    unsigned uses;

    (void)member;
    if (!is_printable(value))
        return error_set(err, ERR_INPUT, "the text holds a control character");
    return pattern_uses(value, &uses, err);
}

/* Values that fit everywhere, in place of those of a device, an order and a job. */
static void plain_values(const char *values[VALUE_COUNT])
{
    for (size_t i = 0; i < VALUE_COUNT; i++)
        values[i] = "A1";
    values[VALUE_HARDWARE_TYPE] = "1.3.6";
    values[VALUE_VENDOR_ID] = values[VALUE_PRODUCT_ID] = "FFF1";
}

static int fits(const char *pattern, enum pattern_form form, char out[PROFILE_TEXT_MAX + 1],
                struct error *err)
{
    const char *values[VALUE_COUNT];

    plain_values(values);
    return pattern_expand(pattern, values, form, out, PROFILE_TEXT_MAX + 1, err);
}

int check_uri(const void *value, const char **member, struct error *err)
{
    char text[PROFILE_TEXT_MAX + 1];
    int rc = check_pattern(value, member, err);

    return rc ? rc : fits(value, FORM_URI, text, err);
}

int check_oid(const void *value, const char **member, struct error *err)
{
    ASN1_OBJECT *oid;
    int rc = profile_oid(value, &oid, err);

    (void)member;
    if (rc == 0)
        ASN1_OBJECT_free(oid);
    return rc;
}

/* Those that have a field of their own. */
int check_extension_oid(const void *value, const char **member, struct error *err)
{
    static const struct {
        const char *oid, *field;
    } own[] = {{"2.5.29.14", "subject_key_identifier"},
               {"2.5.29.15", "key_usage"},
               {"2.5.29.17", "subject_alt_name"},
               {"2.5.29.19", "basic_constraints"},
               {"2.5.29.31", "crl_distribution_points"},
               {"2.5.29.32", "certificate_policies"},
               {"2.5.29.35", "authority_key_identifier"},
               {"2.5.29.37", "extended_key_usage"},
               {"1.3.6.1.5.5.7.1.1", "authority_information_access"}};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(own[i].oid, value) == 0)
            return error_set(err, ERR_INPUT, "extension %s has a field of its own: '%s'",
                             own[i].oid, own[i].field);
    return check_oid(value, member, err);
}

int check_key_type(const void *value, const char **member, struct error *err)
{
    enum key_type type;

    (void)member;
    if (key_type_named(value, &type))
        return 0;
    return error_set(err, ERR_INPUT, "'%s' is no type of keys: " KEY_TYPE_NAMES,
                     (const char *)value);
}

int check_signature(const void *value, const char **member, struct error *err)
{
    enum sig_scheme scheme;

    (void)member;
    if (scheme_named(value, &scheme))
        return 0;
    return error_set(err, ERR_INPUT, "'%s' is no way to sign: " SCHEME_NAMES, (const char *)value);
}

int check_usage(const void *value, const char **member, struct error *err)
{
    (void)member;
    if (profile_usage_bit(value))
        return 0;
    return error_set(err, ERR_INPUT,
                     "'%s' is no key usage: digitalSignature, nonRepudiation, keyEncipherment, "
                     "dataEncipherment, keyAgreement, keyCertSign, cRLSign",
                     (const char *)value);
}

int check_purpose(const void *value, const char **member, struct error *err)
{
    ASN1_OBJECT *purpose;
    int rc = profile_purpose(value, &purpose, err);

    (void)member;
    if (rc == 0)
        ASN1_OBJECT_free(purpose);
    return rc;
}

int check_method(const void *value, const char **member, struct error *err)
{
    (void)member;
    if (strcmp(value, "ocsp") == 0 || strcmp(value, "ca_issuers") == 0)
        return 0;
    return error_set(err, ERR_INPUT, "method '%s' is neither 'ocsp' nor 'ca_issuers'",
                     (const char *)value);
}

int check_version(const void *value, const char **member, struct error *err)
{
    const int64_t *version = value;

    (void)member;
    return *version != 2 ? 0
                         : error_set(err, ERR_INPUT,
                                     "version 2 only adds unique identifiers that nobody uses: 1 "
                                     "or 3");
}

/* ---- Maps. ---- */

int check_validity(const void *value, const char **member, struct error *err)
{
    int64_t begin, end;

    *member = "not_after";
    return profile_times(value, 0, &begin, &end, err);
}

int check_attribute(const void *value, const char **member, struct error *err)
{
    const struct profile_attribute *a = value;
    char text[PROFILE_TEXT_MAX + 1];
    enum pattern_form form;
    size_t least, most;
    ASN1_OBJECT *type;
    int rc = profile_attribute_type(a->type, &type, err);

    *member = "attribute";
    if (rc)
        return rc;
    profile_attribute_rule(type, &form, &least, &most);
    ASN1_OBJECT_free(type);
    *member = "value";
    rc = fits(a->value, form, text, err);
    if (rc == 0 && (strlen(text) < least || strlen(text) > most))
        rc = error_set(err, ERR_INPUT, "%s may have %zu to %zu characters, '%.80s' has %zu",
                       a->type, least, most, text, strlen(text));
    return rc;
}

int check_issuer_attribute(const void *value, const char **member, struct error *err)
{
    const struct profile_attribute *a = value;
    unsigned uses = 0;
    int rc = pattern_uses(a->value, &uses, err);

    *member = "value";
    if (rc == 0 && uses & (VALUES_FOR_CLAIM | 1u << VALUE_SERIAL))
        rc =
            error_set(err, ERR_INPUT,
                      "the issuer of a CRL is one for all devices: '%s' is one for each", a->value);
    return rc ? rc : check_attribute(value, member, err);
}

static int check_other_name(const struct profile_alt_name *n, const char **member,
                            struct error *err)
{
    char oid[PROFILE_TEXT_MAX + 1];
    bool hardware = strcmp(n->type, "hardware_module") == 0;
    unsigned uses = 0;
    int rc;

    *member = n->oid[0] ? "oid" : "type";
    if (!n->oid[0])
        return error_set(err, ERR_INPUT, "%s needs 'oid' (%s)", n->type,
                         hardware ? "hwType" : "the name's type");
    rc = pattern_uses(n->oid, &uses, err);
    if (rc == 0 && uses & ~(hardware ? 1u << VALUE_HARDWARE_TYPE : 0))
        rc = error_set(err, ERR_INPUT, "only {hardware_type} of a hardware_module can be an oid");
    if (rc == 0)
        rc = fits(n->oid, FORM_ASCII, oid, err);
    return rc ? rc : check_oid(oid, member, err);
}

int check_alt_name(const void *value, const char **member, struct error *err)
{
    const struct profile_alt_name *n = value;
    char text[PROFILE_TEXT_MAX + 1];
    enum pattern_form form;
    int general, rc;

    *member = "type";
    if (!profile_alt_name_kind(n->type, &form, &general))
        return error_set(err, ERR_INPUT,
                         "'%s' is no name of a subject: dns, uri, email, other_name, "
                         "hardware_module",
                         n->type);
    if (general == GEN_OTHERNAME && (rc = check_other_name(n, member, err)))
        return rc;
    *member = "oid";
    if (general != GEN_OTHERNAME && n->oid[0])
        return error_set(err, ERR_INPUT, "a %s has no 'oid'", n->type);
    *member = "value";
    rc = fits(n->value, form, text, err);
    if (rc == 0 && general == GEN_EMAIL && !strchr(text, '@'))
        rc = error_set(err, ERR_INPUT, "'%s' is no address of mail", text);
    return rc;
}

int check_constraints(const void *value, const char **member, struct error *err)
{
    const struct profile_constraints *c = value;

    if (!c->ca && c->path_length != PROFILE_PATH_NONE) {
        *member = "path_length";
        return error_set(err, ERR_INPUT, "path_length is for CAs: leave it out, or say 'ca: true'");
    }
    if (c->ca && !c->critical) {
        *member = "critical";
        return error_set(err, ERR_INPUT,
                         "the basic constraints of a CA are critical (RFC 5280 section 4.2.1.9)");
    }
    return 0;
}

static int no_repeats(const char texts[][PROFILE_OID_MAX + 1], size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(texts[i], texts[k]) == 0)
                return error_set(err, ERR_INPUT, "'%s' is there twice", texts[i]);
    return 0;
}

int check_usages(const void *value, const char **member, struct error *err)
{
    const struct profile_usage *u = value;

    *member = "bits";
    return no_repeats(u->bits, u->count, err);
}

int check_purposes(const void *value, const char **member, struct error *err)
{
    const struct profile_purposes *p = value;

    *member = "purposes";
    return no_repeats(p->purposes, p->count, err);
}

/* One DER value in hexadecimal, and nothing behind it. */
static int check_der(const char *hex, struct error *err)
{
    uint8_t der[PROFILE_DER_MAX / 2], *again = NULL;
    const uint8_t *p = der;
    ASN1_TYPE *value;
    size_t len;
    bool good = false;

    if (hex_decode_any(hex, der, sizeof der, &len))
        return error_set(err, ERR_INPUT, "'%.32s' is not lower-case hexadecimal", hex);
    value = d2i_ASN1_TYPE(NULL, &p, (long)len);
    if (value && p == der + len)
        good = i2d_ASN1_TYPE(value, &again) == (int)len && memcmp(again, der, len) == 0;
    OPENSSL_free(again);
    ASN1_TYPE_free(value);
    return good ? 0 : error_set(err, ERR_INPUT, "'%.32s' is not one value in DER", hex);
}

int check_extension(const void *value, const char **member, struct error *err)
{
    const struct profile_extension *e = value;
    bool utf8 = strcmp(e->type, "utf8") == 0;
    char text[PROFILE_TEXT_MAX + 1];
    int rc;

    *member = "type";
    if (!utf8 && strcmp(e->type, "der") && strcmp(e->type, "octets"))
        return error_set(err, ERR_INPUT, "type '%s' is none of der, utf8, octets", e->type);
    *member = "value";
    if (strcmp(e->type, "der") == 0)
        return check_der(e->value, err);
    rc = check_pattern(e->value, member, err);
    return rc ? rc : fits(e->value, utf8 ? FORM_TEXT : FORM_ASCII, text, err);
}

/* ---- The whole. ---- */

/* What ties a certificate to its record is the same in every profile. */
static int check_serial(const struct cert_profile *p, const char **member, struct error *err)
{
    size_t found = 0, right = 0;

    *member = "subject";
    for (size_t i = 0; i < p->subject_count; i++)
        if (strcmp(p->subject[i].type, "serialNumber") == 0 ||
            strcmp(p->subject[i].type, "2.5.4.5") == 0) {
            found++;
            right += strcmp(p->subject[i].value, "{serial}") == 0;
        }
    if (p->constraints.ca || (found == 1 && right == 1))
        return 0;
    return error_set(
        err, ERR_INPUT,
        "the subject needs one serialNumber with value \"{serial}\": by it a manifest's "
        "record and its certificate are held against each other");
}

static int check_ca(const struct cert_profile *p, const char **member, struct error *err)
{
    bool signs = false;

    for (size_t i = 0; i < p->key_usage.count; i++)
        signs |= strcmp(p->key_usage.bits[i], "keyCertSign") == 0 ||
                 strcmp(p->key_usage.bits[i], "cRLSign") == 0;
    *member = signs ? "key_usage" : "basic_constraints";
    if (signs && !p->constraints.ca)
        return error_set(err, ERR_INPUT,
                         "keyCertSign and cRLSign are for CAs: a device with them could sign "
                         "certificates where basicConstraints are not looked at");
    if (p->constraints.ca && !signs)
        return error_set(err, ERR_INPUT, "a CA needs key usage keyCertSign");
    if (p->constraints.ca && cert_profile_uses(p) & (VALUES_FOR_CLAIM | 1u << VALUE_SERIAL)) {
        *member = "subject";
        return error_set(err, ERR_INPUT, "a CA has no serial of a device in its names");
    }
    return 0;
}

static int check_extension_rules(const struct cert_profile *p, const char **member,
                                 struct error *err)
{
    if (p->version == 1 && cert_profile_has_extensions(p)) {
        *member = "version";
        return error_set(
            err, ERR_INPUT,
            "version 1 has no extensions (RFC 5280 section 4.1.2.9): say 'version: 3', "
            "or leave them out");
    }
    if (p->version == 3 && !p->authority_key_id) {
        *member = "version";
        return error_set(err, ERR_INPUT,
                         "version 3 needs 'authority_key_identifier: true' (RFC 5280 section "
                         "4.2.1.1); verifiers that are strict refuse a certificate without it");
    }
    if (p->constraints.ca && !p->subject_key_id) {
        *member = "basic_constraints";
        return error_set(err, ERR_INPUT,
                         "a CA needs 'subject_key_identifier: true' (RFC 5280 section 4.2.1.2)");
    }
    for (size_t i = 0; i < p->extension_count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(p->extensions[i].oid, p->extensions[k].oid) == 0) {
                *member = "extensions";
                return error_set(err, ERR_INPUT,
                                 "extension %s is there twice (RFC 5280 section 4.2)",
                                 p->extensions[i].oid);
            }
    return 0;
}

int check_profile_whole(const void *value, const char **member, struct error *err)
{
    const struct cert_profile *p = value;
    int rc = check_serial(p, member, err);

    if (rc == 0)
        rc = check_ca(p, member, err);
    return rc ? rc : check_extension_rules(p, member, err);
}
