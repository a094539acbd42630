#include "station/conform/certificate.h"

#include <openssl/x509.h>
#include <string.h>

#define DAY 86400

/* CN=imprint conform */
const uint8_t certificate_subject[] = {0x30, 0x1a, 0x31, 0x18, 0x30, 0x16, 0x06, 0x03, 0x55, 0x04,
                                       0x03, 0x0c, 0x0f, 'i',  'm',  'p',  'r',  'i',  'n',  't',
                                       ' ',  'c',  'o',  'n',  'f',  'o',  'r',  'm'};
const size_t certificate_subject_len = sizeof certificate_subject;

static bool set_name(X509_NAME *name, const char *text)
{
    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)text, -1, -1, 0) ==
           1;
}

static bool fill(X509 *cert, EVP_PKEY *key, const char *name, EVP_PKEY *ca)
{
    return X509_set_version(cert, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1 &&
           set_name(X509_get_subject_name(cert), name) &&
           set_name(X509_get_issuer_name(cert), CERTIFICATE_CA) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), 0) &&
           X509_gmtime_adj(X509_getm_notAfter(cert), DAY) && X509_set_pubkey(cert, key) == 1 &&
           X509_sign(cert, ca, EVP_sha256()) > 0;
}

int certificate_put(struct buf *out, const uint8_t point[EC_POINT_SIZE], const char *name,
                    EVP_PKEY *ca, struct error *err)
{
    EVP_PKEY *key = NULL;
    X509 *cert = X509_new();
    uint8_t *der = NULL;
    int len = -1, rc = ec_public_key(point, &key, err);

    if (rc == 0 && cert && fill(cert, key, name, ca))
        len = i2d_X509(cert, &der);
    if (len > 0)
        buf_put(out, der, (size_t)len);
    else if (rc == 0)
        rc = error_set(err, ERR_CRYPTO, "cannot make a certificate");
    OPENSSL_free(der);
    X509_free(cert);
    EVP_PKEY_free(key);
    return rc;
}

static bool has_subject(const X509_REQ *request, const uint8_t *subject, size_t subject_len)
{
    uint8_t *der = NULL;
    int len = i2d_X509_NAME(X509_REQ_get_subject_name(request), &der);
    bool same = len == (int)subject_len && memcmp(der, subject, subject_len) == 0;

    OPENSSL_free(der);
    return same;
}

/* What is wrong with a request, or NULL. */
static const char *fault_of(X509_REQ *request, EVP_PKEY *key, const uint8_t *subject,
                            size_t subject_len)
{
    uint8_t point[EC_POINT_SIZE];

    if (X509_REQ_get_version(request) != 0)
        return "is not of version 1";
    if (!has_subject(request, subject, subject_len))
        return "has another subject than KEYGEN asked for";
    if (!key || ec_point(key, point, NULL))
        return "is not for a P-256 key";
    if (X509_REQ_get_attr_count(request) != 0)
        return "has attributes";
    if (X509_REQ_get_signature_nid(request) != NID_ecdsa_with_SHA256)
        return "is not signed with ECDSA and SHA-256";
    return X509_REQ_verify(request, key) == 1 ? NULL : "is not signed by its own key";
}

int certificate_request(const uint8_t *der, size_t len, const uint8_t *subject, size_t subject_len,
                        EVP_PKEY **out, struct error *err)
{
    const uint8_t *at = der;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)len);
    EVP_PKEY *key = request ? X509_REQ_get_pubkey(request) : NULL;
    const char *fault = !request          ? "is no PKCS#10 request"
                        : at != der + len ? "is followed by other bytes"
                                          : fault_of(request, key, subject, subject_len);

    X509_REQ_free(request);
    if (fault) {
        EVP_PKEY_free(key);
        return error_set(err, ERR_PROTOCOL, "what KEYGEN answers %s", fault);
    }
    *out = key;
    return 0;
}
