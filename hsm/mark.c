#include "hsm/mark.h"

#include "base/codec.h"
#include "hsm/session.h"

#include <stdio.h>

static const struct {
    const char *prefix, *known, *failed;
} kinds[HSM_MARK_COUNT] = {
    [HSM_MARK_TICKET] = {"it1:", "this ticket was used", "cannot note a ticket on the token"},
    [HSM_MARK_CLOSED] = {"ic1:", "this order was closed",
                         "cannot note on the token that an order is closed"},
};

struct mark_call {
    enum hsm_mark mark;
    const uint8_t *hash;
    char label[HSM_MARK_LABEL_SIZE];
    bool tried; /* to make it, before the session was lost: what is there now is ours */
};

void mark_label(enum hsm_mark mark, const uint8_t hash[SHA256_SIZE],
                char label[HSM_MARK_LABEL_SIZE])
{
    char hex[2 * SHA256_SIZE + 1];

    hex_encode(hash, SHA256_SIZE, hex);
    snprintf(label, HSM_MARK_LABEL_SIZE, "%s%s", kinds[mark].prefix, hex);
}

static struct mark_call call_for(enum hsm_mark mark, const uint8_t hash[SHA256_SIZE])
{
    struct mark_call call = {.mark = mark, .hash = hash};

    mark_label(mark, hash, call.label);
    return call;
}

static int find_work(struct hsm *h, void *arg, struct error *err)
{
    const struct mark_call *call = arg;
    CK_OBJECT_HANDLE key;

    return session_find(h, CKO_SECRET_KEY, call->label, NULL, 0, &key, err);
}

int hsm_mark_find(struct hsm *h, enum hsm_mark mark, const uint8_t hash[SHA256_SIZE], bool *set,
                  struct error *err)
{
    struct mark_call call = call_for(mark, hash);
    int rc = session_run(h, find_work, &call, err);

    *set = rc == 0;
    return rc == ERR_MISSING ? 0 : rc;
}

static int make_key(struct hsm *h, const struct mark_call *call, struct error *err)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    struct policy_fill fill = session_fill_key(h, call->label, call->hash, SHA256_SIZE);
    struct policy_attributes attributes;
    CK_OBJECT_HANDLE key;
    CK_RV rv;
    int rc;

    policy_template(policy_mark, &fill, &attributes);
    rv = h->module.p11->C_GenerateKey(h->session, &mechanism, attributes.list, attributes.count,
                                      &key);
    if (rv != CKR_OK)
        return session_fail(h, rv, err, kinds[call->mark].failed);
    rc = policy_check(&h->module, h->session, key, policy_mark, &fill, &rv, err);
    session_note(h, rv);
    return rc;
}

static int set_work(struct hsm *h, void *arg, struct error *err)
{
    struct mark_call *call = arg;
    int rc = find_work(h, call, err);

    if (rc == 0 && call->tried)
        return 0;
    if (rc == 0)
        return error_set(err, ERR_EXISTS, "token '%s' remembers that %s", h->token,
                         kinds[call->mark].known);
    if (rc != ERR_MISSING)
        return rc;
    call->tried = true;
    return make_key(h, call, err);
}

int hsm_mark_set(struct hsm *h, enum hsm_mark mark, const uint8_t hash[SHA256_SIZE],
                 struct error *err)
{
    struct mark_call call = call_for(mark, hash);

    return session_run(h, set_work, &call, err);
}
