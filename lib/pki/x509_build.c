#include "pki/x509_build.h"

#include <string.h>

X509 *x509_start(const uint8_t number[CERT_NUMBER_SIZE], long version, int64_t not_before,
                 int64_t not_after)
{
    X509 *cert = X509_new();
    BIGNUM *n = BN_bin2bn(number, CERT_NUMBER_SIZE, NULL);

    if (!cert || !n || X509_set_version(cert, version) != 1 ||
        !BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) ||
        !ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)not_before) ||
        !ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)not_after)) {
        X509_free(cert);
        cert = NULL;
    }
    BN_free(n);
    return cert;
}

bool x509_name_add(X509_NAME *name, const ASN1_OBJECT *type, const char *value)
{
    /* serialNumber is a PrintableString by X.520, and OpenSSL knows; MBSTRING lets it choose. */
    return X509_NAME_add_entry_by_OBJ(name, type, MBSTRING_UTF8, (const unsigned char *)value, -1,
                                      -1, 0) == 1;
}

bool x509_add(X509 *cert, int nid, void *value, bool critical)
{
    return value && X509_add1_ext_i2d(cert, nid, value, critical, X509V3_ADD_APPEND) == 1;
}

bool x509_set_key(X509 *cert, const struct public_key *key)
{
    EVP_PKEY *handle = NULL;
    bool good = key_open(key, &handle, NULL) == 0 && X509_set_pubkey(cert, handle) == 1;

    EVP_PKEY_free(handle);
    return good;
}

bool x509_add_key_id(X509 *cert, const struct public_key *key)
{
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    uint8_t digest[CERT_KEY_ID_SIZE];
    bool good;

    cert_key_id(key, digest);
    good = id && ASN1_OCTET_STRING_set(id, digest, sizeof digest) == 1 &&
           x509_add(cert, NID_subject_key_identifier, id, false);
    ASN1_OCTET_STRING_free(id);
    return good;
}

bool x509_add_constraints(X509 *cert, bool ca, int path_len, bool critical)
{
    BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
    bool good = bc != NULL;

    if (good && ca) {
        bc->ca = 0xff;
        if (path_len >= 0) {
            bc->pathlen = ASN1_INTEGER_new();
            good = bc->pathlen && ASN1_INTEGER_set(bc->pathlen, path_len) == 1;
        }
    }
    good = good && x509_add(cert, NID_basic_constraints, bc, critical);
    BASIC_CONSTRAINTS_free(bc);
    return good;
}

bool x509_add_key_usage(X509 *cert, unsigned usage, bool critical)
{
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    bool good = bits != NULL;

    for (int bit = 0; good && bit < 8; bit++)
        if (usage & 0x80u >> bit)
            good = ASN1_BIT_STRING_set_bit(bits, bit, 1) == 1;
    good = good && x509_add(cert, NID_key_usage, bits, critical);
    ASN1_BIT_STRING_free(bits);
    return good;
}

bool x509_add_authority(X509 *cert, const uint8_t key_id[CERT_KEY_ID_SIZE])
{
    AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();
    bool good = false;

    if (id) {
        id->keyid = ASN1_OCTET_STRING_new();
        good = id->keyid && ASN1_OCTET_STRING_set(id->keyid, key_id, CERT_KEY_ID_SIZE) == 1 &&
               x509_add(cert, NID_authority_key_identifier, id, false);
    }
    AUTHORITY_KEYID_free(id);
    return good;
}

bool x509_add_purpose(X509 *cert, int nid)
{
    EXTENDED_KEY_USAGE *usage = EXTENDED_KEY_USAGE_new();
    bool good = usage && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(nid)) > 0 &&
                x509_add(cert, NID_ext_key_usage, usage, false);

    EXTENDED_KEY_USAGE_free(usage);
    return good;
}

/* HardwareModuleName ::= SEQUENCE { hwType OBJECT IDENTIFIER, hwSerialNum OCTET STRING } */
static ASN1_TYPE *hw_module_name(const ASN1_OBJECT *hw_type, const char *serial)
{
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_STRING *sequence = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
    uint8_t *type_der = NULL, der[512], *p = der;
    int type_len = i2d_ASN1_OBJECT(hw_type, &type_der), len = (int)strlen(serial);
    int body = type_len + ASN1_object_size(0, len, V_ASN1_OCTET_STRING);
    bool good = value && sequence && type_len > 0 && len > 0 &&
                ASN1_object_size(1, body, V_ASN1_SEQUENCE) <= (int)sizeof der;

    if (good) {
        ASN1_put_object(&p, 1, body, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
        memcpy(p, type_der, (size_t)type_len);
        p += type_len;
        ASN1_put_object(&p, 0, len, V_ASN1_OCTET_STRING, V_ASN1_UNIVERSAL);
        memcpy(p, serial, (size_t)len);
        good = ASN1_STRING_set(sequence, der, (int)(p - der) + len) == 1;
    }
    OPENSSL_free(type_der);
    if (!good) {
        ASN1_STRING_free(sequence);
        ASN1_TYPE_free(value);
        return NULL;
    }
    ASN1_TYPE_set(value, V_ASN1_SEQUENCE, sequence);
    return value;
}

GENERAL_NAME *x509_hw_module(const ASN1_OBJECT *hw_type, const char *serial)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OBJECT *kind = OBJ_txt2obj(HW_MODULE_NAME_OID, 1);
    ASN1_TYPE *value = hw_module_name(hw_type, serial);

    if (name && kind && value && GENERAL_NAME_set0_othername(name, kind, value) == 1)
        return name;
    ASN1_TYPE_free(value);
    ASN1_OBJECT_free(kind);
    GENERAL_NAME_free(name);
    return NULL;
}
