#include "hsm/ticket.h"

#include "base/codec.h"
#include "hsm/session.h"

#include <stdio.h>

struct ticket_call {
    const uint8_t *hash;
    char label[HSM_TICKET_LABEL_SIZE];
    bool tried; /* to make it, before the session was lost: what is there now is ours */
};

void ticket_label(const uint8_t hash[SHA256_SIZE], char label[HSM_TICKET_LABEL_SIZE])
{
    char hex[2 * SHA256_SIZE + 1];

    hex_encode(hash, SHA256_SIZE, hex);
    snprintf(label, HSM_TICKET_LABEL_SIZE, "it1:%s", hex);
}

static struct ticket_call call_for(const uint8_t hash[SHA256_SIZE])
{
    struct ticket_call call = {.hash = hash};

    ticket_label(hash, call.label);
    return call;
}

static int used_work(struct hsm *h, void *arg, struct error *err)
{
    const struct ticket_call *call = arg;
    CK_OBJECT_HANDLE key;

    return session_find(h, CKO_SECRET_KEY, call->label, NULL, 0, &key, err);
}

int hsm_ticket_used(struct hsm *h, const uint8_t hash[SHA256_SIZE], bool *used, struct error *err)
{
    struct ticket_call call = call_for(hash);
    int rc = session_run(h, used_work, &call, err);

    *used = rc == 0;
    return rc == ERR_MISSING ? 0 : rc;
}

static int make_key(struct hsm *h, const struct ticket_call *call, struct error *err)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    struct policy_fill fill = session_fill_key(h, call->label, call->hash, SHA256_SIZE);
    struct policy_attributes attributes;
    CK_OBJECT_HANDLE key;
    CK_RV rv;
    int rc;

    policy_template(policy_ticket, &fill, &attributes);
    rv = h->module.p11->C_GenerateKey(h->session, &mechanism, attributes.list, attributes.count,
                                      &key);
    if (rv != CKR_OK)
        return session_fail(h, rv, err, "cannot note a ticket on the token");
    rc = policy_check(&h->module, h->session, key, policy_ticket, &fill, &rv, err);
    session_note(h, rv);
    return rc;
}

static int use_work(struct hsm *h, void *arg, struct error *err)
{
    struct ticket_call *call = arg;
    int rc = used_work(h, call, err);

    if (rc == 0 && call->tried)
        return 0;
    if (rc == 0)
        return error_set(err, ERR_EXISTS, "token '%s' remembers that this ticket was used",
                         h->token);
    if (rc != ERR_MISSING)
        return rc;
    call->tried = true;
    return make_key(h, call, err);
}

int hsm_ticket_use(struct hsm *h, const uint8_t hash[SHA256_SIZE], struct error *err)
{
    struct ticket_call call = call_for(hash);

    return session_run(h, use_work, &call, err);
}
