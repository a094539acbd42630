#include "pki/authority.h"

#include "pki/x509_build.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

/* What tells the four kinds apart. */
struct kind {
    const char *what;
    bool ca;
    int path_len;
    unsigned key_usage;
    int purpose; /* NID of the extended key usage, or 0 */
};

static const struct kind root_kind = {"device root", true, 1, KU_KEY_CERT_SIGN | KU_CRL_SIGN, 0};
static const struct kind issuing_kind = {"issuing CA", true, 0, KU_KEY_CERT_SIGN | KU_CRL_SIGN, 0};
static const struct kind manifest_root_kind = {"manifest root", true, 0,
                                               KU_KEY_CERT_SIGN | KU_CRL_SIGN, 0};
static const struct kind signer_kind = {"manifest signer", false, -1, KU_DIGITAL_SIGNATURE,
                                        NID_email_protect};

static int check_part(const char *what, const char *value, struct error *err)
{
    size_t len = value ? strlen(value) : 0;

    if (len == 0 || len > 64)
        return error_set(err, ERR_INPUT,
                         "the %s '%.80s' of a certificate has %zu characters, it "
                         "must have 1 to 64",
                         what, value ? value : "", len);
    return 0;
}

static int check_name(const struct authority_name *name, struct error *err)
{
    int rc = check_part("organization", name->organization, err);

    if (rc == 0 && name->unit)
        rc = check_part("organizational unit", name->unit, err);
    return rc ? rc : check_part("common name", name->common_name, err);
}

static bool add_part(X509_NAME *name, int nid, const char *value)
{
    return x509_name_add(name, OBJ_nid2obj(nid), value);
}

/* Everything but the issuer and the signature. */
static X509 *build(const struct kind *kind, const struct authority_name *name, int64_t not_before,
                   const uint8_t point[EC_POINT_SIZE])
{
    uint8_t number[CERT_NUMBER_SIZE] = {0x01};
    X509 *cert = NULL;
    X509_NAME *subject;

    if (RAND_bytes(number + 1, sizeof number - 1) == 1)
        cert = x509_start(number, X509_VERSION_3, not_before, PROFILE_END_OF_TIME);
    if (!cert)
        return NULL;
    subject = X509_get_subject_name(cert);
    if (add_part(subject, NID_organizationName, name->organization) &&
        (!name->unit || add_part(subject, NID_organizationalUnitName, name->unit)) &&
        add_part(subject, NID_commonName, name->common_name) && x509_set_key(cert, point) &&
        x509_add_key_id(cert, point) &&
        x509_add_constraints(cert, kind->ca, kind->path_len, true) &&
        x509_add_key_usage(cert, kind->key_usage, true) &&
        (!kind->purpose || x509_add_purpose(cert, kind->purpose)))
        return cert;
    X509_free(cert);
    return NULL;
}

static bool set_issuer(X509 *cert, X509 *issuer)
{
    const ASN1_OCTET_STRING *id = issuer ? X509_get0_subject_key_id(issuer) : NULL;

    if (!issuer)
        return X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1;
    return id && ASN1_STRING_length(id) == CERT_KEY_ID_SIZE &&
           x509_add_authority(cert, ASN1_STRING_get0_data(id)) &&
           X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1;
}

/* issuer is NULL for a root, which key signs itself. */
static int make(const struct kind *kind, const struct authority_name *name, int64_t not_before,
                const uint8_t point[EC_POINT_SIZE], X509 *issuer, EVP_PKEY *key, X509 **out,
                struct error *err)
{
    X509 *cert;
    int rc = check_name(name, err);

    if (rc)
        return rc;
    cert = build(kind, name, not_before, point);
    if (!cert || !set_issuer(cert, issuer) || X509_sign(cert, key, EVP_sha256()) <= 0)
        rc = error_set(err, ERR_CRYPTO, "cannot build the certificate of %s '%s'", kind->what,
                       name->common_name);
    else if (issuer &&
             X509_NAME_cmp(X509_get_subject_name(cert), X509_get_subject_name(issuer)) == 0)
        rc = error_set(err, ERR_INPUT, "%s '%s' has the very name of its root: name it otherwise",
                       kind->what, name->common_name);
    else if (X509_verify(cert, X509_get0_pubkey(issuer ? issuer : cert)) != 1)
        rc = error_set(err, ERR_SIGNATURE,
                       "the certificate of %s '%s' does not verify: the signing key is not that of "
                       "its issuer",
                       kind->what, name->common_name);
    if (rc) {
        X509_free(cert);
        return rc;
    }
    *out = cert;
    return 0;
}

static int make_root(const struct kind *kind, const struct authority_name *name, int64_t not_before,
                     EVP_PKEY *key, X509 **out, struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    int rc = ec_point(key, point, err);

    return rc ? rc : make(kind, name, not_before, point, NULL, key, out, err);
}

int authority_root(const struct authority_name *name, int64_t not_before, EVP_PKEY *key, X509 **out,
                   struct error *err)
{
    return make_root(&root_kind, name, not_before, key, out, err);
}

int authority_manifest_root(const struct authority_name *name, int64_t not_before, EVP_PKEY *key,
                            X509 **out, struct error *err)
{
    return make_root(&manifest_root_kind, name, not_before, key, out, err);
}

int authority_issuing(const struct authority_name *name, int64_t not_before,
                      const uint8_t point[EC_POINT_SIZE], X509 *root, EVP_PKEY *root_key,
                      X509 **out, struct error *err)
{
    return make(&issuing_kind, name, not_before, point, root, root_key, out, err);
}

int authority_issuing_model(const struct authority_name *name, int64_t not_before,
                            const uint8_t point[EC_POINT_SIZE], X509 **out, struct error *err)
{
    int rc = check_name(name, err);

    if (rc)
        return rc;
    *out = build(&issuing_kind, name, not_before, point);
    return *out ? 0
                : error_set(err, ERR_CRYPTO, "cannot build the certificate of issuing CA '%s'",
                            name->common_name);
}

int authority_self_signed(const struct authority_name *name, int64_t not_before, EVP_PKEY *key,
                          X509 **out, struct error *err)
{
    return make_root(&issuing_kind, name, not_before, key, out, err);
}

int authority_manifest_signer(const struct authority_name *name, int64_t not_before,
                              const uint8_t point[EC_POINT_SIZE], X509 *root, EVP_PKEY *root_key,
                              X509 **out, struct error *err)
{
    return make(&signer_kind, name, not_before, point, root, root_key, out, err);
}
