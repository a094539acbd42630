#include "hsm/derived.h"

#include "agent/ids.h"
#include "hsm/derived_work.h"
#include "hsm/receiver.h"

#include <openssl/ec.h>
#include <stdlib.h>
#include <string.h>

/* ---- making a key on handles ---- */

/* What is derived from: the counter, 32 bits and big-endian, and input. */
struct derived_message {
    uint8_t bytes[4 + HSM_DERIVED_INPUT_MAX];
    size_t len;
};

static int make_message(const void *input, size_t len, struct derived_message *m, struct error *err)
{
    static const uint8_t first[] = {0, 0, 0, 1};

    if (len > HSM_DERIVED_INPUT_MAX)
        return error_set(err, ERR_INTERNAL, "a key is derived from too many bytes");
    memcpy(m->bytes, first, sizeof first);
    memcpy(m->bytes + sizeof first, input, len);
    m->len = sizeof first + len;
    return 0;
}

/* The message, which is no secret, as the key that HKDF takes. */
static int put_message(struct hsm *h, struct derived_message *m, CK_OBJECT_HANDLE *out,
                       struct error *err)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},   {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, &no, sizeof no},         {CKA_DERIVE, &yes, sizeof yes},
        {CKA_EXTRACTABLE, &yes, sizeof yes}, {CKA_VALUE, m->bytes, m->len},
    };
    CK_RV rv = h->module.p11->C_CreateObject(h->session, template,
                                             sizeof template / sizeof *template, out);

    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "takes nothing to derive a key from");
}

/* Inside the token: HKDF-Extract (RFC 5869 section 2.2) is HMAC-SHA256 under the salt, which is the
 * master key. */
static int derive_inside(struct hsm *h, CK_OBJECT_HANDLE master, struct derived_message *m,
                         CK_OBJECT_HANDLE *key, struct error *err)
{
    struct hkdf_params params = {
        .extract = CK_TRUE, .hash = CKM_SHA256, .salt_type = CKF_HKDF_SALT_KEY, .salt_key = master};
    CK_MECHANISM mechanism = {CKM_HKDF_DERIVE, &params, sizeof params};
    struct policy_fill fill = session_fill(h);
    struct policy_attributes attributes;
    CK_OBJECT_HANDLE message;
    CK_RV rv;
    int rc = put_message(h, m, &message, err);

    if (rc)
        return rc;
    policy_template(policy_derived, &fill, &attributes);
    rv = h->module.p11->C_DeriveKey(h->session, &mechanism, message, attributes.list,
                                    attributes.count, key);
    session_destroy(h, message);
    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot derive a device key");
}

static int put_in(struct hsm *h, const uint8_t value[HSM_DERIVED_SIZE], CK_OBJECT_HANDLE *key,
                  struct error *err)
{
    struct policy_fill fill = session_fill(h);
    struct policy_attributes attributes;
    CK_RV rv;

    fill.value = value;
    policy_template(policy_derived_value, &fill, &attributes);
    rv = h->module.p11->C_CreateObject(h->session, attributes.list, attributes.count, key);
    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "takes no derived device key");
}

int derived_make(struct hsm *h, enum hsm_derivation how, CK_OBJECT_HANDLE master, const void *input,
                 size_t len, CK_OBJECT_HANDLE *key, struct error *err)
{
    uint8_t value[HSM_DERIVED_SIZE];
    struct derived_message m;
    int rc = make_message(input, len, &m, err);

    if (rc == 0 && how == HSM_DERIVES_INSIDE)
        return derive_inside(h, master, &m, key, err);
    if (rc == 0)
        rc = session_mac(h, master, m.bytes, m.len, value, err);
    if (rc == 0)
        rc = put_in(h, value, key, err);
    explicit_bzero(value, sizeof value);
    return rc;
}

int derived_wrap_key(struct hsm_rewrap *r, unsigned suite, const uint8_t dev_pub[EC_POINT_SIZE],
                     const uint8_t context[HSM_CONTEXT_SIZE], CK_OBJECT_HANDLE key, struct buf *out,
                     struct error *err)
{
    CK_OBJECT_HANDLE kek;
    struct buf blob;
    int rc = rewrap_kek(r, suite, dev_pub, context, policy_kek_symmetric, &kek, err);

    if (rc)
        return rc;
    buf_init(&blob, IMPRINT_WRAPPED_KEY_MAX);
    rc = wrap_key(r->h, kek, key, &blob, err);
    session_destroy(r->h, kek);
    if (rc == 0 && blob.len != HSM_DERIVED_WRAPPED)
        rc = error_set(err, ERR_HSM, "token '%s' wrapped a key of %d bytes as %zu", r->h->token,
                       HSM_DERIVED_SIZE, blob.len);
    if (rc == 0) {
        buf_put(out, blob.data, blob.len);
        rc = buf_check(out, "a wrapped key", err);
    }
    buf_done(&blob);
    return rc;
}

/* ---- what the token can ---- */

enum hsm_derivation hsm_derivation(const struct hsm *h)
{
    return h->can.derivation;
}

int hsm_can_derive(const struct hsm *h, struct error *err)
{
    const CK_RV *said = h->can.derive_said;

    if (h->can.derivation != HSM_DERIVES_NOT)
        return 0;
    if (h->can.suites == 0)
        return error_set(err, ERR_REFUSED,
                         "token '%s' can sign but not carry device keys, so it derives none either",
                         h->token);
    return error_set(err, ERR_REFUSED,
                     "token '%s' cannot derive symmetric device keys: CKM_HKDF_DERIVE "
                     "gave %s (0x%lx), CKM_SHA256_HMAC with C_CreateObject %s (0x%lx)",
                     h->token, ckr_name(said[HSM_DERIVES_INSIDE]), said[HSM_DERIVES_INSIDE],
                     ckr_name(said[HSM_DERIVES_IN_VAULT]), said[HSM_DERIVES_IN_VAULT]);
}

/* ---- one key at a time, under the station's master key ---- */

struct derived_call {
    const void *input;
    size_t len;
    const void *message; /* for a MAC */
    size_t message_len;
    uint8_t *mac;
    struct secret *key; /* for an export */
};

static int make_key(struct hsm *h, const struct derived_call *call, CK_OBJECT_HANDLE *key,
                    struct error *err)
{
    CK_OBJECT_HANDLE master = CK_INVALID_HANDLE;
    int rc = hsm_can_derive(h, err);

    if (rc == 0)
        rc = key_handle(h, HSM_KEY_DERIVATION, &master, err);
    return rc ? rc : derived_make(h, h->can.derivation, master, call->input, call->len, key, err);
}

static int mac_work(struct hsm *h, void *arg, struct error *err)
{
    struct derived_call *call = arg;
    CK_OBJECT_HANDLE key;
    int rc = make_key(h, call, &key, err);

    if (rc)
        return rc;
    rc = session_mac(h, key, call->message, call->message_len, call->mac, err);
    session_destroy(h, key);
    return rc;
}

int hsm_derived_mac(struct hsm *h, const void *input, size_t len, const void *message,
                    size_t message_len, uint8_t mac[HSM_MAC_SIZE], struct error *err)
{
    struct derived_call call = {
        .input = input, .len = len, .message = message, .message_len = message_len, .mac = mac};

    return session_run(h, mac_work, &call, err);
}

int hsm_derived_check(struct hsm *h, const void *input, size_t len, uint8_t check[HSM_MAC_SIZE],
                      struct error *err)
{
    return hsm_derived_mac(h, input, len, IMPRINT_LABEL_KCV, sizeof IMPRINT_LABEL_KCV, check, err);
}

/* A token that derives shows the key to nobody, so it is wrapped for a transport key of this moment. */
static int open_wrapped(struct hsm *h, const struct derived_call *call, EVP_PKEY *transport,
                        struct hsm_rewrap *r, struct buf *blob, struct error *err)
{
    unsigned suite =
        h->can.suites >> IMPRINT_SUITE_X963 & 1 ? IMPRINT_SUITE_X963 : IMPRINT_SUITE_ECB;
    uint8_t pub[EC_POINT_SIZE], station_pub[EC_POINT_SIZE], context[HSM_CONTEXT_SIZE],
        payload[RECEIVER_MAX];
    size_t len = 0;
    int rc = ec_point(transport, pub, err);

    if (rc == 0)
        rc = session_random(h, context, sizeof context, err);
    if (rc == 0)
        rc = rewrap_make_ephemeral(r, station_pub, err);
    if (rc == 0)
        rc = hsm_derived_wrap(r, suite, pub, context, call->input, call->len, blob, err);
    if (rc == 0)
        len = receiver_open(transport, suite, station_pub, context, blob, payload);
    if (rc == 0 && len != HSM_DERIVED_SIZE)
        rc = error_set(err, ERR_HSM, "token '%s' wrapped a derived key as nobody can open it",
                       h->token);
    if (rc == 0)
        memcpy(secret_bytes(call->key), payload, HSM_DERIVED_SIZE);
    explicit_bzero(payload, sizeof payload);
    return rc;
}

static int read_inside(struct hsm *h, const struct derived_call *call, struct error *err)
{
    EVP_PKEY *transport = EVP_EC_gen("P-256");
    struct hsm_rewrap r;
    struct buf blob;
    int rc;

    rewrap_init(&r, h, 0);
    buf_init(&blob, IMPRINT_WRAPPED_KEY_MAX);
    rc = transport ? open_wrapped(h, call, transport, &r, &blob, err)
                   : error_set(err, ERR_CRYPTO, "cannot make a transport key");
    rewrap_drop(&r);
    buf_done(&blob);
    EVP_PKEY_free(transport);
    return rc;
}

static int export_work(struct hsm *h, void *arg, struct error *err)
{
    struct derived_call *call = arg;
    CK_OBJECT_HANDLE master = CK_INVALID_HANDLE;
    struct derived_message m;
    int rc = hsm_can_derive(h, err);

    if (rc == 0 && h->can.derivation == HSM_DERIVES_INSIDE)
        return read_inside(h, call, err);
    if (rc == 0)
        rc = make_message(call->input, call->len, &m, err);
    if (rc == 0)
        rc = key_handle(h, HSM_KEY_DERIVATION, &master, err);
    return rc ? rc : session_mac(h, master, m.bytes, m.len, secret_bytes(call->key), err);
}

int hsm_derived_export(struct hsm *h, const void *input, size_t len, struct secret **key,
                       struct error *err)
{
    struct derived_call call = {.input = input, .len = len, .key = secret_new(HSM_DERIVED_SIZE)};
    int rc;

    if (!call.key)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = session_run(h, export_work, &call, err);
    if (rc)
        secret_free(call.key);
    else
        *key = call.key;
    return rc;
}

/* ---- for a device ---- */

struct ephemeral_call {
    struct hsm_rewrap *rewrap;
    uint8_t station_pub[EC_POINT_SIZE];
};

static int begin_work(struct hsm *h, void *arg, struct error *err)
{
    struct ephemeral_call *call = arg;
    int rc = hsm_can_derive(h, err);

    if (rc)
        return rc;
    rewrap_init(call->rewrap, h, 0);
    rc = rewrap_make_ephemeral(call->rewrap, call->station_pub, err);
    if (rc)
        rewrap_drop(call->rewrap);
    return rc;
}

int hsm_derived_begin(struct hsm *h, struct hsm_rewrap **out, uint8_t station_pub[EC_POINT_SIZE],
                      struct error *err)
{
    struct ephemeral_call call = {.rewrap = calloc(1, sizeof *call.rewrap)};
    int rc;

    if (!call.rewrap)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = session_run(h, begin_work, &call, err);
    if (rc) {
        free(call.rewrap);
        return rc;
    }
    h->rewraps++;
    memcpy(station_pub, call.station_pub, EC_POINT_SIZE);
    *out = call.rewrap;
    return 0;
}

/* A rewrap lives in one session: what is lost here is not tried again. */
int hsm_derived_wrap(struct hsm_rewrap *r, unsigned suite, const uint8_t dev_pub[EC_POINT_SIZE],
                     const uint8_t context[HSM_CONTEXT_SIZE], const void *input, size_t len,
                     struct buf *out, struct error *err)
{
    struct derived_call call = {.input = input, .len = len};
    CK_OBJECT_HANDLE key;
    int rc = rewrap_check_request(r->h, suite, dev_pub, err);

    if (rc == 0)
        rc = make_key(r->h, &call, &key, err);
    if (rc)
        return rc;
    rc = derived_wrap_key(r, suite, dev_pub, context, key, out, err);
    session_destroy(r->h, key);
    return rc;
}
