#include "pki/profile_build.h"

#include "base/codec.h"
#include "pki/x509_build.h"

#include <string.h>

/* A certificate being built, and what it is built from. */
struct build {
    const struct cert_profile *profile;
    const struct profile_input *input;
    X509 *cert;
    struct error *err;
};

static int failed(const struct build *b, const char *what)
{
    return error_set(b->err, ERR_CRYPTO, "OpenSSL cannot build the %s of profile '%s'", what,
                     b->profile->name);
}

static int expand(const struct build *b, const char *what, const char *pattern,
                  enum pattern_form form, char out[PROFILE_TEXT_MAX + 1])
{
    int rc = pattern_expand(pattern, b->input->values, form, out, PROFILE_TEXT_MAX + 1, b->err);

    return rc ? error_prefix(b->err, "profile '%s': %s", b->profile->name, what) : 0;
}

/* ---- Names. ---- */

static int add_attribute(const struct build *b, X509_NAME *name, const struct profile_attribute *a)
{
    char text[PROFILE_TEXT_MAX + 1];
    ASN1_OBJECT *type = NULL;
    enum pattern_form form;
    size_t least, most;
    int rc = profile_attribute_type(a->type, &type, b->err);

    if (rc)
        return rc;
    profile_attribute_rule(type, &form, &least, &most);
    rc = expand(b, a->type, a->value, form, text);
    if (rc == 0 && (strlen(text) < least || strlen(text) > most))
        rc = error_set(b->err, ERR_INPUT,
                       "profile '%s': %s '%s' has %zu characters, it may have %zu to %zu",
                       b->profile->name, a->type, text, strlen(text), least, most);
    if (rc == 0 && !x509_name_add(name, type, text))
        rc = error_set(b->err, ERR_INPUT, "profile '%s': '%s' is no %s", b->profile->name, text,
                       a->type);
    ASN1_OBJECT_free(type);
    return rc;
}

static int add_attributes(const struct build *b, X509_NAME *name,
                          const struct profile_attribute *attributes, size_t count)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_attribute(b, name, &attributes[i]);
    return rc;
}

static int set_names(const struct build *b)
{
    X509_NAME *subject = X509_get_subject_name(b->cert);
    int rc = add_attributes(b, subject, b->profile->subject, b->profile->subject_count);

    if (rc == 0 &&
        X509_set_issuer_name(b->cert, b->input->issuer ? X509_get_subject_name(b->input->issuer)
                                                       : subject) != 1)
        rc = failed(b, "names");
    return rc;
}

/* A general name of an IA5String: dNSName, uniformResourceIdentifier or rfc822Name. */
static GENERAL_NAME *ia5_name(int type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();

    if (name && value && ASN1_STRING_set(value, text, -1) == 1) {
        GENERAL_NAME_set0_value(name, type, value);
        return name;
    }
    GENERAL_NAME_free(name);
    ASN1_IA5STRING_free(value);
    return NULL;
}

static GENERAL_NAME *other_name(ASN1_OBJECT *type, const char *text)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OBJECT *oid = OBJ_dup(type);
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_UTF8STRING *string = ASN1_UTF8STRING_new();

    if (name && oid && value && string && ASN1_STRING_set(string, text, -1) == 1) {
        ASN1_TYPE_set(value, V_ASN1_UTF8STRING, string);
        if (GENERAL_NAME_set0_othername(name, oid, value) == 1)
            return name;
        string = NULL; /* value's */
    }
    ASN1_UTF8STRING_free(string);
    ASN1_TYPE_free(value);
    ASN1_OBJECT_free(oid);
    GENERAL_NAME_free(name);
    return NULL;
}

/* An otherName: its type is an OID, of hardware_module a pattern of one. */
static int typed_name(const struct build *b, const struct profile_alt_name *n, const char *text,
                      GENERAL_NAME **out)
{
    char oid[PROFILE_TEXT_MAX + 1];
    ASN1_OBJECT *type = NULL;
    int rc = expand(b, "oid", n->oid, FORM_ASCII, oid);

    if (rc == 0) {
        rc = profile_oid(oid, &type, b->err);
        if (rc)
            error_prefix(b->err, "profile '%s': %s", b->profile->name, n->type);
    }
    if (rc == 0)
        *out = strcmp(n->type, "other_name") ? x509_hw_module(type, text) : other_name(type, text);
    ASN1_OBJECT_free(type);
    return rc;
}

static int alt_name(const struct build *b, const struct profile_alt_name *n, GENERAL_NAME **out)
{
    char text[PROFILE_TEXT_MAX + 1];
    enum pattern_form form;
    int general, rc;

    *out = NULL;
    if (!profile_alt_name_kind(n->type, &form, &general))
        return failed(b, "subjectAltName");
    rc = expand(b, n->type, n->value, form, text);
    if (rc == 0 && general == GEN_OTHERNAME)
        rc = typed_name(b, n, text, out);
    else if (rc == 0)
        *out = ia5_name(general, text);
    return rc ? rc : *out ? 0 : failed(b, "subjectAltName");
}

static int add_alt_names(const struct build *b)
{
    const struct profile_alt_names *names = &b->profile->alt_names;
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    int rc = list ? 0 : failed(b, "subjectAltName");

    for (size_t i = 0; rc == 0 && i < names->count; i++) {
        GENERAL_NAME *name;

        rc = alt_name(b, &names->names[i], &name);
        if (rc == 0 && sk_GENERAL_NAME_push(list, name) <= 0) {
            GENERAL_NAME_free(name);
            rc = failed(b, "subjectAltName");
        }
    }
    if (rc == 0 && names->count && !x509_add(b->cert, NID_subject_alt_name, list, names->critical))
        rc = failed(b, "subjectAltName");
    GENERAL_NAMES_free(list);
    return rc;
}

/* ---- What the key is for. ---- */

static int add_constraints(const struct build *b)
{
    const struct profile_constraints *c = &b->profile->constraints;

    if (b->profile->has_constraints &&
        !x509_add_constraints(b->cert, c->ca, (int)c->path_length, c->critical))
        return failed(b, "basicConstraints");
    return 0;
}

static int add_key_usage(const struct build *b)
{
    const struct profile_usage *u = &b->profile->key_usage;
    unsigned bits = 0;

    for (size_t i = 0; i < u->count; i++)
        bits |= profile_usage_bit(u->bits[i]);
    return !bits || x509_add_key_usage(b->cert, bits, u->critical) ? 0 : failed(b, "keyUsage");
}

static int add_purposes(const struct build *b)
{
    const struct profile_purposes *p = &b->profile->purposes;
    EXTENDED_KEY_USAGE *list = EXTENDED_KEY_USAGE_new();
    int rc = list ? 0 : failed(b, "extendedKeyUsage");

    for (size_t i = 0; rc == 0 && i < p->count; i++) {
        ASN1_OBJECT *purpose;

        rc = profile_purpose(p->purposes[i], &purpose, b->err);
        if (rc == 0 && sk_ASN1_OBJECT_push(list, purpose) <= 0) {
            ASN1_OBJECT_free(purpose);
            rc = failed(b, "extendedKeyUsage");
        }
    }
    if (rc == 0 && p->count && !x509_add(b->cert, NID_ext_key_usage, list, p->critical))
        rc = failed(b, "extendedKeyUsage");
    EXTENDED_KEY_USAGE_free(list);
    return rc;
}

/* ---- Identifiers and pointers. ---- */

static int add_key_ids(const struct build *b)
{
    const ASN1_OCTET_STRING *id =
        b->input->issuer ? X509_get0_subject_key_id(b->input->issuer) : NULL;

    if (b->profile->subject_key_id && !x509_add_key_id(b->cert, b->input->key))
        return failed(b, "subjectKeyIdentifier");
    if (!b->profile->authority_key_id || !b->input->issuer)
        return 0;
    if (!id || ASN1_STRING_length(id) != CERT_KEY_ID_SIZE)
        return error_set(b->err, ERR_INPUT,
                         "profile '%s': the issuer has no subject key identifier of %d octets",
                         b->profile->name, CERT_KEY_ID_SIZE);
    return x509_add_authority(b->cert, ASN1_STRING_get0_data(id))
               ? 0
               : failed(b, "authorityKeyIdentifier");
}

/* PolicyQualifierInfo with the URI of a practice statement (RFC 5280 section 4.2.1.4). */
static bool add_cps(POLICYINFO *policy, const char *uri)
{
    POLICYQUALINFO *qualifier = POLICYQUALINFO_new();

    if (!policy->qualifiers)
        policy->qualifiers = sk_POLICYQUALINFO_new_null();
    if (qualifier && policy->qualifiers) {
        qualifier->pqualid = OBJ_nid2obj(NID_id_qt_cps);
        qualifier->d.cpsuri = ASN1_IA5STRING_new();
        if (qualifier->d.cpsuri && ASN1_STRING_set(qualifier->d.cpsuri, uri, -1) == 1 &&
            sk_POLICYQUALINFO_push(policy->qualifiers, qualifier) > 0)
            return true;
    }
    POLICYQUALINFO_free(qualifier);
    return false;
}

static int push_policy(const struct build *b, CERTIFICATEPOLICIES *list,
                       const struct profile_policy *p)
{
    POLICYINFO *policy = POLICYINFO_new();
    char uri[PROFILE_TEXT_MAX + 1];
    int rc =
        policy ? profile_oid(p->oid, &policy->policyid, b->err) : failed(b, "certificatePolicies");

    if (rc == 0 && p->cps[0]) {
        rc = expand(b, "cps", p->cps, FORM_URI, uri);
        if (rc == 0 && !add_cps(policy, uri))
            rc = failed(b, "certificatePolicies");
    }
    if (rc == 0 && sk_POLICYINFO_push(list, policy) > 0)
        return 0;
    POLICYINFO_free(policy);
    return rc ? rc : failed(b, "certificatePolicies");
}

static int add_policies(const struct build *b)
{
    CERTIFICATEPOLICIES *list = CERTIFICATEPOLICIES_new();
    int rc = list ? 0 : failed(b, "certificatePolicies");

    for (size_t i = 0; rc == 0 && i < b->profile->policy_count; i++)
        rc = push_policy(b, list, &b->profile->policies[i]);
    if (rc == 0 && b->profile->policy_count &&
        !x509_add(b->cert, NID_certificate_policies, list, false))
        rc = failed(b, "certificatePolicies");
    CERTIFICATEPOLICIES_free(list);
    return rc;
}

static bool push_name(GENERAL_NAMES **list, GENERAL_NAME *name)
{
    *list = GENERAL_NAMES_new();
    if (*list && name && sk_GENERAL_NAME_push(*list, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

/* The name of the CRL's issuer, where the CRL is indirect (RFC 5280 section 4.2.1.13). */
static int crl_issuer(const struct build *b, const struct profile_crl *crl, DIST_POINT *point)
{
    GENERAL_NAME *general = GENERAL_NAME_new();
    X509_NAME *name = X509_NAME_new();
    int rc = general && name ? 0 : failed(b, "cRLIssuer");

    if (rc == 0)
        rc = add_attributes(b, name, crl->issuer, crl->issuer_count);
    if (rc == 0) {
        GENERAL_NAME_set0_value(general, GEN_DIRNAME, name);
        return push_name(&point->CRLissuer, general) ? 0 : failed(b, "cRLIssuer");
    }
    X509_NAME_free(name);
    GENERAL_NAME_free(general);
    return rc;
}

static int push_crl(const struct build *b, CRL_DIST_POINTS *list, const struct profile_crl *crl)
{
    DIST_POINT *point = DIST_POINT_new();
    char uri[PROFILE_TEXT_MAX + 1];
    int rc = expand(b, "uri", crl->uri, FORM_URI, uri);

    if (rc == 0 && (!point || !(point->distpoint = DIST_POINT_NAME_new()) ||
                    !push_name(&point->distpoint->name.fullname, ia5_name(GEN_URI, uri))))
        rc = failed(b, "cRLDistributionPoints");
    if (rc == 0)
        point->distpoint->type = 0; /* fullName */
    if (rc == 0 && crl->issuer_count)
        rc = crl_issuer(b, crl, point);
    if (rc == 0 && sk_DIST_POINT_push(list, point) > 0)
        return 0;
    DIST_POINT_free(point);
    return rc ? rc : failed(b, "cRLDistributionPoints");
}

static int add_crls(const struct build *b)
{
    CRL_DIST_POINTS *list = CRL_DIST_POINTS_new();
    int rc = list ? 0 : failed(b, "cRLDistributionPoints");

    for (size_t i = 0; rc == 0 && i < b->profile->crl_count; i++)
        rc = push_crl(b, list, &b->profile->crls[i]);
    if (rc == 0 && b->profile->crl_count &&
        !x509_add(b->cert, NID_crl_distribution_points, list, false))
        rc = failed(b, "cRLDistributionPoints");
    CRL_DIST_POINTS_free(list);
    return rc;
}

static int push_access(const struct build *b, AUTHORITY_INFO_ACCESS *list,
                       const struct profile_access *a)
{
    ACCESS_DESCRIPTION *access = ACCESS_DESCRIPTION_new();
    GENERAL_NAME *location;
    char uri[PROFILE_TEXT_MAX + 1];
    int rc = expand(b, a->method, a->uri, FORM_URI, uri);

    if (rc == 0 && access && (location = ia5_name(GEN_URI, uri))) {
        access->method = OBJ_nid2obj(strcmp(a->method, "ocsp") ? NID_ad_ca_issuers : NID_ad_OCSP);
        GENERAL_NAME_free(access->location);
        access->location = location;
        if (sk_ACCESS_DESCRIPTION_push(list, access) > 0)
            return 0;
    }
    ACCESS_DESCRIPTION_free(access);
    return rc ? rc : failed(b, "authorityInfoAccess");
}

static int add_access(const struct build *b)
{
    AUTHORITY_INFO_ACCESS *list = AUTHORITY_INFO_ACCESS_new();
    int rc = list ? 0 : failed(b, "authorityInfoAccess");

    for (size_t i = 0; rc == 0 && i < b->profile->access_count; i++)
        rc = push_access(b, list, &b->profile->access[i]);
    if (rc == 0 && b->profile->access_count && !x509_add(b->cert, NID_info_access, list, false))
        rc = failed(b, "authorityInfoAccess");
    AUTHORITY_INFO_ACCESS_free(list);
    return rc;
}

/* ---- Extensions of one's own. ---- */

/* The DER of the value: given, or one UTF8String or OCTET STRING. */
static int extension_value(const struct build *b, const struct profile_extension *e,
                           ASN1_OCTET_STRING *value)
{
    char text[PROFILE_TEXT_MAX + 1];
    uint8_t der[PROFILE_DER_MAX / 2 + 8], *p = der;
    bool utf8 = strcmp(e->type, "utf8") == 0;
    size_t len;
    int rc = 0;

    if (strcmp(e->type, "der") == 0) {
        len = strlen(e->value) / 2;
        rc = hex_decode(e->value, der, len);
    } else {
        rc = expand(b, e->oid, e->value, utf8 ? FORM_TEXT : FORM_ASCII, text);
        if (rc)
            return rc;
        len = strlen(text);
        ASN1_put_object(&p, 0, (int)len, utf8 ? V_ASN1_UTF8STRING : V_ASN1_OCTET_STRING,
                        V_ASN1_UNIVERSAL);
        memcpy(p, text, len);
        len += (size_t)(p - der);
    }
    return rc == 0 && ASN1_OCTET_STRING_set(value, der, (int)len) == 1 ? 0 : failed(b, e->oid);
}

static int add_extension(const struct build *b, const struct profile_extension *e)
{
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension = NULL;
    ASN1_OBJECT *oid = NULL;
    int rc = value ? profile_oid(e->oid, &oid, b->err) : failed(b, e->oid);

    if (rc == 0)
        rc = extension_value(b, e, value);
    if (rc == 0) {
        extension = X509_EXTENSION_create_by_OBJ(NULL, oid, e->critical, value);
        if (!extension || X509_add_ext(b->cert, extension, -1) != 1)
            rc = failed(b, e->oid);
    }
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
    return rc;
}

static int add_extensions(const struct build *b)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < b->profile->extension_count; i++)
        rc = add_extension(b, &b->profile->extensions[i]);
    return rc;
}

/* ---- All of it. ---- */

static int start(struct build *b)
{
    int64_t not_before, not_after;
    int rc =
        profile_times(&b->profile->validity, b->input->issued, &not_before, &not_after, b->err);

    if (rc)
        return error_prefix(b->err, "profile '%s'", b->profile->name);
    b->cert = x509_start(b->input->number, b->profile->version - 1, not_before, not_after);
    return b->cert && x509_set_key(b->cert, b->input->key) ? 0 : failed(b, "certificate");
}

int profile_build(const struct cert_profile *profile, const struct profile_input *input, X509 **out,
                  struct error *err)
{
    static int (*const steps[])(const struct build *) = {
        set_names,    add_constraints, add_key_usage, add_purposes, add_key_ids,
        add_policies, add_alt_names,   add_crls,      add_access,   add_extensions};
    struct build b = {profile, input, NULL, err};
    int rc = start(&b);

    for (size_t i = 0; rc == 0 && i < sizeof steps / sizeof *steps; i++)
        rc = steps[i](&b);
    if (rc)
        X509_free(b.cert);
    else
        *out = b.cert;
    return rc;
}

int profile_build_tbs(const struct cert_profile *profile, const struct profile_input *input,
                      enum sig_scheme scheme, struct buf *tbs, struct error *err)
{
    X509 *cert = NULL;
    int rc = profile_build(profile, input, &cert, err);

    if (rc)
        return rc;
    rc = scheme_tbs(cert, scheme, tbs, err);
    X509_free(cert);
    return rc ? error_prefix(err, "profile '%s'", profile->name) : 0;
}
