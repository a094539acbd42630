#include "hsm/credential.h"

#include "agent/ids.h"
#include "hsm/ahead_work.h"

#include <stdlib.h>
#include <string.h>

struct make_call {
    const char *storage;
    enum key_type type;
    struct public_key *key;
    struct buf *wrapped;
    hsm_ask *ask; /* NULL: it signs nothing */
    void *context;
};

static int make_work(struct hsm *h, void *arg, struct error *err)
{
    struct make_call *call = arg;
    CK_OBJECT_HANDLE storage;
    int rc = storage_handle(h, call->storage, &storage, err);

    return rc ? rc : credential_make_under(h, storage, call->type, call->key, call->wrapped, err);
}

int hsm_credential_make(struct hsm *h, const char *storage, enum key_type type,
                        struct public_key *key, struct buf *wrapped, struct error *err)
{
    return session_run(h, make_work, &(struct make_call){storage, type, key, wrapped, NULL, NULL},
                       err);
}

static int ask_work(struct hsm *h, void *arg, struct error *err)
{
    struct make_call *call = arg;
    CK_OBJECT_HANDLE storage;
    int rc = storage_handle(h, call->storage, &storage, err);

    return rc ? rc
              : credential_ask_under(h, storage, call->type, call->ask, call->context, call->key,
                                     call->wrapped, err);
}

int hsm_credential_make_asking(struct hsm *h, const char *storage, enum key_type type, hsm_ask *ask,
                               void *context, struct public_key *key, struct buf *wrapped,
                               struct error *err)
{
    return session_run(h, ask_work, &(struct make_call){storage, type, key, wrapped, ask, context},
                       err);
}

/* One trip of a throw-away key through a session copy of the storage key. */
static int trip(struct hsm *h, CK_OBJECT_HANDLE storage, enum key_type type, struct error *err)
{
    uint8_t station_pub[EC_POINT_SIZE];
    struct public_key key;
    struct hsm_rewrap r;
    struct buf wrapped;
    int rc;

    buf_init(&wrapped, HSM_WRAPPED_MAX);
    rc = credential_make_under(h, storage, type, &key, &wrapped, err);
    if (rc == 0) {
        rewrap_init(&r, h, wrapped.len);
        rc = rewrap_begin_under(&r, storage, wrapped.data, &key, station_pub, err);
        rewrap_drop(&r);
    }
    buf_done(&wrapped);
    return rc;
}

static int can_work(struct hsm *h, void *arg, struct error *err)
{
    enum key_type type = *(enum key_type *)arg;
    char name[HSM_STORAGE_NAME_SIZE] = "";
    struct policy_fill fill = session_fill_key(h, name, NULL, 0);
    CK_OBJECT_HANDLE storage;
    int rc;

    storage_name((const uint8_t[SHA256_SIZE]){0}, type, name);
    fill.kind = storage_kind(name);
    fill.session = true;
    rc = storage_generate(h, &fill, &storage, err);
    if (rc)
        return rc;
    rc = trip(h, storage, type, err);
    session_destroy(h, storage);
    return rc;
}

int hsm_credential_can(struct hsm *h, enum key_type type, struct error *err)
{
    int rc = h->can.wrap
                 ? hsm_key_can(h, HSM_KEY_STATION_AUTH, type, scheme_of(type), err)
                 : error_set(err, ERR_REFUSED, "token '%s' carries no device keys", h->token);

    if (rc == 0)
        rc = session_run(h, can_work, &type, err);
    if (rc == 0 || rc == ERR_REFUSED || h->lost)
        return rc;
    error_prefix(err,
                 "keys of type %s cannot be made ahead: let the devices make them (key_mode: "
                 "device), or choose another type",
                 key_type_name(type));
    return error_recode(err, ERR_REFUSED);
}

struct begin_call {
    const char *storage;
    const void *wrapped;
    size_t wrapped_len;
    const struct public_key *key;
    struct hsm_rewrap *rewrap;
    uint8_t station_pub[EC_POINT_SIZE];
};

static int begin_work(struct hsm *h, void *arg, struct error *err)
{
    struct begin_call *call = arg;
    CK_OBJECT_HANDLE storage;
    int rc = storage_handle(h, call->storage, &storage, err);

    if (rc)
        return rc;
    rewrap_init(call->rewrap, h, call->wrapped_len);
    rc =
        rewrap_begin_under(call->rewrap, storage, call->wrapped, call->key, call->station_pub, err);
    if (rc)
        rewrap_drop(call->rewrap);
    return rc;
}

int rewrap_begin(struct hsm *h, const char *storage, const void *wrapped, size_t wrapped_len,
                 const struct public_key *key, struct hsm_rewrap **out,
                 uint8_t station_pub[EC_POINT_SIZE], struct error *err)
{
    struct begin_call call = {.storage = storage,
                              .wrapped = wrapped,
                              .wrapped_len = wrapped_len,
                              .key = key,
                              .rewrap = calloc(1, sizeof *call.rewrap)};
    int rc = rewrap_run(h, begin_work, &call, call.rewrap, out, err);

    if (rc == 0)
        memcpy(station_pub, call.station_pub, EC_POINT_SIZE);
    return rc;
}

int hsm_credential_rewrap_begin(struct hsm *h, const char *storage, const void *wrapped,
                                size_t wrapped_len, const struct public_key *key,
                                struct hsm_rewrap **out, uint8_t station_pub[EC_POINT_SIZE],
                                struct error *err)
{
    struct hsm_rewrap *begun = ahead_take(h, storage, wrapped, wrapped_len, key, station_pub);

    if (!begun)
        return rewrap_begin(h, storage, wrapped, wrapped_len, key, out, station_pub, err);
    *out = begun;
    return 0;
}

void hsm_credential_rewrap_abort(struct hsm_rewrap *r)
{
    struct hsm *h;

    if (!r)
        return;
    h = r->h;
    rewrap_drop(r);
    free(r);
    h->rewraps--;
}

int rewrap_check_request(const struct hsm *h, unsigned suite, const uint8_t dev_pub[EC_POINT_SIZE],
                         struct error *err)
{
    EVP_PKEY *key;

    if (suite > IMPRINT_SUITE_X963 || !(h->can.suites & 1u << suite))
        return error_set(err, ERR_REFUSED, "token '%s' cannot rewrap with suite %u", h->token,
                         suite);
    /* Some modules derive from a point off the curve, which would tell about the ephemeral key. */
    if (ec_public_key(dev_pub, &key, NULL))
        return error_set(err, ERR_PROTOCOL,
                         "the transport key that the device offers is not a point of P-256");
    EVP_PKEY_free(key);
    return 0;
}

int hsm_credential_rewrap_finish(struct hsm_rewrap *r, unsigned suite,
                                 const uint8_t dev_pub[EC_POINT_SIZE],
                                 const uint8_t context[HSM_CONTEXT_SIZE], struct buf *out,
                                 struct error *err)
{
    int rc = rewrap_check_request(r->h, suite, dev_pub, err);

    if (rc == 0)
        rc = rewrap_finish_under(r, suite, dev_pub, context, out, err);
    hsm_credential_rewrap_abort(r);
    return rc;
}

size_t hsm_rewrap_length(const struct hsm *h, size_t stored_len)
{
    (void)h;
    return stored_len;
}
