/*
 * keys: the long-lived keys of a station, made and judged by one policy table, and their use.
 *
 * Invariants
 *  1. The table in policy.c gives the label, the type and every CKA_* of every key, and
 *     docs/hsm.md prints it. A key is created from it and read back against it.
 *  2. A key that exists twice, or differs in one attribute, is not used: ERR_HSM names which.
 *  3. No long-lived private or secret key can leave the token, and each has one use.
 *
 * Errors that every function can return besides those it names: ERR_MISSING when the key is not on
 * the token, and those of hsm/token.h.
 */
#ifndef HSM_KEYS_H
#define HSM_KEYS_H

#include "hsm/token.h"
#include "pki/digest.h"
#include "pki/scheme.h"

#define HSM_MAC_SIZE          32
#define HSM_STORAGE_NAME_SIZE 29 /* "storage:rsa:", 16 hexadecimal digits, NUL */

enum hsm_key {
    HSM_KEY_ROOT,          /* device root CA; signs issuing CAs */
    HSM_KEY_ISSUING_CA,    /* signs device certificates */
    HSM_KEY_MANIFEST_ROOT, /* root CA of manifest signers: no device certificate leads to it */
    HSM_KEY_MANIFEST_SIGN, /* CMS over manifests */
    HSM_KEY_LOG_SIGN,      /* checkpoints of the log */
    HSM_KEY_STATION_AUTH,  /* transcripts: the station towards devices */
    HSM_KEY_LEDGER_HMAC,   /* MACs of ledger entries and inventory rows */
    HSM_KEY_DERIVATION,    /* master key of symmetric device keys (hsm/derived.h) */
    HSM_KEY_COUNT
};

/* The label of a key on the token, as "issuing-ca". */
const char *hsm_key_label(enum hsm_key key);

/*
 * The keys that can be rotated, HSM_KEY_MANIFEST_SIGN and HSM_KEY_LOG_SIGN, and HSM_KEY_ISSUING_CA, of
 * which a station may have several at once, have generations, from 1: the second has "-2" behind the
 * label, and so on. From here on h, or a worker of it, uses this one, beginning with 1.
 */
void hsm_use_generation(struct hsm *h, enum hsm_key key, unsigned generation);

/* Makes a key and checks it as hsm_key_check. Errors: ERR_EXISTS when it is there already. */
MUST_USE int hsm_key_create(struct hsm *h, enum hsm_key key, struct error *err);

/*
 * The same of another kind than P-256, for the keys of the CA. From then on the token tells the kind:
 * CKA_KEY_TYPE, the curve or the bits, and of RSA CKA_ALLOWED_MECHANISMS. hsm_key_can tells whether
 * the token has the mechanisms. Errors: ERR_REFUSED with the token's name and the mechanism that it
 * lacks; ERR_INPUT when type and scheme do not fit.
 */
MUST_USE int hsm_key_create_as(struct hsm *h, enum hsm_key key, enum key_type type,
                               enum sig_scheme scheme, struct error *err);
MUST_USE int hsm_key_can(struct hsm *h, enum hsm_key key, enum key_type type,
                         enum sig_scheme scheme, struct error *err);

/*
 * As hsm_key_create, for a key that was never used: of a making that was killed on the way the whole
 * key is taken over, and the one half that may be left of it is deleted first.
 */
MUST_USE int hsm_key_complete(struct hsm *h, enum hsm_key key, struct error *err);

/* Deletes both halves of a key, as far as they are there, and looks whether it is gone. */
MUST_USE int hsm_key_destroy(struct hsm *h, enum hsm_key key, struct error *err);

/* The public point of a signing key. */
MUST_USE int hsm_key_point(struct hsm *h, enum hsm_key key, uint8_t point[EC_POINT_SIZE],
                           struct error *err);

/* The public half of a signing key, of whatever kind, and how it signs (NULL: not asked). */
MUST_USE int hsm_key_public(struct hsm *h, enum hsm_key key, struct public_key *public,
                            enum sig_scheme *scheme, struct error *err);

/*
 * Reads every attribute of the key back and compares it with the table; a signing key also signs
 * once, which proves that the public object beside it is its own. Errors: ERR_HSM naming the
 * attribute and both values.
 */
MUST_USE int hsm_key_check(struct hsm *h, enum hsm_key key, struct error *err);

/* ECDSA over SHA-256 of the message, which is hashed here: nothing signs a digest it was handed. */
MUST_USE int hsm_sign(struct hsm *h, enum hsm_key key, const void *message, size_t len,
                      uint8_t sig[EC_SIG_SIZE], struct error *err);

/*
 * Signs for a certificate or revocation list, as the key signs: a message, or where digested is set
 * the digest of scheme_digest. hsm/signer.h makes a struct ca_signer of it. Errors: ERR_HSM also when
 * the key on the token is not of this scheme any more.
 */
MUST_USE int hsm_certify(struct hsm *h, enum hsm_key key, enum sig_scheme scheme, const void *bytes,
                         size_t len, bool digested, struct signature *sig, struct error *err);

/* HMAC-SHA256 (FIPS 198-1) of the message under HSM_KEY_LEDGER_HMAC. */
MUST_USE int hsm_hmac(struct hsm *h, const void *message, size_t len, uint8_t mac[HSM_MAC_SIZE],
                      struct error *err);

/* Compares in constant time. Errors: ERR_INTEGRITY when the MAC is another. */
MUST_USE int hsm_hmac_verify(struct hsm *h, const void *message, size_t len,
                             const uint8_t mac[HSM_MAC_SIZE], struct error *err);

/* Random bytes of the token. */
MUST_USE int hsm_random(struct hsm *h, void *out, size_t len, struct error *err);

/*
 * The storage keys of an order: AES-256, one that wraps the order's EC device keys and one that wraps
 * its RSA device keys, and nothing else. create makes the one for keys of a type (ERR_EXISTS when it
 * is there), find looks for it; both check it against the policy and set name, by which
 * hsm/credential.h knows it. destroy deletes both, ERR_MISSING when there is none: all that they
 * wrapped is inert from then on. order_hash is the hash of the first order, whole it is CKA_ID.
 */
MUST_USE int hsm_storage_create(struct hsm *h, const uint8_t order_hash[SHA256_SIZE],
                                enum key_type type, char name[HSM_STORAGE_NAME_SIZE],
                                struct error *err);
MUST_USE int hsm_storage_find(struct hsm *h, const uint8_t order_hash[SHA256_SIZE],
                              enum key_type type, char name[HSM_STORAGE_NAME_SIZE],
                              struct error *err);
MUST_USE int hsm_storage_destroy(struct hsm *h, const uint8_t order_hash[SHA256_SIZE],
                                 struct error *err);

/*
 * The order hashes of all storage keys on the token, each once; *hashes is the caller's to free, NULL for none.
 */
MUST_USE int hsm_storage_list(struct hsm *h, uint8_t (**hashes)[SHA256_SIZE], size_t *count,
                              struct error *err);

#endif
