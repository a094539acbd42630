#include "hsm/credential_work.h"

#include "agent/ids.h"

#include <stdlib.h>
#include <string.h>

void rewrap_init(struct hsm_rewrap *r, struct hsm *h, size_t stored_len)
{
    *r = (struct hsm_rewrap){.h = h,
                             .generation = h->generation,
                             .stored_len = stored_len,
                             .device = CK_INVALID_HANDLE,
                             .ephemeral = CK_INVALID_HANDLE,
                             .ephemeral_public = CK_INVALID_HANDLE};
}

int rewrap_run(struct hsm *h, session_work *work, void *call, struct hsm_rewrap *rewrap,
               struct hsm_rewrap **out, struct error *err)
{
    int rc;

    if (!rewrap)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = session_run(h, work, call, err);
    if (rc) {
        free(rewrap);
        return rc;
    }
    h->rewraps++;
    *out = rewrap;
    return 0;
}

void rewrap_drop(struct hsm_rewrap *r)
{
    if (r->generation == r->h->generation) {
        session_destroy(r->h, r->device);
        session_destroy(r->h, r->ephemeral);
        session_destroy(r->h, r->ephemeral_public);
    }
    rewrap_init(r, r->h, r->stored_len);
}

int wrap_key(struct hsm *h, CK_OBJECT_HANDLE under, CK_OBJECT_HANDLE key, struct buf *out,
             struct error *err)
{
    CK_MECHANISM mechanism = {h->can.wrap, NULL, 0};
    uint8_t blob[HSM_WRAPPED_MAX];
    CK_ULONG len = sizeof blob;
    CK_RV rv = h->module.p11->C_WrapKey(h->session, &mechanism, under, key, blob, &len);

    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot wrap a device key");
    buf_put(out, blob, len);
    return buf_check(out, "a wrapped key", err);
}

int credential_make_under(struct hsm *h, CK_OBJECT_HANDLE storage, enum key_type type,
                          struct public_key *key, struct buf *wrapped, struct error *err)
{
    CK_OBJECT_HANDLE private, public;
    struct public_key made;
    int rc = session_make_kind(h, key_kind_of(type, scheme_of(type)), policy_device_private,
                               policy_device_public, &private, &public, &made, err);

    if (rc)
        return rc;
    rc = wrap_key(h, storage, private, wrapped, err);
    session_destroy(h, private);
    session_destroy(h, public);
    if (rc == 0)
        *key = made;
    return rc;
}

/* A key that is not wrapped yet, as who signs. */
struct asking {
    struct hsm *h;
    CK_OBJECT_HANDLE key;
    const struct key_kind *kind;
};

static int sign_asking(void *context, enum sig_scheme scheme, const void *bytes, size_t len,
                       bool digested, struct signature *sig, struct error *err)
{
    const struct asking *a = context;

    (void)scheme; /* that of the signer that was handed out */
    return session_sign_kind(a->h, a->key, a->kind, bytes, len, digested, sig, err);
}

/* PSS is how RSA keys of devices sign, and what many a CA cannot read in a request. */
static const struct key_kind *kind_that_asks(enum key_type type)
{
    const struct key_kind *pkcs1 = key_kind_of(type, SCHEME_RSA_PKCS1_SHA256);

    return pkcs1 ? pkcs1 : key_kind_of(type, scheme_of(type));
}

int credential_ask_under(struct hsm *h, CK_OBJECT_HANDLE storage, enum key_type type, hsm_ask *ask,
                         void *context, struct public_key *key, struct buf *wrapped,
                         struct error *err)
{
    struct asking a = {.h = h, .kind = kind_that_asks(type)};
    struct ca_signer signer = {.scheme = a.kind->scheme, .sign = sign_asking, .context = &a};
    CK_OBJECT_HANDLE public;
    int rc = session_make_kind(h, a.kind, policy_asking_private, policy_device_public, &a.key,
                               &public, &signer.key, err);

    if (rc)
        return rc;
    rc = ask(context, &signer, err);
    if (rc == 0)
        rc = wrap_key(h, storage, a.key, wrapped, err);
    session_destroy(h, a.key);
    session_destroy(h, public);
    if (rc == 0)
        *key = signer.key;
    return rc;
}

static int unwrap(struct hsm *h, CK_OBJECT_HANDLE storage, const void *wrapped, size_t len,
                  const struct public_key *public, CK_OBJECT_HANDLE *key, struct error *err)
{
    CK_MECHANISM mechanism = {h->can.wrap, NULL, 0};
    struct policy_fill fill = session_fill(h);
    struct policy_attributes attributes;
    CK_RV rv;

    if (h->can.unwrap_point)
        fill.point = key_bits(public, &fill.point_len);
    fill.kind = key_kind_of(public->type, scheme_of(public->type));
    policy_template(policy_unwrapped, &fill, &attributes);
    rv =
        h->module.p11->C_UnwrapKey(h->session, &mechanism, storage, (CK_BYTE_PTR)(uintptr_t)wrapped,
                                   len, attributes.list, attributes.count, key);
    if (rv == CKR_OK)
        return 0;
    session_note(h, rv);
    if (h->lost)
        return session_fail(h, rv, err, "cannot unwrap a device key");
    /* SoftHSM says no more than CKR_GENERAL_ERROR to a blob that was changed. */
    return ckr_set(
        err, ERR_INTEGRITY, rv,
        "a stored device key does not unwrap: its row was changed, or belongs to another "
        "storage key");
}

int rewrap_make_ephemeral(struct hsm_rewrap *r, uint8_t station_pub[EC_POINT_SIZE],
                          struct error *err)
{
    return session_make_pair(r->h, policy_ephemeral_private, policy_ephemeral_public, &r->ephemeral,
                             &r->ephemeral_public, station_pub, err);
}

int rewrap_begin_under(struct hsm_rewrap *r, CK_OBJECT_HANDLE storage, const void *wrapped,
                       const struct public_key *key, uint8_t station_pub[EC_POINT_SIZE],
                       struct error *err)
{
    struct hsm *h = r->h;
    int rc = unwrap(h, storage, wrapped, r->stored_len, key, &r->device, err);

    if (rc)
        return rc;
    r->kind = key_kind_of(key->type, scheme_of(key->type));
    rc = session_prove_key(h, r->device, r->kind, "imprint row check v1", key, err);
    if (rc == ERR_SIGNATURE || rc == ERR_CRYPTO)
        return error_set(err, ERR_INTEGRITY,
                         "a stored device key is not that of its row's public key: rows were "
                         "swapped or changed");
    if (rc)
        return rc;
    return rewrap_make_ephemeral(r, station_pub, err);
}

/* ECDH with the KDF into a key of these rows. */
static int derive_ecdh(struct hsm_rewrap *r, const uint8_t dev_pub[EC_POINT_SIZE],
                       CK_ECDH1_DERIVE_PARAMS params, const struct policy_row *rows,
                       CK_OBJECT_HANDLE *out, struct error *err)
{
    struct hsm *h = r->h;
    CK_MECHANISM mechanism = {CKM_ECDH1_DERIVE, &params, sizeof params};
    struct policy_fill fill = session_fill(h);
    struct policy_attributes attributes;
    uint8_t peer[EC_POINT_SIZE];
    CK_RV rv;

    memcpy(peer, dev_pub, sizeof peer);
    params.public_data = peer;
    params.public_data_len = sizeof peer;
    fill.kind = r->kind; /* a key encryption key wraps that kind of keys only */
    policy_template(rows, &fill, &attributes);
    rv = h->module.p11->C_DeriveKey(h->session, &mechanism, r->ephemeral, attributes.list,
                                    attributes.count, out);
    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot agree on a key with a device");
}

/* Suite 1: KEK = AES-256-ECB under Z over the context. */
static int derive_kek_ecb(struct hsm_rewrap *r, const uint8_t dev_pub[EC_POINT_SIZE],
                          const uint8_t context[HSM_CONTEXT_SIZE], const struct policy_row *rows,
                          CK_OBJECT_HANDLE *kek, struct error *err)
{
    struct hsm *h = r->h;
    uint8_t data[HSM_CONTEXT_SIZE];
    CK_KEY_DERIVATION_STRING_DATA params = {data, sizeof data};
    CK_MECHANISM mechanism = {CKM_AES_ECB_ENCRYPT_DATA, &params, sizeof params};
    struct policy_fill fill = session_fill(h);
    struct policy_attributes attributes;
    CK_OBJECT_HANDLE shared;
    CK_RV rv;
    int rc = derive_ecdh(r, dev_pub, (CK_ECDH1_DERIVE_PARAMS){.kdf = CKD_NULL},
                         policy_shared_secret, &shared, err);

    if (rc)
        return rc;
    memcpy(data, context, sizeof data);
    fill.kind = r->kind; /* the one kind of keys that it wraps */
    policy_template(rows, &fill, &attributes);
    rv = h->module.p11->C_DeriveKey(h->session, &mechanism, shared, attributes.list,
                                    attributes.count, kek);
    session_destroy(h, shared);
    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot derive a key encryption key");
}

/* Suite 2: KEK = X9.63 KDF with SHA-256 of Z, the context as SharedInfo. */
static int derive_kek_x963(struct hsm_rewrap *r, const uint8_t dev_pub[EC_POINT_SIZE],
                           const uint8_t context[HSM_CONTEXT_SIZE], const struct policy_row *rows,
                           CK_OBJECT_HANDLE *kek, struct error *err)
{
    uint8_t shared_info[HSM_CONTEXT_SIZE];
    CK_ECDH1_DERIVE_PARAMS params = {
        .kdf = CKD_SHA256_KDF, .shared_data = shared_info, .shared_data_len = sizeof shared_info};

    memcpy(shared_info, context, sizeof shared_info);
    return derive_ecdh(r, dev_pub, params, rows, kek, err);
}

static int wrap_for_device(struct hsm_rewrap *r, CK_OBJECT_HANDLE kek, struct buf *out,
                           struct error *err)
{
    struct buf blob;
    int rc;

    buf_init(&blob, HSM_WRAPPED_MAX);
    rc = wrap_key(r->h, kek, r->device, &blob, err);
    if (rc == 0 && blob.len != hsm_rewrap_length(r->h, r->stored_len))
        rc = error_set(err, ERR_HSM,
                       "token '%s' rewrapped a key of %zu bytes as %zu, which was announced to no "
                       "device",
                       r->h->token, r->stored_len, blob.len);
    if (rc == 0) {
        buf_put(out, blob.data, blob.len);
        rc = buf_check(out, "a rewrapped key", err);
    }
    buf_done(&blob);
    return rc;
}

int rewrap_kek(struct hsm_rewrap *r, unsigned suite, const uint8_t dev_pub[EC_POINT_SIZE],
               const uint8_t context[HSM_CONTEXT_SIZE], const struct policy_row *rows,
               CK_OBJECT_HANDLE *kek, struct error *err)
{
    if (r->generation != r->h->generation)
        return error_set(err, ERR_HSM,
                         "token '%s' lost its session in the middle of a rewrap: begin it again",
                         r->h->token);
    if (suite == IMPRINT_SUITE_ECB)
        return derive_kek_ecb(r, dev_pub, context, rows, kek, err);
    return derive_kek_x963(r, dev_pub, context, rows, kek, err);
}

int rewrap_finish_under(struct hsm_rewrap *r, unsigned suite, const uint8_t dev_pub[EC_POINT_SIZE],
                        const uint8_t context[HSM_CONTEXT_SIZE], struct buf *out, struct error *err)
{
    CK_OBJECT_HANDLE kek;
    int rc = rewrap_kek(r, suite, dev_pub, context, policy_kek, &kek, err);

    if (rc)
        return rc;
    rc = wrap_for_device(r, kek, out, err);
    session_destroy(r->h, kek);
    return rc;
}
