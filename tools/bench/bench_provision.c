/*
 * bench_provision: how many devices a second the vault serves, beside what it cannot do without.
 *
 * One side is the vault as `imprint run` has it, from OPEN to RESULT over its channels, with several
 * unpaced devices in flight (bench_players.h), whose answers are committed and anchored in groups. The
 * other two are what no station can spare: the token's rewrap of one key for each device, by one thread,
 * and as many durable transactions of as many pages as the vault wrote for those devices, in a database
 * beside the station's. Rounds alternate, because machines change their speed; the medians of the ratios
 * are the result.
 */
#include "bench_players.h"
#include "bench_rewrap.h"

#include "bench_device.h"

#include "station/store/sql.h"
#include "station/vault/generate.h"
#include "station/vault/serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 99
#define WARM_UP    200 /* devices before the first round, of which the transactions are counted */
#define PAGE_SIZE  4096
#define PAGES_MAX  2048 /* of one transaction */

struct bench {
    struct bench_station station;
    struct bench_device device; /* whose keys are rewrapped */
    unsigned at_once;
    struct store *beside; /* the database of the bare transactions */
    double commits;       /* of one device */
    long pages;           /* of one commit */
    int64_t next_rewrap;  /* the credential to rewrap next */
    struct error err;
};

/* ---- The vault. ---- */

/* took->clock: of the devices; took->cpu: of all the vault's threads. */
static int provision(struct bench *b, long count, struct bench_time *took)
{
    struct bench_players players;
    int rc = bench_players_start(&players, count, b->at_once, &b->err), end;
    struct bench_time begun = bench_now();
    double seconds = 0;

    if (rc)
        return rc;
    rc = serving_run(&b->station.v, players.control, NULL, &b->err);
    *took = bench_since(begun);
    end = bench_players_end(&players, &seconds, rc ? NULL : &b->err);
    took->clock = seconds;
    return rc ? rc : end;
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
    static uint8_t bytes[PAGES_MAX * PAGE_SIZE];
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

    for (double i = 0; rc == 0 && i < (double)count * b->commits; i++)
        rc = commit_pages(b, b->pages);
    *took = bench_since(begun);
    return rc;
}

/* ---- Rounds. ---- */

struct counting {
    sqlite3 *db;
    int changes;
    long commits;
};

/* A group in which nothing changed writes nothing. */
static int count_commit(void *context)
{
    struct counting *c = context;
    int changes = sqlite3_total_changes(c->db);

    c->commits += changes != c->changes;
    c->changes = changes;
    return 0;
}

/* What the vault writes for the devices of the warm-up, in the database's own words. */
static int measure_transactions(struct bench *b)
{
    struct counting c = {.db = b->station.store->sql.db};
    struct bench_time ignored;
    int pages = 0, unused;
    int rc;

    c.changes = sqlite3_total_changes(c.db);
    sqlite3_db_status(c.db, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &unused, 1);
    sqlite3_commit_hook(c.db, count_commit, &c);
    rc = provision(b, WARM_UP, &ignored);
    sqlite3_commit_hook(c.db, NULL, NULL);
    sqlite3_db_status(c.db, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &unused, 0);
    if (rc)
        return rc;
    b->commits = (double)c.commits / WARM_UP;
    b->pages = pages / c.commits;
    if (b->pages < 1 || b->pages > PAGES_MAX)
        return error_set(&b->err, ERR_INTERNAL, "a transaction had %ld pages", b->pages);
    return 0;
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
        rc = bench_device_renew(&b->device, &b->err);
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
    printf("median of %ld rounds of %ld devices, %u at once, each %.2f transactions of %ld pages: "
           "%.3f of the slower of the two rates, %.3f of both in turn, %.3f by processor time\n",
           rounds, count, b->at_once, b->commits, b->pages, bench_median(slower, rounds),
           bench_median(both, rounds), bench_median(cpu, rounds));
    return 0;
}

static long number(int argc, char **argv, int at, long unsaid)
{
    return argc > at ? atol(argv[at]) : unsaid;
}

int main(int argc, char **argv)
{
    static struct bench b = {.err = ERROR_INIT};
    long count = number(argc, argv, 1, 300), rounds = number(argc, argv, 2, 5);
    long at_once = number(argc, argv, 3, 32);
    int rc;

    if (argc > 4 || count < 1 || rounds < 1 || rounds > ROUNDS_MAX || at_once < 1 ||
        at_once > BENCH_PLAYERS_MAX) {
        fprintf(stderr, "usage: bench_provision [DEVICES [ROUNDS [AT-ONCE]]]\n");
        return error_exit_status(ERR_USAGE);
    }
    b.at_once = (unsigned)at_once;
    rc = run(&b, count, rounds);
    if (rc)
        fprintf(stderr, "bench_provision: %s\n", b.err.text);
    bench_device_done(&b.device);
    store_close(b.beside);
    bench_station_done(&b.station);
    return error_exit_status(rc);
}
