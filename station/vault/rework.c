#include "station/vault/rework.h"

#include "base/jcs.h"
#include "station/store/ledger.h"
#include "station/vault/quota.h"

#include <inttypes.h>
#include <string.h>

#define EVENT_DATA_MAX 1024

static int refuse_state(const struct credential *c, struct error *err)
{
    static const char *const why[CREDENTIAL_STATES] = {
        [CREDENTIAL_AVAILABLE] = "no device has it yet",
        [CREDENTIAL_CLAIMED] =
            "its device did not prove it yet: put the device back and run the job",
        [CREDENTIAL_BURNED] = "it was burned, and never lived",
        [CREDENTIAL_SCRAPPED] = "it was scrapped, and never lived"};

    return error_set(err, ERR_REFUSED, "'%s' has no identity to be replaced: %s", c->serial,
                     why[c->state]);
}

static int check_quota(const struct vault *v, const struct order_share *share, int64_t *used,
                       struct error *err)
{
    struct ledger_counts told;
    int rc = ledger_count_order(v->store, v->history.row.hash, &told, err);

    if (rc)
        return rc;
    *used = told.reworks;
    if (told.reworks < share->counts.rework)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "order '%s' allows this station to replace %" PRId64
                     " identities, and %" PRId64 " were: ask the owner for an amendment",
                     v->order->id, share->counts.rework, told.reworks);
}

static int allow(struct vault *v, const struct credential *c, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, EVENT_DATA_MAX);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_hex(&j, "order", v->history.row.hash, 32);
    jcs_int(&j, "replaces", c->id);
    jcs_str(&j, "serial", c->serial);
    jcs_end(&j);
    rc = ledger_append(v->store, LEDGER_REWORK, &data, err);
    buf_done(&data);
    return rc;
}

/* Revocation and permission are one transaction. */
static int revoke_and_allow(struct vault *v, const struct voiding *what, struct credential *c,
                            struct error *err)
{
    int rc = store_begin(v->store, err);

    if (rc == 0)
        rc = c->state == CREDENTIAL_PROVEN ? voiding_end(v, what, c, err)
                                           : ledger_expect(v->store, c->id, "revoked", err);
    if (rc == 0)
        rc = allow(v, c, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    return rc;
}

static int judge(struct vault *v, const struct credential *c, struct reworked *out,
                 struct error *err)
{
    const struct order_share *share;
    int rc;

    if (c->state != CREDENTIAL_PROVEN && c->state != CREDENTIAL_REVOKED)
        return refuse_state(c, err);
    if (credential_is_derived(c) && v->order->key_modes == IMPRINT_MODE_DERIVED)
        return error_set(
            err, ERR_REFUSED,
            "the derived key of '%s' is given to one device and no other: void it with "
            "'imprint void %s', and give the repaired unit another serial",
            c->serial, c->serial);
    rc = ledger_allows_rework(v->store, v->history.row.hash, c->id, &out->before, err);
    if (rc == 0)
        rc = orders_check_station(v, v->order, &share, err);
    if (rc || out->before)
        return rc;
    if (share->hosted)
        return error_set(err, ERR_REFUSED,
                         "a hosted CA signs for order '%s', and no certificate can be made while a "
                         "device waits: void '%s' with 'imprint void', and give the repaired unit "
                         "another serial",
                         v->order->id, c->serial);
    out->allowed = share->counts.rework;
    return check_quota(v, share, &out->used, err);
}

int rework_run(struct vault *v, const struct voiding *what, struct reworked *out, struct error *err)
{
    struct reworked made = {.before = false};
    struct credential c;
    int rc, state = 0;

    credential_init(&c);
    rc = voiding_find(v, what, &c, err);
    if (rc == 0)
        rc = judge(v, &c, &made, err);
    if (rc == 0) {
        state = c.state;
        strcpy(made.serial, c.serial);
        strcpy(made.product, c.product);
        strcpy(made.order, v->history.row.name);
    }
    if (rc == 0 && !made.before)
        rc = revoke_and_allow(v, what, &c, err);
    if (rc == 0 && !made.before) {
        made.used++;
        if (state == CREDENTIAL_PROVEN)
            quota_move(v, CREDENTIAL_PROVEN, CREDENTIAL_REVOKED, 1);
    }
    credential_done(&c);
    if (rc == 0)
        *out = made;
    return rc;
}
