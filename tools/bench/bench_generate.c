/*
 * bench_generate: how many credentials a second a station makes, beside the token alone.
 *
 * One side is what `imprint generate` does, into a real database with synchronous=FULL, anchored,
 * in a fresh station. The other is the bare loop of bench_bare.h on the same token with as many
 * threads. Rounds alternate, because machines change their speed; the median of their ratios is the
 * result, the absolute numbers are the machine's. Before each side the module is initialised anew;
 * what the station's own recycling costs in between counts. The ratio by processor time, where the
 * thread that writes the database is included, is what is left when no processor is idle.
 */
#include "bench_bare.h"
#include "bench_claim.h"

#include "station/vault/generate.h"
#include "station/vault/issue.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS_MAX 99
#define CLAIMS     300

static const char usage[] =
    "usage: bench_generate [--count N] [--rounds N] [--threads N] [--rows N]\n"
    "  --count N    credentials of a round on each side; default 40000\n"
    "  --rounds N   5 to 99; default 5\n"
    "  --threads N  that use the HSM, 1 to 16; default 1\n"
    "  --rows N     credentials that are in the inventory before; default 0\n";

struct bench {
    struct bench_station station;
    long count, rounds, threads, rows;
    struct error err;
};

static int generate(struct bench *b, long count, struct bench_time *took)
{
    struct bench_time begun = bench_now();
    int64_t made;
    int rc = generate_credentials(&b->station.v, count, (unsigned)b->threads, &bench_watch, &made,
                                  &b->err);

    *took = bench_since(begun);
    return rc;
}

static int round_of(struct bench *b, struct bench_time *station, struct bench_time *bare)
{
    int rc = hsm_recycle(b->station.hsm, &b->err);

    if (rc == 0)
        rc = generate(b, b->count, station);
    if (rc == 0)
        rc = hsm_recycle(b->station.hsm, &b->err);
    if (rc == 0)
        rc = bench_bare(&b->station, b->count, (unsigned)b->threads, bare, &b->err);
    return rc;
}

static int rounds(struct bench *b)
{
    double ratio[ROUNDS_MAX], cpu[ROUNDS_MAX], rate[ROUNDS_MAX];
    int rc = 0;

    for (long i = 0; rc == 0 && i < b->rounds; i++) {
        struct bench_time station, bare;

        rc = round_of(b, &station, &bare);
        if (rc)
            return rc;
        rate[i] = (double)b->count / station.clock;
        ratio[i] = bare.clock / station.clock;
        cpu[i] = bare.cpu / station.cpu;
        printf("round %ld: station %.0f/s with %.0f us of processor time each, bare PKCS#11 %.0f/s "
               "with %.0f us\n",
               i + 1, rate[i], 1e6 * station.cpu / (double)b->count, (double)b->count / bare.clock,
               1e6 * bare.cpu / (double)b->count);
        fflush(stdout);
    }
    printf("median of %ld rounds of %ld, %ld threads, %ld rows before: station %.0f/s, %.3f of the "
           "bare rate, %.3f by processor time; peak memory of both %ld kB\n",
           b->rounds, b->count, b->threads, b->rows, bench_median(rate, b->rounds),
           bench_median(ratio, b->rounds), bench_median(cpu, b->rounds), bench_peak_kb());
    return rc;
}

/* What a start does with the inventory, and claims of the rows that were generated. */
static int start_and_claim(struct bench *b)
{
    struct bench_station *s = &b->station;
    struct bench_time begun, took;
    int rc;

    vault_done(&s->v);
    begun = bench_now();
    rc = vault_init(&s->v, &s->config, &s->job, s->store, s->hsm, &b->err);
    took = bench_since(begun);
    printf("start: %.3f s, %.3f s of processor time\n", took.clock, took.cpu);
    if (rc == 0)
        rc = bench_claim(s, CLAIMS, &took, &b->err);
    printf("claims: %.0f/s with %.0f us of processor time each\n", CLAIMS / took.clock,
           1e6 * took.cpu / CLAIMS);
    fflush(stdout);
    return rc;
}

static int run(struct bench *b)
{
    struct bench_time ignored;
    int rc = bench_station_open(&b->station, &b->err);

    if (rc == 0)
        rc = generate(b, CLAIMS, &ignored); /* makes the storage key, too */
    if (rc == 0 && b->rows)
        rc = bench_station_fill(&b->station, b->rows, &b->err);
    if (rc == 0)
        rc = start_and_claim(b);
    return rc ? rc : rounds(b);
}

static bool read_options(struct bench *b, int argc, char **argv)
{
    static const struct option options[] = {{"count", required_argument, NULL, 'c'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"rows", required_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        long value = optarg ? atol(optarg) : 0;

        switch (option) {
        case 'c':
            b->count = value;
            break;
        case 'r':
            b->rounds = value;
            break;
        case 't':
            b->threads = value;
            break;
        case 'n':
            b->rows = value;
            break;
        default:
            return false;
        }
    }
    return optind == argc && b->count > 0 && b->rounds >= 5 && b->rounds <= ROUNDS_MAX &&
           b->threads > 0 && b->threads <= ISSUE_THREADS_MAX && b->rows >= 0;
}

int main(int argc, char **argv)
{
    static struct bench b = {.count = 40000, .rounds = 5, .threads = 1};
    int rc;

    if (!read_options(&b, argc, argv)) {
        fputs(usage, stderr);
        return error_exit_status(ERR_USAGE);
    }
    rc = run(&b);
    if (rc)
        fprintf(stderr, "bench_generate: %s\n", b.err.text);
    bench_station_done(&b.station);
    return error_exit_status(rc);
}
