/*
 * bench_hosted: requests to a hosted CA, and its certificates taken in, so many at a time.
 *
 * A round is one lot: made and written as a CSV, signed by a CA of the benchmark's own, which is not
 * measured, and taken in; then the same file once more, as after a command that was stopped. Beside the
 * first stand the PKCS#11 calls of bench_bare.h, which are as many as a request needs but for one MAC;
 * beside the others, reading the file with OpenSSL and verifying each certificate's signature. When a
 * round takes longer than the one before it, something grows with the inventory. Peak memory is that
 * of the process until then; the bare calls come last, for the module loses memory in them.
 */
#include "bench_bare.h"
#include "bench_hosted_ca.h"

#include "base/file.h"
#include "station/vault/hosted/making.h"
#include "station/vault/hosted/request_files.h"
#include "station/vault/hosted/taking.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] = "usage: bench_hosted [--count N] [--rounds N]\n"
                            "  --count N    requests of a lot; default 5000\n"
                            "  --rounds N   lots, one after the other; default 3\n";

struct bench {
    struct bench_station station;
    long count, rounds;
    char csv[PATH_MAX], pem[PATH_MAX];
    struct error err;
};

/* One side of a round. */
struct side {
    struct bench_time took;
    long peak; /* kB, of the process until then */
};

static void stop_watch(struct side *s, struct bench_time begun)
{
    s->took = bench_since(begun);
    s->peak = bench_peak_kb();
}

static void print(const struct bench *b, const char *what, const struct side *s,
                  const struct bench_time *bare)
{
    printf("  %-8s %6.0f/s with %4.0f us of processor time each, %.2f of the other's rate, %.2f by "
           "processor time; peak memory %ld kB\n",
           what, (double)b->count / s->took.clock, 1e6 * s->took.cpu / (double)b->count,
           bare->clock / s->took.clock, bare->cpu / s->took.cpu, s->peak);
    fflush(stdout);
}

/* ---- out ---- */

static int make(struct bench *b, long round, struct side *side)
{
    struct bench_time begun = bench_now();
    int64_t made, written = 0;
    char lot[32];
    int rc;

    snprintf(lot, sizeof lot, "lot-%ld", round);
    rc = making_run(&b->station.v, lot, b->count, &bench_watch, &made, &b->err);
    if (rc == 0)
        rc = request_files_write(&b->station.v, lot, REQUEST_CSV, b->csv, bench_watch.stop,
                                 &written, &b->err);
    stop_watch(side, begun);
    if (rc == 0 && written != b->count)
        rc = error_set(&b->err, ERR_INTERNAL, "requests are missing");
    return rc;
}

/* ---- in ---- */

static void on_refused(void *context, enum taking_verdict verdict, const char *place,
                       const char *serial, const char *why)
{
    (void)context;
    fprintf(stderr, "%s: %s: %s: %s\n", taking_verdict_name(verdict), place, serial, why);
}

static int take(struct bench *b, enum taking_verdict all_are, struct side *side)
{
    const struct taking_watch watch = {on_refused, bench_watch.progress, bench_watch.stop, NULL};
    struct bench_time begun = bench_now();
    struct taking_report report;
    char *paths[] = {b->pem};
    int rc = taking_run(&b->station.v, paths, 1, &watch, &report, &b->err);

    stop_watch(side, begun);
    if (rc == 0 && report.of[all_are] != b->count)
        rc = error_set(&b->err, ERR_INTERNAL, "not every certificate was %s",
                       taking_verdict_name(all_are));
    return rc;
}

/* ---- all ---- */

struct round {
    struct side out, in, again;
    struct bench_time calls, verified;
};

static int measure(struct bench *b, long number, struct round *r)
{
    int rc = hsm_recycle(b->station.hsm, &b->err);

    if (rc == 0)
        rc = make(b, number, &r->out);
    if (rc == 0)
        rc = bench_hosted_sign(&b->station, b->csv, b->pem, &b->err);
    if (rc == 0)
        rc = bench_hosted_verify(&b->station, b->pem, &r->verified, &b->err);
    if (rc == 0)
        rc = take(b, TAKING_TAKEN, &r->in);
    if (rc == 0)
        rc = take(b, TAKING_AGAIN, &r->again);
    if (rc == 0)
        rc = hsm_recycle(b->station.hsm, &b->err);
    return rc ? rc : bench_bare(&b->station, b->count, 1, &r->calls, &b->err);
}

static int round_of(struct bench *b, long number)
{
    struct round r;
    int rc;

    (void)remove(b->csv);
    rc = measure(b, number, &r);
    if (rc)
        return rc;
    printf("round %ld: %ld requests, %ld rows before\n", number, b->count, (number - 1) * b->count);
    print(b, "export", &r.out, &r.calls);
    print(b, "import", &r.in, &r.verified);
    print(b, "again", &r.again, &r.verified);
    return 0;
}

static int run(struct bench *b)
{
    int64_t made;
    int rc = bench_station_open_hosted(&b->station, &b->err);

    if (rc == 0)
        rc = file_join(b->csv, sizeof b->csv, b->station.dir, "requests.csv", &b->err);
    if (rc == 0)
        rc = file_join(b->pem, sizeof b->pem, b->station.dir, "answers.pem", &b->err);
    if (rc == 0) /* makes the storage key, which the bare calls use */
        rc = making_run(&b->station.v, "first", 1, &bench_watch, &made, &b->err);
    for (long i = 1; rc == 0 && i <= b->rounds; i++)
        rc = round_of(b, i);
    return rc;
}

static bool read_options(struct bench *b, int argc, char **argv)
{
    static const struct option options[] = {{"count", required_argument, NULL, 'c'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            b->count = atol(optarg);
        else if (option == 'r')
            b->rounds = atol(optarg);
        else
            return false;
    }
    return optind == argc && b->count > 0 && b->rounds > 0;
}

int main(int argc, char **argv)
{
    static struct bench b = {.count = 5000, .rounds = 3};
    int rc;

    if (!read_options(&b, argc, argv)) {
        fputs(usage, stderr);
        return error_exit_status(ERR_USAGE);
    }
    rc = run(&b);
    if (rc)
        fprintf(stderr, "bench_hosted: %s\n", b.err.text);
    bench_station_done(&b.station);
    return error_exit_status(rc);
}
