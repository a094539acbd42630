#include "hsm/signer.h"

#include "hsm/session.h"

#include <openssl/err.h>
#include <string.h>

static int load(struct hsm *h, struct error *err)
{
    struct signers *s = &h->signers;

    s->ctx = PKCS11_CTX_new();
    if (s->ctx && PKCS11_CTX_load(s->ctx, h->path)) {
        /* It unloaded what it had loaded, and may have finalised the module. */
        PKCS11_CTX_free(s->ctx);
        s->ctx = NULL;
        session_stop(h);
    }
    if (!s->ctx || PKCS11_enumerate_slots(s->ctx, &s->slots, &s->slot_count))
        return error_set(err, ERR_HSM, "libp11 does not work with PKCS#11 module '%s'", h->path);
    for (unsigned i = 0; i < s->slot_count; i++)
        if (PKCS11_get_slotid_from_slot(&s->slots[i]) == h->slot)
            s->slot = &s->slots[i];
    if (!s->slot)
        return error_set(err, ERR_HSM, "libp11 does not see token '%s'", h->token);
    return 0;
}

/*
 * libp11 0.4.12 waits for ever when C_OpenSession fails, for another thread to give a session back.
 * It opens one, right after this: a token that has none to give is found out here.
 */
static int check_session(struct hsm *h, struct error *err)
{
    CK_SESSION_HANDLE session;
    CK_RV rv;
    int rc = session_open(h, &session, err);

    if (rc)
        return rc;
    rv = h->module.p11->C_CloseSession(session);
    return rv == CKR_OK ? 0 : session_fail(h, rv, err, "cannot close a session");
}

/* What PKCS#11 said to libp11, as libp11 leaves it behind; CKR_OK when it left nothing. */
static CK_RV reason(void)
{
    return (CK_RV)ERR_GET_REASON(ERR_peek_last_error());
}

/*
 * The login is the module's, so libp11 is logged in already; it wants to be told the PIN all the
 * same. It opens its session by itself: PKCS11_open_session would begin with C_CloseAllSessions,
 * and so end ours.
 */
static int log_in(struct hsm *h, struct error *err)
{
    struct secret *text = secret_new(secret_len(h->pin) + 1);
    int failed;

    if (!text)
        return error_set(err, ERR_INTERNAL, "out of memory");
    memcpy(secret_bytes(text), secret_bytes(h->pin), secret_len(h->pin));
    ERR_clear_error();
    failed = PKCS11_login(h->signers.slot, 0, (const char *)secret_bytes(text));
    secret_free(text);
    return failed ? session_login_error(h, reason(), err) : 0;
}

static void unload(struct hsm *h)
{
    struct signers *s = &h->signers;

    if (!s->ctx)
        return;
    if (s->slots)
        PKCS11_release_all_slots(s->ctx, s->slots, s->slot_count);
    PKCS11_CTX_unload(s->ctx);
    PKCS11_CTX_free(s->ctx);
    *s = (struct signers){0};
    /* It finalised the module: the next call starts it again. */
    session_stop(h);
}

void signers_settle(struct hsm *h)
{
    if (h->signers.open == 0 && h->rewraps == 0 && h->workers == 0)
        unload(h);
}

static int find(struct hsm *h, enum hsm_key key, EVP_PKEY **out, struct error *err)
{
    PKCS11_KEY *keys;
    uint8_t point[EC_POINT_SIZE];
    unsigned count;

    if (PKCS11_enumerate_keys(h->signers.slot->token, &keys, &count))
        return error_set(err, ERR_HSM, "libp11 cannot list the keys of token '%s'", h->token);
    for (unsigned i = 0; i < count; i++)
        if (keys[i].label && strcmp(keys[i].label, hsm_key_label(key)) == 0) {
            EVP_PKEY *found = PKCS11_get_private_key(&keys[i]);

            /* When the token fails meanwhile, libp11 gives a handle without a public key. */
            if (found && ec_point(found, point, NULL) == 0) {
                *out = found;
                return 0;
            }
            EVP_PKEY_free(found);
        }
    return error_set(err, ERR_HSM, "libp11 gives no handle for key '%s' of token '%s'",
                     hsm_key_label(key), h->token);
}

int hsm_signer_open(struct hsm *h, enum hsm_key key, EVP_PKEY **out, struct error *err)
{
    int rc = hsm_key_check(h, key, err);

    if (rc)
        return rc;
    if (!h->signers.ctx) {
        rc = load(h, err);
        if (rc == 0)
            rc = check_session(h, err);
        if (rc == 0)
            rc = log_in(h, err);
    }
    if (rc == 0)
        rc = find(h, key, out, err);
    if (rc == 0)
        h->signers.open++;
    else
        signers_settle(h);
    return rc;
}

void hsm_signer_close(struct hsm *h, EVP_PKEY *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key);
    h->signers.open--;
    signers_settle(h);
}
