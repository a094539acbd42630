/*
 * credential_work: the steps of hsm/credential.h on handles, for the probe, which has no names and
 * no recycle. Private to hsm/.
 */
#ifndef HSM_CREDENTIAL_WORK_H
#define HSM_CREDENTIAL_WORK_H

#include "hsm/credential.h"
#include "hsm/session.h"

#define HSM_WRAPPED_MAX 2048 /* an EC key takes 80 to 200 bytes, RSA with 3072 bits 1,800 */

/* An open rewrap: session objects of one generation. */
struct hsm_rewrap {
    struct hsm *h;
    unsigned generation;
    size_t stored_len;
    const struct key_kind *kind; /* of the device key */
    CK_OBJECT_HANDLE device, ephemeral, ephemeral_public;
};

/* CK_INVALID_HANDLE thrice and a fresh generation. */
void rewrap_init(struct hsm_rewrap *r, struct hsm *h, size_t stored_len);

/*
 * Runs the work that begins a rewrap, and hands it out as one that is open (hsm/credential.h), or frees
 * it. rewrap: from calloc; NULL is no memory. Errors: those of the work, ERR_INTERNAL.
 */
MUST_USE int rewrap_run(struct hsm *h, session_work *work, void *call, struct hsm_rewrap *rewrap,
                        struct hsm_rewrap **out, struct error *err);

/* hsm_credential_rewrap_begin without what was begun ahead. */
MUST_USE int rewrap_begin(struct hsm *h, const char *storage, const void *wrapped,
                          size_t wrapped_len, const struct public_key *key, struct hsm_rewrap **out,
                          uint8_t station_pub[EC_POINT_SIZE], struct error *err);

/* Makes a pair, wraps it under the storage key with h->can.wrap, destroys it. */
MUST_USE int credential_make_under(struct hsm *h, CK_OBJECT_HANDLE storage, enum key_type type,
                                   struct public_key *key, struct buf *wrapped, struct error *err);

/* The same of a key that signs what ask wants signed, before it is wrapped. */
MUST_USE int credential_ask_under(struct hsm *h, CK_OBJECT_HANDLE storage, enum key_type type,
                                  hsm_ask *ask, void *context, struct public_key *key,
                                  struct buf *wrapped, struct error *err);

/* Fills r. On failure too, rewrap_drop destroys what was made. */
MUST_USE int rewrap_begin_under(struct hsm_rewrap *r, CK_OBJECT_HANDLE storage, const void *wrapped,
                                const struct public_key *key, uint8_t station_pub[EC_POINT_SIZE],
                                struct error *err);

MUST_USE int rewrap_finish_under(struct hsm_rewrap *r, unsigned suite,
                                 const uint8_t dev_pub[EC_POINT_SIZE],
                                 const uint8_t context[HSM_CONTEXT_SIZE], struct buf *out,
                                 struct error *err);

/* The key encryption key of r for this device, as a session object of these rows. Errors: ERR_HSM
 * also when the session was lost since begin. */
MUST_USE int rewrap_kek(struct hsm_rewrap *r, unsigned suite, const uint8_t dev_pub[EC_POINT_SIZE],
                        const uint8_t context[HSM_CONTEXT_SIZE], const struct policy_row *rows,
                        CK_OBJECT_HANDLE *kek, struct error *err);

/* The station's ephemeral key of a rewrap. */
MUST_USE int rewrap_make_ephemeral(struct hsm_rewrap *r, uint8_t station_pub[EC_POINT_SIZE],
                                   struct error *err);

/* Wraps a key that leaves; "a device key" in messages. */
MUST_USE int wrap_key(struct hsm *h, CK_OBJECT_HANDLE under, CK_OBJECT_HANDLE key, struct buf *out,
                      struct error *err);

/* Whether a transport key is a point of P-256, and the token has the suite. Errors: ERR_REFUSED,
 * ERR_PROTOCOL. */
MUST_USE int rewrap_check_request(const struct hsm *h, unsigned suite,
                                  const uint8_t dev_pub[EC_POINT_SIZE], struct error *err);

/* Destroys r's session objects; not r. */
void rewrap_drop(struct hsm_rewrap *r);

/* The handle of a storage key by name, checked against the policy when first seen. Errors:
 * ERR_MISSING, ERR_HSM, ERR_REFUSED when the token has no suite. */
MUST_USE int storage_handle(struct hsm *h, const char *name, CK_OBJECT_HANDLE *out,
                            struct error *err);

/* A storage key of the policy; a session object when fill says so. */
MUST_USE int storage_generate(struct hsm *h, const struct policy_fill *fill, CK_OBJECT_HANDLE *out,
                              struct error *err);

#endif
