#include "manifests/ledger_export.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "manifests/canon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STATEMENT_FILE_MAX 65536
#define HASH_TEXT          (2 * SHA256_SIZE)

/* What stands in a line around a body and around a hash. */
static const char before_body[] = "{\"body\":", before_hash[] = ",\"hash\":\"",
                  after_hash[] = "\"}";

#define AROUND          (sizeof before_body + sizeof before_hash + sizeof after_hash - 3 + HASH_TEXT)
#define EXPORT_LINE_MAX (LEDGER_BODY_MAX + AROUND + 2) /* with its line end and NUL */

/* ---- the statement ---- */

int ledger_statement_write(const struct ledger_statement *s, struct buf *out, struct error *err)
{
    char created[CLOCK_TEXT_SIZE];
    struct jcs j;

    clock_text(s->created, created);
    jcs_init(&j, out);
    jcs_object(&j, NULL);
    jcs_int(&j, "count", (int64_t)s->count);
    jcs_str(&j, "created", created);
    jcs_hex(&j, "entries_sha256", s->entries, sizeof s->entries);
    jcs_str(&j, "environment", s->environment);
    jcs_int(&j, "first", (int64_t)s->first);
    jcs_str(&j, "format", LEDGER_EXPORT_FORMAT);
    jcs_hex(&j, "head", s->head, sizeof s->head);
    jcs_int(&j, "last", (int64_t)s->last);
    jcs_str(&j, "origin", s->origin);
    jcs_hex(&j, "prev", s->prev, sizeof s->prev);
    jcs_str(&j, "station", s->station);
    jcs_end(&j);
    buf_put_u8(out, '\n');
    if (buf_failed(out))
        return error_set(err, ERR_INPUT,
                         "the ledger's statement has a text that is not printable ASCII, or a "
                         "number that is too large");
    return 0;
}

static void read_members(struct canon *c, struct ledger_statement *s)
{
    char format[64] = "";

    canon_text(c, "format", format, sizeof format);
    if (c->rc == 0 && strcmp(format, LEDGER_EXPORT_FORMAT))
        canon_fail(c, "%s has the format '%s', and this program knows '%s'", c->what, format,
                   LEDGER_EXPORT_FORMAT);
    canon_u64(c, "count", &s->count);
    canon_time(c, "created", &s->created);
    canon_hex(c, "entries_sha256", s->entries, sizeof s->entries);
    canon_text(c, "environment", s->environment, sizeof s->environment);
    canon_u64(c, "first", &s->first);
    canon_hex(c, "head", s->head, sizeof s->head);
    canon_u64(c, "last", &s->last);
    canon_text(c, "origin", s->origin, sizeof s->origin);
    canon_hex(c, "prev", s->prev, sizeof s->prev);
    canon_text(c, "station", s->station, sizeof s->station);
}

static int check_numbers(const struct ledger_statement *s, struct error *err)
{
    static const uint8_t nothing[SHA256_SIZE];

    if (s->first == 0 || s->last < s->first || s->count == 0 || s->count > s->last - s->first + 1 ||
        (s->first == 1) != (memcmp(s->prev, nothing, sizeof nothing) == 0))
        return error_set(err, ERR_INCOMPLETE,
                         "'" LEDGER_EXPORT_STATEMENT "': first, last, count and prev do not fit");
    return 0;
}

static int parse_statement(const struct buf *bytes, struct ledger_statement *s, struct error *err)
{
    struct buf again;
    struct canon c;
    int rc = canon_open(&c, bytes->data, bytes->len, "'" LEDGER_EXPORT_STATEMENT "'", err);

    if (rc == 0) {
        read_members(&c, s);
        rc = canon_end(&c);
    }
    canon_close(&c);
    if (rc)
        return rc;
    buf_init(&again, STATEMENT_FILE_MAX);
    rc = ledger_statement_write(s, &again, err);
    if (rc == 0)
        rc = canon_same(&again, bytes->data, bytes->len,
                        "'" LEDGER_EXPORT_STATEMENT "' is not canonical JSON", err);
    buf_done(&again);
    return rc ? rc : check_numbers(s, err);
}

static int read_statement(const char *dir, X509 *root, int64_t at, struct ledger_statement *s,
                          struct cms_signer *who, struct error *err)
{
    struct buf bytes;
    int rc;

    buf_init(&bytes, STATEMENT_FILE_MAX);
    rc = folder_read_signed(dir, LEDGER_EXPORT_STATEMENT, root, at, &bytes, who, err);
    if (rc == 0)
        rc = parse_statement(&bytes, s, err);
    buf_done(&bytes);
    return rc;
}

/* ---- the entries, written ---- */

int ledger_writer_open(struct ledger_writer *w, const char *dir, struct error *err)
{
    int rc;

    w->digest = sha256_new();
    w->out = NULL;
    buf_init(&w->line, EXPORT_LINE_MAX);
    rc = file_join(w->path, sizeof w->path, dir, LEDGER_EXPORT_ENTRIES, err);
    if (rc)
        return rc;
    w->out = fopen(w->path, "wxe");
    return w->out ? 0 : error_set_errno(err, errno, "cannot create '%s'", w->path);
}

int ledger_writer_add(struct ledger_writer *w, const void *body, size_t len,
                      const uint8_t hash[SHA256_SIZE], struct error *err)
{
    char hex[HASH_TEXT + 1];
    int rc;

    hex_encode(hash, SHA256_SIZE, hex);
    buf_reset(&w->line);
    buf_put_str(&w->line, before_body);
    buf_put(&w->line, body, len);
    buf_printf(&w->line, "%s%s%s\n", before_hash, hex, after_hash);
    rc = buf_check(&w->line, "a line of the export", err);
    if (rc)
        return rc;
    sha256_update(w->digest, w->line.data, w->line.len);
    if (fwrite(w->line.data, 1, w->line.len, w->out) != w->line.len)
        return error_set_errno(err, errno, "cannot write '%s'", w->path);
    return 0;
}

int ledger_writer_close(struct ledger_writer *w, uint8_t sha256[SHA256_SIZE], struct error *err)
{
    int rc = w->out ? file_close(w->out, w->path, err) : 0;

    sha256_final(w->digest, sha256);
    buf_done(&w->line);
    return rc;
}

/* ---- the entries, verified ---- */

struct reading {
    const struct ledger_policy *policy;
    const struct ledger_statement *s;
    FILE *in;
    char *line;
    struct sha256 *digest;
    uint64_t next;             /* number of the entry that must come */
    uint64_t number;           /* of the line, from 1 */
    uint8_t hash[SHA256_SIZE]; /* of the entry before */
};

static int bad_line(const struct reading *r, int code, const char *what, struct error *err)
{
    return error_set(err, code, "'" LEDGER_EXPORT_ENTRIES "' line %" PRIu64 " %s", r->number, what);
}

/* What a verifier needs of an entry. */
struct entry {
    uint64_t seq;
    bool restored;     /* it follows a restore, so that numbers before it may be missing */
    uint64_t anchored; /* then: the last number before it */
};

static void read_data(struct canon *c, struct entry *e)
{
    struct canon data;
    struct buf rest;

    buf_init(&rest, LEDGER_BODY_MAX);
    if (e->restored) {
        canon_enter(c, "data", &data);
        canon_u64(&data, "anchored", &e->anchored);
        canon_leave(c, &data);
    } else {
        canon_raw(c, "data", &rest);
    }
    buf_done(&rest);
}

/* Who signed for it, when, and what that means. */
static void read_signature(struct canon *c)
{
    char meaning[128], name[128], role[32];
    struct canon signature;
    uint64_t person;
    int64_t at;

    if (!canon_has(c, "signature"))
        return;
    canon_enter(c, "signature", &signature);
    canon_time(&signature, "at", &at);
    canon_text(&signature, "meaning", meaning, sizeof meaning);
    canon_text(&signature, "name", name, sizeof name);
    canon_u64(&signature, "person", &person);
    canon_text(&signature, "role", role, sizeof role);
    canon_leave(c, &signature);
}

/* The members that an entry has, whatever its data is. */
static int read_body(const char *body, size_t len, struct entry *e, struct error *err)
{
    char event[64] = "", operator[128], why[512], by[256];
    struct canon c;
    struct buf counter;
    int64_t at;
    int rc = canon_open(&c, body, len, "an entry", err);

    canon_time(&c, "at", &at);
    canon_text(&c, "by", by, sizeof by);
    buf_init(&counter, LEDGER_BODY_MAX);
    if (canon_has(&c, "counter"))
        canon_raw(&c, "counter", &counter);
    buf_done(&counter);
    canon_text(&c, "event", event, sizeof event);
    e->restored = strcmp(event, "restored") == 0;
    read_data(&c, e);
    if (canon_has(&c, "operator"))
        canon_text(&c, "operator", operator, sizeof operator);
    canon_u64(&c, "seq", &e->seq);
    read_signature(&c);
    if (canon_has(&c, "why"))
        canon_text(&c, "why", why, sizeof why);
    rc = canon_end(&c);
    canon_close(&c);
    return rc;
}

/* The very next, or, once entries were lost with a database, the one that says so. */
static bool may_come(const struct reading *r, const struct entry *e)
{
    bool first = r->number == 1;

    return e->seq == r->next ||
           (!first && e->seq > r->next && e->restored && e->anchored == e->seq - 1);
}

/* Where two programs read different things out of the same bytes, one of them can be fooled. */
static int check_canonical(const struct reading *r, const char *body, size_t len, struct error *err)
{
    json_t *value = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    struct buf again;
    struct jcs j;
    int rc = 0;

    buf_init(&again, LEDGER_BODY_MAX);
    jcs_init(&j, &again);
    if (value)
        canon_write(&j, NULL, value);
    if (!value || buf_failed(&again) || again.len != len || memcmp(again.data, body, len))
        rc = bad_line(r, ERR_FORMAT, "does not hold a body in canonical JSON", err);
    json_decref(value);
    buf_done(&again);
    return rc;
}

static int check_chain(struct reading *r, const char *body, size_t len, const char *hex,
                       struct error *err)
{
    uint8_t said[SHA256_SIZE];
    char text[HASH_TEXT + 1];

    memcpy(text, hex, HASH_TEXT);
    text[HASH_TEXT] = 0;
    if (hex_decode(text, said, sizeof said))
        return bad_line(r, ERR_FORMAT, "has no hash", err);
    ledger_hash(r->hash, body, len, r->hash);
    if (!sha256_equal(r->hash, said))
        return bad_line(r, ERR_INTEGRITY,
                        "was changed: its hash is not that of its body and the entry before", err);
    return 0;
}

static int check_line(struct reading *r, size_t len, struct error *err)
{
    const size_t head = sizeof before_body - 1;
    const char *body = r->line + head, *end;
    struct entry entry = {.seq = 0};
    int rc;

    if (len < AROUND || memcmp(r->line, before_body, head))
        return bad_line(r, ERR_FORMAT, "is not a body and its hash", err);
    len -= AROUND;
    end = body + len;
    if (memcmp(end, before_hash, sizeof before_hash - 1) ||
        strcmp(end + sizeof before_hash - 1 + HASH_TEXT, after_hash))
        return bad_line(r, ERR_FORMAT, "is not a body and its hash", err);
    rc = check_canonical(r, body, len, err);
    if (rc == 0 && read_body(body, len, &entry, err))
        rc = error_prefix(err, "'" LEDGER_EXPORT_ENTRIES "' line %" PRIu64, r->number);
    if (rc == 0 && !may_come(r, &entry))
        rc = error_set(err, ERR_INCOMPLETE,
                       "'" LEDGER_EXPORT_ENTRIES "' line %" PRIu64 " is entry %" PRIu64
                       " and entry %" PRIu64 " must come: one is missing, repeated or moved",
                       r->number, entry.seq, r->next);
    if (rc == 0)
        rc = check_chain(r, body, len, end + sizeof before_hash - 1, err);
    r->next = entry.seq + 1;
    return rc;
}

static int check_lines(struct reading *r, struct error *err)
{
    int rc = 0;

    while (rc == 0 && fgets(r->line, EXPORT_LINE_MAX, r->in)) {
        size_t len = strlen(r->line);

        r->number++;
        sha256_update(r->digest, r->line, len);
        if (len == 0 || r->line[len - 1] != '\n')
            return bad_line(r, ERR_INCOMPLETE, "is cut or too long", err);
        r->line[len - 1] = 0;
        rc = check_line(r, len - 1, err);
        if (r->policy->progress.report)
            r->policy->progress.report(r->policy->progress.ctx, "entries", r->number, r->s->count);
    }
    if (rc == 0 && ferror(r->in))
        rc = error_set_errno(err, errno, "cannot read '" LEDGER_EXPORT_ENTRIES "'");
    return rc;
}

/* The chain says that nothing is missing in between; the statement says where it ends. */
static int check_end(const struct reading *r, const uint8_t digest[SHA256_SIZE], struct error *err)
{
    if (r->number != r->s->count)
        return error_set(err, ERR_INCOMPLETE,
                         "'" LEDGER_EXPORT_ENTRIES "' has %" PRIu64
                         " entries and the statement says %" PRIu64,
                         r->number, r->s->count);
    if (!sha256_equal(r->hash, r->s->head) || !sha256_equal(digest, r->s->entries))
        return error_set(err, ERR_INTEGRITY,
                         "'" LEDGER_EXPORT_ENTRIES "' is not the file that was signed");
    return 0;
}

static int check_entries(const char *dir, const struct ledger_policy *policy,
                         const struct ledger_statement *s, struct error *err)
{
    struct reading r = {.policy = policy, .s = s, .next = s->first};
    uint8_t digest[SHA256_SIZE];
    int rc = folder_open(dir, LEDGER_EXPORT_ENTRIES, &r.in, NULL, err);

    if (rc)
        return rc;
    memcpy(r.hash, s->prev, sizeof r.hash);
    r.digest = sha256_new();
    r.line = malloc(EXPORT_LINE_MAX);
    rc = r.line ? check_lines(&r, err) : error_set(err, ERR_INTERNAL, "out of memory");
    sha256_final(r.digest, digest);
    if (rc == 0)
        rc = check_end(&r, digest, err);
    free(r.line);
    fclose(r.in);
    return rc;
}

/* The very next part of the same ledger. */
static int check_after(const struct ledger_statement *s, const struct ledger_statement *before,
                       struct error *err)
{
    if (strcmp(s->station, before->station) || strcmp(s->origin, before->origin) ||
        strcmp(s->environment, before->environment))
        return error_set(err, ERR_FORK, "the export before is of another station, '%s' (%s)",
                         before->station, before->environment);
    if (s->last <= before->last)
        return error_set(err, ERR_ROLLBACK,
                         "this export ends with entry %" PRIu64 " and the one before with %" PRIu64
                         ": it is not newer",
                         s->last, before->last);
    if (s->first != before->last + 1)
        return error_set(err, ERR_GAP,
                         "this export begins with entry %" PRIu64 " and the one before ends with "
                         "%" PRIu64 ": ask for one from entry %" PRIu64,
                         s->first, before->last, before->last + 1);
    if (!sha256_equal(s->prev, before->head))
        return error_set(err, ERR_FORK,
                         "this export continues another history than the one before: the station "
                         "was restored from a backup, or its ledger written again");
    return 0;
}

int ledger_export_verify(const char *dir, const struct ledger_policy *policy,
                         struct ledger_report *report, struct error *err)
{
    struct ledger_report found = {.extends = policy->after != NULL};
    struct ledger_statement before;
    X509 *root = NULL;
    int rc = cms_read_certificate(policy->root, &root, err);

    if (rc == 0)
        rc = read_statement(dir, root, policy->at, &found.s, &found.signer, err);
    if (rc == 0 && policy->after)
        rc = read_statement(policy->after, root, policy->at, &before, NULL, err);
    if (rc == 0 && policy->after)
        rc = check_after(&found.s, &before, err);
    if (rc == 0)
        rc = check_entries(dir, policy, &found.s, err);
    X509_free(root);
    if (rc == 0)
        *report = found;
    return rc;
}
