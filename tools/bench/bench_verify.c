/*
 * bench_verify: how fast a manifest is verified, as ratios to sha256sum over the same files, and to a
 * bare loop of as many signatures with as many threads.
 *
 * usage: bench_verify DIR [ROUNDS], where manifest_sample (tests/unit) wrote "DIR/1" and the pins.
 *
 * The two sides take turns, so that what else the machine does meets both; ratios are medians of the
 * rounds.
 */
#include "base/file.h"
#include "manifests/evidence.h"
#include "manifests/verify.h"
#include "pki/ec.h"
#include "tools/bench/bench_measure.h"

#include <limits.h>
#include <openssl/ec.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS_MAX 99

static struct error err = ERROR_INIT;

static void must(int rc, const char *what)
{
    bench_must(rc, &err, what);
}

static const char *in(const char *dir, const char *name)
{
    static char paths[4][PATH_MAX];
    static int next;
    char *path = paths[next++ % 4];

    must(file_join(path, PATH_MAX, dir, name, &err), name);
    return path;
}

static double time_sha256sum(const char *dir)
{
    char command[PATH_MAX + 64];
    double from;

    snprintf(command, sizeof command, "sha256sum '%s'/1/*.jsonl >/dev/null", dir);
    from = bench_now();
    must(system(command), command);
    return bench_now() - from;
}

/* What the bare loop verifies, again and again. */
struct bare {
    uint8_t digest[SHA256_SIZE], sig[EC_SIG_DER_MAX];
    size_t sig_len;
    EVP_PKEY *key;
    uint64_t count; /* of one thread */
};

static void *verify_bare(void *ctx)
{
    const struct bare *b = ctx;
    EVP_PKEY_CTX *verifier = EVP_PKEY_CTX_new(b->key, NULL);

    if (!verifier || EVP_PKEY_verify_init(verifier) != 1)
        exit(1);
    for (uint64_t i = 0; i < b->count; i++)
        if (EVP_PKEY_verify(verifier, b->sig, b->sig_len, b->digest, sizeof b->digest) != 1)
            exit(1);
    EVP_PKEY_CTX_free(verifier);
    return NULL;
}

static void bare_init(struct bare *b)
{
    uint8_t sig[EC_SIG_SIZE];

    *b = (struct bare){.key = EVP_EC_gen("P-256")};
    sha256("message", 7, b->digest);
    must(ec_sign(b->key, "message", 7, sig, &err), "sign");
    ec_sig_to_der(sig, b->sig, &b->sig_len);
}

/* So many signatures on all processors, and nothing else. */
static double time_bare(struct bare *b, uint64_t signatures)
{
    long threads = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t thread[64];
    double from = bench_now();

    threads = threads > 64 ? 64 : threads;
    b->count = signatures / (uint64_t)threads;
    for (long i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, verify_bare, b))
            exit(1);
    for (long i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    return bench_now() - from;
}

static void each_line(const char *dir, const char *kind, const struct statement *s,
                      void (*take)(const char *line, size_t len))
{
    struct folder_lines l;
    const char *line;
    size_t len;
    int rc;

    must(folder_lines_open(&l, dir, kind, s, &err), kind);
    while ((rc = folder_lines_next(&l, &line, &len, &err)) > 0)
        take(line, len);
    must(rc, kind);
    folder_lines_close(&l);
}

static void take_record(const char *line, size_t len)
{
    struct merkle_hash leaf;
    struct record r;

    must(record_parse(line, len, &r, &err), "record");
    merkle_leaf(line, len, &leaf);
    record_done(&r);
}

static void take_evidence(const char *line, size_t len)
{
    uint8_t digest[SHA256_SIZE];
    struct evidence e;

    sha256(line, len, digest);
    must(evidence_parse(line, len, &e, &err), "evidence");
    evidence_done(&e);
}

/* All but signatures, on one core: reading, hashing, canonical form, members. */
static double time_records(const char *dir, const struct statement *s)
{
    double from = bench_now();

    each_line(dir, "devices", s, take_record);
    each_line(dir, "evidence", s, take_evidence);
    return bench_now() - from;
}

static double time_verify(const char *top, unsigned threads, bool skip_proofs)
{
    struct verify_policy policy = {
        .root = in(top, "manifest-root.pem"),
        .device_root = in(top, "device-root.pem"),
        .log_key = in(top, "log.vkey"),
        .threads = threads,
        .skip_proofs = skip_proofs,
    };
    struct verify_report *report = calloc(1, sizeof *report);
    double from = bench_now();

    must(manifest_verify(in(top, "1"), &policy, report, &err), "verify");
    free(report);
    return bench_now() - from;
}

static void print(const char *what, double seconds, uint64_t records, double base)
{
    printf("%-34s %6.2f us a record, %7.0f records/s, %5.1f x sha256sum\n", what,
           1e6 * seconds / (double)records, (double)records / seconds, seconds / base);
}

/* What one side took, in seconds by the clock and of processor time. */
struct taken {
    double clock, cpu;
};

static struct taken one_round(const char *top, struct bare *bare, uint64_t signatures,
                              bool skip_proofs, struct taken *ratio)
{
    struct taken ours, theirs;
    double from = bench_cpu();

    ours.clock = time_verify(top, 0, skip_proofs);
    ours.cpu = bench_cpu() - from;
    theirs.clock = time_bare(bare, signatures);
    theirs.cpu = bench_cpu() - from - ours.cpu;
    *ratio = (struct taken){theirs.clock / ours.clock, theirs.cpu / ours.cpu};
    return ours;
}

static int by_size(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* Both sides in turn; prints what part of the bare loop's rate verification reaches. */
static void compare(const char *what, const char *top, uint64_t records, bool skip_proofs,
                    int rounds)
{
    uint64_t signatures = skip_proofs ? records : 2 * records;
    double clock[ROUNDS_MAX], cpu[ROUNDS_MAX], ours = 0;
    struct bare bare;

    bare_init(&bare);
    for (int i = 0; i < rounds; i++) {
        struct taken ratio;

        ours += one_round(top, &bare, signatures, skip_proofs, &ratio).clock;
        clock[i] = ratio.clock;
        cpu[i] = ratio.cpu;
    }
    EVP_PKEY_free(bare.key);
    printf("%-34s %7.0f records/s; of the bare loop: %.2f by the clock, %.2f by processor time\n",
           what, rounds * (double)records / ours, median(clock, rounds), median(cpu, rounds));
}

int main(int argc, char **argv)
{
    int rounds = argc > 2 ? atoi(argv[2]) : 3;
    struct statement s;
    struct buf bytes;
    double base;

    if (argc < 2 || argc > 3 || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_verify DIR [ROUNDS]\n");
        return 2;
    }
    buf_init(&bytes, STATEMENT_MAX);
    must(folder_read(in(argv[1], "1"), MANIFEST_NAME, &bytes, &err), "read");
    must(statement_parse(bytes.data, bytes.len, &s, &err), "manifest.json");
    base = time_sha256sum(argv[1]);
    print("sha256sum", base, s.count, base);
    print("records without signatures", time_records(in(argv[1], "1"), &s), s.count, base);
    print("verify, one thread", time_verify(argv[1], 1, false), s.count, base);
    compare("verify", argv[1], s.count, false, rounds);
    compare("verify --skip-proofs", argv[1], s.count, true, rounds);
    statement_done(&s);
    buf_done(&bytes);
    return 0;
}
