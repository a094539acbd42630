#include "station/vault/generate.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "hsm/worker.h"
#include "pki/cert.h"
#include "station/store/inventory.h"
#include "station/store/key_index.h"
#include "station/store/ledger.h"
#include "station/store/spares.h"
#include "station/vault/ca/fitting.h"
#include "station/vault/certifier.h"
#include "station/vault/clock_stop.h"
#include "station/vault/hosted/hosted_job.h"
#include "station/vault/issue.h"
#include "station/vault/quota.h"
#include "station/vault/restore.h"
#include "station/vault/serial_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES 3 /* one is stored while the next is made, and the disk may be slow about it */

/* What one run of generation works with. */
struct generator {
    struct vault *v;
    const struct generate_watch *watch;
    unsigned threads;
    int64_t count, *made; /* wanted, and in the database */
    char storage[HSM_STORAGE_NAME_SIZE];
    struct serial_source source;
    bool keys_alone; /* their certificates are signed at the claim */
    int64_t not_before;
    struct key_hash *hashes; /* of the batch that is stored */
    struct issue_batch batches[BATCHES];
    size_t oldest; /* that is not stored yet */
    bool held;     /* it is made, and its shift is over: it is stored while the next one works */
};

static struct issue_batch *batch_after(struct generator *g, size_t i)
{
    return &g->batches[(g->oldest + i) % BATCHES];
}

static int batch_init(struct issue_batch *batch)
{
    batch->random = calloc(GENERATE_BATCH, sizeof *batch->random);
    batch->serials = calloc(GENERATE_BATCH, sizeof *batch->serials);
    batch->made = calloc(GENERATE_BATCH, sizeof *batch->made);
    for (size_t i = 0; batch->made && i < GENERATE_BATCH; i++)
        credential_init(&batch->made[i]);
    return batch->random && batch->serials && batch->made ? 0 : ERR_INTERNAL;
}

static void batch_done(struct issue_batch *batch)
{
    for (size_t i = 0; batch->made && i < GENERATE_BATCH; i++)
        credential_done(&batch->made[i]);
    free(batch->made);
    free(batch->random);
    free(batch->serials);
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
    rc = fitting_check_life(g->v, g->not_before, err);
    return rc ? rc : certifier_storage(g->v, g->storage, err);
}

static void end(struct generator *g)
{
    serial_source_done(&g->source);
    free(g->hashes);
    for (size_t i = 0; i < BATCHES; i++)
        batch_done(&g->batches[i]);
}

/* ---- Storing a batch. ---- */

static int record_batch(struct generator *g, const struct issue_batch *batch, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "count", (int64_t)batch->count);
    jcs_int(&j, "first", batch->first_id);
    jcs_hex(&j, "order", g->v->history.row.hash, 32);
    if (!g->keys_alone)
        jcs_str(&j, "serial", batch->serials[0]);
    jcs_str(&j, "storage", g->storage);
    jcs_end(&j);
    rc = ledger_append(g->v->store, g->keys_alone ? LEDGER_KEYS : "generate", &data, err);
    buf_done(&data);
    return rc;
}

/* The first of a batch, judged by OpenSSL. */
static int check_first(const struct generator *g, const struct issue_batch *batch,
                       struct error *err)
{
    const struct credential *c = &batch->made[0];
    uint8_t number[CERT_NUMBER_SIZE];
    char name[SERIAL_NAME_MAX + 1];
    struct cert_expect expect = {number,         name,   &c->key,
                                 &g->v->profile, {NULL}, g->v->issuer->scheme};
    int rc = serial_to_name(c->serial, name, err);

    if (rc)
        return rc;
    job_values(g->v->job, g->v->order, expect.values);
    cert_number(batch->random[0], (uint64_t)c->id, number);
    return cert_check(c->cert.data, c->cert.len, &g->v->issuer->chain, &expect, err);
}

/* Whether no serial of a batch is known: the numbers of a pattern stand in the order of their text, so one
 * look is enough. Where there is something between them each is looked up, as those of a list are. */
static int look_for_known(const struct generator *g, const struct issue_batch *batch, bool *none,
                          struct error *err)
{
    *none = false;
    if (g->keys_alone || g->v->job->serials.source != SOURCE_ASSIGNED)
        return 0;
    return credential_none_between(g->v->store, g->v->order->product, batch->serials[0],
                                   batch->serials[batch->count - 1], none, err);
}

static int add_row(const struct generator *g, const struct credential *c, bool new_serial,
                   struct error *err)
{
    if (g->keys_alone)
        return spare_add(g->v->store, c, SPARE_UNUSED, err);
    return new_serial ? credential_add_again(g->v->store, c, err)
                      : credential_add(g->v->store, c, err);
}

/* In the index of keys a spare one has its id with a minus sign. */
static int add_rows(struct generator *g, const struct issue_batch *batch, struct error *err)
{
    bool none;
    int rc = look_for_known(g, batch, &none, err);

    for (size_t i = 0; rc == 0 && i < batch->count; i++) {
        struct credential *c = &batch->made[i];

        c->order_id = g->v->order_id;
        rc = add_row(g, c, none, err);
        g->hashes[i] = key_hash_of(&c->key, g->keys_alone ? -c->id : c->id);
    }
    return rc ? rc : key_index_add(g->v->store, g->hashes, batch->count, err);
}

static int store_batch(struct generator *g, const struct issue_batch *batch, struct error *err)
{
    int rc = add_rows(g, batch, err);

    if (rc == 0)
        rc = serial_source_taken(&g->source, *g->made + (int64_t)batch->count, err);
    return rc ? rc : record_batch(g, batch, err);
}

static void count_batch(struct generator *g, int64_t count)
{
    *g->made += count;
    if (g->keys_alone)
        g->v->counts.spares += count;
    else
        quota_move(g->v, -1, CREDENTIAL_AVAILABLE, count);
}

/* A batch whose anchor failed is in the database as well: *made counts it. */
static int commit_batch(struct generator *g, const struct issue_batch *batch, struct error *err)
{
    int rc = clock_stop_check(g->v->store, err);

    if (rc == 0 && !g->keys_alone)
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
    if (rc == 0 || store_is_unanchored(g->v->store))
        count_batch(g, (int64_t)batch->count);
    return rc;
}

/* ---- Shifts: as many batches as the threads make before the module is due to be recycled. ---- */

struct shift {
    struct generator *g;
    struct issue_line *line;
    int64_t next_id;
    int64_t next; /* serial of the source, from 0 */
    int64_t left; /* to be dispatched */
};

/* Ids go on from what the store has. */
static int next_id(const struct generator *g, int64_t *id, struct error *err)
{
    return g->keys_alone ? spare_next_id(g->v->store, id, err)
                         : credential_next_id(g->v->store, id, err);
}

static int name_length(const struct generator *g, size_t *len, struct error *err)
{
    char serial[SERIAL_TEXT_MAX + 1], name[SERIAL_NAME_MAX + 1];
    int rc = serial_source_text(&g->source, *g->made, serial, err);

    if (rc == 0)
        rc = serial_to_name(serial, name, err);
    if (rc == 0)
        *len = strlen(name);
    return rc;
}

/* Whole batches; the last one may go a little beyond what the module may leak before it is recycled. */
static int64_t shift_size(const struct generator *g, int64_t wanted)
{
    int64_t budget = (int64_t)hsm_worker_budget(g->v->hsm) / GENERATE_BATCH * GENERATE_BATCH;

    return wanted < budget + GENERATE_BATCH ? wanted : budget + GENERATE_BATCH;
}

static int open_shift(struct shift *s, struct error *err)
{
    struct generator *g = s->g;
    struct issue_params params = {
        .v = g->v, .storage = g->storage, .keys_alone = g->keys_alone, .not_before = g->not_before};
    int64_t held = g->held ? (int64_t)batch_after(g, 0)->count : 0;
    int rc = next_id(g, &s->next_id, err);

    s->next_id += held;
    s->next = *g->made + held;
    if (rc == 0 && !g->keys_alone)
        rc = name_length(g, &params.name_len, err);
    if (rc == 0)
        rc = issue_open(&params, g->threads, &s->line, err);
    if (rc == 0)
        s->left = shift_size(g, g->count - s->next);
    return rc;
}

static int dispatch(struct shift *s, struct issue_batch *batch, struct error *err)
{
    int rc = 0;

    batch->count = (size_t)(s->left < GENERATE_BATCH ? s->left : GENERATE_BATCH);
    if (batch->count == 0)
        return 0;
    batch->first_id = s->next_id;
    for (size_t i = 0; rc == 0 && !s->g->keys_alone && i < batch->count; i++)
        rc = serial_source_text(&s->g->source, s->next + (int64_t)i, batch->serials[i], err);
    if (rc == 0)
        rc = hsm_random(s->g->v->hsm, batch->random, batch->count * sizeof *batch->random, err);
    if (rc)
        return rc;
    s->next_id += (int64_t)batch->count;
    s->next += (int64_t)batch->count;
    s->left -= (int64_t)batch->count;
    issue_dispatch(s->line, batch);
    return 0;
}

static void show(void *context, size_t made)
{
    const struct generator *g = context;

    g->watch->progress(g->watch->context, *g->made + (int64_t)made);
}

/* Stores the oldest batch, whose place the next one takes. */
static int keep_batch(struct shift *s, struct error *err)
{
    struct generator *g = s->g;
    struct issue_batch *batch = batch_after(g, 0);
    int rc = commit_batch(g, batch, err);

    g->held = false;
    if (rc == 0 && *g->made < g->count && g->watch->stop(g->watch->context))
        rc = error_set(err, ERR_INTERRUPTED, "stopped on request: what was made is kept");
    if (rc == 0)
        rc = dispatch(s, batch, err);
    g->oldest = (g->oldest + 1) % BATCHES;
    return rc;
}

/* The last of a shift, when others come after it. */
static bool is_to_be_held(struct generator *g)
{
    return batch_after(g, 1)->count == 0 && *g->made + (int64_t)batch_after(g, 0)->count < g->count;
}

static int work(struct shift *s, struct error *err)
{
    struct generator *g = s->g;
    int rc = 0;

    for (size_t i = g->held ? 1 : 0; rc == 0 && i < BATCHES; i++)
        rc = dispatch(s, batch_after(g, i), err);
    if (rc == 0 && g->held)
        rc = keep_batch(s, err);
    while (rc == 0 && !g->held && batch_after(g, 0)->count) {
        rc = issue_wait(s->line, batch_after(g, 0), show, g, err);
        g->held = rc == 0 && is_to_be_held(g);
        if (rc == 0 && !g->held)
            rc = keep_batch(s, err);
    }
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
    rc = work(&s, err);
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

int generate_credentials(struct vault *v, int64_t count, unsigned threads,
                         const struct generate_watch *watch, int64_t *made, struct error *err)
{
    struct generator g = {.v = v,
                          .watch = watch,
                          .threads = threads,
                          .keys_alone = !job_serials_ahead(&v->job->serials),
                          .count = count,
                          .made = made};
    int rc;

    *made = 0;
    if (count == 0)
        return 0;
    if (v->mode == IMPRINT_MODE_DEVICE)
        return error_set(
            err, ERR_REFUSED,
            "devices make their own keys in this job, so there is nothing to generate: "
            "run it");
    if (v->mode == IMPRINT_MODE_DERIVED)
        return error_set(err, ERR_REFUSED,
                         "the keys of this job are derived when a device asks for one, so there is "
                         "nothing to generate: run it");
    rc = hosted_check_sign(v, err);
    if (rc == 0)
        rc = clock_stop_check(v->store, err); /* before the rest judges by a wrong time */
    if (rc == 0)
        rc = quota_check_issue(v, v->counts.spares + count, err);
    if (rc == 0)
        rc = restore_check_order(v, err);
    if (rc == 0)
        rc = serial_source_open(&g.source, v, count, err);
    if (rc == 0)
        rc = start(&g, err);
    if (rc == 0)
        rc = run_shifts(&g, err);
    end(&g);
    return rc;
}
