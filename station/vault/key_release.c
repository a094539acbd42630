#include "station/vault/key_release.h"

#include "base/jcs.h"
#include "hsm/derived.h"
#include "pki/cert.h"
#include "pki/envelope.h"
#include "pki/signed.h"
#include "station/store/claims.h"
#include "station/vault/symmetric.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(PLATFORM_KEY_SIZE == HSM_DERIVED_SIZE, "what is derived is what is exported");

struct key_release {
    const struct config *config;
    struct store *store;
    struct hsm *hsm;
    STACK_OF(X509) * pins; /* who may sign orders */
    uint8_t recipients[ENVELOPE_RECIPIENTS_MAX][32];
    size_t count;
    int64_t order; /* the one that was judged last, or 0 */
    bool allowed;  /* it names all recipients */
};

static int hash_recipient(X509 *cert, uint8_t hash[32], struct error *err)
{
    struct buf der;
    int rc;

    buf_init(&der, INVENTORY_CERT_MAX);
    rc = cert_der(cert, &der, err);
    sha256(der.data, der.len, hash);
    buf_done(&der);
    return rc;
}

int key_release_open(const struct config *config, struct store *store, struct hsm *hsm,
                     const STACK_OF(X509) * recipients, struct key_release **out, struct error *err)
{
    struct key_release *r = calloc(1, sizeof *r);
    int rc;

    if (!r)
        return error_set(err, ERR_INTERNAL, "out of memory");
    *r = (struct key_release){.config = config, .store = store, .hsm = hsm};
    rc = vault_read_signers(config, store, &r->pins, err);
    for (int i = 0; rc == 0 && i < sk_X509_num(recipients); i++)
        rc = hash_recipient(sk_X509_value(recipients, i), r->recipients[r->count++], err);
    if (rc)
        key_release_close(r);
    else
        *out = r;
    return rc;
}

void key_release_close(struct key_release *r)
{
    if (!r)
        return;
    signed_pins_free(r->pins);
    free(r);
}

void key_release_put(const struct key_release *r, struct jcs *j)
{
    jcs_array(j, "recipients");
    for (size_t i = 0; i < r->count; i++)
        jcs_hex(j, NULL, r->recipients[i], sizeof r->recipients[i]);
    jcs_end(j);
}

/* ---- to whom ---- */

static bool names(const struct order *order, const uint8_t recipient[32])
{
    for (size_t i = 0; i < order->recipient_count; i++)
        if (memcmp(order->recipients[i], recipient, 32) == 0)
            return true;
    return false;
}

static bool names_all(const struct key_release *r, const struct order *order)
{
    for (size_t i = 0; i < r->count; i++)
        if (!names(order, r->recipients[i]))
            return false;
    return true;
}

/* Devices of one order mostly follow one another. */
static int judge_order(struct key_release *r, int64_t order, struct error *err)
{
    struct order_history history = {.count = 0};
    struct order_row row;
    int rc;

    if (order == r->order)
        return 0;
    rc = order_get(r->store, order, &row, err);
    if (rc == 0)
        rc = order_history_open(r->store, r->pins, row.name, &history, err);
    if (rc == 0) {
        r->allowed = names_all(r, order_in_force(&history));
        r->order = order;
    }
    order_history_done(&history);
    return rc;
}

/* ---- which ---- */

static int find_claim(struct key_release *r, const struct record *record, struct claim *claim,
                      struct credential *c, struct error *err)
{
    bool found;
    int rc = claim_by_tx(r->store, record->tx, claim, &found, err);

    if (rc == 0 && found)
        rc = credential_get(r->store, claim->credential, c, err);
    if (rc == 0 && (!found || strcmp(c->serial, record->sn) || strcmp(c->product, record->prod)))
        rc = error_set(err, ERR_INTEGRITY,
                       "the database does not say how '%s' got its keys: keep it as it is and call "
                       "the security team",
                       record->sn);
    return rc;
}

static int take(struct key_release *r, const struct credential *c, const struct claim *claim,
                uint8_t key[PLATFORM_KEY_SIZE], int *answer, struct error *err)
{
    struct secret *made = NULL;
    int rc = judge_order(r, c->order_id, err);

    if (rc == 0 && !r->allowed)
        *answer = EXPORT_OTHER_RECIPIENTS;
    if (rc || !r->allowed)
        return rc;
    rc = symmetric_export(r->config, r->store, r->hsm, c, claim, &made, err);
    if (rc == 0)
        memcpy(key, secret_bytes(made), PLATFORM_KEY_SIZE);
    secret_free(made);
    return rc;
}

int key_release_take(struct key_release *r, const struct record *record,
                     uint8_t key[PLATFORM_KEY_SIZE], int *answer, struct error *err)
{
    struct credential c;
    struct claim claim;
    int rc;

    claim_init(&claim);
    credential_init(&c);
    rc = find_claim(r, record, &claim, &c, err);
    if (rc == 0 && !claim.has_kcv)
        *answer = EXPORT_WITHOUT_KEY;
    else if (rc == 0)
        rc = take(r, &c, &claim, key, answer, err);
    claim_done(&claim);
    credential_done(&c);
    return rc;
}
