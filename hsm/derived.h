/*
 * derived: symmetric device keys: derived from the station's master key (HSM_KEY_DERIVATION), never
 * stored, and wrapped for one device.
 *
 * A key is 32 bytes: one block of the KDF in counter mode of NIST SP 800-108 with HMAC-SHA256, that
 * is HMAC-SHA256(master, 00 00 00 01 ‖ input), which is also HKDF-Extract (RFC 5869) with the master
 * key as salt. The caller builds input, all but the counter: label ‖ 00 ‖ context ‖ 00 00 01 00
 * (docs/device-link.md).
 *
 * Invariants
 *  1. Where the token derives (HSM_DERIVES_INSIDE) the key exists inside it only, as a session object.
 *     Where it can only make a MAC (HSM_DERIVES_IN_VAULT) the key is in this process's memory between
 *     that MAC and the session object that is made of it, and is wiped then. Records say which.
 *  2. What leaves is wrapped under one device's key encryption key, a check value, or a MAC; the bytes
 *     leave by hsm_derived_export alone, for an export to a recipient that the owner named.
 *  3. The same input gives the same key on every token that has the same master key, whichever way.
 *
 * Errors that every function can return besides those it names: ERR_REFUSED when the token cannot
 * derive, ERR_MISSING without the master key, and those of hsm/token.h.
 */
#ifndef HSM_DERIVED_H
#define HSM_DERIVED_H

#include "base/secret.h"
#include "hsm/credential.h"

#define HSM_DERIVED_SIZE      32 /* bytes of a key */
#define HSM_DERIVED_WRAPPED   40 /* of one under RFC 5649 */
#define HSM_DERIVED_INPUT_MAX 512

enum hsm_derivation {
    HSM_DERIVES_NOT = 0,
    HSM_DERIVES_INSIDE,  /* CKM_HKDF_DERIVE */
    HSM_DERIVES_IN_VAULT /* CKM_SHA256_HMAC; the key is put into the token as an object again */
};

/* What the probe found. */
enum hsm_derivation hsm_derivation(const struct hsm *h);

/* Errors: ERR_REFUSED naming the token, the mechanisms and what it said to them. */
MUST_USE int hsm_can_derive(const struct hsm *h, struct error *err);

/* The check value of the key: HMAC-SHA256(key, "imprint kcv v1\0"). It tells nothing of the key. */
MUST_USE int hsm_derived_check(struct hsm *h, const void *input, size_t len,
                               uint8_t check[HSM_MAC_SIZE], struct error *err);

/* HMAC-SHA256 of a message under the key: what a device's proof is compared with. */
MUST_USE int hsm_derived_mac(struct hsm *h, const void *input, size_t len, const void *message,
                             size_t message_len, uint8_t mac[HSM_MAC_SIZE], struct error *err);

/* The bytes of the key, HSM_DERIVED_SIZE of them. The caller frees *key. They pass
 * through this process's memory, whatever the token. */
MUST_USE int hsm_derived_export(struct hsm *h, const void *input, size_t len, struct secret **key,
                                struct error *err);

/*
 * Begins a rewrap that has no private key: the station's ephemeral key alone. Ended by
 * hsm_credential_rewrap_abort.
 */
MUST_USE int hsm_derived_begin(struct hsm *h, struct hsm_rewrap **out,
                               uint8_t station_pub[EC_POINT_SIZE], struct error *err);

/*
 * Wraps the key under the key encryption key of (suite, ECDH with dev_pub, context), the very one that
 * hsm_credential_rewrap_finish uses, and appends HSM_DERIVED_WRAPPED bytes to out. r stays open.
 * Errors: as hsm_credential_rewrap_finish.
 */
MUST_USE int hsm_derived_wrap(struct hsm_rewrap *r, unsigned suite,
                              const uint8_t dev_pub[EC_POINT_SIZE],
                              const uint8_t context[HSM_CONTEXT_SIZE], const void *input,
                              size_t len, struct buf *out, struct error *err);

#endif
