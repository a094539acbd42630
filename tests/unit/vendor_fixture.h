/*
 * vendor_fixture: a silicon vendor: a root, an intermediate, and certificates for devices, each as
 * right or as wrong as a test wants it.
 */
#ifndef TESTS_VENDOR_FIXTURE_H
#define TESTS_VENDOR_FIXTURE_H

#include "check_util.h"

#include "base/buf.h"

#include <openssl/x509v3.h>

#define VENDOR_DAY 86400L

/* What a certificate says; zero is a device's of today with a P-256 key. */
struct vendor_cert {
    const char *name;
    const char *constraints; /* NULL: "critical,CA:FALSE"; "": left out */
    const char *usage;       /* NULL: "critical,digitalSignature"; "": left out */
    const char *extra;       /* an object identifier: a critical extension nobody knows */
    long from_days, to_days; /* of today; 0, 0: -1, 3650 */
    const char *curve;       /* NULL: "P-256" */
    bool sha1, version1;
    size_t padding; /* bytes of a comment; 0: none */
};

struct vendor_entity {
    X509 *cert;
    EVP_PKEY *key;
};

static inline void vendor_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    if (!*value)
        return;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ck_assert_ptr_nonnull(extension);
    ck_assert_int_eq(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static inline void vendor_critical(X509 *cert, const char *oid)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension;

    ck_assert_int_eq(ASN1_OCTET_STRING_set(value, (const uint8_t *)"\5\0", 2), 1);
    extension = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
    ck_assert_int_eq(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

/* Text that nobody reads makes a certificate long. */
static inline void vendor_pad(X509 *cert, size_t len)
{
    char *text = malloc(len + 1);

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', len);
    text[len] = 0;
    vendor_extend(cert, cert, NID_netscape_comment, text);
    free(text);
}

/* Signed by issuer; NULL: by itself. */
static inline struct vendor_entity vendor_make(const struct vendor_cert *what,
                                               const struct vendor_entity *issuer)
{
    struct vendor_entity made = {X509_new(), EVP_EC_gen(what->curve ? what->curve : "P-256")};
    X509_NAME *name = X509_get_subject_name(made.cert);
    static int64_t serial;
    X509 *above = issuer ? issuer->cert : made.cert;

    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)what->name, -1, -1, 0);
    X509_set_issuer_name(made.cert, X509_get_subject_name(above));
    ASN1_INTEGER_set_int64(X509_get_serialNumber(made.cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.cert),
                    (what->to_days ? what->from_days : -1) * VENDOR_DAY);
    X509_gmtime_adj(X509_getm_notAfter(made.cert),
                    (what->to_days ? what->to_days : 3650) * VENDOR_DAY);
    X509_set_pubkey(made.cert, made.key);
    if (!what->version1) {
        X509_set_version(made.cert, X509_VERSION_3);
        vendor_extend(made.cert, above, NID_basic_constraints,
                      what->constraints ? what->constraints : "critical,CA:FALSE");
        vendor_extend(made.cert, above, NID_key_usage,
                      what->usage ? what->usage : "critical,digitalSignature");
        vendor_extend(made.cert, above, NID_subject_key_identifier, "hash");
        if (X509_get_ext_by_NID(above, NID_subject_key_identifier, -1) >= 0)
            vendor_extend(made.cert, above, NID_authority_key_identifier, "keyid");
        if (what->extra)
            vendor_critical(made.cert, what->extra);
        if (what->padding)
            vendor_pad(made.cert, what->padding);
    }
    ck_assert_int_gt(X509_sign(made.cert, issuer ? issuer->key : made.key,
                               what->sha1 ? EVP_sha1() : EVP_sha256()),
                     0);
    return made;
}

#define VENDOR_CA(title)                                                                           \
    {                                                                                              \
        .name = title, .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign"          \
    }

static inline void vendor_put(struct buf *chain, const struct vendor_entity *e)
{
    unsigned char *der = NULL;
    int len = i2d_X509(e->cert, &der);

    ck_assert_int_gt(len, 0);
    buf_put(chain, der, (size_t)len);
    OPENSSL_free(der);
}

static inline void vendor_free(struct vendor_entity *e)
{
    X509_free(e->cert);
    EVP_PKEY_free(e->key);
}

#endif
