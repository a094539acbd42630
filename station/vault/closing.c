#include "station/vault/closing.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "station/store/ledger.h"
#include "station/store/requests.h"
#include "station/store/spares.h"
#include "station/store/whitelist.h"
#include "station/vault/closed.h"
#include "station/vault/ending.h"
#include "station/vault/manifest_signer.h"
#include "station/vault/quota.h"
#include "station/vault/rotating.h"
#include "station/vault/sealing.h"
#include "station/vault/token_files.h"
#include "station/vault/totals.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH          1000
#define EVENT_DATA_MAX 4096
#define EVENT_MAX      65536
#define SIGNATURE_MAX  65536

static int in_transaction(struct vault *v,
                          int (*step)(struct vault *v, void *arg, struct error *err), void *arg,
                          struct error *err)
{
    int rc = store_begin(v->store, err);

    if (rc == 0)
        rc = step(v, arg, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    return rc;
}

/* ---- 1: nothing more is made ---- */

/* What the ledger tells of the first step. */
struct terms {
    char by[STORE_OPERATOR_MAX + 1], reason[STORE_REASON_MAX + 1];
    char storage[HSM_STORAGE_NAME_SIZE]; /* empty: the order has no storage key */
};

static int begin_step(struct vault *v, void *arg, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, EVENT_DATA_MAX);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_hex(&j, "order", v->history.row.hash, 32);
    jcs_str(&j, "storage", arg);
    jcs_end(&j);
    rc = ledger_append(v->store, "close", &data, err);
    buf_done(&data);
    return rc ? rc : order_set_state(v->store, v->order_id, ORDER_CLOSING, err);
}

static int refuse_unresolved(const struct vault *v, struct error *err)
{
    return error_set(
        err, ERR_UNRESOLVED,
        "order '%s' has %" PRId64
        " devices that got a credential and did not prove it: put each back and run "
        "the job; for one that will never come back, 'imprint void SERIAL --lost --reason TEXT'",
        v->order->id, v->counts.by_state[CREDENTIAL_CLAIMED]);
}

/* One of the order's storage keys: that of EC keys, or else that of RSA keys. */
static int find_storage(const struct vault *v, char name[HSM_STORAGE_NAME_SIZE], struct error *err)
{
    int rc = hsm_storage_find(v->hsm, v->history.row.hash, KEY_P256, name, err);

    return rc == ERR_MISSING
               ? hsm_storage_find(v->hsm, v->history.row.hash, KEY_RSA_2048, name, err)
               : rc;
}

static int begin(struct vault *v, struct error *err)
{
    char storage[HSM_STORAGE_NAME_SIZE] = "";
    int64_t entries;
    int rc;

    if (v->counts.by_state[CREDENTIAL_CLAIMED])
        return refuse_unresolved(v, err);
    rc = ledger_verify(v->store, &entries, err);
    if (rc == 0)
        rc = find_storage(v, storage, err);
    if (rc == ERR_MISSING)
        rc = 0;
    if (rc == 0)
        rc = in_transaction(v, begin_step, storage, err);
    if (rc == 0)
        v->history.row.state = ORDER_CLOSING;
    return rc;
}

static void copy_member(const json_t *object, const char *name, const char *otherwise, char *out,
                        size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));

    snprintf(out, size, "%s", text ? text : otherwise);
}

/* What the ledger's entry says; its MAC was verified. */
static int read_terms(struct vault *v, struct terms *t, struct error *err)
{
    struct buf body;
    json_t *root;
    int rc;

    buf_init(&body, EVENT_MAX);
    rc = ledger_of_order(v->store, v->history.row.hash, "close", &body, err);
    if (rc == 0) {
        root = json_loads((const char *)body.data, JSON_REJECT_DUPLICATES, NULL);
        copy_member(root, json_object_get(root, "operator") ? "operator" : "by", "", t->by,
                    sizeof t->by);
        copy_member(root, "why", "not given", t->reason, sizeof t->reason);
        copy_member(json_object_get(root, "data"), "storage", "", t->storage, sizeof t->storage);
        json_decref(root);
    }
    buf_done(&body);
    return rc;
}

/* ---- 2: what is unused ---- */

static int scrap_one(struct vault *v, struct error *err)
{
    struct credential c;
    int rc;

    credential_init(&c);
    rc = credential_pick(v->store, v->order_id, &c, err);
    if (rc == 0)
        rc = ledger_expect_available(v->store, c.id, err);
    if (rc == 0)
        rc = ending_scrap(v, &c, err);
    credential_done(&c);
    return rc;
}

static int scrap_step(struct vault *v, void *arg, struct error *err)
{
    int rc = 0;

    for (int64_t i = 0; rc == 0 && i < *(const int64_t *)arg; i++)
        rc = scrap_one(v, err);
    return rc;
}

static int scrap_unused(struct vault *v, const struct closing_watch *watch, struct error *err)
{
    int64_t total = v->counts.by_state[CREDENTIAL_AVAILABLE], done = 0;

    while (done < total) {
        int64_t count = total - done < BATCH ? total - done : BATCH;
        int rc = in_transaction(v, scrap_step, &count, err);

        if (rc)
            return rc;
        quota_move(v, CREDENTIAL_AVAILABLE, CREDENTIAL_SCRAPPED, count);
        done += count;
        watch->progress(watch->context, done, total);
    }
    return 0;
}

/* Keys that no certificate was signed for, or none that came back: they go with the storage key, and nobody
 * misses them. */
static int destroy_spares_step(struct vault *v, void *arg, struct error *err)
{
    int rc = requests_destroy(v->store, v->order_id, v->history.row.hash, err);

    (void)arg;
    return rc ? rc : spares_destroy(v->store, v->order_id, v->history.row.hash, err);
}

static int destroy_spares(struct vault *v, struct error *err)
{
    int rc = v->counts.spares + v->counts.requests
                 ? in_transaction(v, destroy_spares_step, NULL, err)
                 : 0;

    if (rc == 0)
        v->counts.spares = v->counts.requests = 0;
    return rc;
}

/* ---- 3: the manifest ---- */

/* The first may only finish an interrupted one; the last finds nothing new. */
static int seal_all(struct vault *v, struct error *err)
{
    struct sealed sealed;
    int rc;

    do
        rc = sealing_run(v->config, v->store, v->hsm, NULL, &sealed, err);
    while (rc == 0 && sealed.seq);
    return rc;
}

/* ---- 4: the storage key ---- */

/* One that is gone was destroyed by the run that was stopped then. */
static int destroy_storage(struct vault *v, const struct terms *t, struct error *err)
{
    char name[HSM_STORAGE_NAME_SIZE];
    int rc = closed_remember(v, err);

    if (rc || !*t->storage)
        return rc;
    rc = hsm_storage_destroy(v->hsm, v->history.row.hash, err);
    if (rc && rc != ERR_MISSING)
        return rc;
    rc = token_files_sync(v->config, err);
    if (rc)
        return rc;
    rc = find_storage(v, name, err);
    if (rc == 0)
        return error_set(err, ERR_HSM,
                         "the token says that it destroyed the storage key '%s' and has it still: "
                         "order '%s' stays half closed; call the security team",
                         name, v->order->id);
    return rc == ERR_MISSING ? 0 : rc;
}

/* ---- 5: the statement ---- */

static int fill_log(struct vault *v, struct closing *c, struct error *err)
{
    struct statement s;
    struct sealing last;
    bool found;
    int rc;

    sealing_init(&last);
    rc = sealing_last(v->store, &last, &found, err);
    if (rc == 0 && found)
        rc = statement_parse(last.statement.data, last.statement.len, &s, err);
    if (rc == 0 && found) {
        c->manifest = s.seq;
        c->size = s.size;
        c->root = s.root;
        statement_done(&s);
    } else if (rc == 0) {
        merkle_root(&(struct merkle_tree){0}, &c->root);
    }
    sealing_done(&last);
    return rc;
}

static void fill_totals(const struct vault *v, struct manifest_totals *t, uint8_t (*amendments)[32])
{
    totals_of(&v->counts, t);
    memcpy(t->order, v->history.row.hash, sizeof t->order);
    t->amendments = amendments;
    for (size_t i = 1; i < v->history.count; i++)
        memcpy(amendments[t->amendment_count++], v->history.versions[i].hash, 32);
}

static int write_statement(struct vault *v, const struct terms *t, struct buf *out,
                           struct error *err)
{
    uint8_t(*amendments)[32] = calloc(v->history.count, sizeof *amendments);
    struct closing c = {.closed = clock_utc()};
    int64_t destroyed = 0;
    int rc;

    if (!amendments)
        return error_set(err, ERR_INTERNAL, "out of memory");
    fill_totals(v, &c.totals, amendments);
    strcpy(c.id, v->order->id);
    strcpy(c.product, v->order->product);
    snprintf(c.station, sizeof c.station, "%s", v->config->name);
    snprintf(c.environment, sizeof c.environment, "%s", v->config->environment);
    snprintf(c.customer, sizeof c.customer, "%s", v->config->customer);
    snprintf(c.origin, sizeof c.origin, "%s", v->config->origin);
    strcpy(c.storage, t->storage);
    strcpy(c.by, t->by);
    strcpy(c.reason, t->reason);
    rc = fill_log(v, &c, err);
    if (rc == 0)
        rc = spare_count(v->store, v->order_id, SPARE_DESTROYED, &destroyed, err);
    c.keys = (uint64_t)destroyed;
    if (rc == 0)
        rc = closing_write(&c, out, err);
    free(amendments);
    return rc;
}

static int closed_step(struct vault *v, void *arg, struct error *err)
{
    const struct buf *statement = arg;
    struct manifest_totals t = {0};
    uint8_t hash[SHA256_SIZE];
    struct buf data;
    struct jcs j;
    int rc;

    totals_of(&v->counts, &t);
    sha256(statement->data, statement->len, hash);
    buf_init(&data, EVENT_DATA_MAX);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_hex(&j, "order", v->history.row.hash, 32);
    jcs_hex(&j, "statement", hash, sizeof hash);
    jcs_object(&j, "totals");
    manifest_put_totals(&j, &t);
    jcs_end(&j);
    jcs_end(&j);
    rc = ledger_append(v->store, "closed", &data, err);
    buf_done(&data);
    return rc ? rc : order_close(v->store, v->order_id, statement, err);
}

/* Counted again, with the ledger: what is signed was not added up over hours. */
static int keep_statement(struct vault *v, const struct terms *t, struct error *err)
{
    struct buf statement;
    int rc = quota_load(v, err);

    buf_init(&statement, CLOSING_MAX);
    if (rc == 0)
        rc = write_statement(v, t, &statement, err);
    if (rc == 0)
        rc = in_transaction(v, closed_step, &statement, err);
    if (rc == 0)
        v->history.row.state = ORDER_CLOSED;
    buf_done(&statement);
    return rc;
}

/* ---- 6: its folder ---- */

/* An id as the name of a folder: what is not a letter, digit, '-' or '_' is %XX. */
static void folder_name(const char *id, char *out)
{
    for (; *id; id++)
        if (isalnum((unsigned char)*id) || *id == '-' || *id == '_')
            *out++ = *id;
        else
            out += sprintf(out, "%%%02X", (unsigned char)*id);
    *out = 0;
}

static int find_place(struct vault *v, char path[PATH_MAX], struct error *err)
{
    char name[3 * sizeof v->order->id + 16] = "statements/";
    int rc = config_path(v->config, "statements", path, err);

    if (rc == 0)
        rc = file_make_dir(path, 0755, err);
    folder_name(v->order->id, name + strlen(name));
    return rc ? rc : config_path(v->config, name, path, err);
}

/* The bytes that the ledger told of. */
static int read_kept(struct vault *v, struct buf *statement, struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    struct buf body;
    int rc = order_statement(v->store, v->order_id, statement, err);

    buf_init(&body, EVENT_MAX);
    if (rc == 0)
        rc = ledger_of_order(v->store, v->history.row.hash, "closed", &body, err);
    sha256(statement->data, statement->len, hash);
    hex_encode(hash, sizeof hash, hex);
    if (rc == 0 && !strstr((const char *)body.data, hex))
        rc = error_set(err, ERR_INTEGRITY,
                       "the closing statement of order '%s' in the database is not the one that "
                       "the ledger tells of: keep the database as it is and call the security team",
                       v->order->id);
    buf_done(&body);
    return rc;
}

static int write_file(const char *dir, const char *name, const struct buf *bytes, struct error *err)
{
    char path[PATH_MAX];
    int rc = file_join(path, sizeof path, dir, name, err);

    return rc ? rc : file_write(path, bytes->data, bytes->len, 0644, err);
}

static int publish(struct vault *v, const struct buf *statement, const char *path,
                   struct error *err)
{
    char making[PATH_MAX];
    struct buf pem;
    int rc = file_dir_begin(path, making, err);

    buf_init(&pem, SIGNATURE_MAX);
    if (rc == 0)
        rc = manifest_signer_sign(v->config, v->store, v->hsm, ROTATING_NOW, statement, &pem, err);
    if (rc == 0)
        rc = write_file(making, CLOSING_NAME, statement, err);
    if (rc == 0)
        rc = write_file(making, CLOSING_SIGNATURE, &pem, err);
    buf_done(&pem);
    return rc ? rc : file_dir_finish(making, path, err);
}

/* A folder of that name must hold this statement. */
static int check_published(const struct buf *statement, const char *path, struct error *err)
{
    char name[PATH_MAX];
    struct buf found;
    int rc = file_join(name, sizeof name, path, CLOSING_NAME, err);

    if (rc)
        return rc;
    buf_init(&found, CLOSING_MAX);
    rc = file_read(name, &found, err);
    if (rc == ERR_MISSING || (rc == 0 && (found.len != statement->len ||
                                          memcmp(found.data, statement->data, found.len))))
        rc = error_set(err, ERR_INTEGRITY,
                       "'%s' does not hold the closing statement of this order: move it away, keep "
                       "it, and run the command again",
                       path);
    buf_done(&found);
    return rc;
}

static int finish(struct vault *v, struct closed *out, struct error *err)
{
    struct closing c;
    struct buf statement;
    int rc;

    buf_init(&statement, CLOSING_MAX);
    rc = read_kept(v, &statement, err);
    if (rc == 0)
        rc = closing_parse(statement.data, statement.len, &c, err);
    if (rc == 0) {
        out->totals = c.totals;
        out->totals.amendments = NULL;
        out->totals.amendment_count = 0;
        out->manifest = c.manifest;
        closing_done(&c);
        rc = find_place(v, out->dir, err);
    }
    if (rc == 0)
        rc = file_exists(out->dir) ? check_published(&statement, out->dir, err)
                                   : publish(v, &statement, out->dir, err);
    buf_done(&statement);
    return rc;
}

/* Steps 1 to 5, as far as they are not done. */
static int close_order(struct vault *v, const struct closing_watch *watch, struct error *err)
{
    struct terms t;
    int rc = v->history.row.state == ORDER_OPEN ? begin(v, err) : 0;

    if (rc == 0)
        rc = read_terms(v, &t, err);
    if (rc == 0)
        rc = scrap_unused(v, watch, err);
    if (rc == 0)
        rc = destroy_spares(v, err);
    if (rc == 0)
        rc = seal_all(v, err);
    if (rc == 0)
        rc = destroy_storage(v, &t, err);
    return rc ? rc : keep_statement(v, &t, err);
}

int closing_run(struct vault *v, const char *id, const struct closing_watch *watch,
                struct closed *out, struct error *err)
{
    struct closed made = {.before = false};
    int rc = vault_use_order(v, id, err);

    if (rc)
        return rc;
    made.before = v->history.row.state == ORDER_CLOSED;
    if (!made.before)
        rc = close_order(v, watch, err);
    if (rc == 0)
        rc = finish(v, &made, err);
    if (rc == 0)
        *out = made;
    return rc;
}
