#include "hsm/ahead_work.h"

#include <string.h>
#include <time.h>

#define LOGIN_TRIES 5

int session_login_error(struct hsm *h, CK_RV rv, struct error *err)
{
    switch (rv) {
    case CKR_PIN_INCORRECT:
    case CKR_PIN_INVALID:
    case CKR_PIN_LEN_RANGE:
        h->pin_refused = true;
        return ckr_set(err, ERR_PIN, rv,
                       "token '%s' refuses the PIN, and it is not tried again: a token locks after "
                       "a few wrong ones",
                       h->token);
    case CKR_PIN_LOCKED:
    case CKR_PIN_EXPIRED:
        h->pin_refused = true;
        return ckr_set(err, ERR_PIN, rv,
                       "the PIN of token '%s' is locked or expired: its security officer has to "
                       "set a new one",
                       h->token);
    case CKR_USER_PIN_NOT_INITIALIZED:
        return ckr_set(err, ERR_TOKEN, rv, "token '%s' has no user PIN yet: initialise it",
                       h->token);
    default:
        session_note(h, rv);
        return ckr_set(err, ERR_HSM, rv, "cannot log in to token '%s'", h->token);
    }
}

struct policy_fill session_fill(const struct hsm *h)
{
    return (struct policy_fill){.wrap = h->can.wrap, .dialect = h->can.dialect};
}

struct policy_fill session_fill_key(const struct hsm *h, const char *label, const void *id,
                                    size_t id_len)
{
    struct policy_fill fill = session_fill(h);

    fill.label = label;
    fill.id = id;
    fill.id_len = id_len;
    return fill;
}

static int login(struct hsm *h, struct error *err)
{
    CK_RV rv = CKR_USER_PIN_NOT_INITIALIZED;

    if (h->pin_refused)
        return error_set(err, ERR_PIN,
                         "token '%s' refused the PIN before: restart with the right one", h->token);
    /* SoftHSM says this for a moment while another process writes a token object. */
    for (int i = 0; i < LOGIN_TRIES && rv == CKR_USER_PIN_NOT_INITIALIZED; i++) {
        if (i > 0)
            nanosleep(&(struct timespec){0, 20 * 1000 * 1000}, NULL);
        rv = h->module.p11->C_Login(h->session, CKU_USER, secret_bytes(h->pin), secret_len(h->pin));
    }
    if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
        return session_login_error(h, rv, err);
    return 0;
}

/* What the module is made of: "software" says that its keys are this process's memory. */
static void classify(struct hsm *h, const CK_TOKEN_INFO *info)
{
    char maker[33], model[17];
    CK_INFO library;

    if (h->module.p11->C_GetInfo(&library) == CKR_OK) {
        module_text(library.manufacturerID, sizeof library.manufacturerID, maker);
        h->can.dialect = policy_dialect(maker);
    }
    module_text(info->manufacturerID, sizeof info->manufacturerID, maker);
    module_text(info->model, sizeof info->model, model);
    if (strstr(maker, "SoftHSM") || strstr(maker, "Mozilla") || strstr(maker, "NSS") || !model[0])
        strcpy(h->can.class, "software");
    else
        strcpy(h->can.class, model);
}

/* A wrong PIN in a file would lock the token without anybody at hand. */
static int check_tries(struct hsm *h, const CK_TOKEN_INFO *info, struct error *err)
{
    if (h->generation == 0)
        h->pin_was_wrong = (info->flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY)) != 0;
    if (!(info->flags & CKF_USER_PIN_FINAL_TRY) || h->last_try)
        return 0;
    return error_set(
        err, ERR_PIN,
        "token '%s' takes one more PIN before it locks, and that is not tried with one "
        "from a file: find out who gave wrong ones, then enter it at a terminal with "
        "--ask-pin",
        h->token);
}

static int open_error(struct hsm *h, CK_RV rv, struct error *err)
{
    if (rv != CKR_SESSION_COUNT)
        return session_fail(h, rv, err, "cannot open a session");
    return ckr_set(err, ERR_HSM, rv,
                   "token '%s' has no session left: end other programs that use it", h->token);
}

int session_open(struct hsm *h, CK_SESSION_HANDLE *out, struct error *err)
{
    CK_RV rv =
        h->module.p11->C_OpenSession(h->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, out);

    return rv == CKR_OK ? 0 : open_error(h, rv, err);
}

int session_start(struct hsm *h, struct error *err)
{
    CK_TOKEN_INFO info;
    CK_ULONG matches;
    int rc = h->started ? 0 : module_start(&h->module, h->path, err);

    if (rc)
        return rc;
    h->started = true;
    rc = module_find_token(&h->module, h->token, &h->slot, &info, &matches, err);
    if (rc == 0)
        rc = check_tries(h, &info, err);
    if (rc == 0) {
        classify(h, &info);
        rc = session_open(h, &h->session, err);
    }
    if (rc == 0)
        rc = login(h, err);
    if (rc)
        session_stop(h);
    return rc;
}

void session_stop(struct hsm *h)
{
    h->session = CK_INVALID_HANDLE;
    h->generation++;
    h->leak = 0;
    memset(h->keys, 0, sizeof h->keys);
    memset(h->storage, 0, sizeof h->storage);
    memset(h->anchor, 0, sizeof h->anchor);
    h->stale = false;
    if (!h->started)
        return;
    h->started = !module_stop(&h->module);
    if (h->started) /* the next start goes on with a module that does not let go */
        (void)h->module.p11->C_CloseAllSessions(h->slot);
}

/* Nothing is open, or only what is begun ahead, which ends for it. */
static bool idle(const struct hsm *h)
{
    return h->rewraps == 0 && h->workers == (ahead_is_open(h) ? 1 : 0);
}

/* A token that was open and is gone is a failure of the HSM, not of the configuration. */
static int start_again(struct hsm *h, struct error *err)
{
    int rc;

    session_stop(h);
    h->recycles++;
    rc = session_start(h, err);
    if (rc != ERR_TOKEN && rc != ERR_MODULE && rc != ERR_HSM)
        return rc;
    error_prefix(err,
                 "token '%s' does not come back: see that it is there and powered, then run "
                 "the command again",
                 h->token);
    return error_recode(err, ERR_HSM);
}

int hsm_recycle(struct hsm *h, struct error *err)
{
    if (!idle(h))
        return error_set(err, ERR_BUSY,
                         "the HSM cannot be recycled while a rewrap or a worker is open");
    hsm_ahead_end(h);
    return start_again(h, err);
}

/* A lost session takes its objects along, so open rewraps are void already; other threads are in
 * the middle of a call. */
static int restore(struct hsm *h, struct error *err)
{
    hsm_ahead_end(h);
    if (h->workers > 0)
        return error_set(err, ERR_HSM,
                         "token '%s' lost its session while several threads used it: try again",
                         h->token);
    return start_again(h, err);
}

/* Whoever opened the worker closes it after the first failure. */
static int run_in_worker(struct hsm *w, session_work *work, void *call, struct error *err)
{
    if (w->stale)
        return error_set(err, ERR_HSM, "token '%s' failed in this thread before", w->token);
    return work(w, call, err);
}

int session_run(struct hsm *h, session_work *work, void *call, struct error *err)
{
    int rc = 0;

    if (h->main)
        return run_in_worker(h, work, call, err);
    if (h->session == CK_INVALID_HANDLE)
        rc = restore(h, err);
    else if ((h->stale || h->leak >= h->leak_limit) && idle(h))
        rc = hsm_recycle(h, err);
    if (rc)
        return rc;
    h->lost = false;
    rc = work(h, call, err);
    if (rc && h->lost) {
        rc = restore(h, err);
        if (rc == 0)
            rc = work(h, call, err);
    }
    return rc;
}

/* A refusal leaves the session as it was. */
static bool is_refusal(CK_RV rv)
{
    switch (rv) {
    case CKR_OK:
    case CKR_ATTRIBUTE_READ_ONLY:
    case CKR_ATTRIBUTE_SENSITIVE:
    case CKR_ATTRIBUTE_TYPE_INVALID:
    case CKR_ATTRIBUTE_VALUE_INVALID:
    case CKR_BUFFER_TOO_SMALL:
    case CKR_FUNCTION_NOT_SUPPORTED:
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
    case CKR_KEY_NOT_WRAPPABLE:
    case CKR_KEY_TYPE_INCONSISTENT:
    case CKR_KEY_UNEXTRACTABLE:
    case CKR_MECHANISM_INVALID:
    case CKR_MECHANISM_PARAM_INVALID:
    case CKR_TEMPLATE_INCOMPLETE:
    case CKR_TEMPLATE_INCONSISTENT:
        return true;
    default:
        return false;
    }
}

void session_note(struct hsm *h, CK_RV rv)
{
    if (!is_refusal(rv))
        h->stale = true;
    switch (rv) {
    case CKR_SESSION_HANDLE_INVALID:
    case CKR_SESSION_CLOSED:
    case CKR_DEVICE_REMOVED:
    case CKR_DEVICE_ERROR:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_USER_NOT_LOGGED_IN:
    case CKR_KEY_HANDLE_INVALID:
    case CKR_OBJECT_HANDLE_INVALID:
    case CKR_WRAPPING_KEY_HANDLE_INVALID:
    case CKR_UNWRAPPING_KEY_HANDLE_INVALID:
    case CKR_CRYPTOKI_NOT_INITIALIZED:
    case CKR_OPERATION_ACTIVE:
        h->lost = true;
        break;
    default:
        break;
    }
}

int session_fail(struct hsm *h, CK_RV rv, struct error *err, const char *what)
{
    session_note(h, rv);
    return ckr_set(err, ERR_HSM, rv, "token '%s': %s", h->token, what);
}

void session_destroy(struct hsm *h, CK_OBJECT_HANDLE object)
{
    if (object == CK_INVALID_HANDLE)
        return;
    session_note(h, h->module.p11->C_DestroyObject(h->session, object));
    h->leak += SESSION_LEAK;
}

int session_find(struct hsm *h, CK_OBJECT_CLASS class, const char *label, const uint8_t *id,
                 size_t id_len, CK_OBJECT_HANDLE *out, struct error *err)
{
    CK_FUNCTION_LIST_PTR p11 = h->module.p11;
    CK_ATTRIBUTE query[] = {{CKA_CLASS, &class, sizeof class},
                            {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                            {CKA_ID, (void *)(uintptr_t)id, id_len}};
    CK_OBJECT_HANDLE found[2];
    CK_ULONG count = 0;
    CK_RV rv = p11->C_FindObjectsInit(h->session, query, id ? 3 : 2);

    if (rv == CKR_OK) {
        rv = p11->C_FindObjects(h->session, found, 2, &count);
        session_note(h, p11->C_FindObjectsFinal(h->session));
    }
    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot look for a key");
    if (count == 0)
        return error_set(err, ERR_MISSING, "token '%s' has no key '%s'", h->token, label);
    if (count > 1)
        return error_set(err, ERR_HSM,
                         "token '%s' has several keys '%s': find out who made the other one",
                         h->token, label);
    *out = found[0];
    return 0;
}

int session_point(struct hsm *h, CK_OBJECT_HANDLE public, uint8_t point[EC_POINT_SIZE],
                  struct error *err)
{
    uint8_t value[EC_POINT_SIZE + 8];
    CK_ATTRIBUTE is = {CKA_EC_POINT, value, sizeof value};
    CK_RV rv = h->module.p11->C_GetAttributeValue(h->session, public, &is, 1);

    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot read a public key");
    if (is.ulValueLen == EC_POINT_SIZE + 2 && value[0] == 0x04 && value[1] == EC_POINT_SIZE &&
        value[2] == 0x04)
        memcpy(point, value + 2, EC_POINT_SIZE);
    else if (is.ulValueLen == EC_POINT_SIZE && value[0] == 0x04)
        memcpy(point, value, EC_POINT_SIZE);
    else
        return error_set(err, ERR_HSM, "token '%s': a public key is no uncompressed P-256 point",
                         h->token);
    return 0;
}

int session_make_pair(struct hsm *h, const struct policy_row *private_rows,
                      const struct policy_row *public_rows, CK_OBJECT_HANDLE *private,
                      CK_OBJECT_HANDLE *public, uint8_t point[EC_POINT_SIZE], struct error *err)
{
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    struct policy_fill fill = session_fill(h);
    struct policy_attributes priv, pub;
    CK_OBJECT_HANDLE made_private, made_public;
    CK_RV rv;
    int rc;

    policy_template(private_rows, &fill, &priv);
    policy_template(public_rows, &fill, &pub);
    rv = h->module.p11->C_GenerateKeyPair(h->session, &mechanism, pub.list, pub.count, priv.list,
                                          priv.count, &made_public, &made_private);
    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot make a P-256 key pair");
    rc = session_point(h, made_public, point, err);
    if (rc) {
        session_destroy(h, made_private);
        session_destroy(h, made_public);
        return rc;
    }
    *private = made_private;
    *public = made_public;
    return 0;
}

int session_sign_digest(struct hsm *h, CK_OBJECT_HANDLE key, const uint8_t digest[SHA256_SIZE],
                        uint8_t sig[EC_SIG_SIZE], struct error *err)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    uint8_t message[SHA256_SIZE], made[EC_SIG_SIZE];
    CK_ULONG made_len = sizeof made;
    CK_RV rv = h->module.p11->C_SignInit(h->session, &mechanism, key);

    memcpy(message, digest, sizeof message); /* PKCS#11 has no const */
    if (rv == CKR_OK)
        rv = h->module.p11->C_Sign(h->session, message, sizeof message, made, &made_len);
    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot sign");
    if (made_len != sizeof made)
        return error_set(err, ERR_HSM, "token '%s' made a signature of %lu bytes instead of %zu",
                         h->token, made_len, sizeof made);
    memcpy(sig, made, sizeof made);
    return 0;
}

int session_sign(struct hsm *h, CK_OBJECT_HANDLE key, const void *message, size_t len,
                 uint8_t sig[EC_SIG_SIZE], struct error *err)
{
    uint8_t digest[SHA256_SIZE];

    sha256(message, len, digest);
    return session_sign_digest(h, key, digest, sig, err);
}

int session_mac(struct hsm *h, CK_OBJECT_HANDLE key, const void *message, size_t len,
                uint8_t mac[HSM_MAC_SIZE], struct error *err)
{
    CK_MECHANISM mechanism = {CKM_SHA256_HMAC, NULL, 0};
    uint8_t made[HSM_MAC_SIZE];
    CK_ULONG made_len = sizeof made;
    CK_RV rv = h->module.p11->C_SignInit(h->session, &mechanism, key);

    if (rv == CKR_OK)
        rv = h->module.p11->C_Sign(h->session, (CK_BYTE_PTR)(uintptr_t)message, len, made,
                                   &made_len);
    if (rv == CKR_OK && made_len == sizeof made)
        memcpy(mac, made, sizeof made);
    explicit_bzero(made, sizeof made); /* with the master key it may be a device's key */
    return rv == CKR_OK && made_len == sizeof made ? 0
                                                   : session_fail(h, rv, err, "cannot make a MAC");
}

int session_random(struct hsm *h, void *out, size_t len, struct error *err)
{
    CK_RV rv = h->module.p11->C_GenerateRandom(h->session, out, len);

    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot make random bytes");
}

int session_prove(struct hsm *h, CK_OBJECT_HANDLE key, const char *label,
                  const uint8_t point[EC_POINT_SIZE], struct error *err)
{
    uint8_t message[96] = {0}, sig[EC_SIG_SIZE];
    size_t used = strlen(label) + 1;
    int rc;

    memcpy(message, label, used);
    rc = session_random(h, message + used, 32, err);
    if (rc == 0)
        rc = session_sign(h, key, message, used + 32, sig, err);
    if (rc == 0)
        rc = ec_verify(point, message, used + 32, sig, err);
    return rc;
}
