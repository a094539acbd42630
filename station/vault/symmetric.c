#include "station/vault/symmetric.h"

#include "hsm/derived.h"
#include "pki/digest.h"
#include "station/store/ledger.h"
#include "station/store/orders.h"
#include "station/vault/certifier.h"
#include "station/vault/naming.h"
#include "station/vault/quota.h"
#include "station/vault/restore.h"

#include <string.h>

/* ---- the key ---- */

int symmetric_input(const struct config *config, struct store *store, const struct credential *c,
                    struct buf *input, struct error *err)
{
    uint8_t order[32], leaf[32], restored[32];
    bool was_restored = false;
    int rc = order_hash(store, c->order_id, order, err);

    if (rc == 0 && credential_is_derived(c))
        rc = ledger_restored_before(store, c->id, restored, &was_restored, err);
    if (rc)
        return rc;
    sha256(c->cert.data, c->cert.len, leaf);
    buf_put(input, IMPRINT_LABEL_DERIVE, sizeof IMPRINT_LABEL_DERIVE);
    buf_put_lp(input, config->environment, strlen(config->environment));
    buf_put_lp(input, order, sizeof order);
    buf_put_lp(input, c->product, strlen(c->product));
    buf_put_lp(input, c->serial, strlen(c->serial));
    buf_put_lp(input, leaf, credential_is_derived(c) ? 0 : sizeof leaf);
    if (was_restored)
        buf_put_lp(input, restored, sizeof restored);
    buf_put_u32(input, 8 * HSM_DERIVED_SIZE);
    return buf_check(input, "what a key is derived from", err);
}

bool symmetric_is_wanted(const struct vault *v)
{
    return v->mode == IMPRINT_MODE_DERIVED || v->job->symmetric_key;
}

int symmetric_check_token(const struct vault *v, struct error *err)
{
    int rc = hsm_can_derive(v->hsm, err);

    if (rc == 0)
        rc = hsm_key_check(v->hsm, HSM_KEY_DERIVATION, err);
    if (rc == ERR_MISSING)
        rc = error_set(err, ERR_MISSING,
                       "this station has no master key to derive symmetric keys from: its ceremony "
                       "was one of an earlier version; make another station with 'imprint init'");
    return rc;
}

static int derive(const struct config *config, struct store *store, struct hsm *hsm,
                  const struct credential *c, struct buf *input, uint8_t check[32],
                  struct error *err)
{
    int rc = symmetric_input(config, store, c, input, err);

    return rc ? rc : hsm_derived_check(hsm, input->data, input->len, check, err);
}

int symmetric_name(const struct vault *v, const struct credential *c, struct claim *claim,
                   struct error *err)
{
    struct buf input;
    int rc;

    buf_init(&input, HSM_DERIVED_INPUT_MAX);
    rc = derive(v->config, v->store, v->hsm, c, &input, claim->kcv, err);
    claim->has_kcv = rc == 0;
    buf_done(&input);
    return rc;
}

/* The input of the claim's key, which is derived once to see that it still is. */
static int derive_again(const struct config *config, struct store *store, struct hsm *hsm,
                        const struct credential *c, const struct claim *claim, struct buf *input,
                        struct error *err)
{
    uint8_t check[32];
    int rc = derive(config, store, hsm, c, input, check, err);

    if (rc == 0 && !(claim->has_kcv && sha256_equal(check, claim->kcv)))
        rc = error_set(err, ERR_INTEGRITY,
                       "the key that is derived for '%s' is not the one that its device got: the "
                       "database or the token is another; keep both as they are and call the "
                       "security team",
                       c->serial);
    return rc;
}

int symmetric_mac(const struct vault *v, const struct credential *c, const struct claim *claim,
                  const struct buf *message, uint8_t mac[32], struct error *err)
{
    struct buf input;
    int rc;

    buf_init(&input, HSM_DERIVED_INPUT_MAX);
    rc = derive_again(v->config, v->store, v->hsm, c, claim, &input, err);
    if (rc == 0)
        rc = hsm_derived_mac(v->hsm, input.data, input.len, message->data, message->len, mac, err);
    buf_done(&input);
    return rc;
}

int symmetric_export(const struct config *config, struct store *store, struct hsm *hsm,
                     const struct credential *c, const struct claim *claim, struct secret **key,
                     struct error *err)
{
    struct buf input;
    int rc;

    buf_init(&input, HSM_DERIVED_INPUT_MAX);
    rc = derive_again(config, store, hsm, c, claim, &input, err);
    if (rc == 0)
        rc = hsm_derived_export(hsm, input.data, input.len, key, err);
    buf_done(&input);
    return rc;
}

/* ---- a credential that is such a key alone ---- */

/* What was released may be live for ever; the next device of the serial would get the same. */
static int refuse_released(void *context, const struct credential *c, struct error *err)
{
    (void)context;
    if (!credential_is_derived(c))
        return 0;
    return error_set(
        err, ERR_REFUSED,
        "the derived key of '%s' was given to a device before, and no other gets it: "
        "a supervisor gives it up with 'imprint void %s --lost --reason TEXT', and the unit gets "
        "another serial",
        c->serial, c->serial);
}

/* The tables can be edited, the ledger cannot. */
static int expect_unreleased(struct vault *v, const char *serial, struct error *err)
{
    bool issued;
    int rc = ledger_has_derived(v->store, v->history.row.hash, serial, &issued, err);

    if (rc == 0 && issued)
        rc = error_set(
            err, ERR_INTEGRITY,
            "the ledger tells that the derived key of '%s' was given to a device, and the "
            "tables do not: the database was changed; keep it as it is and call the "
            "security team",
            serial);
    return rc;
}

static int judge(struct vault *v, struct certify_request *r, bool named, struct error *err)
{
    int rc = named ? naming_judge_label(v, r, err)
                   : naming_judge(v, r->serial, &r->again, &r->replaces, err);

    if (rc == 0)
        rc = credential_each_of_serial(v->store, v->order->product, r->serial, refuse_released,
                                       NULL, err);
    return rc ? rc : expect_unreleased(v, r->serial, err);
}

static int mac_with_hsm(void *context, const void *bytes, size_t len, uint8_t mac[32],
                        struct error *err)
{
    return hsm_hmac(context, bytes, len, mac, err);
}

static int store_credential(struct vault *v, const struct certify_request *r, struct credential *c,
                            struct error *err)
{
    int rc = credential_next_id(v->store, &c->id, err);

    if (rc == 0)
        rc = credential_seal(c, v->history.row.hash, mac_with_hsm, v->hsm, err);
    if (rc == 0)
        rc = r->again ? credential_add_again(v->store, c, err) : credential_add(v->store, c, err);
    return rc ? rc : certifier_record(v, r, c, 0, err);
}

int symmetric_issue(struct vault *v, const char *serial, bool named, struct credential *c,
                    struct error *err)
{
    struct certify_request request = {.serial = serial};
    struct ledger_restored last;
    int rc = quota_check_issue(v, 1, err);

    if (rc == 0)
        rc = restore_check_order(v, err);
    if (rc == 0)
        rc = certifier_remember(v, err);
    if (rc == 0)
        rc = judge(v, &request, named, err);
    if (rc == 0)
        rc = ledger_last_restored(v->store, 0, &last, err);
    if (rc)
        return rc;
    request.restored = last.seq;
    memset(&c->key, 0, sizeof c->key);
    buf_reset(&c->cert);
    buf_reset(&c->wrapped);
    c->storage[0] = 0;
    c->mechanism = 0;
    c->order_id = v->order_id;
    c->state = CREDENTIAL_AVAILABLE;
    strcpy(c->product, v->order->product);
    snprintf(c->serial, sizeof c->serial, "%s", serial);
    return store_credential(v, &request, c, err);
}
