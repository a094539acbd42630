/*
 * bench_batch: what a batch of millions costs beside sha256sum: to seal it, and to read it with the
 * search for what stands twice; and the memory of both.
 *
 * usage: bench_batch DIR COUNT, where manifest_sample (tests/unit) wrote "DIR/1".
 *
 * Makes COUNT records of different devices after the first one of DIR/1, with keys, numbers, chips and
 * evidence of their own, and removes them in the end: 2 kB each. Their signatures are those of the first
 * and therefore wrong: bench_verify is what measures signatures.
 */
#include "base/file.h"
#include "manifests/evidence.h"
#include "manifests/folder.h"
#include "manifests/seal.h"
#include "manifests/unique.h"
#include "tools/bench/bench_measure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct error err = ERROR_INIT;

/* A record and its evidence that all others are made after. */
struct model {
    struct record record;
    struct evidence evidence;
    uint8_t cert[RECORD_CERT_MAX], spki[RECORD_CERT_MAX];
    size_t key_at, number_at; /* in cert: 64 bytes of a point, 8 of a number */
};

struct batch {
    char sample[PATH_MAX], dir[PATH_MAX];
    uint64_t count;
    struct model model;
    struct statement s; /* of dir, after sealing */
};

static void must(int rc, const char *what)
{
    bench_must(rc, &err, what);
}

static void read_statement(const char *dir, struct statement *s)
{
    struct buf bytes;

    buf_init(&bytes, STATEMENT_MAX);
    must(folder_read(dir, MANIFEST_NAME, &bytes, &err), "read");
    must(statement_parse(bytes.data, bytes.len, s, &err), MANIFEST_NAME);
    buf_done(&bytes);
}

static void first_line(const char *dir, const char *kind, const struct statement *s,
                       int (*parse)(const void *line, size_t len, void *out), void *out)
{
    struct folder_lines l;
    const char *line;
    size_t len;

    must(folder_lines_open(&l, dir, kind, s, &err), kind);
    if (folder_lines_next(&l, &line, &len, &err) != 1 || parse(line, len, out)) {
        fprintf(stderr, "bench_batch: no first line of '%s': %s\n", kind, err.text);
        exit(1);
    }
    folder_lines_close(&l);
}

static int parse_record(const void *line, size_t len, void *out)
{
    return record_parse(line, len, out, &err);
}

static int parse_evidence(const void *line, size_t len, void *out)
{
    return evidence_parse(line, len, out, &err);
}

static void load_model(struct batch *b)
{
    struct model *m = &b->model;
    struct statement s;
    struct cert cert;

    read_statement(b->sample, &s);
    first_line(b->sample, "devices", &s, parse_record, &m->record);
    first_line(b->sample, "evidence", &s, parse_evidence, &m->evidence);
    memcpy(m->cert, m->record.cert.p, m->record.cert.len);
    memcpy(m->spki, m->record.spki.p, m->record.spki.len);
    if (cert_parse(m->cert, m->record.cert.len, &cert) || cert.serial.len < 8) {
        fprintf(stderr, "bench_batch: the certificate of the sample has no number of 8 bytes\n");
        exit(1);
    }
    m->key_at = (size_t)(cert.spki.p - m->cert) + cert.spki.len - 64;
    m->number_at = (size_t)(cert.serial.p - m->cert) + cert.serial.len - 8;
    m->record.cert.p = m->cert;
    m->record.spki.p = m->spki;
    statement_done(&s);
}

/* Device number i: all that must not stand twice is a hash of the number. */
static void become(struct model *m, uint64_t i)
{
    uint8_t point[64];

    sha256(&i, sizeof i, point);
    sha256(point, SHA256_SIZE, point + SHA256_SIZE);
    memcpy(m->cert + m->key_at, point, sizeof point);
    memcpy(m->spki + m->record.spki.len - sizeof point, point, sizeof point);
    memcpy(m->cert + m->number_at, point, 8);
    memcpy(m->record.tx, point, sizeof m->record.tx);
    memcpy(m->evidence.tx, point, sizeof m->evidence.tx);
    memcpy(m->evidence.nonce, point, sizeof m->evidence.nonce);
    memcpy(m->record.chip, point, m->record.chip_len);
    snprintf(m->record.sn, sizeof m->record.sn, "B-%010" PRIu64, i);
}

static void seal_all(void *ctx)
{
    struct batch *b = ctx;
    struct buf line, evidence, bytes, none;
    struct seal_result result;
    struct seal *seal;

    buf_init(&line, RECORD_LINE_MAX);
    buf_init(&evidence, RECORD_LINE_MAX);
    must(seal_open(b->dir, "factory.example/wl/bench", NULL, &seal, &err), "seal");
    for (uint64_t i = 0; i < b->count; i++) {
        become(&b->model, i);
        buf_reset(&line);
        buf_reset(&evidence);
        must(evidence_write(&b->model.evidence, &evidence, &err), "evidence");
        sha256(evidence.data, evidence.len, b->model.record.ev);
        must(record_write(&b->model.record, &line, &err), "record");
        must(seal_add(seal, line.data, line.len, evidence.data, evidence.len, &err), "seal");
    }
    must(seal_close(seal, &result, &err), "seal");
    must(seal_put_file(b->dir, MANIFEST_CHECKPOINT, "", 0, &result, &err), "seal");
    seal_statement(&result, NULL, &b->s);
    strcpy(b->s.station, "bench");
    strcpy(b->s.environment, "test");
    strcpy(b->s.customer, "bench");
    buf_init(&bytes, STATEMENT_MAX);
    buf_init(&none, 16);
    must(statement_write(&b->s, &bytes, &err), MANIFEST_NAME);
    must(seal_finish(b->dir, &bytes, &none, &err), "seal");
}

static void run_sha256sum(void *ctx)
{
    const struct batch *b = ctx;
    char command[PATH_MAX + 64];

    snprintf(command, sizeof command, "sha256sum '%s'/*.jsonl >/dev/null", b->dir);
    if (system(command))
        exit(1);
}

static void read_records(struct batch *b, struct unique *u)
{
    struct merkle_hash leaf;
    struct folder_lines l;
    struct record r;
    struct cert cert;
    const char *line;
    size_t len;
    int rc;

    must(folder_lines_open(&l, b->dir, "devices", &b->s, &err), "devices");
    while ((rc = folder_lines_next(&l, &line, &len, &err)) > 0) {
        must(record_parse(line, len, &r, &err), "record");
        merkle_leaf(line, len, &leaf);
        must(cert_parse(r.cert.p, r.cert.len, &cert), "certificate");
        must(unique_add(u, &r, &cert, &err), "unique");
        record_done(&r);
    }
    must(rc, "devices");
    folder_lines_close(&l);
}

static void read_evidence(struct batch *b)
{
    uint8_t digest[SHA256_SIZE];
    struct folder_lines l;
    struct evidence e;
    const char *line;
    size_t len;
    int rc;

    must(folder_lines_open(&l, b->dir, "evidence", &b->s, &err), "evidence");
    while ((rc = folder_lines_next(&l, &line, &len, &err)) > 0) {
        sha256(line, len, digest);
        must(evidence_parse(line, len, &e, &err), "evidence");
        evidence_done(&e);
    }
    must(rc, "evidence");
    folder_lines_close(&l);
}

/* All but signatures, on one core. */
static void read_all(void *ctx)
{
    struct batch *b = ctx;
    struct unique *u = unique_new(0);

    read_statement(b->dir, &b->s);
    read_records(b, u);
    read_evidence(b);
    must(unique_check(u, &err), "unique");
    unique_free(u);
}

static void print(const char *what, const struct bench_part *p, const struct batch *b,
                  const struct bench_part *base)
{
    printf("%-28s %7.1f s, %6.2f us of processor time a record, peak %5.1f MB", what, p->seconds,
           1e6 * p->cpu / (double)b->count, p->peak);
    if (base)
        printf(", %.2f of sha256sum", p->cpu / base->cpu);
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct batch b;
    struct bench_part sum, part;

    if (argc != 3 || (b.count = strtoull(argv[2], NULL, 10)) == 0) {
        fprintf(stderr, "usage: bench_batch DIR COUNT\n");
        return 2;
    }
    must(file_join(b.sample, sizeof b.sample, argv[1], "1", &err), argv[1]);
    must(file_join(b.dir, sizeof b.dir, argv[1], "batch", &err), argv[1]);
    load_model(&b);
    must(file_remove_tree(b.dir, &err), b.dir);
    must(file_make_dir(b.dir, 0755, &err), b.dir);
    part = bench_run(seal_all, &b);
    sum = bench_run(run_sha256sum, &b);
    print("make and seal", &part, &b, &sum);
    print("sha256sum", &sum, &b, NULL);
    part = bench_run(read_all, &b);
    print("records, with duplicates", &part, &b, &sum);
    must(file_remove_tree(b.dir, &err), b.dir);
    return 0;
}
