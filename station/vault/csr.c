#include "station/vault/csr.h"

#include "station/vault/csr_der.h"
#include "station/vault/csr_key.h"

#include <stdbool.h>
#include <string.h>

#define EXTENSIONS_MAX 16

static const uint8_t oid_extension_request[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                                0x0d, 0x01, 0x09, 0x0e};

/* ---- what it asks for besides ---- */

/* One Extension: takes it off d. value is what its OCTET STRING holds. */
static int read_extension(struct der *d, struct der *oid, bool *critical, struct der *value,
                          struct error *err)
{
    struct der extension, flag;
    int rc = der_enter(d, DER_SEQUENCE, "extension", &extension, err);

    if (rc == 0)
        rc = der_enter(&extension, DER_OID, "extension's name", oid, err);
    *critical = rc == 0 && extension.left && *extension.p == DER_BOOLEAN;
    if (*critical) {
        rc = der_enter(&extension, DER_BOOLEAN, "extension's criticality", &flag, err);
        if (rc == 0 && !der_is(&flag, "\xff", 1)) /* DER leaves FALSE out */
            rc = error_set(err, ERR_PROTOCOL, WHOSE ": an extension's criticality is not DER");
    }
    if (rc == 0)
        rc = der_enter(&extension, DER_OCTETS, "extension's value", value, err);
    return rc ? rc : der_end(&extension, "extension", err);
}

static int check_extension_list(struct der list, struct error *err)
{
    struct der oid, value;
    bool critical;
    int rc = 0;

    if (list.left == 0)
        return error_set(err, ERR_PROTOCOL, WHOSE " has an extension request without extensions");
    for (int i = 0; rc == 0 && list.left; i++) {
        if (i == EXTENSIONS_MAX)
            return error_set(err, ERR_PROTOCOL, WHOSE " asks for more than %d extensions",
                             EXTENSIONS_MAX);
        rc = read_extension(&list, &oid, &critical, &value, err);
    }
    return rc;
}

static int read_extension_request(struct der *attribute, struct csr *out, struct error *err)
{
    struct der set, list;
    int rc = der_enter(attribute, DER_SET, "extension request", &set, err);

    if (rc == 0)
        rc = der_enter(&set, DER_SEQUENCE, "list of extensions", &list, err);
    if (rc == 0)
        rc = der_end(&set, "list of extensions", err);
    if (rc == 0)
        rc = der_end(attribute, "extension request", err);
    if (rc == 0)
        rc = check_extension_list(list, err);
    if (rc)
        return rc;
    out->extensions = list.p;
    out->extensions_len = list.left;
    return 0;
}

static int read_attributes(struct der *info, struct csr *out, struct error *err)
{
    struct der attributes, attribute, oid;
    int rc = der_enter(info, DER_ATTRIBUTES, "attributes", &attributes, err);

    if (rc || attributes.left == 0)
        return rc;
    rc = der_enter(&attributes, DER_SEQUENCE, "attribute", &attribute, err);
    if (rc == 0)
        rc = der_end(&attributes, "one attribute", err);
    if (rc == 0)
        rc = der_enter(&attribute, DER_OID, "attribute's name", &oid, err);
    if (rc)
        return rc;
    if (!der_is(&oid, oid_extension_request, sizeof oid_extension_request))
        return error_set(err, ERR_REFUSED, WHOSE " has an attribute that is no extension request");
    return read_extension_request(&attribute, out, err);
}

/* ---- the whole ---- */

static int read_info(struct der info, enum key_type type, struct csr *out, struct error *err)
{
    struct der version, name;
    const uint8_t *start;
    int rc = der_enter(&info, DER_INTEGER, "version", &version, err);

    if (rc)
        return rc;
    if (!der_is(&version, "\0", 1))
        return error_set(err, ERR_PROTOCOL, WHOSE " has another version than 1");
    start = info.p;
    rc = der_enter(&info, DER_SEQUENCE, "subject", &name, err);
    if (rc)
        return rc;
    out->subject = start;
    out->subject_len = (size_t)(info.p - start);
    rc = csr_key_read(&info, type, &out->key, err);
    if (rc == 0)
        rc = read_attributes(&info, out, err);
    return rc ? rc : der_end(&info, "attributes", err);
}

static const char *wanted_name(enum key_type type)
{
    static const char *const names[KEY_TYPES] = {
        [KEY_P256] = "ECDSA with SHA-256",   [KEY_P384] = "ECDSA with SHA-384",
        [KEY_RSA_2048] = "RSA with SHA-256", [KEY_RSA_3072] = "RSA with SHA-256",
        [KEY_ED25519] = "Ed25519",
    };

    return names[type];
}

static int read_scheme(struct der *request, enum key_type type, enum sig_scheme *scheme,
                       struct error *err)
{
    const uint8_t *start = request->p;
    struct der algorithm;
    int rc = der_enter(request, DER_SEQUENCE, "signature algorithm", &algorithm, err);

    if (rc == 0 && (!scheme_parse(start, (size_t)(request->p - start), scheme) ||
                    !scheme_fits(*scheme, type))) /* an RSA key signs in either way */
        rc = error_set(err, ERR_REFUSED, WHOSE " is signed with another algorithm than %s",
                       wanted_name(type));
    return rc;
}

static bool is_ecdsa(const struct der *bits, enum key_type type)
{
    uint8_t raw[SCHEME_SIG_MAX];

    return (type != KEY_P256 && type != KEY_P384) ||
           scheme_der_to_raw(bits->p, bits->left, scheme_raw_length(type) / 2, raw) == 0;
}

static int check_signature(struct der *request, const struct csr *csr,
                           const struct der *signed_part, struct error *err)
{
    enum sig_scheme scheme;
    struct der bits;
    int rc = read_scheme(request, csr->key.type, &scheme, err);

    if (rc == 0)
        rc = der_enter_bits(request, "signature", &bits, err);
    if (rc == 0)
        rc = der_end(request, "signature", err);
    if (rc)
        return rc;
    if (!is_ecdsa(&bits, csr->key.type))
        return error_set(err, ERR_PROTOCOL, WHOSE " has a signature that is no ECDSA signature");
    if (scheme_verify_key(&csr->key, scheme, signed_part->p, signed_part->left, bits.p, bits.left,
                          NULL))
        return error_set(err, ERR_SIGNATURE,
                         WHOSE " is not signed by the key in it: whoever sent it does not hold it");
    return 0;
}

int csr_read(const uint8_t *der, size_t len, enum key_type type, struct csr *out, struct error *err)
{
    struct der all = {der, len}, request, info, signed_part;
    struct csr made = {0};
    int rc;

    if (len > IMPRINT_CSR_MAX)
        return error_set(err, ERR_PROTOCOL, WHOSE " has %zu bytes, and may have %d", len,
                         IMPRINT_CSR_MAX);
    rc = der_enter(&all, DER_SEQUENCE, "outer sequence", &request, err);
    if (rc == 0)
        rc = der_end(&all, "outer sequence", err);
    if (rc)
        return rc;
    signed_part.p = request.p;
    rc = der_enter(&request, DER_SEQUENCE, "request info", &info, err);
    if (rc)
        return rc;
    signed_part.left = (size_t)(request.p - signed_part.p);
    rc = read_info(info, type, &made, err);
    if (rc == 0)
        rc = check_signature(&request, &made, &signed_part, err);
    if (rc == 0)
        *out = made;
    return rc;
}

int csr_check_subject(const struct csr *csr, const uint8_t *subject, size_t len, struct error *err)
{
    if (csr->subject_len == len && memcmp(csr->subject, subject, len) == 0)
        return 0;
    return error_set(err, ERR_REFUSED,
                     WHOSE " names another subject than the job gives this device: set it aside");
}

/* Whether the certificate has this extension with this value. */
static bool has_extension(X509 *cert, const struct der *oid, bool critical, const struct der *value)
{
    for (int i = 0; i < X509_get_ext_count(cert); i++) {
        X509_EXTENSION *extension = X509_get_ext(cert, i);
        const ASN1_OBJECT *name = X509_EXTENSION_get_object(extension);
        const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(extension);

        if (der_is(oid, OBJ_get0_data(name), OBJ_length(name)))
            return (X509_EXTENSION_get_critical(extension) != 0) == critical &&
                   der_is(value, ASN1_STRING_get0_data(data), (size_t)ASN1_STRING_length(data));
    }
    return false;
}

int csr_check_extensions(const struct csr *csr, X509 *cert, struct error *err)
{
    struct der list = {csr->extensions, csr->extensions_len}, oid, value;
    bool critical;
    int rc = 0;

    for (int i = 1; rc == 0 && list.left; i++) {
        rc = read_extension(&list, &oid, &critical, &value, err);
        if (rc == 0 && !has_extension(cert, &oid, critical, &value))
            rc = error_set(err, ERR_REFUSED,
                           WHOSE " asks for an extension (number %d) that the order's profile does "
                                 "not give: set it aside",
                           i);
    }
    return rc;
}
