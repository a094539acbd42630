#include "station/vault/farewell.h"

#include "base/file.h"
#include "link/transcript.h"
#include "pki/digest.h"
#include "pki/ec.h"
#include "pki/serial_name.h"
#include "station/vault/claim.h"
#include "station/vault/ending.h"
#include "station/vault/hello.h"
#include "station/vault/quota.h"

#include <string.h>

#define STATEMENT_MAX 256

int farewell_check(const struct vault *v, struct error *err)
{
    if (v->job->objects[IMPRINT_OBJ_DECOMMISSION_KEY].bytes.len)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "order '%s' names no decommission_key: its devices keep their identities",
                     v->order->id);
}

/* The claim that the device holds, committed and of this order. */
static int find_claim(struct vault *v, struct session *s, struct error *err)
{
    const struct wire_hello *h = &s->hello;
    bool found = false;
    int rc = 0;

    if (h->tx_state != IMPRINT_TX_COMMITTED)
        return error_next(err, NEXT_JOB,
                          error_set(err, ERR_REFUSED, "this device holds no identity%s",
                                    h->tx_state == IMPRINT_TX_OPEN
                                        ? " yet: run its job first, and then this again"
                                        : ": there is nothing to take away"));
    rc = claim_by_tx(v->store, h->tx, &s->claim, &found, err);
    if (rc == 0 && !found)
        rc = error_next(
            err, NEXT_SET_ASIDE,
            error_set(err, ERR_REFUSED,
                      "this device's identity is not one that this station made: set it aside"));
    return rc ? rc : claim_credential(v, &s->claim, &s->credential, err);
}

static int check_claim(const struct vault *v, const struct session *s, struct error *err)
{
    const struct claim *c = &s->claim;

    if (c->chip_len != s->hello.chip_len || memcmp(c->chip, s->hello.chip, c->chip_len))
        return error_set(err, ERR_DUPLICATE,
                         "this device claims to be '%s', which was given to another chip: set it "
                         "aside, it is a copy",
                         s->credential.serial);
    if (s->credential.order_id != v->order_id)
        return error_next(
            err, NEXT_JOB,
            error_set(err, ERR_REFUSED,
                      "this device belongs to another order, as '%s': run the job of that order",
                      s->credential.serial));
    if (c->state == CLAIM_OPEN)
        return error_next(
            err, NEXT_JOB,
            error_set(err, ERR_REFUSED,
                      "'%s' was not proven yet: run its job first, and then this again",
                      s->credential.serial));
    return 0;
}

static int statement_path(const struct vault *v, const struct session *s, const char *suffix,
                          char path[PATH_MAX], struct error *err)
{
    char name[SERIAL_NAME_MAX + 1], file[SERIAL_NAME_MAX + 8];
    int rc = serial_to_name(s->credential.serial, name, err);

    if (rc)
        return rc;
    snprintf(file, sizeof file, "%s%s", name, suffix);
    return file_join(path, PATH_MAX, v->farewells, file, err);
}

/* There is no signature: the bytes to be signed are put where it is looked for. */
static int ask_for_signature(const struct vault *v, const struct session *s,
                             const struct buf *statement, const char *wanted, struct error *err)
{
    char path[PATH_MAX];
    int rc = statement_path(v, s, ".tbs", path, err);

    if (rc == 0)
        rc = file_write(path, statement->data, statement->len, 0644, err);
    if (rc == 0)
        rc = error_set(err, ERR_REFUSED,
                       "the owner has not signed for '%s': have '%s' signed as '%s', then run this "
                       "again",
                       s->credential.serial, path, wanted);
    return rc;
}

static int check_signature(const struct vault *v, const struct session *s,
                           const struct buf *statement, const struct buf *der,
                           uint8_t sig[EC_SIG_SIZE], const char *path, struct error *err)
{
    const struct buf *spki = &v->job->objects[IMPRINT_OBJ_DECOMMISSION_KEY].bytes;

    if (ec_sig_from_der(der->data, der->len, sig) == 0 &&
        ec_verify(spki->data + spki->len - EC_POINT_SIZE, statement->data, statement->len, sig,
                  NULL) == 0)
        return 0;
    return error_next(
        err, NEXT_CALL,
        error_set(err, ERR_SIGNATURE,
                  "'%s' is not the signature of the order's decommission_key for '%s': nothing "
                  "was taken away",
                  path, s->credential.serial));
}

/* Reads and judges the owner's signature over the statement of this device. */
static int read_signature(const struct vault *v, const struct session *s,
                          const struct buf *statement, uint8_t sig[EC_SIG_SIZE], struct error *err)
{
    char path[PATH_MAX];
    struct buf der;
    int rc = statement_path(v, s, ".sig", path, err);

    if (rc)
        return rc;
    buf_init(&der, STATEMENT_MAX);
    rc = file_read(path, &der, err);
    if (rc == ERR_MISSING)
        rc = ask_for_signature(v, s, statement, path, err);
    else if (rc == 0)
        rc = check_signature(v, s, statement, &der, sig, path, err);
    buf_done(&der);
    return rc;
}

/* Record and attempt in one transaction. What is void already was taken back before: it is told once. */
static int record(struct vault *v, struct session *s, struct error *err)
{
    int rc;

    if (s->claim.state != CLAIM_PROVEN)
        return 0;
    rc = store_begin(v->store, err);
    if (rc == 0)
        rc = ending_decommission(v, &s->claim, &s->credential, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    if (rc == 0 || store_is_unanchored(v->store))
        quota_move(v, CREDENTIAL_PROVEN, CREDENTIAL_REVOKED, 1);
    return rc;
}

static void fill_plan(const struct session *s, struct wire_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    plan->action = WIRE_FAREWELL;
    strcpy(plan->serial, s->credential.serial);
    memcpy(plan->tx, s->claim.tx, sizeof plan->tx);
}

/* What a device calls its identity: its certificate, or where it has none its symmetric key. */
static void name_identity(const struct session *s, uint8_t identity[32])
{
    if (credential_is_derived(&s->credential))
        memcpy(identity, s->claim.kcv, 32);
    else
        sha256(s->credential.cert.data, s->credential.cert.len, identity);
}

int farewell_plan(struct vault *v, struct session *s, struct wire_plan *plan, struct error *err)
{
    uint8_t identity[32], sig[EC_SIG_SIZE];
    struct buf statement;
    int rc = hello_check(v, s, err);

    if (rc == 0)
        rc = find_claim(v, s, err);
    if (rc == 0)
        rc = check_claim(v, s, err);
    if (rc)
        return rc;
    name_identity(s, identity);
    buf_init(&statement, STATEMENT_MAX);
    rc = link_decommission_message(s->claim.chip, s->claim.chip_len, identity, &statement, err);
    if (rc == 0)
        rc = read_signature(v, s, &statement, sig, err);
    if (rc == 0)
        rc = record(v, s, err);
    buf_done(&statement);
    if (rc)
        return rc;
    buf_put(&s->farewell, identity, sizeof identity);
    buf_put(&s->farewell, sig, sizeof sig);
    fill_plan(s, plan);
    return buf_check(&s->farewell, "a farewell", err);
}

int farewell_object(const struct session *s, size_t index, struct buf *out, struct error *err)
{
    if (index)
        return error_set(err, ERR_PROTOCOL, "a farewell has no object %zu", index);
    buf_put(out, s->farewell.data, s->farewell.len);
    return buf_check(out, "an object", err);
}
