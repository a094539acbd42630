#include "station/profile/platforms.h"

#include "pki/cert_profile.h"
#include "pki/profile.h"

#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>

#define WISUN_OID  "1.3.6.1.4.1.45605.1"
#define MATTER_MAX 600

/* ---- What a certificate has. ---- */

static bool is_v3(X509 *cert)
{
    return X509_get_version(cert) == X509_VERSION_3;
}

static bool is_without_end(X509 *cert)
{
    const ASN1_TIME *end = X509_get0_notAfter(cert);

    return ASN1_STRING_length(end) == (int)strlen(PROFILE_NOT_AFTER) &&
           memcmp(ASN1_STRING_get0_data(end), PROFILE_NOT_AFTER, strlen(PROFILE_NOT_AFTER)) == 0;
}

static bool is_critical(X509 *cert, int nid)
{
    int at = X509_get_ext_by_NID(cert, nid, -1);

    return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(cert, at));
}

/* Text of the one attribute of this type, or NULL. Valid as long as the certificate. */
static const ASN1_STRING *subject_part(X509 *cert, const char *oid)
{
    X509_NAME *name = X509_get_subject_name(cert);
    ASN1_OBJECT *type = OBJ_txt2obj(oid, 1);
    int at = type ? X509_NAME_get_index_by_OBJ(name, type, -1) : -1;
    bool one = at >= 0 && X509_NAME_get_index_by_OBJ(name, type, at) < 0;

    ASN1_OBJECT_free(type);
    return one ? X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)) : NULL;
}

static bool same_text(const ASN1_STRING *a, const ASN1_STRING *b)
{
    return ASN1_STRING_cmp(a, b) == 0;
}

/* Has it the purpose with this OID; missing says what a certificate without any answers. */
static bool has_purpose(X509 *cert, const char *oid, bool missing)
{
    EXTENDED_KEY_USAGE *list = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    char text[64];
    bool found = !list && missing;

    for (int i = 0; list && i < sk_ASN1_OBJECT_num(list); i++) {
        OBJ_obj2txt(text, sizeof text, sk_ASN1_OBJECT_value(list, i), 1);
        found |= strcmp(text, oid) == 0;
    }
    EXTENDED_KEY_USAGE_free(list);
    return found;
}

static bool has_hardware_module(X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    char text[64];

    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_OTHERNAME)
            continue;
        OBJ_obj2txt(text, sizeof text, name->d.otherName->type_id, 1);
        found |= strcmp(text, HW_MODULE_NAME_OID) == 0;
    }
    GENERAL_NAMES_free(names);
    return found;
}

static bool has_key_ids(X509 *cert)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(cert);
    const ASN1_OCTET_STRING *above = X509_get0_authority_key_id(cert);

    return own && ASN1_STRING_length(own) == CERT_KEY_ID_SIZE && above &&
           ASN1_STRING_length(above) == CERT_KEY_ID_SIZE;
}

/* Is the common name 1 to most characters out of a set? */
static bool common_name_is(X509 *cert, const char *set, int most)
{
    const ASN1_STRING *cn = subject_part(cert, "2.5.4.3");
    const char *text = cn ? (const char *)ASN1_STRING_get0_data(cn) : "";
    int len = cn ? ASN1_STRING_length(cn) : 0;

    return len > 0 && len <= most && strspn(text, set) >= (size_t)len;
}

#define ALPHANUMERIC "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* ---- The platforms. ---- */

static const char *ieee_8021ar(X509 *cert, X509 *issuer)
{
    (void)issuer;
    if (!is_v3(cert))
        return "a DevID is of version 3";
    if (!subject_part(cert, "2.5.4.5"))
        return "the subject of an IDevID has a serialNumber";
    if (!is_without_end(cert))
        return "an IDevID does not expire: notAfter is 99991231235959Z";
    if (!X509_get0_authority_key_id(cert))
        return "a DevID has an authorityKeyIdentifier";
    if (!(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE))
        return "a DevID key signs: key usage digitalSignature";
    return NULL;
}

static const char *matter_names(X509 *cert, X509 *issuer)
{
    const ASN1_STRING *vendor = subject_part(cert, PROFILE_MATTER_VENDOR);
    const ASN1_STRING *product = subject_part(cert, PROFILE_MATTER_PRODUCT);
    const ASN1_STRING *pai = subject_part(issuer, PROFILE_MATTER_VENDOR);
    const ASN1_STRING *of = subject_part(issuer, PROFILE_MATTER_PRODUCT);

    if (!vendor || !product)
        return "the subject of a DAC has one vendor id and one product id";
    if (!pai || !same_text(pai, vendor) || (of && !same_text(of, product)))
        return "the PAI above a DAC has the same vendor id, and the same product id if any";
    return NULL;
}

static const char *matter(X509 *cert, X509 *issuer)
{
    if (!is_v3(cert))
        return "a DAC is of version 3";
    if (X509_get_signature_nid(cert) != NID_ecdsa_with_SHA256)
        return "a DAC is signed with ecdsa-with-SHA256";
    if (i2d_X509(cert, NULL) > MATTER_MAX)
        return "a DAC has at most 600 octets";
    if (!is_critical(cert, NID_basic_constraints) || X509_check_ca(cert) ||
        X509_get_pathlen(cert) >= 0)
        return "the basic constraints of a DAC are there, critical, and say CA false";
    if (!is_critical(cert, NID_key_usage) || X509_get_key_usage(cert) != KU_DIGITAL_SIGNATURE)
        return "the key usage of a DAC is critical, and digitalSignature alone";
    if (!has_key_ids(cert))
        return "a DAC has subject and authority key identifiers of 20 octets";
    return matter_names(cert, issuer);
}

static const char *aws(X509 *cert, X509 *issuer)
{
    (void)issuer;
    if (!common_name_is(cert, ALPHANUMERIC ":_-", 128))
        return "a thing is named by the common name: 1 to 128 of letters, digits, ':', '_', '-'";
    if (X509_check_purpose(cert, X509_PURPOSE_SSL_CLIENT, 0) != 1)
        return "the certificate is not one of a TLS client";
    return NULL;
}

static const char *azure(X509 *cert, X509 *issuer)
{
    const ASN1_STRING *cn = subject_part(cert, "2.5.4.3");

    (void)issuer;
    if (!common_name_is(cert, ALPHANUMERIC "-._:", 64))
        return "the common name is the registration id: letters, digits, '-', '.', '_', ':'";
    if (!strchr(ALPHANUMERIC "-", ASN1_STRING_get0_data(cn)[ASN1_STRING_length(cn) - 1]))
        return "a registration id ends with a letter, a digit or '-'";
    if (X509_check_purpose(cert, X509_PURPOSE_SSL_CLIENT, 0) != 1)
        return "the certificate is not one of a TLS client";
    return NULL;
}

static const char *wisun(X509 *cert, X509 *issuer)
{
    (void)issuer;
    if (!is_v3(cert) || !is_without_end(cert))
        return "a FAN device certificate is of version 3 and does not expire";
    if (!has_purpose(cert, WISUN_OID, false) || !has_purpose(cert, "1.3.6.1.5.5.7.3.2", false))
        return "the purposes hold id-kp-wisun-fan-device and clientAuth";
    if (!is_critical(cert, NID_key_usage) || !(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE))
        return "the key usage is critical and holds digitalSignature";
    if (!has_hardware_module(cert))
        return "the subjectAltName is a hardwareModuleName";
    return NULL;
}

static const char *tls(X509 *cert, X509 *issuer)
{
    (void)issuer;
    if (X509_get_key_usage(cert) != UINT32_MAX &&
        !(X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE))
        return "TLS 1.3 needs key usage digitalSignature, or none";
    if (!has_purpose(cert, "1.3.6.1.5.5.7.3.2", true))
        return "a client needs purpose clientAuth, or none";
    return NULL;
}

const struct platform platforms[] = {
    {"IEEE 802.1AR", ieee_8021ar}, {"Matter", matter},  {"AWS IoT", aws}, {"Azure DPS", azure},
    {"Wi-SUN FAN", wisun},         {"TLS client", tls}, {NULL, NULL}};
