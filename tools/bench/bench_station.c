#include "bench_station.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "station/store/inventory.h"
#include "station/store/key_index.h"
#include "station/store/ledger.h"
#include "station/store/sql.h"
#include "station/vault/ca/hosting.h"
#include "station/vault/ceremony.h"
#include "station/vault/generate.h"

#include <openssl/cms.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define FILL_BATCH 100000

static void no_progress(void *context, int64_t done)
{
    (void)context;
    (void)done;
}

static bool no_stop(void *context)
{
    (void)context;
    return false;
}

const struct generate_watch bench_watch = {no_progress, no_stop, NULL};

static double read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bench_time bench_now(void)
{
    return (struct bench_time){read_clock(CLOCK_MONOTONIC), read_clock(CLOCK_PROCESS_CPUTIME_ID)};
}

struct bench_time bench_since(struct bench_time begun)
{
    struct bench_time now = bench_now();

    return (struct bench_time){now.clock - begun.clock, now.cpu - begun.cpu};
}

long bench_peak_kb(void)
{
    struct rusage usage = {0};

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *values, long count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* ---- A station and its order. ---- */

static const char *find_module(void)
{
    static const char *const places[] = {
        "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"};
    const char *chosen = getenv("IMPRINT_SOFTHSM");

    for (size_t i = 0; !chosen && i < sizeof places / sizeof *places; i++)
        if (file_exists(places[i]))
            chosen = places[i];
    return chosen;
}

static struct secret *pin(void)
{
    struct secret *s = secret_new(strlen(BENCH_PIN));

    if (s)
        memcpy(secret_bytes(s), BENCH_PIN, strlen(BENCH_PIN));
    return s;
}

static int make_signers(struct bench_station *s, const char *path, struct error *err)
{
    struct authority_name name = {"Owner", NULL, "Order authority"};
    int rc;

    s->owner = EVP_EC_gen("P-256");
    rc = authority_root(&name, clock_utc(), s->owner, &s->signer, err);
    return rc ? rc : cert_write(path, s->signer, err);
}

static int found(struct bench_station *s, const char *module, struct error *err)
{
    struct ceremony c = {.own_token = true,
                         .config = {.name = "bench",
                                    .environment = "bench",
                                    .origin = "bench.example/wl/1",
                                    .customer = "Bench",
                                    .token = BENCH_TOKEN,
                                    .pin_file = "pin",
                                    .organization = "Bench"}};
    char path[PATH_MAX], signers[PATH_MAX];
    int rc = file_join(c.config.dir, PATH_MAX, s->dir, "station", err);

    if (rc == 0)
        rc = file_join(signers, PATH_MAX, s->dir, "orders.pem", err);
    if (rc == 0)
        rc = make_signers(s, signers, err);
    snprintf(c.config.module, sizeof c.config.module, "%s", module);
    c.order_signers = signers;
    c.pin = pin();
    c.so_pin = pin();
    if (rc == 0)
        rc = ceremony_run(&c, err);
    secret_free(c.pin);
    secret_free(c.so_pin);
    if (rc == 0)
        rc = config_path(&c.config, "pin", path, err);
    if (rc == 0)
        rc = file_write(path, BENCH_PIN "\n", sizeof BENCH_PIN, 0600, err);
    return rc ? rc : config_read(c.config.dir, &s->config, err);
}

static void write_job(struct job *job)
{
    buf_init(&job->trust_anchors, JOB_ANCHORS_MAX);
    strcpy(job->name, "bench");
    strcpy(job->order, "BENCH");
    job->serials = (struct job_serials){.prefix = "PUMP-", .digits = 9, .first = 1};
    strcpy(job->certificate.organization, "Bench Medical");
    strcpy(job->certificate.hardware_type, "1.3.6.1.4.1.32473.1.7");
}

#define BENCH_COUNTS "\"good\":100000000,\"max_issued\":100000000,\"spoilage\":100,\"rework\":0"

/* The station as a hosted CA's customer: its certificate is taken in, as `imprint ca import` does. */
static int host(struct bench_station *s, struct error *err)
{
    const struct authority_name name = {"Bench Trust", NULL, "Hosted CA"};
    const struct ca_place place = {&s->config, s->store, s->hsm};
    struct ca_signer signer;
    struct certified taken;
    char path[PATH_MAX];
    int rc;

    s->hosted_key = EVP_EC_gen("P-256");
    rc = ca_signer_of(s->hosted_key, &signer, err);
    if (rc == 0)
        rc = authority_self_signed(&name, clock_utc(), &signer, &s->hosted, err);
    if (rc == 0)
        rc = file_join(path, sizeof path, s->dir, "hosted.pem", err);
    if (rc == 0)
        rc = cert_write(path, s->hosted, err);
    return rc ? rc : hosting_run(&place, path, &taken, err);
}

static void put_order(const struct bench_station *s, const struct vault *v, struct buf *out)
{
    char key[65], issuer[65];
    uint8_t hosted[SHA256_SIZE];

    hex_encode(v->key_hash, sizeof v->key_hash, key);
    hex_encode(issuers_newest(&v->issuers)->sha256, SHA256_SIZE, issuer);
    if (s->hosted && X509_digest(s->hosted, EVP_sha256(), hosted, NULL) == 1)
        hex_encode(hosted, sizeof hosted, issuer);
    buf_printf(out,
               "{\"type\":\"order\",\"id\":\"BENCH\",\"environment\":\"bench\","
               "\"product\":\"09506000134352\",\"profile\":{\"name\":\"idevid\",\"sha256\":"
               "\"5866508f9cc104917893e0f6e8fb94a2109fee699691c954e01f287d87461cb7\"},"
               "\"use\":\"registration\","
               "\"valid\":{\"from\":\"2020-01-01T00:00:00Z\",\"until\":\"2099-12-31T00:00:00Z\"},"
               "\"software_hsm\":true,\"lock\":false,\"device_auth\":\"none\","
               "\"key_modes\":[\"hsm\"],\"suites\":[1],\"drivers\":[\"native\"],"
               "\"counts\":{" BENCH_COUNTS
               "},\"stations\":[{\"key\":\"%s\",\"%s\":\"%s\"," BENCH_COUNTS
               ",\"serials\":{\"prefix\":\"PUMP-\",\"digits\":9,\"first\":1,"
               "\"last\":999999999}}]}",
               key, s->hosted ? "hosted" : "issuer", issuer);
}

static int sign_order(const struct bench_station *s, const struct buf *order, struct buf *out,
                      struct error *err)
{
    BIO *in = BIO_new_mem_buf(order->data, (int)order->len);
    CMS_ContentInfo *cms = CMS_sign(s->signer, s->owner, NULL, in, CMS_BINARY);
    uint8_t *der = NULL;
    int len = cms ? i2d_CMS_ContentInfo(cms, &der) : 0;

    if (len > 0)
        buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return len > 0 ? 0 : error_set(err, ERR_CRYPTO, "cannot sign the order");
}

/* As an owner and `imprint order add` do it. */
static int take_order(struct bench_station *s, struct error *err)
{
    static struct order order;
    enum order_taken taken;
    struct buf content, bytes;
    struct vault v;
    int rc = vault_init(&v, &s->config, NULL, s->store, s->hsm, err);

    buf_init(&content, ORDER_FILE_MAX);
    buf_init(&bytes, ORDERS_SIGNED_MAX);
    if (rc == 0) {
        put_order(s, &v, &content);
        rc = sign_order(s, &content, &bytes, err);
    }
    if (rc == 0)
        rc = orders_take(&v, "bench", &bytes, &order, &taken, err);
    buf_done(&content);
    buf_done(&bytes);
    vault_done(&v);
    return rc;
}

static int open_station(struct bench_station *s, bool hosted, struct error *err)
{
    const char *module = find_module(), *parent = getenv("TMPDIR");
    int rc;

    *s = (struct bench_station){0};
    if (!module)
        return error_set(err, ERR_MODULE,
                         "no SoftHSM2 module: install softhsm2, or set IMPRINT_SOFTHSM");
    snprintf(s->dir, sizeof s->dir, "%s/imprint_bench_XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(s->dir)) {
        s->dir[0] = 0;
        return error_set(err, ERR_IO, "cannot make a temporary folder");
    }
    rc = found(s, module, err);
    write_job(&s->job);
    if (rc == 0)
        rc = vault_open_store(&s->config, STORE_WRITE, &s->store, err);
    if (rc == 0)
        rc = vault_open_hsm(&s->config, &s->hsm, err);
    s->anchoring = (struct anchoring){.config = &s->config, .hsm = s->hsm};
    if (rc == 0)
        rc = vault_attach_store(&s->anchoring, s->store, err);
    if (rc == 0 && hosted)
        rc = host(s, err);
    if (rc == 0)
        rc = take_order(s, err);
    return rc ? rc : vault_init(&s->v, &s->config, &s->job, s->store, s->hsm, err);
}

int bench_station_open(struct bench_station *s, struct error *err)
{
    return open_station(s, false, err);
}

int bench_station_open_hosted(struct bench_station *s, struct error *err)
{
    return open_station(s, true, err);
}

void bench_station_done(struct bench_station *s)
{
    struct error ignored;

    vault_done(&s->v);
    job_done(&s->job);
    store_close(s->store);
    hsm_close(s->hsm);
    X509_free(s->signer);
    EVP_PKEY_free(s->owner);
    X509_free(s->hosted);
    EVP_PKEY_free(s->hosted_key);
    if (s->dir[0])
        (void)!file_remove_tree(s->dir, &ignored);
}

/* ---- Rows. ---- */

static int add_rows(struct bench_station *s, int64_t first, int64_t count, struct error *err)
{
    return sql_run(&s->store->sql, err,
                   "WITH RECURSIVE n(id) AS (SELECT ?1 UNION ALL SELECT id + 1 FROM n"
                   " WHERE id + 1 < ?1 + ?2)"
                   " INSERT INTO credentials SELECT id, ?3, ?4, printf('PUMP-%09d', id), 0,"
                   " randomblob(65), randomblob(460), randomblob(80), randomblob(32),"
                   " 'storage:ec:0000000000000000', 8458, randomblob(32) FROM n",
                   "iiit", first, count, s->v.order_id, s->v.order->product);
}

static int add_entry(struct bench_station *s, int64_t first, int64_t count, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "count", count);
    jcs_int(&j, "first", first);
    jcs_hex(&j, "order", s->v.history.row.hash, 32);
    jcs_end(&j);
    rc = ledger_append(s->store, "generate", &data, err);
    buf_done(&data);
    return rc;
}

/* Hashes of no key: what is looked up is the same. */
static int add_keys(struct bench_station *s, int64_t count, struct error *err)
{
    struct key_hash *hashes = calloc((size_t)count, sizeof *hashes);
    int rc = hashes && RAND_bytes((uint8_t *)hashes, (int)((size_t)count * sizeof *hashes)) == 1
                 ? 0
                 : error_set(err, ERR_INTERNAL, "no memory or no random bytes");

    for (int64_t i = 0; rc == 0 && i < count; i++)
        hashes[i].hash |= 1;
    if (rc == 0)
        rc = key_index_add(s->store, hashes, (size_t)count, err);
    free(hashes);
    return rc;
}

static int fill_batch(struct bench_station *s, int64_t first, int64_t count, struct error *err)
{
    int rc = store_begin(s->store, err);

    if (rc == 0)
        rc = add_rows(s, first, count, err);
    if (rc == 0)
        rc = add_keys(s, count, err);
    for (int64_t i = 0; rc == 0 && i < count; i += GENERATE_BATCH)
        rc = add_entry(s, first + i, count - i < GENERATE_BATCH ? count - i : GENERATE_BATCH, err);
    return rc ? rc : store_commit(s->store, err);
}

static int skip_serials(struct bench_station *s, struct error *err)
{
    const struct job_serials *serials = &s->job.serials;
    int64_t next = 0;
    int rc = store_begin(s->store, err);

    if (rc == 0)
        rc = credential_next_id(s->store, &next, err);
    if (rc == 0)
        rc =
            counter_set(s->store, s->v.order->product, serials->prefix, serials->digits, next, err);
    return rc ? rc : store_commit(s->store, err);
}

int bench_station_fill(struct bench_station *s, int64_t rows, struct error *err)
{
    int64_t next;
    int rc = credential_next_id(s->store, &next, err);

    for (int64_t i = 0; rc == 0 && i < rows; i += FILL_BATCH)
        rc = fill_batch(s, next + i, rows - i < FILL_BATCH ? rows - i : FILL_BATCH, err);
    return rc ? rc : skip_serials(s, err);
}
