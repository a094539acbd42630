/*
 * key: public keys of every type that devices and authorities have here, in one form.
 *
 * The form is the SubjectPublicKeyInfo in DER (RFC 5280 section 4.1.2.7). Of each type it has one
 * length and, the key itself aside, always the same bytes: id-ecPublicKey with a named curve and an
 * uncompressed point (RFC 5480), rsaEncryption with NULL and the exponent 65537 (RFC 3279), Ed25519
 * (RFC 8410). So two keys are the same when their bytes are, and a template can be patched.
 */
#ifndef PKI_KEY_H
#define PKI_KEY_H

#include "pki/ec.h"

#include <stdbool.h>

#define KEY_SPKI_MAX 422 /* of RSA with 3072 bits, the longest */
#define KEY_NAME_MAX 7   /* characters of a type's name */

enum key_type { KEY_P256, KEY_P384, KEY_RSA_2048, KEY_RSA_3072, KEY_ED25519, KEY_TYPES };

/* Plain data. The bytes behind len are zero. */
struct public_key {
    enum key_type type;
    size_t len;
    uint8_t spki[KEY_SPKI_MAX];
};

/* As orders, jobs and profiles name a type: "p256", "p384", "rsa2048", "rsa3072", "ed25519". */
const char *key_type_name(enum key_type type);
bool key_type_named(const char *name, enum key_type *type);
bool key_type_is_rsa(enum key_type type);

/* "p256, p384, ..." for messages. */
#define KEY_TYPE_NAMES "p256, p384, rsa2048, rsa3072, ed25519"

/*
 * Takes a SubjectPublicKeyInfo that has the form of a type: nothing is computed, so a point may lie
 * off its curve (key_open tells). Errors: ERR_FORMAT.
 */
MUST_USE int key_parse(const uint8_t *spki, size_t len, struct public_key *out, struct error *err);

/* The key of a P-256 point, which is not checked. */
struct public_key key_p256(const uint8_t point[EC_POINT_SIZE]);

/* The public half of a handle. Errors: ERR_CRYPTO when its type is none of these. */
MUST_USE int key_of(EVP_PKEY *handle, struct public_key *out, struct error *err);

/* A handle, of a point that lies on its curve. Errors: ERR_CRYPTO. The caller frees *handle. */
MUST_USE int key_open(const struct public_key *key, EVP_PKEY **handle, struct error *err);

/* Makes a key pair in memory: for samples and tests. Errors: ERR_CRYPTO. The caller frees *handle. */
MUST_USE int key_generate(enum key_type type, EVP_PKEY **handle, struct error *err);

/* A key whose private half nobody has, to compile templates with. Errors: ERR_CRYPTO. */
MUST_USE int key_random(enum key_type type, struct public_key *out, struct error *err);

bool key_same(const struct public_key *a, const struct public_key *b);

/* The contents of the BIT STRING: the point, the RSAPublicKey, or the 32 bytes of Ed25519. */
const uint8_t *key_bits(const struct public_key *key, size_t *len);

/*
 * A key as the inventory keeps it: a P-256 key as its point, 65 bytes, every other as its
 * SubjectPublicKeyInfo. The first byte tells them apart. Errors of key_from_stored: ERR_FORMAT.
 */
const uint8_t *key_stored(const struct public_key *key, size_t *len);
size_t key_stored_length(enum key_type type); /* no two types have the same */
MUST_USE int key_from_stored(const uint8_t *bytes, size_t len, struct public_key *out,
                             struct error *err);

/* The key of its point, modulus (without a zero in front) or 32 bytes of Ed25519; the exponent of RSA is
 * 65537. Errors: ERR_FORMAT when it is none of this type. */
MUST_USE int key_from_raw(enum key_type type, const uint8_t *raw, size_t len,
                          struct public_key *out, struct error *err);
size_t key_raw_length(enum key_type type);

/* The point of a P-256 key; NULL of any other. */
const uint8_t *key_point(const struct public_key *key);

#endif
