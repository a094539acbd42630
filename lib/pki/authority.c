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
                   const struct public_key *key)
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
        add_part(subject, NID_commonName, name->common_name) && x509_set_key(cert, key) &&
        x509_add_key_id(cert, key) && x509_add_constraints(cert, kind->ca, kind->path_len, true) &&
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

/* issuer is NULL for a root, which signer signs itself. */
static int make(const struct kind *kind, const struct authority_name *name, int64_t not_before,
                const struct public_key *key, X509 *issuer, const struct ca_signer *signer,
                X509 **out, struct error *err)
{
    X509 *cert;
    int rc = check_name(name, err);

    if (rc)
        return rc;
    cert = build(kind, name, not_before, key);
    if (!cert || !set_issuer(cert, issuer))
        rc = error_set(err, ERR_CRYPTO, "cannot build the certificate of %s '%s'", kind->what,
                       name->common_name);
    else if (issuer &&
             X509_NAME_cmp(X509_get_subject_name(cert), X509_get_subject_name(issuer)) == 0)
        rc = error_set(err, ERR_INPUT, "%s '%s' has the very name of its root: name it otherwise",
                       kind->what, name->common_name);
    if (rc == 0)
        rc = ca_sign_cert(signer, &cert, err);
    if (rc == 0 && X509_verify(cert, X509_get0_pubkey(issuer ? issuer : cert)) != 1)
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

int authority_root_by(const struct authority_name *name, int64_t not_before,
                      const struct ca_signer *signer, X509 **out, struct error *err)
{
    return make(&root_kind, name, not_before, &signer->key, NULL, signer, out, err);
}

int authority_issuing_by(const struct authority_name *name, int64_t not_before,
                         const struct public_key *key, X509 *root, const struct ca_signer *signer,
                         X509 **out, struct error *err)
{
    return make(&issuing_kind, name, not_before, key, root, signer, out, err);
}

int authority_root(const struct authority_name *name, int64_t not_before, EVP_PKEY *key, X509 **out,
                   struct error *err)
{
    struct ca_signer signer;
    int rc = ca_signer_of(key, &signer, err);

    return rc ? rc : authority_root_by(name, not_before, &signer, out, err);
}

int authority_manifest_root(const struct authority_name *name, int64_t not_before, EVP_PKEY *key,
                            X509 **out, struct error *err)
{
    struct ca_signer signer;
    int rc = ca_signer_of(key, &signer, err);

    if (rc == 0 && signer.key.type != KEY_P256)
        rc = error_set(err, ERR_CRYPTO,
                       "the key of a manifest root is not an uncompressed P-256 key");
    return rc ? rc
              : make(&manifest_root_kind, name, not_before, &signer.key, NULL, &signer, out, err);
}

/* A certificate of a P-256 key. */
static int make_below(const struct kind *kind, const struct authority_name *name,
                      int64_t not_before, const uint8_t point[EC_POINT_SIZE], X509 *root,
                      EVP_PKEY *root_key, X509 **out, struct error *err)
{
    const struct public_key key = key_p256(point);
    struct ca_signer signer;
    int rc = ca_signer_of(root_key, &signer, err);

    return rc ? rc : make(kind, name, not_before, &key, root, &signer, out, err);
}

int authority_issuing(const struct authority_name *name, int64_t not_before,
                      const uint8_t point[EC_POINT_SIZE], X509 *root, EVP_PKEY *root_key,
                      X509 **out, struct error *err)
{
    return make_below(&issuing_kind, name, not_before, point, root, root_key, out, err);
}

int authority_issuing_model(const struct authority_name *name, int64_t not_before,
                            const struct public_key *key, X509 **out, struct error *err)
{
    int rc = check_name(name, err);

    if (rc)
        return rc;
    *out = build(&issuing_kind, name, not_before, key);
    return *out ? 0
                : error_set(err, ERR_CRYPTO, "cannot build the certificate of issuing CA '%s'",
                            name->common_name);
}

int authority_self_signed(const struct authority_name *name, int64_t not_before,
                          const struct ca_signer *signer, X509 **out, struct error *err)
{
    return make(&issuing_kind, name, not_before, &signer->key, NULL, signer, out, err);
}

int authority_manifest_signer(const struct authority_name *name, int64_t not_before,
                              const uint8_t point[EC_POINT_SIZE], X509 *root, EVP_PKEY *root_key,
                              X509 **out, struct error *err)
{
    return make_below(&signer_kind, name, not_before, point, root, root_key, out, err);
}
