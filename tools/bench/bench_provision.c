/*
 * bench_provision: how many devices a second the vault serves, beside what it cannot do without.
 *
 * One side is the vault for whole devices, from OPEN to RESULT through the codec of the messages,
 * unpaced and in this process; what the device computes is not counted. The other two are what no
 * station can spare: the token's rewrap of one key, and as many durable transactions of as many
 * pages as the vault makes for a device, in a database beside the station's. Rounds alternate,
 * because machines change their speed; the medians of the ratios are the result.
 */
#include "bench_device.h"
#include "bench_rewrap.h"

#include "station/store/sql.h"
#include "station/vault/generate.h"
#include "station/vault/session.h"
#include "station/wire/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 99
#define WARM_UP    50 /* devices before the first round */
#define PAGE_SIZE  4096

struct bench {
    struct bench_station station;
    struct bench_device device;
    struct session session;
    struct bench_time took; /* by the vault, of the devices so far */
    struct buf request, reply, blob, certificates;
    struct wire_plan plan;
    struct store *beside; /* the database of the bare transactions */
    long commits, pages;  /* of one device */
    int64_t next_rewrap;  /* the credential to rewrap next */
    struct error err;
};

/* ---- A device. ---- */

/* Sends b->request to the vault; r receives what follows the status. */
static int ask(struct bench *b, struct reader *r)
{
    struct bench_time begun = bench_now(), took;
    int rc = session_answer(&b->station.v, &b->session, &b->request, &b->reply, &b->err);

    took = bench_since(begun);
    b->took.clock += took.clock;
    b->took.cpu += took.cpu;
    buf_reset(&b->request);
    reader_init(r, b->reply.data, b->reply.len);
    return rc ? rc : wire_get_status(r, &b->err);
}

static int say_hello(struct bench *b)
{
    struct wire_open open = {"1"};
    struct wire_opened opened;
    struct reader r;
    int rc;

    wire_put_open(&b->request, &open);
    rc = ask(b, &r);
    if (rc == 0)
        rc = wire_get_opened(&r, &opened);
    if (rc)
        return rc;
    memcpy(b->device.hello.handle, opened.handle, sizeof opened.handle);
    wire_put_hello(&b->request, &b->device.hello);
    rc = ask(b, &r);
    return rc ? rc : wire_get_plan(&r, &b->plan);
}

static int get_object(struct bench *b, uint8_t index, struct buf *out)
{
    struct reader r;
    int rc;

    wire_put_object(&b->request, b->device.hello.handle, index);
    rc = ask(b, &r);
    buf_reset(out);
    if (rc == 0)
        buf_put(out, r.p, r.left);
    return rc;
}

static int prove(struct bench *b)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE];
    struct wire_proof proof;
    struct reader r;
    int rc;

    wire_put_nonce(&b->request, b->device.hello.handle);
    rc = ask(b, &r);
    if (rc == 0)
        rc = reader_bytes(&r, nonce, sizeof nonce);
    if (rc == 0)
        rc = bench_device_prove(&b->device, &b->certificates, nonce, &proof, &b->err);
    if (rc)
        return rc;
    memcpy(proof.handle, b->device.hello.handle, sizeof proof.handle);
    wire_put_proof(&b->request, &proof);
    return ask(b, &r);
}

static int end(struct bench *b)
{
    struct wire_result result = {.status = 0};
    struct reader r;

    memcpy(result.handle, b->device.hello.handle, sizeof result.handle);
    wire_put_result(&b->request, &result);
    return ask(b, &r);
}

static int provision_one(struct bench *b)
{
    int rc = bench_device_renew(&b->device, &b->err);

    if (rc == 0)
        rc = say_hello(b);
    if (rc == 0)
        rc = get_object(b, 0, &b->blob);
    if (rc == 0)
        rc = get_object(b, 1, &b->certificates);
    if (rc == 0)
        rc = bench_device_take(&b->device, &b->plan, &b->blob, &b->err);
    if (rc == 0)
        rc = prove(b);
    return rc ? rc : end(b);
}

static int provision(struct bench *b, long count, struct bench_time *took)
{
    int rc = 0;

    b->took = (struct bench_time){0};
    for (long i = 0; rc == 0 && i < count; i++)
        rc = provision_one(b);
    *took = b->took;
    return rc;
}

/* ---- What it cannot do without. ---- */

static int rewrap(struct bench *b, long count, struct bench_time *took)
{
    struct bench_time begun;
    struct credential c;
    int rc = 0;

    credential_init(&c);
    *took = (struct bench_time){0};
    for (long i = 0; rc == 0 && i < count; i++) {
        struct bench_time one;

        rc = credential_get(b->station.store, b->next_rewrap--, &c, &b->err);
        begun = bench_now();
        if (rc == 0)
            rc = bench_rewrap(&b->station, &c, b->device.hello.dev_pub, &b->err);
        one = bench_since(begun);
        took->clock += one.clock;
        took->cpu += one.cpu;
    }
    credential_done(&c);
    return rc;
}

static int commit_pages(struct bench *b, long pages)
{
    static uint8_t bytes[64 * PAGE_SIZE];
    size_t len = (size_t)(pages - 1) * PAGE_SIZE; /* the row itself is one more */
    int rc = store_begin(b->beside, &b->err);

    for (size_t i = 0; i < len; i += PAGE_SIZE) /* a page that stays the same is not written */
        bytes[i]++;
    if (rc == 0)
        rc = sql_run(&b->beside->sql, &b->err, "UPDATE bench SET bytes = ?", "b", bytes, len);
    return rc ? rc : store_commit(b->beside, &b->err);
}

static int commit(struct bench *b, long count, struct bench_time *took)
{
    struct bench_time begun = bench_now();
    int rc = 0;

    for (long i = 0; rc == 0 && i < count * b->commits; i++)
        rc = commit_pages(b, b->pages / b->commits);
    *took = bench_since(begun);
    return rc;
}

/* ---- Rounds. ---- */

static int count_commit(void *context)
{
    ++*(long *)context;
    return 0;
}

/* What the vault writes for a device, in the database's own words. */
static int measure_transactions(struct bench *b)
{
    sqlite3 *db = b->station.store->sql.db;
    struct bench_time ignored;
    int pages = 0, unused;
    int rc;

    sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &unused, 1);
    sqlite3_commit_hook(db, count_commit, &b->commits);
    rc = provision(b, WARM_UP, &ignored);
    sqlite3_commit_hook(db, NULL, NULL);
    sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &unused, 0);
    b->commits /= WARM_UP;
    b->pages = pages / WARM_UP;
    return rc;
}

static int open_beside(struct bench *b)
{
    char path[PATH_MAX];
    int rc = config_path(&b->station.config, "beside.db", path, &b->err);

    if (rc == 0)
        rc = store_open(path, STORE_CREATE, &b->beside, &b->err);
    if (rc == 0)
        rc = sql_run(&b->beside->sql, &b->err, "CREATE TABLE bench(bytes BLOB)", "");
    return rc ? rc : sql_run(&b->beside->sql, &b->err, "INSERT INTO bench VALUES (NULL)", "");
}

static int prepare(struct bench *b, int64_t credentials)
{
    int64_t made;
    int rc = bench_station_open(&b->station, &b->err);

    if (rc == 0)
        rc = bench_device_init(&b->device, &b->err);
    if (rc == 0)
        rc = generate_credentials(&b->station.v, credentials, 1, &bench_watch, &made, &b->err);
    b->next_rewrap = credentials; /* devices take them from the other end */
    if (rc == 0)
        rc = open_beside(b);
    return rc ? rc : measure_transactions(b);
}

static int round_of(struct bench *b, long count, double *slower, double *both, double *cpu)
{
    struct bench_time token, database, vault;
    int rc = rewrap(b, count, &token);

    if (rc == 0)
        rc = commit(b, count, &database);
    if (rc == 0)
        rc = provision(b, count, &vault);
    if (rc)
        return rc;
    *slower = (token.clock > database.clock ? token.clock : database.clock) / vault.clock;
    *both = (token.clock + database.clock) / vault.clock;
    *cpu = (token.cpu + database.cpu) / vault.cpu;
    printf("rewraps %.0f/s with %.0f us of processor time each; transactions of a device %.0f/s "
           "with %.0f us; devices %.0f/s with %.0f us\n",
           (double)count / token.clock, 1e6 * token.cpu / (double)count,
           (double)count / database.clock, 1e6 * database.cpu / (double)count,
           (double)count / vault.clock, 1e6 * vault.cpu / (double)count);
    fflush(stdout);
    return 0;
}

static int run(struct bench *b, long count, long rounds)
{
    double slower[ROUNDS_MAX], both[ROUNDS_MAX], cpu[ROUNDS_MAX];
    int rc = prepare(b, WARM_UP + 2 * count * rounds);

    for (long i = 0; rc == 0 && i < rounds; i++)
        rc = round_of(b, count, &slower[i], &both[i], &cpu[i]);
    if (rc)
        return rc;
    printf("median of %ld rounds of %ld devices, each %ld transactions of %ld pages in all: %.3f "
           "of the slower of the two rates, %.3f of both in turn, %.3f by processor time\n",
           rounds, count, b->commits, b->pages, bench_median(slower, rounds),
           bench_median(both, rounds), bench_median(cpu, rounds));
    return 0;
}

int main(int argc, char **argv)
{
    static struct bench b = {.err = ERROR_INIT};
    long count = argc > 1 ? atol(argv[1]) : 300, rounds = argc > 2 ? atol(argv[2]) : 5;
    int rc;

    if (argc > 3 || count < 1 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_provision [DEVICES [ROUNDS]]\n");
        return error_exit_status(ERR_USAGE);
    }
    session_init(&b.session);
    buf_init(&b.request, WIRE_MAX);
    buf_init(&b.reply, WIRE_MAX);
    buf_init(&b.blob, WIRE_OBJECT_MAX);
    buf_init(&b.certificates, WIRE_OBJECT_MAX);
    rc = run(&b, count, rounds);
    if (rc)
        fprintf(stderr, "bench_provision: %s\n", b.err.text);
    session_done(&b.session);
    bench_device_done(&b.device);
    buf_done(&b.request);
    buf_done(&b.reply);
    buf_done(&b.blob);
    buf_done(&b.certificates);
    store_close(b.beside);
    bench_station_done(&b.station);
    return error_exit_status(rc);
}
