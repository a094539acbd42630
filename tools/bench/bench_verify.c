/*
 * bench_verify: how fast a manifest is verified, as ratios to sha256sum over the same files and to
 * what openssl speed says of a signature.
 *
 * usage: bench_verify DIR, where manifest_sample (tests/unit) wrote "DIR/1" and the pins.
 */
#include "base/file.h"
#include "manifests/evidence.h"
#include "manifests/verify.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct error err = ERROR_INIT;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "bench_verify: %s: %s\n", what, err.text);
    exit(1);
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
    from = now();
    must(system(command), command);
    return now() - from;
}

/* Verifications a second of one core. */
static double openssl_speed(void)
{
    FILE *out = popen("openssl speed -seconds 2 ecdsap256 2>/dev/null", "r");
    char line[256], *last;
    double rate = 0;

    while (out && fgets(line, sizeof line, out))
        if ((last = strrchr(line, ' ')))
            rate = strtod(last, NULL);
    if (out)
        pclose(out);
    return rate;
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
    double from = now();

    each_line(dir, "devices", s, take_record);
    each_line(dir, "evidence", s, take_evidence);
    return now() - from;
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
    double from = now();

    must(manifest_verify(in(top, "1"), &policy, report, &err), "verify");
    free(report);
    return now() - from;
}

static void print(const char *what, double seconds, uint64_t records, double base)
{
    printf("%-34s %6.2f us a record, %7.0f records/s, %5.1f x sha256sum\n", what,
           1e6 * seconds / (double)records, (double)records / seconds, seconds / base);
}

int main(int argc, char **argv)
{
    struct statement s;
    struct buf bytes;
    double base, speed, all;

    if (argc != 2) {
        fprintf(stderr, "usage: bench_verify DIR\n");
        return 2;
    }
    buf_init(&bytes, STATEMENT_MAX);
    must(folder_read(in(argv[1], "1"), MANIFEST_NAME, &bytes, &err), "read");
    must(statement_parse(bytes.data, bytes.len, &s, &err), "manifest.json");
    base = time_sha256sum(argv[1]);
    print("sha256sum", base, s.count, base);
    print("records without signatures", time_records(in(argv[1], "1"), &s), s.count, base);
    print("verify, one thread", time_verify(argv[1], 1, false), s.count, base);
    all = time_verify(argv[1], 0, false);
    print("verify, all processors", all, s.count, base);
    print("verify --skip-proofs", time_verify(argv[1], 0, true), s.count, base);
    speed = openssl_speed();
    printf("openssl speed: %.0f verifications/s on one core; verify does %.0f in all, %.2f x\n",
           speed, 2 * (double)s.count / all, 2 * (double)s.count / all / speed);
    statement_done(&s);
    buf_done(&bytes);
    return 0;
}
