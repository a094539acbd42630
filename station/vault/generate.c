#include "station/vault/generate.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "hsm/credential.h"
#include "pki/cert.h"
#include "pki/template.h"
#include "station/store/inventory.h"
#include "station/store/ledger.h"
#include "station/vault/quota.h"
#include "station/vault/token_files.h"

#include <stdlib.h>
#include <string.h>

/* What one run of generation works with. */
struct generator {
    struct vault *v;
    X509 *issuer, *root;
    struct cert_template *template;
    char storage[HSM_STORAGE_NAME_SIZE];
    int64_t not_before;
    struct key_hash *hashes; /* of the batch at hand */
    struct buf tbs;
};

static int read_authorities(struct generator *g, struct error *err)
{
    char path[PATH_MAX];
    int rc = config_path(g->v->config, "ca/issuing-ca.pem", path, err);

    if (rc == 0)
        rc = cert_read(path, &g->issuer, err);
    if (rc == 0)
        rc = config_path(g->v->config, "ca/device-root.pem", path, err);
    return rc ? rc : cert_read(path, &g->root, err);
}

static int compile_template(struct generator *g, struct error *err)
{
    const struct job *job = g->v->job;
    struct cert_template_params params = {.organization = job->certificate.organization,
                                          .hw_type = job->certificate.hardware_type,
                                          .issuer = g->issuer};

    return cert_template_new(&params, strlen(job->serials.prefix) + (size_t)job->serials.digits,
                             &g->template, err);
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

static int start(struct generator *g, struct vault *v, struct error *err)
{
    int rc;

    memset(g, 0, sizeof *g);
    g->v = v;
    g->not_before = clock_utc();
    g->hashes = calloc(GENERATE_BATCH, sizeof *g->hashes);
    buf_init(&g->tbs, CERT_DER_MAX);
    if (!g->hashes)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = read_authorities(g, err);
    if (rc == 0)
        rc = compile_template(g, err);
    return rc ? rc : find_storage(g, err);
}

static void end(struct generator *g)
{
    cert_template_free(g->template);
    X509_free(g->issuer);
    X509_free(g->root);
    buf_done(&g->tbs);
    free(g->hashes);
}

/* Signs the certificate of c, whose serial and key are there. */
static int certify(struct generator *g, struct credential *c, bool check, struct error *err)
{
    struct cert_subject subject = {.serial = c->serial, .not_before = g->not_before};
    struct cert_expect expect = {subject.number, c->serial, c->point};
    uint8_t random[CERT_RANDOM_SIZE], sig[EC_SIG_SIZE];
    int rc = hsm_random(g->v->hsm, random, sizeof random, err);

    if (rc)
        return rc;
    cert_number(random, (uint64_t)c->id, subject.number);
    memcpy(subject.point, c->point, sizeof subject.point);
    buf_reset(&g->tbs);
    rc = cert_template_tbs(g->template, &subject, &g->tbs, err);
    if (rc == 0)
        rc = hsm_sign(g->v->hsm, HSM_KEY_ISSUING_CA, g->tbs.data, g->tbs.len, sig, err);
    if (rc == 0)
        rc = cert_assemble(&g->tbs, sig, &c->cert, err);
    if (rc == 0 && check)
        rc = cert_check(c->cert.data, c->cert.len, g->issuer, g->root, &expect, err);
    return rc;
}

static int make_one(struct generator *g, int64_t id, int64_t number, bool check,
                    struct key_hash *hash, struct error *err)
{
    struct vault *v = g->v;
    struct credential c;
    int rc;

    credential_init(&c);
    c.id = id;
    c.order_id = v->order_id;
    c.mechanism = (int64_t)hsm_wrap_mechanism(v->hsm);
    strcpy(c.product, v->order->product);
    strcpy(c.storage, g->storage);
    rc = job_serial_text(&v->job->serials, number, c.serial, sizeof c.serial, err);
    if (rc == 0)
        rc = hsm_credential_make(v->hsm, g->storage, c.point, &c.wrapped, err);
    if (rc == 0)
        rc = certify(g, &c, check, err);
    if (rc == 0)
        rc = credential_add(v->store, &c, v->history.row.hash, err);
    if (rc == 0)
        *hash = key_hash_of(c.point, id);
    credential_done(&c);
    return rc;
}

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

/* Where a batch begins: ids and serial numbers go on from what the store has. */
static int next_numbers(struct vault *v, int64_t *id, int64_t *number, struct error *err)
{
    const struct job_serials *s = &v->job->serials;
    int rc = credential_next_id(v->store, id, err);

    return rc ? rc
              : counter_next(v->store, v->order->product, s->prefix, s->digits, s->first, number,
                             err);
}

static int make_batch(struct generator *g, int64_t count, const struct generate_watch *watch,
                      int64_t done, struct error *err)
{
    const struct job *job = g->v->job;
    int64_t id, number;
    int rc = next_numbers(g->v, &id, &number, err);

    for (int64_t i = 0; rc == 0 && i < count; i++) {
        rc = make_one(g, id + i, number + i, i == 0, &g->hashes[i], err);
        watch->progress(watch->context, done + i + 1);
    }
    if (rc == 0)
        rc = key_index_add(g->v->store, g->hashes, (size_t)count, err);
    if (rc == 0)
        rc = counter_set(g->v->store, g->v->order->product, job->serials.prefix,
                         job->serials.digits, number + count, err);
    return rc ? rc : record_batch(g, id, number, count, err);
}

/* A batch whose anchor failed is in the database as well: *made counts it. */
static int commit_batch(struct generator *g, int64_t count, const struct generate_watch *watch,
                        int64_t *made, struct error *err)
{
    int rc = store_settle(g->v->store, err);

    if (rc == 0)
        rc = store_begin(g->v->store, err);
    if (rc)
        return rc;
    rc = make_batch(g, count, watch, *made, err);
    if (rc == 0)
        rc = store_commit(g->v->store, err);
    if (rc)
        store_rollback(g->v->store);
    if (rc == 0 || store_is_unanchored(g->v->store)) {
        *made += count;
        quota_move(g->v, -1, CREDENTIAL_AVAILABLE, count);
    }
    return rc;
}

/* Serials beyond the share may be another station's. */
static int check_range(struct vault *v, int64_t count, struct error *err)
{
    const struct order_serials *range = &v->share->serials;
    int64_t id, number;
    int rc = next_numbers(v, &id, &number, err);

    if (rc ||
        (number >= range->first && number <= range->last && count <= range->last - number + 1))
        return rc;
    return error_set(err, ERR_REFUSED,
                     "order '%s' gives this station the serial numbers %s%" PRId64 " to %" PRId64
                     " and the next is %" PRId64 ": %" PRId64
                     " more do not fit; ask the owner for an amendment",
                     v->order->id, range->prefix, range->first, range->last, number, count);
}

int generate_credentials(struct vault *v, int64_t count, const struct generate_watch *watch,
                         int64_t *made, struct error *err)
{
    struct generator g;
    int rc;

    *made = 0;
    if (count == 0)
        return 0;
    rc = quota_check_issue(v, count, err);
    if (rc == 0)
        rc = check_range(v, count, err);
    if (rc)
        return rc;
    rc = start(&g, v, err);
    while (rc == 0 && *made < count) {
        int64_t batch = count - *made < GENERATE_BATCH ? count - *made : GENERATE_BATCH;

        rc = commit_batch(&g, batch, watch, made, err);
        if (rc == 0 && *made < count && watch->stop(watch->context))
            rc = error_set(err, ERR_INTERRUPTED, "stopped on request: what was made is kept");
    }
    end(&g);
    return rc;
}
