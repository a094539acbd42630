#include "hsm/policy.h"

#include <string.h>

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static const CK_OBJECT_CLASS class_private = CKO_PRIVATE_KEY, class_public = CKO_PUBLIC_KEY,
                             class_secret = CKO_SECRET_KEY;
static const CK_KEY_TYPE type_ec = CKK_EC, type_rsa = CKK_RSA, type_aes = CKK_AES,
                         type_generic = CKK_GENERIC_SECRET;
static const CK_ULONG aes_256 = 32, hmac_256 = 32;
static const CK_MECHANISM_TYPE only_ecdsa[] = {CKM_ECDSA}, only_hmac[] = {CKM_SHA256_HMAC},
                               only_ecdh[] = {CKM_ECDH1_DERIVE},
                               only_ecb_data[] = {CKM_AES_ECB_ENCRYPT_DATA},
                               only_hkdf[] = {CKM_HKDF_DERIVE};
/* prime256v1, 1.2.840.10045.3.1.7, and secp384r1, 1.3.132.0.34 (RFC 5480 section 2.1.1.1); Ed25519,
 * 1.3.101.112 (RFC 8410 section 3) */
static const uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
static const uint8_t ed25519[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
static const uint8_t exponent[] = {0x01, 0x00, 0x01};

/* Quotes the mechanisms, as the macros below do. */
#define KIND(key, scheme, class, generate, sign, bits, params)                                     \
    {                                                                                              \
        key, scheme, class, generate, #generate, sign, #sign, bits, params, sizeof(params)         \
    }
#define RSA_KIND(key, scheme, sign, bits)                                                          \
    {                                                                                              \
        key, scheme, CKK_RSA, CKM_RSA_PKCS_KEY_PAIR_GEN, "CKM_RSA_PKCS_KEY_PAIR_GEN", sign, #sign, \
            bits, NULL, 0                                                                          \
    }

static const struct key_kind kinds[] = {
    KIND(KEY_P256, SCHEME_ECDSA_SHA256, CKK_EC, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA, 0, p256),
    KIND(KEY_P384, SCHEME_ECDSA_SHA384, CKK_EC, CKM_EC_KEY_PAIR_GEN, CKM_ECDSA, 0, p384),
    RSA_KIND(KEY_RSA_2048, SCHEME_RSA_PSS_SHA256, CKM_RSA_PKCS_PSS, 2048),
    RSA_KIND(KEY_RSA_2048, SCHEME_RSA_PKCS1_SHA256, CKM_RSA_PKCS, 2048),
    RSA_KIND(KEY_RSA_3072, SCHEME_RSA_PSS_SHA256, CKM_RSA_PKCS_PSS, 3072),
    RSA_KIND(KEY_RSA_3072, SCHEME_RSA_PKCS1_SHA256, CKM_RSA_PKCS, 3072),
    KIND(KEY_ED25519, SCHEME_ED25519, CKK_EC_EDWARDS, CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EDDSA, 0,
         ed25519),
};

const struct key_kind *key_kind_at(size_t i)
{
    return i < sizeof kinds / sizeof *kinds ? &kinds[i] : NULL;
}

const struct key_kind *key_kind_of(enum key_type type, enum sig_scheme scheme)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].type == type && kinds[i].scheme == scheme)
            return &kinds[i];
    return NULL;
}

/* PKCS#11 has no const; nothing writes through a template. */
#define LOOSE(p) ((void *)(uintptr_t)(p))

static const CK_ATTRIBUTE unwrap_only_device_keys[] = {
    {CKA_CLASS, LOOSE(&class_private), sizeof class_private},
    {CKA_KEY_TYPE, LOOSE(&type_ec), sizeof type_ec},
    {CKA_TOKEN, LOOSE(&no), sizeof no},
    {CKA_PRIVATE, LOOSE(&yes), sizeof yes},
    {CKA_SENSITIVE, LOOSE(&yes), sizeof yes},
    {CKA_EXTRACTABLE, LOOSE(&yes), sizeof yes},
};
static const CK_ATTRIBUTE wrap_only_device_keys[] = {
    {CKA_CLASS, LOOSE(&class_private), sizeof class_private},
    {CKA_KEY_TYPE, LOOSE(&type_ec), sizeof type_ec},
};
/* The same of RSA. */
static const CK_ATTRIBUTE unwrap_only_rsa_keys[] = {
    {CKA_CLASS, LOOSE(&class_private), sizeof class_private},
    {CKA_KEY_TYPE, LOOSE(&type_rsa), sizeof type_rsa},
    {CKA_TOKEN, LOOSE(&no), sizeof no},
    {CKA_PRIVATE, LOOSE(&yes), sizeof yes},
    {CKA_SENSITIVE, LOOSE(&yes), sizeof yes},
    {CKA_EXTRACTABLE, LOOSE(&yes), sizeof yes},
};
static const CK_ATTRIBUTE wrap_only_rsa_keys[] = {
    {CKA_CLASS, LOOSE(&class_private), sizeof class_private},
    {CKA_KEY_TYPE, LOOSE(&type_rsa), sizeof type_rsa},
};

static const CK_ATTRIBUTE wrap_only_symmetric_keys[] = {
    {CKA_CLASS, LOOSE(&class_secret), sizeof class_secret},
    {CKA_KEY_TYPE, LOOSE(&type_generic), sizeof type_generic},
};

/* Each macro quotes the attribute itself: handed on, it would be expanded to its number. */
#define YES(attribute)                                                                             \
    {                                                                                              \
        attribute, #attribute, &yes, sizeof yes, USE_SET | USE_READ                                \
    }
#define NO(attribute)                                                                              \
    {                                                                                              \
        attribute, #attribute, &no, sizeof no, USE_SET | USE_READ                                  \
    }
#define IS(attribute, value)                                                                       \
    {                                                                                              \
        attribute, #attribute, &(value), sizeof(value), USE_SET | USE_READ                         \
    }
#define SET(attribute, value)                                                                      \
    {                                                                                              \
        attribute, #attribute, &(value), sizeof(value), USE_SET                                    \
    }
#define READ_YES(attribute)                                                                        \
    {                                                                                              \
        attribute, #attribute, &yes, sizeof yes, USE_READ                                          \
    }
#define NEST(attribute, value)                                                                     \
    {                                                                                              \
        attribute, #attribute, value, sizeof(value), USE_SET | USE_READ | USE_NESTED | USE_KIND    \
    }
#define OF_KIND(attribute, value)                                                                  \
    {                                                                                              \
        attribute, #attribute, &(value), sizeof(value), USE_SET | USE_READ | USE_KIND              \
    }
#define SET_OF_KIND(attribute, value)                                                              \
    {                                                                                              \
        attribute, #attribute, &(value), sizeof(value), USE_SET | USE_KIND                         \
    }
#define ONLY_RSA(attribute, use)                                                                   \
    {                                                                                              \
        attribute, #attribute, NULL, 0, (use) | USE_KIND                                           \
    }
#define FILLED(attribute, what)                                                                    \
    {                                                                                              \
        attribute, #attribute, NULL, 0, USE_SET | USE_READ | (what)                                \
    }
#define END                                                                                        \
    {                                                                                              \
        0, NULL, NULL, 0, 0                                                                        \
    }

const struct policy_row policy_signing_private[] = {
    IS(CKA_CLASS, class_private),
    OF_KIND(CKA_KEY_TYPE, type_ec),
    FILLED(CKA_LABEL, USE_LABEL),
    FILLED(CKA_ID, USE_ID),
    YES(CKA_TOKEN),
    YES(CKA_PRIVATE),
    YES(CKA_SENSITIVE),
    NO(CKA_EXTRACTABLE),
    NO(CKA_MODIFIABLE),
    NO(CKA_COPYABLE),
    YES(CKA_SIGN),
    NO(CKA_SIGN_RECOVER),
    NO(CKA_DECRYPT),
    NO(CKA_UNWRAP),
    NO(CKA_DERIVE),
    OF_KIND(CKA_ALLOWED_MECHANISMS, only_ecdsa),
    READ_YES(CKA_ALWAYS_SENSITIVE),
    READ_YES(CKA_NEVER_EXTRACTABLE),
    READ_YES(CKA_LOCAL),
    END,
};

const struct policy_row policy_signing_public[] = {
    IS(CKA_CLASS, class_public),
    OF_KIND(CKA_KEY_TYPE, type_ec),
    FILLED(CKA_LABEL, USE_LABEL),
    FILLED(CKA_ID, USE_ID),
    OF_KIND(CKA_EC_PARAMS, p256),
    ONLY_RSA(CKA_MODULUS_BITS, USE_SET | USE_READ),
    ONLY_RSA(CKA_PUBLIC_EXPONENT, USE_SET | USE_READ),
    YES(CKA_TOKEN),
    YES(CKA_PRIVATE), /* so that nobody replaces it without a login */
    NO(CKA_MODIFIABLE),
    NO(CKA_COPYABLE),
    YES(CKA_VERIFY),
    NO(CKA_VERIFY_RECOVER),
    NO(CKA_ENCRYPT),
    NO(CKA_WRAP),
    NO(CKA_DERIVE),
    READ_YES(CKA_LOCAL),
    END,
};

/* A MAC is compared by the caller, in constant time: hence no CKA_VERIFY. */
#define GENERIC_KEY(sign, derive, mechanisms)                                                      \
    IS(CKA_CLASS, class_secret), IS(CKA_KEY_TYPE, type_generic), IS(CKA_VALUE_LEN, hmac_256),      \
        FILLED(CKA_LABEL, USE_LABEL), FILLED(CKA_ID, USE_ID), YES(CKA_TOKEN), YES(CKA_PRIVATE),    \
        YES(CKA_SENSITIVE), NO(CKA_EXTRACTABLE), NO(CKA_MODIFIABLE), NO(CKA_COPYABLE),             \
        sign(CKA_SIGN), NO(CKA_VERIFY), NO(CKA_ENCRYPT), NO(CKA_DECRYPT), NO(CKA_WRAP),            \
        NO(CKA_UNWRAP), derive(CKA_DERIVE), IS(CKA_ALLOWED_MECHANISMS, mechanisms),                \
        READ_YES(CKA_ALWAYS_SENSITIVE), READ_YES(CKA_NEVER_EXTRACTABLE), READ_YES(CKA_LOCAL), END

const struct policy_row policy_hmac[] = {GENERIC_KEY(YES, NO, only_hmac)};

/* The master key of a token that derives by itself: then nobody has a MAC made with it, which would be
 * a device's key in the clear. */
const struct policy_row policy_derivation[] = {GENERIC_KEY(NO, YES, only_hkdf)};

const struct policy_row policy_storage[] = {
    IS(CKA_CLASS, class_secret),
    IS(CKA_KEY_TYPE, type_aes),
    IS(CKA_VALUE_LEN, aes_256),
    FILLED(CKA_LABEL, USE_LABEL),
    FILLED(CKA_ID, USE_ID),
    YES(CKA_TOKEN),
    YES(CKA_PRIVATE),
    YES(CKA_SENSITIVE),
    NO(CKA_EXTRACTABLE),
    NO(CKA_MODIFIABLE), /* else a user switches CKA_DECRYPT on and reads every stored key */
    NO(CKA_COPYABLE),
    YES(CKA_WRAP),
    YES(CKA_UNWRAP),
    NO(CKA_ENCRYPT),
    NO(CKA_DECRYPT),
    NO(CKA_SIGN),
    NO(CKA_VERIFY),
    NO(CKA_DERIVE),
    NEST(CKA_UNWRAP_TEMPLATE, unwrap_only_device_keys),
    NEST(CKA_WRAP_TEMPLATE, wrap_only_device_keys),
    FILLED(CKA_ALLOWED_MECHANISMS, USE_MECHANISM),
    READ_YES(CKA_ALWAYS_SENSITIVE),
    READ_YES(CKA_NEVER_EXTRACTABLE),
    READ_YES(CKA_LOCAL), /* else somebody plants a key that they know */
    END,
};

/* A key that can do nothing: its label is what it says. */
#define USELESS_KEY(modifiable)                                                                    \
    IS(CKA_CLASS, class_secret), IS(CKA_KEY_TYPE, type_aes), IS(CKA_VALUE_LEN, aes_256),           \
        FILLED(CKA_LABEL, USE_LABEL), FILLED(CKA_ID, USE_ID), YES(CKA_TOKEN), YES(CKA_PRIVATE),    \
        YES(CKA_SENSITIVE), NO(CKA_EXTRACTABLE), modifiable(CKA_MODIFIABLE), NO(CKA_COPYABLE),     \
        NO(CKA_WRAP), NO(CKA_UNWRAP), NO(CKA_ENCRYPT), NO(CKA_DECRYPT), NO(CKA_SIGN),              \
        NO(CKA_VERIFY), NO(CKA_DERIVE), READ_YES(CKA_ALWAYS_SENSITIVE),                            \
        READ_YES(CKA_NEVER_EXTRACTABLE), READ_YES(CKA_LOCAL), END

/* Its label is the state, so it must stay modifiable. */
const struct policy_row policy_anchor[] = {USELESS_KEY(YES)};

/* Its being there is the message. */
const struct policy_row policy_mark[] = {USELESS_KEY(NO)};

const struct policy_row policy_device_private[] = {
    SET(CKA_TOKEN, no),        SET(CKA_PRIVATE, yes), SET(CKA_SENSITIVE, yes),
    SET(CKA_EXTRACTABLE, yes), SET(CKA_SIGN, no),     SET(CKA_DERIVE, no),
    SET(CKA_UNWRAP, no),       SET(CKA_DECRYPT, no),  END,
};

/* One that signs a request first. */
const struct policy_row policy_asking_private[] = {
    SET(CKA_TOKEN, no),        SET(CKA_PRIVATE, yes), SET(CKA_SENSITIVE, yes),
    SET(CKA_EXTRACTABLE, yes), SET(CKA_SIGN, yes),    SET(CKA_DERIVE, no),
    SET(CKA_UNWRAP, no),       SET(CKA_DECRYPT, no),  END,
};

const struct policy_row policy_device_public[] = {
    SET(CKA_TOKEN, no),
    SET(CKA_PRIVATE, no),
    SET(CKA_VERIFY, no),
    SET_OF_KIND(CKA_EC_PARAMS, p256),
    ONLY_RSA(CKA_MODULUS_BITS, USE_SET),
    ONLY_RSA(CKA_PUBLIC_EXPONENT, USE_SET),
    END,
};

/* Names everything that CKA_UNWRAP_TEMPLATE of the storage key names, with the same values: SoftHSM
 * refuses a template that leaves one out. */
const struct policy_row policy_unwrapped[] = {
    SET(CKA_CLASS, class_private),
    SET_OF_KIND(CKA_KEY_TYPE, type_ec),
    SET(CKA_TOKEN, no),
    SET(CKA_PRIVATE, yes),
    SET(CKA_SENSITIVE, yes),
    SET(CKA_EXTRACTABLE, yes),
    SET(CKA_SIGN, yes),
    SET(CKA_DERIVE, no),
    SET(CKA_UNWRAP, no),
    SET(CKA_DECRYPT, no),
    {CKA_NSS_DB, "CKA_NSS_DB", NULL, 0, USE_SET | USE_POINT},
    END,
};

const struct policy_row policy_ephemeral_private[] = {
    SET(CKA_TOKEN, no),
    SET(CKA_PRIVATE, yes),
    SET(CKA_SENSITIVE, yes),
    SET(CKA_EXTRACTABLE, no),
    SET(CKA_DERIVE, yes),
    SET(CKA_SIGN, no),
    SET(CKA_UNWRAP, no),
    SET(CKA_DECRYPT, no),
    SET(CKA_ALLOWED_MECHANISMS, only_ecdh),
    END,
};

const struct policy_row policy_ephemeral_public[] = {
    SET(CKA_TOKEN, no), SET(CKA_PRIVATE, no), SET(CKA_VERIFY, no), SET(CKA_EC_PARAMS, p256), END,
};

const struct policy_row policy_shared_secret[] = {
    SET(CKA_CLASS, class_secret),
    SET(CKA_KEY_TYPE, type_aes),
    SET(CKA_VALUE_LEN, aes_256),
    SET(CKA_TOKEN, no),
    SET(CKA_PRIVATE, yes),
    SET(CKA_SENSITIVE, yes),
    SET(CKA_EXTRACTABLE, no),
    SET(CKA_DERIVE, yes),
    SET(CKA_ENCRYPT, no),
    SET(CKA_DECRYPT, no),
    SET(CKA_WRAP, no),
    SET(CKA_UNWRAP, no),
    SET(CKA_SIGN, no),
    SET(CKA_VERIFY, no),
    SET(CKA_ALLOWED_MECHANISMS, only_ecb_data),
    END,
};

#define KEK(wraps)                                                                                 \
    SET(CKA_CLASS, class_secret), SET(CKA_KEY_TYPE, type_aes), SET(CKA_VALUE_LEN, aes_256),        \
        SET(CKA_TOKEN, no), SET(CKA_PRIVATE, yes), SET(CKA_SENSITIVE, yes),                        \
        SET(CKA_EXTRACTABLE, no), SET(CKA_WRAP, yes), SET(CKA_UNWRAP, no), SET(CKA_ENCRYPT, no),   \
        SET(CKA_DECRYPT, no), SET(CKA_SIGN, no), SET(CKA_VERIFY, no), SET(CKA_DERIVE, no),         \
        NEST(CKA_WRAP_TEMPLATE, wraps), FILLED(CKA_ALLOWED_MECHANISMS, USE_MECHANISM), END

/* The same key, as an object for each kind that it may wrap. */
const struct policy_row policy_kek[] = {KEK(wrap_only_device_keys)};
const struct policy_row policy_kek_symmetric[] = {KEK(wrap_only_symmetric_keys)};

/* Of a symmetric device key that is put in its length is that of the value, and not told. */
#define DERIVED_KEY                                                                                \
    SET(CKA_CLASS, class_secret), SET(CKA_KEY_TYPE, type_generic), SET(CKA_TOKEN, no),             \
        SET(CKA_PRIVATE, yes), SET(CKA_SENSITIVE, yes), SET(CKA_EXTRACTABLE, yes),                 \
        SET(CKA_SIGN, yes), SET(CKA_VERIFY, no), SET(CKA_ENCRYPT, no), SET(CKA_DECRYPT, no),       \
        SET(CKA_WRAP, no), SET(CKA_UNWRAP, no), SET(CKA_DERIVE, no)

const struct policy_row policy_derived[] = {DERIVED_KEY, SET(CKA_VALUE_LEN, hmac_256), END};
const struct policy_row policy_derived_value[] = {
    DERIVED_KEY, {CKA_VALUE, "CKA_VALUE", NULL, 0, USE_SET | USE_VALUE}, END};

const struct policy_exception policy_exceptions[] = {
    {DIALECT_NSS, NULL, CKA_UNWRAP_TEMPLATE, "CKA_UNWRAP_TEMPLATE",
     "not kept: stored keys can be unwrapped readable"},
    {DIALECT_NSS, NULL, CKA_WRAP_TEMPLATE, "CKA_WRAP_TEMPLATE",
     "not kept: a storage key wraps other kinds of keys"},
    {DIALECT_NSS, NULL, CKA_ALLOWED_MECHANISMS, "CKA_ALLOWED_MECHANISMS",
     "not kept: a key is used with any mechanism of its type"},
    {DIALECT_NSS, NULL, CKA_COPYABLE, "CKA_COPYABLE", "not kept: a key can be copied"},
    {DIALECT_NSS, NULL, CKA_LOCAL, "CKA_LOCAL",
     "false for every key: only CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE tell where it was "
     "made"},
    {DIALECT_NSS, policy_signing_public, CKA_PRIVATE, "CKA_PRIVATE",
     "false on public keys: they can be replaced without the PIN, which is noticed when they are "
     "used"},
    {DIALECT_TPM2, policy_signing_private, CKA_DECRYPT, "CKA_DECRYPT",
     "always true, though no mechanism decrypts with an EC key"},
    {DIALECT_TPM2, policy_signing_public, CKA_ENCRYPT, "CKA_ENCRYPT",
     "always true, though no mechanism encrypts with an EC key"},
    {DIALECT_STRICT, NULL, 0, NULL, NULL},
};

enum dialect policy_dialect(const char *manufacturer)
{
    if (strcmp(manufacturer, "Mozilla Foundation") == 0)
        return DIALECT_NSS;
    if (strcmp(manufacturer, "tpm2-software.github.io") == 0)
        return DIALECT_TPM2;
    return DIALECT_STRICT;
}

static bool is_of(const struct policy_row *row, const struct policy_row *rows)
{
    for (; rows->name; rows++)
        if (rows == row)
            return true;
    return false;
}

bool policy_is_kept(const struct policy_row *row, enum dialect dialect)
{
    for (const struct policy_exception *e = policy_exceptions; e->name; e++)
        if (e->dialect == dialect && e->type == row->type && (!e->rows || is_of(row, e->rows)))
            return false;
    return true;
}

bool policy_applies(const struct policy_row *row, const struct key_kind *kind)
{
    if (row->type == CKA_MODULUS_BITS || row->type == CKA_PUBLIC_EXPONENT)
        return kind && kind->bits;
    return row->type != CKA_EC_PARAMS || !kind || kind->params;
}

/* The value that a row has for keys of this kind; a key that wraps, for the keys it wraps. */
static void resolve_kind(const struct policy_row *row, const struct key_kind *kind,
                         CK_ATTRIBUTE *out)
{
    if (row->type == CKA_KEY_TYPE)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(&kind->class), sizeof kind->class};
    else if (row->type == CKA_EC_PARAMS)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(kind->params), kind->params_len};
    else if (row->type == CKA_MODULUS_BITS)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(&kind->bits), sizeof kind->bits};
    else if (row->type == CKA_PUBLIC_EXPONENT)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(exponent), sizeof exponent};
    else if (row->type == CKA_ALLOWED_MECHANISMS)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(&kind->sign), sizeof kind->sign};
    else if (kind->bits && row->type == CKA_UNWRAP_TEMPLATE)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(unwrap_only_rsa_keys), sizeof unwrap_only_rsa_keys};
    else if (kind->bits && row->type == CKA_WRAP_TEMPLATE)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(wrap_only_rsa_keys), sizeof wrap_only_rsa_keys};
}

/* The row as an attribute, with what fill supplies; false when fill does not supply it. */
static bool resolve(const struct policy_row *row, const struct policy_fill *fill, CK_ATTRIBUTE *out)
{
    *out = (CK_ATTRIBUTE){row->type, LOOSE(row->value), row->len};
    if (!policy_applies(row, fill->kind))
        return false;
    if (row->use & USE_KIND && fill->kind)
        resolve_kind(row, fill->kind, out);
    if (row->use & USE_LABEL && fill->label)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(fill->label), strlen(fill->label)};
    else if (row->use & USE_ID && fill->id)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(fill->id), fill->id_len};
    else if (row->use & USE_MECHANISM && fill->wrap)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(&fill->wrap), sizeof fill->wrap};
    else if (row->use & USE_POINT && fill->point)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(fill->point), fill->point_len};
    else if (row->use & USE_VALUE && fill->value)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(fill->value), HSM_MAC_SIZE};
    else if (row->type == CKA_TOKEN && fill->session)
        *out = (CK_ATTRIBUTE){row->type, LOOSE(&no), sizeof no};
    return out->pValue != NULL;
}

void policy_template(const struct policy_row *rows, const struct policy_fill *fill,
                     struct policy_attributes *out)
{
    out->count = 0;
    for (; rows->name; rows++)
        if (rows->use & USE_SET && policy_is_kept(rows, fill->dialect) &&
            resolve(rows, fill, &out->list[out->count]))
            out->count++;
}

static bool is_number(CK_ATTRIBUTE_TYPE type)
{
    return type == CKA_CLASS || type == CKA_KEY_TYPE || type == CKA_VALUE_LEN ||
           type == CKA_MODULUS_BITS;
}

/* An attribute as the token gave it. Of an array of attributes, list points into values. */
struct reading {
    CK_ULONG len;
    uint8_t bytes[128];
    CK_ATTRIBUTE list[POLICY_ROWS_MAX];
    uint8_t values[POLICY_ROWS_MAX][sizeof(CK_ULONG)];
};

/* PKCS#11 reads an array of attributes in two rounds: types and lengths first, then values. */
static CK_RV read_nested(const struct module *m, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                         CK_ATTRIBUTE *is, struct reading *out)
{
    CK_RV rv;

    is->pValue = out->list;
    is->ulValueLen = sizeof out->list;
    rv = m->p11->C_GetAttributeValue(session, object, is, 1);
    if (rv != CKR_OK)
        return rv;
    for (CK_ULONG i = 0; i < is->ulValueLen / sizeof *out->list; i++) {
        out->list[i].pValue = out->values[i];
        out->list[i].ulValueLen = sizeof out->values[i];
    }
    return m->p11->C_GetAttributeValue(session, object, is, 1);
}

static CK_RV read_row(const struct module *m, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                      const struct policy_row *row, struct reading *out)
{
    CK_ATTRIBUTE is = {row->type, out->bytes, sizeof out->bytes};
    CK_RV rv;

    memset(out, 0, sizeof *out);
    if (row->use & USE_NESTED)
        rv = read_nested(m, session, object, &is, out);
    else {
        if (is_number(row->type)) /* NSS gives a number no larger room */
            is.ulValueLen = sizeof(CK_ULONG);
        rv = m->p11->C_GetAttributeValue(session, object, &is, 1);
    }
    out->len = is.ulValueLen;
    return rv;
}

static const CK_ATTRIBUTE *find_in(const CK_ATTRIBUTE *list, CK_ULONG count, CK_ATTRIBUTE_TYPE type)
{
    for (CK_ULONG i = 0; i < count; i++)
        if (list[i].type == type)
            return &list[i];
    return NULL;
}

static bool same_nested(const struct reading *is, const CK_ATTRIBUTE *want)
{
    CK_ULONG count = want->ulValueLen / sizeof *is->list;
    const CK_ATTRIBUTE *expected = want->pValue;

    for (CK_ULONG i = 0; i < count; i++) {
        const CK_ATTRIBUTE *found = find_in(is->list, count, expected[i].type);

        if (!found || found->ulValueLen != expected[i].ulValueLen ||
            memcmp(found->pValue, expected[i].pValue, found->ulValueLen))
            return false;
    }
    return true;
}

static bool same(const struct policy_row *row, const struct reading *is, const CK_ATTRIBUTE *want)
{
    if (is->len != want->ulValueLen)
        return false;
    return row->use & USE_NESTED ? same_nested(is, want)
                                 : memcmp(is->bytes, want->pValue, is->len) == 0;
}

static bool is_text(const uint8_t *bytes, CK_ULONG len)
{
    for (CK_ULONG i = 0; i < len; i++)
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            return false;
    return len > 0;
}

static void put_hex(struct buf *out, const uint8_t *bytes, CK_ULONG len)
{
    for (CK_ULONG i = 0; i < len; i++)
        buf_printf(out, "%02x", bytes[i]);
}

static void put_plain(struct buf *out, CK_ATTRIBUTE_TYPE type, const void *bytes, CK_ULONG len)
{
    CK_ULONG number;

    if (len == sizeof(CK_BBOOL) && *(const CK_BBOOL *)bytes <= CK_TRUE)
        buf_put_str(out, *(const CK_BBOOL *)bytes ? "true" : "false");
    else if (is_number(type) && len == sizeof number) {
        memcpy(&number, bytes, sizeof number);
        buf_printf(out, "%lu", number);
    } else if ((type == CKA_LABEL || type == CKA_ID) && is_text(bytes, len))
        buf_put(out, bytes, len);
    else
        put_hex(out, bytes, len);
}

static void put_mechanisms(struct buf *out, const uint8_t *bytes, CK_ULONG len)
{
    CK_MECHANISM_TYPE mechanism;

    for (CK_ULONG at = 0; at + sizeof mechanism <= len; at += sizeof mechanism) {
        memcpy(&mechanism, bytes + at, sizeof mechanism);
        buf_printf(out, "%s0x%lx", at ? "," : "", mechanism);
    }
}

/* In the order of the types, whatever order the token has them in. */
static void put_nested(struct buf *out, const CK_ATTRIBUTE *list, CK_ULONG len)
{
    CK_ULONG count = len / sizeof *list;
    CK_ATTRIBUTE_TYPE after = 0;

    for (CK_ULONG done = 0; done < count; done++) {
        const CK_ATTRIBUTE *next = NULL;

        for (CK_ULONG i = 0; i < count; i++)
            if ((done == 0 || list[i].type > after) && (!next || list[i].type < next->type))
                next = &list[i];
        if (!next)
            break;
        after = next->type;
        buf_printf(out, "%s0x%lx=", done ? "," : "", next->type);
        put_plain(out, next->type, next->pValue, next->ulValueLen);
    }
}

static void put_value(struct buf *out, const struct policy_row *row, const CK_ATTRIBUTE *value)
{
    if (row->use & USE_NESTED)
        put_nested(out, value->pValue, value->ulValueLen);
    else if (row->type == CKA_ALLOWED_MECHANISMS)
        put_mechanisms(out, value->pValue, value->ulValueLen);
    else
        put_plain(out, row->type, value->pValue, value->ulValueLen);
}

static CK_ATTRIBUTE attribute_of(const struct policy_row *row, struct reading *is)
{
    return (CK_ATTRIBUTE){row->type, row->use & USE_NESTED ? (void *)is->list : is->bytes, is->len};
}

static int differs(const struct policy_row *row, struct reading *is, const CK_ATTRIBUTE *want,
                   struct error *err)
{
    CK_ATTRIBUTE found = attribute_of(row, is);
    struct buf text;
    int rc;

    buf_init(&text, 1024);
    put_value(&text, row, &found);
    buf_put_str(&text, "' on the token, the policy says '");
    put_value(&text, row, want);
    rc = error_set(err, ERR_HSM, "attribute %s is '%.*s'", row->name, (int)text.len,
                   text.data ? (const char *)text.data : "");
    buf_done(&text);
    return rc;
}

int policy_check_row(const struct module *m, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                     const struct policy_row *row, const struct policy_fill *fill, CK_RV *rv,
                     struct error *err)
{
    struct reading is;
    CK_ATTRIBUTE want;

    *rv = CKR_OK;
    if (!(row->use & USE_READ) || !policy_is_kept(row, fill->dialect) || !resolve(row, fill, &want))
        return 0;
    *rv = read_row(m, session, object, row, &is);
    if (*rv != CKR_OK)
        return ckr_set(err, ERR_HSM, *rv, "cannot read attribute %s", row->name);
    return same(row, &is, &want) ? 0 : differs(row, &is, &want, err);
}

int policy_check(const struct module *m, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                 const struct policy_row *rows, const struct policy_fill *fill, CK_RV *rv,
                 struct error *err)
{
    int rc = 0;

    *rv = CKR_OK;
    for (; rc == 0 && rows->name; rows++)
        rc = policy_check_row(m, session, object, rows, fill, rv, err);
    return rc;
}

CK_RV policy_read_text(const struct module *m, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                       const struct policy_row *row, struct buf *out)
{
    struct reading is;
    CK_ATTRIBUTE value;
    CK_RV rv = read_row(m, session, object, row, &is);

    if (rv == CKR_OK) {
        value = attribute_of(row, &is);
        put_value(out, row, &value);
    }
    return rv;
}
