/*
 * bench_start: how long a station takes to start, by what it made and provisioned before.
 *
 * Fills a fresh station with credentials, some of them claimed and proven as its ledger tells, and
 * then starts it several times, the database in the cache of the system: the database is opened, the
 * ledger compared with what the token remembers, the order opened and its counts compared. The other
 * side is the reading of the ledger's file pages alone, which no walk can spare.
 */
#include "bench_station.h"

#include "base/jcs.h"
#include "station/store/ledger.h"
#include "station/store/sql.h"

#include <getopt.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STARTS      5
#define TRANSACTION 10000 /* devices */

static const char usage[] = "usage: bench_start [--rows N] [--devices N]\n"
                            "  --rows N     credentials in the inventory; default 1000000\n"
                            "  --devices N  of them claimed and proven; default 100000\n";

struct bench {
    struct bench_station station;
    long rows, devices;
    struct error err;
};

static int add_entry(struct bench *b, const char *event, int64_t credential,
                     const uint8_t random[24], struct error *err)
{
    struct buf data;
    char serial[32];
    struct jcs j;
    int rc;

    snprintf(serial, sizeof serial, "PUMP-%09ld", (long)credential);
    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_hex(&j, "chip", random, 8);
    jcs_int(&j, "credential", credential);
    if (strcmp(event, "proven") == 0)
        jcs_int(&j, "leaf", credential);
    jcs_hex(&j, "order", b->station.v.history.row.hash, 32);
    jcs_str(&j, "serial", serial);
    jcs_str(&j, "slot", "A1");
    jcs_hex(&j, "tx", random + 8, 16);
    jcs_end(&j);
    rc = ledger_append(b->station.store, event, &data, err);
    buf_done(&data);
    return rc;
}

static int add_device(struct bench *b, int64_t credential)
{
    uint8_t random[24];
    int rc = RAND_bytes(random, sizeof random) == 1
                 ? 0
                 : error_set(&b->err, ERR_CRYPTO, "no random bytes");

    if (rc == 0)
        rc = add_entry(b, "claim", credential, random, &b->err);
    return rc ? rc : add_entry(b, "proven", credential, random, &b->err);
}

static int add_devices(struct bench *b, int64_t first, int64_t count)
{
    struct store *store = b->station.store;
    int rc = store_begin(store, &b->err);

    for (int64_t i = 0; rc == 0 && i < count; i++)
        rc = add_device(b, first + i);
    if (rc == 0)
        rc = sql_run(&store->sql, &b->err,
                     "UPDATE credentials SET state = 2, wrapped = NULL WHERE id >= ?1 AND id < ?2",
                     "ii", first, first + count);
    return rc ? rc : store_commit(store, &b->err);
}

static int fill(struct bench *b)
{
    int rc = bench_station_fill(&b->station, b->rows, &b->err);

    for (int64_t i = 0; rc == 0 && i < b->devices; i += TRANSACTION)
        rc = add_devices(b, i + 1, b->devices - i < TRANSACTION ? b->devices - i : TRANSACTION);
    return rc;
}

/* Reads each entry once and does nothing with it. */
static int read_ledger(struct bench *b, struct bench_time *took)
{
    struct bench_time begun = bench_now();
    int64_t bytes = 0;
    int rc = sql_integer(&b->station.store->sql, &b->err, &bytes,
                         "SELECT sum(length(body) + length(hash)) FROM ledger", "");

    *took = bench_since(begun);
    return rc;
}

static int start(struct bench *b)
{
    struct bench_station *s = &b->station;
    struct bench_time begun, ledger, order, bare;
    char path[PATH_MAX];
    int rc = config_path(&s->config, "station.db", path, &b->err);

    vault_done(&s->v);
    store_close(s->store);
    s->store = NULL;
    if (rc == 0)
        rc = store_open(path, STORE_WRITE, &s->store, &b->err);
    begun = bench_now();
    if (rc == 0)
        rc = vault_attach_store(&s->anchoring, s->store, &b->err);
    ledger = bench_since(begun);
    begun = bench_now();
    if (rc == 0)
        rc = vault_init(&s->v, &s->config, &s->job, s->store, s->hsm, &b->err);
    order = bench_since(begun);
    if (rc == 0)
        rc = read_ledger(b, &bare);
    if (rc == 0)
        printf("ledger %.2f s, order %.2f s (processor time %.2f and %.2f); reading alone %.2f s; "
               "peak memory %ld kB\n",
               ledger.clock, order.clock, ledger.cpu, order.cpu, bare.cpu, bench_peak_kb());
    fflush(stdout);
    return rc;
}

static int run(struct bench *b)
{
    int rc = bench_station_open(&b->station, &b->err);

    if (rc == 0)
        rc = fill(b);
    if (rc == 0)
        printf("%ld credentials, %ld of them proven\n", b->rows, b->devices);
    for (int i = 0; rc == 0 && i < STARTS; i++)
        rc = start(b);
    return rc;
}

static bool read_options(struct bench *b, int argc, char **argv)
{
    static const struct option options[] = {{"rows", required_argument, NULL, 'n'},
                                            {"devices", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'n')
            b->rows = atol(optarg);
        else if (option == 'd')
            b->devices = atol(optarg);
        else
            return false;
    }
    return optind == argc && b->rows > 0 && b->devices >= 0 && b->devices <= b->rows;
}

int main(int argc, char **argv)
{
    static struct bench b = {.rows = 1000000, .devices = 100000};
    int rc;

    if (!read_options(&b, argc, argv)) {
        fputs(usage, stderr);
        return error_exit_status(ERR_USAGE);
    }
    rc = run(&b);
    if (rc)
        fprintf(stderr, "bench_start: %s\n", b.err.text);
    bench_station_done(&b.station);
    return error_exit_status(rc);
}
