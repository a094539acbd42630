#include "station/vault/generate.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "hsm/worker.h"
#include "pki/cert.h"
#include "station/store/inventory.h"
#include "station/store/key_index.h"
#include "station/store/ledger.h"
#include "station/vault/clock_stop.h"
#include "station/vault/issue.h"
#include "station/vault/quota.h"
#include "station/vault/restore.h"
#include "station/vault/token_files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES 2 /* one is stored while the next is made */

/* What one run of generation works with. */
struct generator {
    struct vault *v;
    const struct generate_watch *watch;
    unsigned threads;
    int64_t count, *made; /* wanted, and in the database */
    X509 *issuer, *root;
    char storage[HSM_STORAGE_NAME_SIZE];
    int64_t not_before;
    struct key_hash *hashes; /* of the batch that is stored */
    struct issue_batch batches[BATCHES];
};

/* The issuing CA is the one that the vault compared with the order. The root only judges: it must be
 * the one that certified it. */
static int read_authorities(struct generator *g, struct error *err)
{
    const struct buf *issuer = &g->v->issuer;
    char path[PATH_MAX];
    int rc = cert_from_der(issuer->data, issuer->len, &g->issuer, err);

    if (rc == 0)
        rc = config_path(g->v->config, "ca/device-root.pem", path, err);
    if (rc == 0)
        rc = cert_read(path, &g->root, err);
    if (rc == 0 && X509_verify(g->issuer, X509_get0_pubkey(g->root)) != 1)
        rc = error_set(err, ERR_INTEGRITY,
                       "'%s' is not the root that certified this station's issuing CA: restore the "
                       "file",
                       path);
    return rc;
}

/* One storage key per order and key type: found, or made for the first batch. */
static int find_storage(struct generator *g, struct error *err)
{
    const uint8_t *order = g->v->history.row.hash;
    int rc = hsm_storage_find(g->v->hsm, order, g->storage, err);

    if (rc != ERR_MISSING)
        return rc;
    rc = hsm_storage_create(g->v->hsm, order, g->storage, err);
    return rc ? rc : token_files_sync(g->v->config, err); /* before a row depends on it */
}

static int batch_init(struct issue_batch *batch)
{
    batch->random = calloc(GENERATE_BATCH, sizeof *batch->random);
    batch->made = calloc(GENERATE_BATCH, sizeof *batch->made);
    for (size_t i = 0; batch->made && i < GENERATE_BATCH; i++)
        credential_init(&batch->made[i]);
    return batch->random && batch->made ? 0 : ERR_INTERNAL;
}

static void batch_done(struct issue_batch *batch)
{
    for (size_t i = 0; batch->made && i < GENERATE_BATCH; i++)
        credential_done(&batch->made[i]);
    free(batch->made);
    free(batch->random);
}

static int start(struct generator *g, struct error *err)
{
    int rc = 0;

    g->not_before = clock_utc();
    g->hashes = calloc(GENERATE_BATCH, sizeof *g->hashes);
    for (size_t i = 0; i < BATCHES; i++)
        rc = rc ? rc : batch_init(&g->batches[i]);
    if (rc || !g->hashes)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = read_authorities(g, err);
    return rc ? rc : find_storage(g, err);
}

static void end(struct generator *g)
{
    X509_free(g->issuer);
    X509_free(g->root);
    free(g->hashes);
    for (size_t i = 0; i < BATCHES; i++)
        batch_done(&g->batches[i]);
}

/* ---- Storing a batch. ---- */

static int record_batch(struct generator *g, int64_t first_id, int64_t first_number, int64_t count,
                        struct error *err)
{
    const struct job *job = g->v->job;
    char serial[65];
    struct buf data;
    struct jcs j;
    int rc = job_serial_text(&job->serials, first_number, serial, sizeof serial, err);

    if (rc)
        return rc;
    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "count", count);
    jcs_int(&j, "first", first_id);
    jcs_hex(&j, "order", g->v->history.row.hash, 32);
    jcs_str(&j, "serial", serial);
    jcs_str(&j, "storage", g->storage);
    jcs_end(&j);
    rc = ledger_append(g->v->store, "generate", &data, err);
    buf_done(&data);
    return rc;
}

/* The first of a batch, judged by OpenSSL. */
static int check_first(const struct generator *g, const struct issue_batch *batch,
                       struct error *err)
{
    const struct credential *c = &batch->made[0];
    uint8_t number[CERT_NUMBER_SIZE];
    struct cert_expect expect = {number, c->serial, c->point, &g->v->profile, {NULL}};

    job_values(g->v->job, g->v->order, expect.values);
    cert_number(batch->random[0], (uint64_t)c->id, number);
    return cert_check(c->cert.data, c->cert.len, g->issuer, g->root, &expect, err);
}

static int add_rows(struct generator *g, const struct issue_batch *batch, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < batch->count; i++) {
        struct credential *c = &batch->made[i];

        c->order_id = g->v->order_id;
        rc = credential_add(g->v->store, c, err);
        g->hashes[i] = key_hash_of(c->point, c->id);
    }
    return rc ? rc : key_index_add(g->v->store, g->hashes, batch->count, err);
}

static int store_batch(struct generator *g, const struct issue_batch *batch, struct error *err)
{
    struct vault *v = g->v;
    const struct job_serials *s = &v->job->serials;
    int64_t count = (int64_t)batch->count;
    int rc = add_rows(g, batch, err);

    if (rc == 0)
        rc = counter_set(v->store, v->order->product, s->prefix, s->digits,
                         batch->first_number + count, err);
    return rc ? rc : record_batch(g, batch->first_id, batch->first_number, count, err);
}

/* A batch whose anchor failed is in the database as well: *made counts it. */
static int commit_batch(struct generator *g, const struct issue_batch *batch, struct error *err)
{
    int64_t count = (int64_t)batch->count;
    int rc = clock_stop_check(g->v->store, err);

    if (rc == 0)
        rc = check_first(g, batch, err);
    if (rc == 0)
        rc = store_begin(g->v->store, err);
    if (rc)
        return rc;
    rc = store_batch(g, batch, err);
    if (rc == 0)
        rc = store_commit(g->v->store, err);
    if (rc)
        store_rollback(g->v->store);
    if (rc == 0 || store_is_unanchored(g->v->store)) {
        *g->made += count;
        quota_move(g->v, -1, CREDENTIAL_AVAILABLE, count);
    }
    return rc;
}

/* ---- Shifts: as many batches as the threads make before the module is due to be recycled. ---- */

struct shift {
    struct generator *g;
    struct issue_line *line;
    int64_t next_id, next_number;
    int64_t left; /* to be dispatched */
};

/* Serial numbers go on from what the store has. */
static int next_number(const struct vault *v, int64_t *number, struct error *err)
{
    const struct job_serials *s = &v->job->serials;

    return counter_next(v->store, v->order->product, s->prefix, s->digits, s->first, number, err);
}

/* So do ids. */
static int next_numbers(struct shift *s, struct error *err)
{
    int rc = credential_next_id(s->g->v->store, &s->next_id, err);

    return rc ? rc : next_number(s->g->v, &s->next_number, err);
}

static int open_shift(struct shift *s, struct error *err)
{
    struct generator *g = s->g;
    const struct issue_params params = {g->v, g->storage, g->issuer, g->not_before};
    int64_t budget;
    int rc = next_numbers(s, err);

    if (rc == 0)
        rc = issue_open(&params, g->threads, &s->line, err);
    if (rc)
        return rc;
    budget = (int64_t)hsm_worker_budget(g->v->hsm) / GENERATE_BATCH * GENERATE_BATCH;
    if (budget == 0)
        budget = GENERATE_BATCH; /* more than a limit that small, and at least something */
    s->left = g->count - *g->made;
    if (s->left > budget)
        s->left = budget;
    return 0;
}

static int dispatch(struct shift *s, struct issue_batch *batch, struct error *err)
{
    int rc;

    batch->count = (size_t)(s->left < GENERATE_BATCH ? s->left : GENERATE_BATCH);
    if (batch->count == 0)
        return 0;
    batch->first_id = s->next_id;
    batch->first_number = s->next_number;
    rc = hsm_random(s->g->v->hsm, batch->random, batch->count * sizeof *batch->random, err);
    if (rc)
        return rc;
    s->next_id += (int64_t)batch->count;
    s->next_number += (int64_t)batch->count;
    s->left -= (int64_t)batch->count;
    issue_dispatch(s->line, batch);
    return 0;
}

static void show(void *context, size_t made)
{
    const struct generator *g = context;

    g->watch->progress(g->watch->context, *g->made + (int64_t)made);
}

static int take_batch(struct shift *s, struct issue_batch *batch, struct error *err)
{
    struct generator *g = s->g;
    int rc = issue_wait(s->line, batch, show, g, err);

    if (rc == 0)
        rc = commit_batch(g, batch, err);
    if (rc == 0 && *g->made < g->count && g->watch->stop(g->watch->context))
        rc = error_set(err, ERR_INTERRUPTED, "stopped on request: what was made is kept");
    return rc;
}

static int run_shift(struct generator *g, struct error *err)
{
    struct shift s = {.g = g};
    int rc = store_settle(g->v->store, err);

    if (rc == 0)
        rc = open_shift(&s, err);
    if (rc)
        return rc;
    for (size_t i = 0; rc == 0 && i < BATCHES; i++)
        rc = dispatch(&s, &g->batches[i], err);
    for (size_t i = 0; rc == 0 && g->batches[i].count; i = (i + 1) % BATCHES) {
        rc = take_batch(&s, &g->batches[i], err);
        if (rc == 0)
            rc = dispatch(&s, &g->batches[i], err);
    }
    issue_close(s.line);
    return rc;
}

/* A shift that the token dropped is tried once more, as every call of the HSM is. */
static int run_shifts(struct generator *g, struct error *err)
{
    int64_t lost_at = -1;
    int rc = 0;

    while (rc == 0 && *g->made < g->count) {
        int64_t before = *g->made;

        rc = run_shift(g, err);
        if (rc == ERR_HSM && hsm_is_lost(g->v->hsm) && before != lost_at) {
            lost_at = *g->made;
            rc = store_settle(g->v->store, err);
        }
    }
    return rc;
}

/* Serials beyond the share may be another station's. */
static int check_range(const struct vault *v, int64_t count, struct error *err)
{
    const struct order_serials *range = &v->share->serials;
    int64_t number;
    int rc = next_number(v, &number, err);

    if (rc ||
        (number >= range->first && number <= range->last && count <= range->last - number + 1))
        return rc;
    return error_set(err, ERR_REFUSED,
                     "order '%s' gives this station the serial numbers %s%" PRId64 " to %" PRId64
                     " and the next is %" PRId64 ": %" PRId64
                     " more do not fit; ask the owner for an amendment",
                     v->order->id, range->prefix, range->first, range->last, number, count);
}

int generate_credentials(struct vault *v, int64_t count, unsigned threads,
                         const struct generate_watch *watch, int64_t *made, struct error *err)
{
    struct generator g = {.v = v, .watch = watch, .threads = threads, .count = count, .made = made};
    int rc;

    *made = 0;
    if (count == 0)
        return 0;
    rc = quota_check_issue(v, count, err);
    if (rc == 0)
        rc = restore_check_order(v, err);
    if (rc == 0)
        rc = check_range(v, count, err);
    if (rc == 0)
        rc = start(&g, err);
    if (rc == 0)
        rc = run_shifts(&g, err);
    end(&g);
    return rc;
}
