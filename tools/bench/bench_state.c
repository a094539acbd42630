/*
 * bench_state: how fast an accepted state of millions answers, and what it costs to decide about many
 * devices and to make a revocation list of it.
 *
 * usage: bench_state PROGRAM DIR ROWS REVOKED
 *
 * PROGRAM is imprint-manifest; manifest_sample (tests/unit) wrote pins and "DIR/1". Accepts that,
 * multiplies its first row to ROWS with sqlite3, REVOKED of them revoked, and asks. The state stays as
 * "DIR/state"; one that is there is used again.
 */
#include "base/file.h"
#include "manifests/trust/whitelist_check.h"
#include "pki/cert.h"
#include "pki/crl.h"
#include "tools/bench/bench_measure.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUPS 100000
#define LISTED  10000

static const char *program, *dir;
static uint64_t rows, revoked;

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char command[8192];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command)) {
        fprintf(stderr, "bench_state: failed: %s\n", command);
        exit(1);
    }
}

/* The indexes of a table are made after its rows: in the other order it takes hours. */
static void fill(void)
{
    shell("'%s' accept --state '%s/state' --root '%s/manifest-root.pem' --device-root "
          "'%s/device-root.pem' --log-key '%s/log.vkey' '%s/1' >/dev/null",
          program, dir, dir, dir, dir, dir);
    shell("cd '%s' && sqlite3 state \"SELECT sql || ';' FROM sqlite_schema WHERE type = 'index' AND"
          " name LIKE 'identities_%%'\" >indexes.sql && sqlite3 state \"SELECT 'DROP INDEX ' ||"
          " name || ';' FROM sqlite_schema WHERE type = 'index' AND name LIKE 'identities_%%'\""
          " >drop.sql && sqlite3 state <drop.sql",
          dir);
    shell(
        "cd '%s' && sqlite3 state \"PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;"
        " CREATE TEMP TABLE one AS SELECT * FROM identities LIMIT 1;"
        " UPDATE one SET ended = 0, state = 1;"
        " WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < %" PRIu64 ")"
        " INSERT INTO identities (id, ended, state, reason, type, product, serial, chip, key, cert,"
        " issuer, number, order_id, auth, plain, use, ts, changed, revoked)"
        " SELECT id + 1000 + i, iif(i %% %" PRIu64 ", 0, id + 1000 + i), iif(i %% %" PRIu64
        ", 1, 3), 0, type, product, printf('B-%%010d', i), randomblob(12), randomblob(32),"
        " randomblob(32), issuer, x'01' || randomblob(16), order_id, auth, plain, use, ts,"
        " changed, 0 FROM n, one\"",
        dir, rows, rows / revoked, rows / revoked);
    shell("cd '%s' && (echo 'PRAGMA synchronous=OFF;'; cat indexes.sql) | sqlite3 state", dir);
}

static void serial_of(char out[32])
{
    snprintf(out, 32, "B-%010" PRIu64, (uint64_t)random() % rows + 1);
}

static void look_up(void *ctx)
{
    char state[PATH_MAX], why[512], serial[32];
    struct whitelist *w;

    (void)ctx;
    snprintf(state, sizeof state, "%s/state", dir);
    w = whitelist_open(state, why, sizeof why);
    if (!w) {
        fprintf(stderr, "bench_state: %s\n", why);
        exit(1);
    }
    for (int i = 0; i < LOOKUPS; i++) {
        serial_of(serial);
        if (whitelist_check_serial(w, serial, NULL) > WHITELIST_REPLACED)
            exit(1);
    }
    whitelist_close(w);
}

/* What the station writes: as many entries, through the writer of its own list. */
static void write_direct_list(void *ctx)
{
    struct error err = ERROR_INIT;
    struct crl_head head = {.number = 1, .made = 1795000000, .next = 1796000000};
    char path[PATH_MAX];
    FILE *in;
    EVP_PKEY *key;
    struct ca_signer signer;
    struct crl *crl;

    (void)ctx;
    snprintf(path, sizeof path, "%s/crl.key", dir);
    in = fopen(path, "r");
    key = in ? PEM_read_PrivateKey(in, NULL, NULL, NULL) : NULL;
    snprintf(path, sizeof path, "%s/crl.pem", dir);
    bench_must(cert_read(path, &head.issuer, &err), &err, path);
    snprintf(path, sizeof path, "%s/direct.crl", dir);
    bench_must(crl_open(path, &crl, &err), &err, path);
    for (uint64_t i = 1; i <= revoked; i++) {
        uint8_t number[17] = {1};
        struct crl_entry entry = {number, sizeof number, head.made, 1};

        memcpy(number + 1, &i, sizeof i);
        bench_must(crl_add(crl, &entry, &err), &err, path);
    }
    bench_must(ca_signer_of(key, &signer, &err), &err, path);
    bench_must(crl_finish(crl, &head, &signer, &err), &err, path);
    EVP_PKEY_free(key);
    X509_free(head.issuer);
    fclose(in);
}

/* The serials that commands are given, none of them twice. */
static void write_list(void)
{
    char path[PATH_MAX];
    FILE *out;

    snprintf(path, sizeof path, "%s/list", dir);
    out = fopen(path, "w");
    for (uint64_t i = 0; out && i < LISTED; i++)
        fprintf(out, "B-%010" PRIu64 "\n", i * (rows / LISTED) + 1);
    if (!out || fclose(out)) {
        fprintf(stderr, "bench_state: cannot write '%s': %s\n", path, strerror(errno));
        exit(1);
    }
}

static void run_command(void *ctx)
{
    /* release ends with a status of its own when something must not be released. */
    shell("'%s' %s >'%s/out' 2>&1 || [ $? -eq 21 ]", program, (const char *)ctx, dir);
}

static void measure(const char *what, const char *format)
{
    char command[4096];
    struct bench_part p;

    snprintf(command, sizeof command, format, dir, dir, dir, dir);
    p = bench_run(run_command, command);
    printf("%-34s %8.3f s, peak %6.1f MB\n", what, p.seconds, p.peak);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char state[PATH_MAX];
    struct bench_part p;

    if (argc != 5 || (rows = strtoull(argv[3], NULL, 10)) < LISTED ||
        (revoked = strtoull(argv[4], NULL, 10)) == 0 || revoked > rows) {
        fprintf(stderr, "usage: bench_state PROGRAM DIR ROWS REVOKED (at least %d rows)\n", LISTED);
        return 2;
    }
    program = argv[1];
    dir = argv[2];
    snprintf(state, sizeof state, "%s/state", dir);
    if (!file_exists(state))
        fill();
    write_list();
    p = bench_run(look_up, NULL);
    printf("%-34s %8.1f us each, peak %6.1f MB\n", "look up a serial, anywhere",
           1e6 * p.seconds / LOOKUPS, p.peak);
    measure("release --list, 10,000 serials", "release --state '%s/state' --list '%s/list'");
    measure("hold --list, 10,000 serials", "hold --state '%s/state' --why bench --list '%s/list'");
    measure("hold --lift --list, 10,000 serials",
            "hold --lift --state '%s/state' --why bench --list '%s/list'");
    measure("crl of all that is revoked",
            "crl --state '%s/state' --key '%s/crl.key' --cert '%s/crl.pem' -o '%s/crl.out'");
    p = bench_run(write_direct_list, NULL);
    printf("%-34s %8.3f s, peak %6.1f MB\n", "the writer of the station's list", p.seconds, p.peak);
    measure("export, CSV", "export --state '%s/state' -o '%s/export.csv'");
    return 0;
}
