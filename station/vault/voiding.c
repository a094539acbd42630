#include "station/vault/voiding.h"

#include "base/codec.h"
#include "station/store/ledger.h"
#include "station/vault/claim.h"
#include "station/vault/ending.h"
#include "station/vault/quota.h"

#include <inttypes.h>
#include <string.h>

/* A hold can be lifted, and what is void here never lives again: holding is the owner's. */
enum record_reason voiding_reason(const char *name)
{
    for (int r = RECORD_UNSPECIFIED; r <= RECORD_AA_COMPROMISE; r++)
        if (r != RECORD_CERTIFICATE_HOLD &&
            strcmp(name, record_reason_name((enum record_reason)r)) == 0)
            return (enum record_reason)r;
    return (enum record_reason)0;
}

static int find_by_transaction(struct vault *v, const char *name, struct credential *c,
                               struct error *err)
{
    uint8_t tx[IMPRINT_TX_SIZE];
    struct claim claim;
    bool found = false;
    int rc = 0;

    claim_init(&claim);
    if (hex_decode(name, tx, sizeof tx) == 0)
        rc = claim_by_tx(v->store, tx, &claim, &found, err);
    if (rc == 0 && !found)
        rc = error_set(err, ERR_MISSING,
                       "this station has no credential with the serial or transaction '%s'", name);
    if (rc == 0)
        rc = credential_get(v->store, claim.credential, c, err);
    claim_done(&claim);
    return rc;
}

int voiding_find(struct vault *v, const struct voiding *what, struct credential *c,
                 struct error *err)
{
    struct order_row row;
    int rc = credential_by_serial(v->store, what->name, what->product, c, err);

    if (rc == ERR_MISSING)
        rc = find_by_transaction(v, what->name, c, err);
    if (rc == 0)
        rc = order_get(v->store, c->order_id, &row, err);
    if (rc == 0)
        rc = vault_use_order(v, row.name, err);
    return rc ? rc : orders_check_open(&v->history, err);
}

static int find_claim(struct vault *v, struct credential *c, struct claim *claim, struct error *err)
{
    bool found;
    int rc = claim_by_credential(v->store, c->id, claim, &found, err);

    if (rc == 0 && !found)
        rc = error_set(err, ERR_INTEGRITY,
                       "the claim of '%s' is gone from the database: keep it as it is and call the "
                       "security team",
                       c->serial);
    return rc ? rc : claim_credential(v, claim, c, err);
}

/* Ends a credential that a device has, or had. */
int voiding_end(struct vault *v, const struct voiding *what, struct credential *c,
                struct error *err)
{
    struct claim claim;
    int rc;

    claim_init(&claim);
    rc = find_claim(v, c, &claim, err);
    if (rc == 0)
        rc = c->state == CREDENTIAL_PROVEN ? ending_revoke(v, &claim, c, what->reason, err)
                                           : ending_burn(v, &claim, c, err);
    claim_done(&claim);
    return rc;
}

static int end_available(struct vault *v, const struct credential *c, struct error *err)
{
    int rc = ledger_expect_available(v->store, c->id, err);

    return rc ? rc : ending_scrap(v, c, err);
}

static int end(struct vault *v, const struct voiding *what, struct credential *c, struct error *err)
{
    int rc = store_begin(v->store, err);

    if (rc == 0)
        rc = c->state == CREDENTIAL_AVAILABLE ? end_available(v, c, err)
                                              : voiding_end(v, what, c, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    return rc;
}

static int refuse_unresolved(const struct credential *c, struct error *err)
{
    return error_set(
        err, ERR_REFUSED,
        "'%s' was given to a device: put the device back and run the job; only when it "
        "will never come back, void the credential with '--lost --reason TEXT'",
        c->serial);
}

/* What a credential in a state becomes. */
static const int becomes[] = {
    [CREDENTIAL_AVAILABLE] = CREDENTIAL_SCRAPPED, [CREDENTIAL_CLAIMED] = CREDENTIAL_BURNED,
    [CREDENTIAL_PROVEN] = CREDENTIAL_REVOKED,     [CREDENTIAL_BURNED] = CREDENTIAL_BURNED,
    [CREDENTIAL_SCRAPPED] = CREDENTIAL_SCRAPPED,  [CREDENTIAL_REVOKED] = CREDENTIAL_REVOKED};

int voiding_run(struct vault *v, const struct voiding *what, struct voided *out, struct error *err)
{
    struct voided made = {.before = false};
    struct credential c;
    int rc;

    credential_init(&c);
    rc = voiding_find(v, what, &c, err);
    if (rc == 0 && c.state == CREDENTIAL_CLAIMED && !what->lost)
        rc = refuse_unresolved(&c, err);
    if (rc == 0) {
        strcpy(made.serial, c.serial);
        strcpy(made.product, c.product);
        strcpy(made.order, v->history.row.name);
        made.state = becomes[c.state];
        made.before = made.state == c.state;
    }
    if (rc == 0 && !made.before)
        rc = end(v, what, &c, err);
    if (rc == 0 && !made.before)
        quota_move(v, c.state, made.state, 1);
    credential_done(&c);
    if (rc == 0)
        *out = made;
    return rc;
}
