#include "pki/key.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#define PREFIX_MAX 33

/* How the SubjectPublicKeyInfo of a type is put together: prefix, key, suffix. */
struct form {
    const char *name;
    size_t prefix_len; /* up to the point, the modulus, or the key of Ed25519 */
    uint8_t prefix[PREFIX_MAX];
    size_t bits_at; /* where the contents of the BIT STRING begin */
    size_t key_len;
    size_t suffix_len; /* of RSA: the exponent */
};

/* INTEGER 65537 */
static const uint8_t exponent[] = {0x02, 0x03, 0x01, 0x00, 0x01};

static const struct form forms[KEY_TYPES] = {
    [KEY_P256] = {"p256",
                  26,
                  {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                   0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00},
                  26,
                  65,
                  0},
    [KEY_P384] = {"p384",
                  23,
                  {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
                   0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00},
                  23,
                  97,
                  0},
    [KEY_RSA_2048] = {"rsa2048",
                      33,
                      {0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48,
                       0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01,
                       0x0f, 0x00, 0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00},
                      24,
                      256,
                      sizeof exponent},
    [KEY_RSA_3072] = {"rsa3072",
                      33,
                      {0x30, 0x82, 0x01, 0xa2, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48,
                       0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01,
                       0x8f, 0x00, 0x30, 0x82, 0x01, 0x8a, 0x02, 0x82, 0x01, 0x81, 0x00},
                      24,
                      384,
                      sizeof exponent},
    [KEY_ED25519] = {"ed25519",
                     12,
                     {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00},
                     12,
                     32,
                     0},
};

const char *key_type_name(enum key_type type)
{
    return forms[type].name;
}

bool key_type_named(const char *name, enum key_type *type)
{
    for (int i = 0; i < KEY_TYPES; i++)
        if (strcmp(forms[i].name, name) == 0) {
            *type = (enum key_type)i;
            return true;
        }
    return false;
}

bool key_type_is_rsa(enum key_type type)
{
    return forms[type].suffix_len > 0;
}

static bool is_form(const struct form *f, const uint8_t *spki, size_t len)
{
    const uint8_t *key = spki + f->prefix_len;

    if (len != f->prefix_len + f->key_len + f->suffix_len ||
        memcmp(spki, f->prefix, f->prefix_len) ||
        (f->suffix_len && memcmp(key + f->key_len, exponent, f->suffix_len)))
        return false;
    if (f->suffix_len) /* a modulus of exactly so many bits, and odd */
        return key[0] & 0x80 && key[f->key_len - 1] & 1;
    return f->key_len == 32 || key[0] == 0x04;
}

int key_parse(const uint8_t *spki, size_t len, struct public_key *out, struct error *err)
{
    for (int i = 0; i < KEY_TYPES; i++)
        if (is_form(&forms[i], spki, len)) {
            *out = (struct public_key){.type = (enum key_type)i, .len = len};
            memcpy(out->spki, spki, len);
            return 0;
        }
    return error_set(err, ERR_FORMAT,
                     "a public key is of no type that is known here: " KEY_TYPE_NAMES);
}

struct public_key key_p256(const uint8_t point[EC_POINT_SIZE])
{
    struct public_key key = {.type = KEY_P256, .len = EC_SPKI_SIZE};

    ec_spki(point, key.spki);
    return key;
}

int key_of(EVP_PKEY *handle, struct public_key *out, struct error *err)
{
    uint8_t *der = NULL;
    int len = handle ? i2d_PUBKEY(handle, &der) : -1;
    int rc = len > 0 ? key_parse(der, (size_t)len, out, err)
                     : error_set(err, ERR_CRYPTO, "OpenSSL does not encode a public key");

    OPENSSL_free(der);
    ERR_clear_error();
    return rc == ERR_FORMAT ? error_recode(err, ERR_CRYPTO) : rc;
}

int key_open(const struct public_key *key, EVP_PKEY **handle, struct error *err)
{
    const uint8_t *p = key->spki;
    EVP_PKEY *made;

    if (key->type == KEY_P256)
        return ec_public_key(key_point(key), handle, err);
    made = d2i_PUBKEY(NULL, &p, (long)key->len);
    ERR_clear_error();
    if (!made)
        return error_set(err, ERR_CRYPTO, "a public key of type %s is not valid",
                         forms[key->type].name);
    *handle = made;
    return 0;
}

int key_generate(enum key_type type, EVP_PKEY **handle, struct error *err)
{
    EVP_PKEY *made = NULL;

    if (type == KEY_P256 || type == KEY_P384)
        made = EVP_EC_gen(type == KEY_P256 ? "P-256" : "P-384");
    else if (type == KEY_ED25519)
        made = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        made = EVP_RSA_gen((unsigned)forms[type].key_len * 8);
    if (!made)
        return error_set(err, ERR_CRYPTO, "OpenSSL makes no key of type %s", forms[type].name);
    *handle = made;
    return 0;
}

static int random_point(const char *curve, struct public_key *out, struct error *err)
{
    EVP_PKEY *handle = EVP_EC_gen(curve);
    int rc = handle ? key_of(handle, out, err) : error_set(err, ERR_CRYPTO, "OpenSSL makes no key");

    EVP_PKEY_free(handle);
    return rc;
}

int key_random(enum key_type type, struct public_key *out, struct error *err)
{
    const struct form *f = &forms[type];
    uint8_t *key = out->spki + f->prefix_len;

    if (type == KEY_P256 || type == KEY_P384)
        return random_point(type == KEY_P256 ? "P-256" : "P-384", out, err);
    *out = (struct public_key){.type = type, .len = f->prefix_len + f->key_len + f->suffix_len};
    memcpy(out->spki, f->prefix, f->prefix_len);
    memcpy(key + f->key_len, exponent, f->suffix_len);
    if (RAND_bytes(key, (int)f->key_len) != 1)
        return error_set(err, ERR_CRYPTO, "OpenSSL makes no random number");
    key[0] |= 0x80; /* what a modulus has at both ends */
    key[f->key_len - 1] |= 1;
    return 0;
}

bool key_same(const struct public_key *a, const struct public_key *b)
{
    return a->len == b->len && memcmp(a->spki, b->spki, a->len) == 0;
}

const uint8_t *key_bits(const struct public_key *key, size_t *len)
{
    size_t at = forms[key->type].bits_at;

    *len = key->len - at;
    return key->spki + at;
}

size_t key_raw_length(enum key_type type)
{
    return forms[type].key_len;
}

int key_from_raw(enum key_type type, const uint8_t *raw, size_t len, struct public_key *out,
                 struct error *err)
{
    const struct form *f = &forms[type];
    struct public_key made = {.type = type, .len = f->prefix_len + f->key_len + f->suffix_len};

    memcpy(made.spki, f->prefix, f->prefix_len);
    if (len == f->key_len)
        memcpy(made.spki + f->prefix_len, raw, len);
    memcpy(made.spki + f->prefix_len + f->key_len, exponent, f->suffix_len);
    if (len != f->key_len || !is_form(f, made.spki, made.len))
        return error_set(err, ERR_FORMAT, "%zu bytes are no public key of type %s", len, f->name);
    *out = made;
    return 0;
}

const uint8_t *key_point(const struct public_key *key)
{
    return key->type == KEY_P256 ? key->spki + EC_SPKI_SIZE - EC_POINT_SIZE : NULL;
}

const uint8_t *key_stored(const struct public_key *key, size_t *len)
{
    *len = key->type == KEY_P256 ? EC_POINT_SIZE : key->len;
    return key->spki + key->len - *len;
}

size_t key_stored_length(enum key_type type)
{
    const struct form *f = &forms[type];

    return type == KEY_P256 ? EC_POINT_SIZE : f->prefix_len + f->key_len + f->suffix_len;
}

int key_from_stored(const uint8_t *bytes, size_t len, struct public_key *out, struct error *err)
{
    if (len == EC_POINT_SIZE && bytes[0] == 0x04) {
        *out = key_p256(bytes);
        return 0;
    }
    return key_parse(bytes, len, out, err);
}
