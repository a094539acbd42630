#include "hsm/token.h"

#include "hsm/ahead_work.h"
#include "hsm/audit.h"
#include "hsm/probe.h"

#include <stdlib.h>
#include <string.h>

#define LABEL_SIZE 32

static struct secret *copy_secret(struct secret *s)
{
    struct secret *copy = secret_new(secret_len(s));

    if (copy)
        memcpy(secret_bytes(copy), secret_bytes(s), secret_len(s));
    return copy;
}

static struct hsm *hsm_new(const struct hsm_config *config, struct secret *pin)
{
    struct hsm *h = calloc(1, sizeof *h);

    if (!h)
        return NULL;
    h->leak_limit = HSM_LEAK_LIMIT;
    h->last_try = config->last_try;
    h->path = strdup(config->module);
    h->token = strdup(config->token);
    h->arguments = strdup(config->arguments ? config->arguments : "");
    h->pin = copy_secret(pin);
    if (!h->path || !h->token || !h->arguments || !h->pin) {
        hsm_close(h);
        return NULL;
    }
    return h;
}

/* A key that is there must be what the policy says; which are there is for the caller to judge. */
static int check_keys(struct hsm *h, struct error *err)
{
    for (enum hsm_key key = 0; key < HSM_KEY_COUNT; key++) {
        int rc = hsm_key_check(h, key, err);

        if (rc && rc != ERR_MISSING)
            return rc;
    }
    return 0;
}

int hsm_open_unchecked(const struct hsm_config *config, struct secret *user_pin, struct hsm **out,
                       struct error *err)
{
    struct hsm *h = hsm_new(config, user_pin);
    int rc;

    if (!h)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = module_load(&h->module, h->path, h->arguments, err);
    if (rc == 0)
        rc = session_start(h, err);
    if (rc == 0)
        rc = probe_run(h, err);
    if (rc) {
        hsm_close(h);
        return rc;
    }
    *out = h;
    return 0;
}

int hsm_open(const struct hsm_config *config, struct secret *user_pin, struct hsm **out,
             struct error *err)
{
    struct hsm *h = NULL;
    int rc = hsm_open_unchecked(config, user_pin, &h, err);

    if (rc == 0)
        rc = check_keys(h, err);
    if (rc == 0)
        *out = h;
    else
        hsm_close(h);
    return rc;
}

void hsm_close(struct hsm *h)
{
    if (!h)
        return;
    ahead_free(h);
    hsm_close(h->ca);
    session_stop(h);
    module_unload(&h->module);
    secret_free(h->pin);
    free(h->path);
    free(h->token);
    free(h->arguments);
    free(h);
}

void hsm_set_leak_limit(struct hsm *h, size_t bytes)
{
    h->leak_limit = bytes;
}

unsigned hsm_recycle_count(const struct hsm *h)
{
    return h->recycles;
}

bool hsm_pin_was_wrong(const struct hsm *h)
{
    return h->pin_was_wrong;
}

void hsm_set_ca(struct hsm *h, struct hsm *ca)
{
    ca->is_ca = true;
    h->ca = ca;
}

const char *hsm_ca_class(const struct hsm *h)
{
    return hsm_class(h->ca ? h->ca : h);
}

const char *hsm_class(const struct hsm *h)
{
    return h->can.class;
}

unsigned hsm_suites(const struct hsm *h)
{
    return h->can.suites;
}

unsigned long hsm_wrap_mechanism(const struct hsm *h)
{
    return h->can.wrap;
}

int hsm_can_host(const struct hsm *h, struct error *err)
{
    if (h->can.secrets == CKR_OK)
        return 0;
    return ckr_set(err, ERR_REFUSED, h->can.secrets,
                   "token '%s' (%s) can sign but cannot hold a station: it makes no AES and HMAC "
                   "keys, which the ledger, its anchor and stored device keys need; choose another "
                   "token for the station, and let this one have the CA's keys (--ca-module)",
                   h->token, h->can.class);
}

const char *hsm_unkept(const struct hsm *h, unsigned number, const char **meaning)
{
    for (const struct policy_exception *e = policy_exceptions; e->name; e++)
        if (e->dialect == h->can.dialect && number-- == 0) {
            *meaning = e->meaning;
            return e->name;
        }
    return NULL;
}

unsigned hsm_unenforced(const struct hsm *h)
{
    return h->can.unenforced;
}

const char *hsm_limit_text(enum hsm_limit limit)
{
    switch (limit) {
    case HSM_LIMIT_UNWRAP_TEMPLATE:
        return "CKA_UNWRAP_TEMPLATE is not enforced: a PIN holder can unwrap stored keys readable";
    case HSM_LIMIT_WRAP_TEMPLATE:
        return "CKA_WRAP_TEMPLATE is not enforced: a storage key wraps other kinds of keys";
    case HSM_LIMIT_MECHANISMS:
        return "CKA_ALLOWED_MECHANISMS is not enforced: a storage key wraps by other mechanisms";
    case HSM_LIMIT_MODIFIABLE:
        return "CKA_MODIFIABLE is not enforced: a PIN holder can let a storage key decrypt";
    case HSM_LIMIT_SENSITIVE:
        return "CKA_SENSITIVE is not enforced: a device key can be read from the token";
    default:
        return "unknown limit";
    }
}

/* hsm_token_init: from here on. */

static int label_is_free(const struct module *m, const char *label, struct error *err)
{
    CK_SLOT_ID slot;
    CK_TOKEN_INFO info;
    CK_ULONG matches = 0;
    int rc = module_find_token(m, label, &slot, &info, &matches, err);

    if (matches > 0)
        return error_set(err, ERR_EXISTS, "a token '%s' exists already", label);
    return rc == ERR_TOKEN ? 0 : rc;
}

/* Asked before anything is written, so that no token is left behind without a user PIN. */
static int check_pin_length(const CK_TOKEN_INFO *info, struct secret *pin, const char *whose,
                            struct error *err)
{
    if (secret_len(pin) < info->ulMinPinLen || secret_len(pin) > info->ulMaxPinLen)
        return error_set(err, ERR_PIN, "the %s PIN has %zu characters, the token takes %lu to %lu",
                         whose, secret_len(pin), info->ulMinPinLen, info->ulMaxPinLen);
    return 0;
}

static int find_free_slot(const struct module *m, CK_SLOT_ID *slot, CK_TOKEN_INFO *free_info,
                          struct error *err)
{
    CK_SLOT_ID *slots;
    CK_ULONG count;
    int rc = module_slots(m, CK_TRUE, &slots, &count, err);

    if (rc)
        return rc;
    rc = error_set(err, ERR_TOKEN, "no slot is free: each holds a token that is initialised");
    for (CK_ULONG i = 0; rc && i < count; i++) {
        CK_TOKEN_INFO info;

        if (m->p11->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            !(info.flags & CKF_TOKEN_INITIALIZED)) {
            *slot = slots[i];
            *free_info = info;
            rc = 0;
        }
    }
    free(slots);
    return rc;
}

static int init_error(CK_RV rv, const char *label, const char *what, struct error *err)
{
    bool pin = rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
               rv == CKR_PIN_LOCKED || rv == CKR_PIN_EXPIRED;

    return ckr_set(err, pin ? ERR_PIN : ERR_HSM, rv, "token '%s': cannot %s", label, what);
}

static int set_user_pin(const struct module *m, CK_SLOT_ID slot, const char *label,
                        struct secret *so_pin, struct secret *user_pin, struct error *err)
{
    CK_SESSION_HANDLE session;
    CK_RV rv =
        m->p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);

    if (rv != CKR_OK)
        return init_error(rv, label, "open a session", err);
    rv = m->p11->C_Login(session, CKU_SO, secret_bytes(so_pin), secret_len(so_pin));
    if (rv != CKR_OK)
        return init_error(rv, label, "log in as security officer", err);
    rv = m->p11->C_InitPIN(session, secret_bytes(user_pin), secret_len(user_pin));
    (void)m->p11->C_Logout(session);
    return rv == CKR_OK ? 0 : init_error(rv, label, "set the user PIN", err);
}

static int init_in_slot(const struct module *m, CK_SLOT_ID slot, const char *label,
                        struct secret *so_pin, struct secret *user_pin, struct error *err)
{
    CK_UTF8CHAR padded[LABEL_SIZE];
    CK_TOKEN_INFO info;
    CK_ULONG matches;
    CK_RV rv;
    int rc;

    memset(padded, ' ', sizeof padded);
    memcpy(padded, label, strlen(label));
    rv = m->p11->C_InitToken(slot, secret_bytes(so_pin), secret_len(so_pin), padded);
    if (rv != CKR_OK)
        return init_error(rv, label, "initialise it with this security officer's PIN", err);
    /* SoftHSM gives an initialised token a new slot. */
    rc = module_find_token(m, label, &slot, &info, &matches, err);
    return rc ? rc : set_user_pin(m, slot, label, so_pin, user_pin, err);
}

static int check_label(const char *label, struct error *err)
{
    size_t len = strlen(label);
    bool good = len > 0 && len <= LABEL_SIZE && strncmp(label, "pkcs11:", 7) != 0;

    for (size_t i = 0; good && i < len; i++)
        good = label[i] >= ' ' && label[i] <= '~';
    if (!good || label[0] == ' ' || label[len - 1] == ' ')
        return error_set(err, ERR_INPUT,
                         "token label '%.64s' is not 1 to %d characters of printable ASCII without "
                         "a blank at either end",
                         label, LABEL_SIZE);
    return 0;
}

static int init_free_slot(const struct module *m, const char *label, struct secret *so_pin,
                          struct secret *user_pin, struct error *err)
{
    CK_SLOT_ID slot = 0;
    CK_TOKEN_INFO info;
    int rc = label_is_free(m, label, err);

    if (rc == 0)
        rc = find_free_slot(m, &slot, &info, err);
    if (rc == 0)
        rc = check_pin_length(&info, so_pin, "security officer's", err);
    if (rc == 0)
        rc = check_pin_length(&info, user_pin, "user", err);
    return rc ? rc : init_in_slot(m, slot, label, so_pin, user_pin, err);
}

int hsm_token_init(const struct hsm_config *config, const char *label, struct secret *so_pin,
                   struct secret *user_pin, struct error *err)
{
    struct module m = {0};
    int rc = check_label(label, err);

    if (rc == 0)
        rc = module_load(&m, config->module, config->arguments, err);
    if (rc)
        return rc;
    rc = module_start(&m, config->module, err);
    if (rc == 0) {
        rc = init_free_slot(&m, label, so_pin, user_pin, err);
        module_stop(&m);
    }
    module_unload(&m);
    return rc;
}
