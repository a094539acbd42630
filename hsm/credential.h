/*
 * credential: device keys: made ahead and wrapped for the inventory, later wrapped anew for one
 * device.
 *
 * Invariants
 *  1. (P1) A device's private key exists inside the token only, as a session object that is
 *     destroyed before the function returns or the rewrap ends. What leaves is wrapped.
 *  2. A rewrap never starts from a key that is not the row's: the unwrapped key signs once and the
 *     signature is verified against the public key that the caller expects.
 *  3. The station's ephemeral key is fresh for each rewrap and destroyed with it. Suite 1 is safe
 *     on that condition.
 *  4. A rewrapped key is exactly as long as the stored one (hsm_rewrap_length).
 *
 * The stored format is "pkcs8/rfc5649": a PKCS#8 PrivateKeyInfo, perhaps followed by up to seven
 * zero bytes, under AES key wrap with padding (RFC 5649). storage is the name that
 * hsm_storage_create or hsm_storage_find gave.
 *
 * Errors that every function can return besides those it names: ERR_MISSING when the storage key is
 * not on the token, ERR_REFUSED when the token cannot carry device keys, and those of hsm/token.h.
 */
#ifndef HSM_CREDENTIAL_H
#define HSM_CREDENTIAL_H

#include "base/buf.h"
#include "hsm/keys.h"
#include "pki/scheme.h"

#define HSM_CONTEXT_SIZE 32

/* Makes a key pair of a type that storage is for; sets its public key and appends the wrapped private
 * one to wrapped. */
MUST_USE int hsm_credential_make(struct hsm *h, const char *storage, enum key_type type,
                                 struct public_key *key, struct buf *wrapped, struct error *err);

/*
 * The same, of a key that signs once before it is wrapped: ask is given who signs with it, an RSA key as
 * rsa-pkcs1-sha256, which every CA reads, and makes its request. It signs nothing later (a rewrap aside),
 * for what is stored says no more than that of hsm_credential_make. ask may be called again for another
 * key, when the token dropped the session. Errors: also those of ask.
 */
typedef int hsm_ask(void *context, const struct ca_signer *signer, struct error *err);
MUST_USE int hsm_credential_make_asking(struct hsm *h, const char *storage, enum key_type type,
                                        hsm_ask *ask, void *context, struct public_key *key,
                                        struct buf *wrapped, struct error *err);

/*
 * Whether the token makes and wraps keys of this type: one is made, wrapped under a storage key and
 * unwrapped again, all of it thrown away. Errors: ERR_REFUSED with the token's name and the mechanism
 * that it lacks, or what it said to which step.
 */
MUST_USE int hsm_credential_can(struct hsm *h, enum key_type type, struct error *err);

struct hsm_rewrap;

/*
 * Unwraps a stored key, proves that it belongs to this public key, and makes the station's ephemeral key,
 * whose public point goes into the transcript. *out is ended by finish or abort. The module is not
 * recycled while a rewrap is open. Errors: ERR_INTEGRITY when the blob does not unwrap or holds
 * another key.
 */
MUST_USE int hsm_credential_rewrap_begin(struct hsm *h, const char *storage, const void *wrapped,
                                         size_t wrapped_len, const struct public_key *key,
                                         struct hsm_rewrap **out,
                                         uint8_t station_pub[EC_POINT_SIZE], struct error *err);

/*
 * Wraps the key under the key encryption key of (suite, ECDH with dev_pub, context), appends the
 * blob to out and ends the rewrap: r is freed whatever the outcome.
 *
 * Errors: ERR_PROTOCOL dev_pub is not a point of P-256; ERR_REFUSED a suite that hsm_suites does
 * not list; ERR_HSM also when the session was lost since begin, or a blob of another length came
 * out.
 */
MUST_USE int hsm_credential_rewrap_finish(struct hsm_rewrap *r, unsigned suite,
                                          const uint8_t dev_pub[EC_POINT_SIZE],
                                          const uint8_t context[HSM_CONTEXT_SIZE], struct buf *out,
                                          struct error *err);

/* Ends a rewrap without a blob; NULL is fine. */
void hsm_credential_rewrap_abort(struct hsm_rewrap *r);

/* The length of what finish appends, for a stored blob of stored_len bytes. */
size_t hsm_rewrap_length(const struct hsm *h, size_t stored_len);

#endif
