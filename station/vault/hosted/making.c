#include "station/vault/hosted/making.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "hsm/credential.h"
#include "pki/ca_request.h"
#include "pki/profile_build.h"
#include "station/store/key_index.h"
#include "station/store/ledger.h"
#include "station/store/spares.h"
#include "station/vault/ca/fitting.h"
#include "station/vault/certifier.h"
#include "station/vault/clock_stop.h"
#include "station/vault/hosted/hosted_job.h"
#include "station/vault/quota.h"
#include "station/vault/restore.h"
#include "station/vault/serial_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LOT_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

/* What one run works with. */
struct making {
    struct vault *v;
    const char *lot;
    const struct generate_watch *watch;
    int64_t count, *made; /* to be made, and in the database */
    char storage[HSM_STORAGE_NAME_SIZE];
    struct serial_source source;
    int64_t next_id;
    size_t filled; /* of the batch at hand */
    struct credential keys[MAKING_BATCH];
    struct request requests[MAKING_BATCH];
    struct key_hash hashes[MAKING_BATCH];
};

int making_check_lot(const char *lot, struct error *err)
{
    size_t len = strlen(lot);

    if (len >= 1 && len <= REQUEST_LOT_MAX && *lot != '.' && strspn(lot, LOT_CHARACTERS) == len)
        return 0;
    return error_set(err, ERR_USAGE,
                     "'%s' is no name of a lot: 1 to %d letters, digits, '.', '_' and '-', and not "
                     "'.' first",
                     lot, REQUEST_LOT_MAX);
}

/* ---- one request ---- */

/* Who asks: the request is written while the key is still in the HSM. */
struct asking {
    const struct vault *v;
    const char *serial;
    int64_t now;
    struct buf *der;
};

static int build_model(const struct asking *a, const struct public_key *key, const char *name,
                       X509 **out, struct error *err)
{
    static const uint8_t number[CERT_NUMBER_SIZE] = {1}; /* the CA chooses it */
    const char *values[VALUE_COUNT];
    struct profile_input input = {number, key, a->now, values, a->v->issuer->chain.certs[0]};

    job_values(a->v->job, a->v->order, values);
    values[VALUE_SERIAL] = name;
    return profile_build(&a->v->profile, &input, out, err);
}

/* Called again for another key when the token dropped the session. */
static int ask(void *context, const struct ca_signer *signer, struct error *err)
{
    const struct asking *a = context;
    char name[SERIAL_NAME_MAX + 1];
    X509 *model = NULL;
    int rc = serial_to_name(a->serial, name, err);

    buf_reset(a->der);
    if (rc == 0)
        rc = build_model(a, &signer->key, name, &model, err);
    if (rc == 0)
        rc = device_request_write(model, signer, a->der, err);
    X509_free(model);
    return rc;
}

static int mac_with_hsm(void *context, const void *bytes, size_t len, uint8_t mac[32],
                        struct error *err)
{
    return hsm_hmac(context, bytes, len, mac, err);
}

static void prepare(struct making *m, size_t i, int64_t now)
{
    struct credential *c = &m->keys[i];
    struct request *r = &m->requests[i];

    buf_reset(&c->wrapped);
    c->id = r->key = m->next_id + (int64_t)i;
    c->order_id = r->order_id = m->v->order_id;
    c->mechanism = (int64_t)hsm_wrap_mechanism(m->v->hsm);
    strcpy(c->storage, m->storage);
    snprintf(r->lot, sizeof r->lot, "%s", m->lot);
    strcpy(r->product, m->v->order->product);
    r->made = now;
}

static int make_one(struct making *m, size_t i, struct error *err)
{
    struct credential *c = &m->keys[i];
    struct request *r = &m->requests[i];
    struct asking asking = {m->v, r->serial, clock_utc(), &r->der};
    const uint8_t *order = m->v->history.row.hash;
    int rc = serial_source_text(&m->source, *m->made + (int64_t)i, r->serial, err);

    prepare(m, i, asking.now);
    if (rc == 0)
        rc = hsm_credential_make_asking(m->v->hsm, m->storage, m->v->key, ask, &asking, &c->key,
                                        &c->wrapped, err);
    if (rc == 0)
        rc = spare_seal(c, order, mac_with_hsm, m->v->hsm, err);
    return rc ? rc : request_seal(r, &c->key, order, mac_with_hsm, m->v->hsm, err);
}

/* ---- a batch ---- */

/* Somebody who wants to stop does not wait for 500 keys of RSA: what is made by then is the batch. */
static bool is_full(const struct making *m, size_t want)
{
    return m->filled == want || (m->filled && m->watch->stop(m->watch->context));
}

static int fill(struct making *m, struct error *err)
{
    int64_t left = m->count - *m->made;
    size_t want = (size_t)(left < MAKING_BATCH ? left : MAKING_BATCH);
    int rc = spare_next_id(m->v->store, &m->next_id, err);

    for (m->filled = 0; rc == 0 && !is_full(m, want);) {
        rc = make_one(m, m->filled, err);
        m->filled += rc == 0;
        m->watch->progress(m->watch->context, *m->made + (int64_t)m->filled);
    }
    return rc;
}

static int record(const struct making *m, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "count", (int64_t)m->filled);
    jcs_int(&j, "first", m->next_id);
    jcs_int(&j, "issuer", m->v->issuer->number);
    jcs_str(&j, "lot", m->lot);
    jcs_hex(&j, "order", m->v->history.row.hash, 32);
    jcs_str(&j, "serial", m->requests[0].serial);
    jcs_str(&j, "storage", m->storage);
    jcs_end(&j);
    rc = ledger_append(m->v->store, LEDGER_CSR_EXPORT, &data, err);
    buf_done(&data);
    return rc;
}

static int store_batch(struct making *m, struct error *err)
{
    struct store *store = m->v->store;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < m->filled; i++) {
        rc = spare_add(store, &m->keys[i], SPARE_REQUESTED, err);
        if (rc == 0)
            rc = request_add(store, &m->requests[i], err);
        m->hashes[i] = key_hash_of(&m->keys[i].key, -m->keys[i].id);
    }
    if (rc == 0)
        rc = key_index_add(store, m->hashes, m->filled, err);
    if (rc == 0)
        rc = serial_source_taken(&m->source, *m->made + (int64_t)m->filled, err);
    return rc ? rc : record(m, err);
}

/* A batch whose anchor failed is in the database as well: *made counts it. */
static int commit_batch(struct making *m, struct error *err)
{
    struct store *store = m->v->store;
    int rc = clock_stop_check(store, err);

    if (rc == 0)
        rc = store_begin(store, err);
    if (rc)
        return rc;
    rc = store_batch(m, err);
    if (rc == 0)
        rc = store_commit(store, err);
    if (rc)
        store_rollback(store);
    if (rc == 0 || store_is_unanchored(store)) {
        *m->made += (int64_t)m->filled;
        m->v->counts.requests += (int64_t)m->filled;
    }
    return rc;
}

static int make_all(struct making *m, struct error *err)
{
    int rc = 0;

    while (rc == 0 && *m->made < m->count) {
        rc = fill(m, err);
        if (rc == 0)
            rc = commit_batch(m, err);
        if (rc == 0 && *m->made < m->count && m->watch->stop(m->watch->context))
            rc = error_set(err, ERR_INTERRUPTED,
                           "stopped on request: what was made is kept, the same command goes on");
    }
    return rc;
}

/* ---- a run ---- */

/* What the lot lacks, and may have. */
static int look(struct making *m, int64_t count, struct error *err)
{
    struct vault *v = m->v;
    struct request_counts has;
    int rc = request_count(v->store, v->order_id, m->lot, &has, err);

    if (rc)
        return rc;
    if (has.made > count)
        return error_set(err, ERR_REFUSED,
                         "lot '%s' has %" PRId64 " requests already, and %" PRId64
                         " are wanted: name another lot",
                         m->lot, has.made, count);
    m->count = count - has.made;
    return 0;
}

static int check(struct making *m, struct error *err)
{
    struct vault *v = m->v;
    int rc = clock_stop_check(v->store, err); /* before the rest judges by a wrong time */

    if (rc == 0)
        rc = quota_check_issue(v, m->count, err);
    if (rc == 0)
        rc = restore_check_order(v, err);
    if (rc == 0)
        rc = fitting_check_life(v, clock_utc(), err);
    if (rc == 0)
        rc = serial_source_open(&m->source, v, m->count, err);
    return rc ? rc : certifier_storage(v, m->storage, err);
}

static void making_done(struct making *m)
{
    for (size_t i = 0; i < MAKING_BATCH; i++) {
        credential_done(&m->keys[i]);
        request_done(&m->requests[i]);
    }
    serial_source_done(&m->source);
    free(m);
}

int making_run(struct vault *v, const char *lot, int64_t count, const struct generate_watch *watch,
               int64_t *made, struct error *err)
{
    struct making *m = calloc(1, sizeof *m);
    int rc = hosted_check_ask(v, err);

    *made = 0;
    if (!m)
        return error_set(err, ERR_INTERNAL, "out of memory");
    m->v = v;
    m->lot = lot;
    m->watch = watch;
    m->made = made;
    for (size_t i = 0; i < MAKING_BATCH; i++) {
        credential_init(&m->keys[i]);
        request_init(&m->requests[i]);
    }
    if (rc == 0)
        rc = making_check_lot(lot, err);
    if (rc == 0)
        rc = store_settle(v->store, err);
    if (rc == 0)
        rc = look(m, count, err);
    if (rc == 0 && m->count)
        rc = check(m, err);
    if (rc == 0)
        rc = make_all(m, err);
    making_done(m);
    return rc;
}
