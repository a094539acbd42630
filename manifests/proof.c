#include "manifests/proof.h"

#include "base/codec.h"
#include "manifests/folder.h"
#include "manifests/merkle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "c2sp.org/tlog-proof@v1"

/* The record that is to be proven: found in a first pass over the lines. */
struct wanted {
    const char *serial, *product;
    struct record found; /* its product; valid when line is set */
    bool any;
    uint64_t index;  /* in the log */
    struct buf line; /* without line end */
};

/* Goes over all record lines; stop on the first failure of use(). */
static int each_line(const char *dir, const struct statement *s,
                     int (*use)(void *ctx, uint64_t index, const char *line, size_t len,
                                struct error *err),
                     void *ctx, struct error *err)
{
    struct folder_lines lines;
    const char *line;
    size_t len;
    uint64_t index = s->first;
    int rc = folder_lines_open(&lines, dir, "devices", s, err);

    while (rc == 0 && (rc = folder_lines_next(&lines, &line, &len, err)) > 0)
        rc = use(ctx, index++, line, len, err);
    folder_lines_close(&lines);
    return rc;
}

static int consider(struct wanted *w, uint64_t index, const char *line, size_t len,
                    const struct record *r, struct error *err)
{
    if (strcmp(r->sn, w->serial) || (w->product && strcmp(r->prod, w->product)))
        return 0;
    if (w->any && strcmp(r->prod, w->found.prod))
        return error_set(err, ERR_DUPLICATE,
                         "serial '%s' exists in product '%s' and in '%s': name one with --product",
                         w->serial, w->found.prod, r->prod);
    strcpy(w->found.prod, r->prod);
    w->any = true;
    w->index = index;
    buf_reset(&w->line);
    buf_put(&w->line, line, len);
    return buf_check(&w->line, "the record", err);
}

static int look_at(void *ctx, uint64_t index, const char *line, size_t len, struct error *err)
{
    struct wanted *w = ctx;
    struct record r;
    int rc;

    /* The serial stands in its line as it is, or with escapes: a cheap test before parsing. */
    if (!strpbrk(w->serial, "\"\\") && !memmem(line, len, w->serial, strlen(w->serial)))
        return 0;
    rc = record_parse(line, len, &r, err);
    if (rc)
        return error_prefix(err, "record %" PRIu64, index);
    rc = consider(w, index, line, len, &r, err);
    record_done(&r);
    return rc;
}

static int push_leaf(void *ctx, uint64_t index, const char *line, size_t len, struct error *err)
{
    struct merkle_hash leaf;

    (void)index;
    (void)err;
    merkle_leaf(line, len, &leaf);
    merkle_prover_push(ctx, &leaf);
    return 0;
}

static int check_root(const struct statement *s, const struct merkle_prover *prover,
                      struct error *err)
{
    struct merkle_hash root;

    merkle_root(&prover->tree, &root);
    if (prover->tree.size != s->size || memcmp(&root, &s->root, sizeof root))
        return error_set(err, ERR_INTEGRITY,
                         "the records do not give the root of manifest.json: verify the manifest "
                         "first");
    return 0;
}

static int write_proof(const char *dir, const struct wanted *w, const struct merkle_prover *p,
                       struct buf *out, struct error *err)
{
    struct buf note;
    int rc;

    buf_put_str(out, HEADER "\nextra ");
    base64_put(out, w->line.data, w->line.len);
    buf_printf(out, "\nindex %" PRIu64 "\n", w->index);
    for (size_t i = 0; i < p->len; i++) {
        base64_put(out, p->path[i].bytes, sizeof p->path[i].bytes);
        buf_put_u8(out, '\n');
    }
    buf_put_u8(out, '\n');
    buf_init(&note, NOTE_MAX);
    rc = folder_read(dir, MANIFEST_CHECKPOINT, &note, err);
    if (rc == 0)
        buf_put(out, note.data, note.len);
    buf_done(&note);
    return rc ? rc : buf_check(out, "the proof", err);
}

static int prove(const char *dir, const struct statement *s, struct wanted *w, struct buf *out,
                 struct error *err)
{
    struct merkle_prover prover;
    int rc = each_line(dir, s, look_at, w, err);

    if (rc == 0 && !w->any)
        rc = error_set(err, ERR_MISSING, "no record of serial '%s' in '%s'", w->serial, dir);
    if (rc)
        return rc;
    merkle_prover_init(&prover, &s->prev.tree, w->index); /* zero, the empty tree, without prev */
    rc = each_line(dir, s, push_leaf, &prover, err);
    if (rc == 0)
        rc = check_root(s, &prover, err);
    if (rc == 0 && merkle_prover_finish(&prover))
        rc = error_set(err, ERR_INTEGRITY, "'%s' changed while it was being read", dir);
    return rc ? rc : write_proof(dir, w, &prover, out, err);
}

int proof_make(const char *dir, const char *serial, const char *product, struct buf *out,
               struct error *err)
{
    struct wanted w = {.serial = serial, .product = product};
    struct statement s = {0};
    struct buf bytes;
    int rc;

    buf_init(&bytes, STATEMENT_MAX);
    buf_init(&w.line, RECORD_LINE_MAX);
    rc = folder_read(dir, MANIFEST_NAME, &bytes, err);
    if (rc == 0)
        rc = statement_parse(bytes.data, bytes.len, &s, err);
    if (rc == 0)
        rc = prove(dir, &s, &w, out, err);
    statement_done(&s);
    buf_done(&w.line);
    buf_done(&bytes);
    return rc;
}

/* A proof file in parts. */
struct parts {
    struct buf line;
    uint64_t index;
    struct merkle_hash path[MERKLE_LEVELS];
    size_t count;
    const char *note;
    size_t note_len;
};

static bool has_prefix(const char *line, size_t len, const char *prefix)
{
    return len > strlen(prefix) && memcmp(line, prefix, strlen(prefix)) == 0;
}

static int parse_parts(const char *at, size_t len, struct parts *p)
{
    const char *end = at + len, *line;
    size_t n;

    if (!note_line(&at, end, &line, &n) || n != strlen(HEADER) || memcmp(line, HEADER, n) ||
        !note_line(&at, end, &line, &n) || !has_prefix(line, n, "extra ") ||
        base64_decode(line + 6, n - 6, &p->line) || !note_line(&at, end, &line, &n) ||
        !has_prefix(line, n, "index ") || !note_number(line + 6, n - 6, &p->index))
        return ERR_FORMAT;
    for (;;) {
        if (!note_line(&at, end, &line, &n))
            return ERR_FORMAT;
        if (n == 0)
            break;
        if (p->count == MERKLE_LEVELS || !note_hash(line, n, &p->path[p->count++]))
            return ERR_FORMAT;
    }
    p->note = at;
    p->note_len = (size_t)(end - at);
    return 0;
}

static int check_parts(const struct parts *p, const struct note_key *key,
                       struct proof_report *report, struct error *err)
{
    struct merkle_hash leaf;
    size_t text_len;
    int rc = note_verify(p->note, p->note_len, key, &text_len, err);

    if (rc == 0)
        rc = checkpoint_parse(p->note, text_len, &report->checkpoint, err);
    if (rc == 0 && strcmp(report->checkpoint.origin, key->name))
        rc = error_set(err, ERR_SIGNATURE, "the checkpoint is of log '%s', the key of '%s'",
                       report->checkpoint.origin, key->name);
    if (rc)
        return rc;
    merkle_leaf(p->line.data, p->line.len, &leaf);
    if (merkle_verify_inclusion(p->index, report->checkpoint.size, &leaf, p->path, p->count,
                                &report->checkpoint.root))
        return error_set(err, ERR_INTEGRITY,
                         "the record is not number %" PRIu64 " of the log that the checkpoint "
                         "speaks for: the record, its number or the proof was changed",
                         p->index);
    report->index = p->index;
    return record_parse(p->line.data, p->line.len, &report->record, err);
}

int proof_verify(const void *bytes, size_t len, const struct note_key *key,
                 struct proof_report *report, struct error *err)
{
    struct proof_report made = {0};
    struct parts parts = {0};
    int rc = 0;

    buf_init(&parts.line, RECORD_LINE_MAX);
    if (parse_parts(bytes, len, &parts))
        rc = error_set(err, ERR_FORMAT, "this is not a C2SP tlog-proof with the record in extra");
    else
        rc = check_parts(&parts, key, &made, err);
    buf_done(&parts.line);
    if (rc == 0)
        *report = made;
    return rc;
}

void proof_report_done(struct proof_report *report)
{
    record_done(&report->record);
}
