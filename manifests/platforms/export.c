#include "manifests/platforms/export.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/jcs.h"
#include "manifests/platforms/ids.h"
#include "manifests/platforms/text.h"
#include "manifests/statement.h"
#include "pki/envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE_MAX  (1 << 20) /* text of one device */
#define INDEX_MAX   (64 << 20)
#define ISSUERS_MAX 256
#define SECRET_MAX  (16 << 20) /* text of a file before it is encrypted */

struct source {
    char origin[NOTE_NAME_MAX + 1];
    uint64_t seq;
    uint8_t sha256[SHA256_SIZE];
};

struct export
{
    const struct platform_run *run;
    char dir[PATH_MAX], making[PATH_MAX];
    struct source *sources;
    size_t source_count;
    struct manifest_file *files; /* sorted: numbers have five digits or more */
    size_t file_count;
    FILE *out; /* the open file, or NULL */
    char path[PATH_MAX];
    struct sha256 *digest;
    uint64_t in_file; /* entries of the open file */
    struct buf text;
    struct buf secret; /* of a secret format: the text of the open file */
    struct ids ids;
    uint8_t issuers[ISSUERS_MAX][SHA256_SIZE]; /* of a format by_issuer: those that have an entry */
    size_t issuer_count;
    struct export_report report;
};

/* ---- settings ---- */

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

static int set_one(struct platform_run *run, const char *text, struct error *err)
{
    const struct platform_setting *s = run->platform->settings;
    size_t len = strcspn(text, "=");

    if (!text[len] || !is_printable(text))
        return error_set(err, ERR_USAGE, "'%s' is not NAME=VALUE in printable ASCII", text);
    for (size_t i = 0; s && s[i].name; i++) {
        if (strlen(s[i].name) != len || strncmp(s[i].name, text, len))
            continue;
        if (run->values[i])
            return error_set(err, ERR_USAGE, "the setting '%s' is given twice", s[i].name);
        run->values[i] = text + len + 1;
        return 0;
    }
    return error_set(err, ERR_USAGE, "the format '%s' has no setting '%.*s'", run->platform->name,
                     (int)len, text);
}

int export_settings(struct platform_run *run, const char *const *texts, size_t count,
                    struct error *err)
{
    const struct platform_setting *s = run->platform->settings;
    const char *wrong;

    memset(run->values, 0, sizeof run->values);
    for (size_t i = 0; i < count; i++)
        if (set_one(run, texts[i], err))
            return ERR_USAGE;
    for (size_t i = 0; s && s[i].name; i++) {
        if (!run->values[i])
            run->values[i] = s[i].standard;
        if (!run->values[i] || (!s[i].standard && !*run->values[i]))
            return error_set(err, ERR_USAGE, "the format '%s' needs '%s=...': %s",
                             run->platform->name, s[i].name, s[i].help);
    }
    wrong = run->platform->refuses_settings ? run->platform->refuses_settings(run) : NULL;
    return wrong ? error_set(err, ERR_USAGE, "%s: %s", run->platform->name, wrong) : 0;
}

/* ---- files ---- */

int export_begin(const struct platform_run *run, const char *dir, struct export **out,
                 struct error *err)
{
    struct export *e;
    int rc;

    if (run->platform->signs && (!run->signer || !run->signer->key || !run->signer->cert))
        return error_set(err, ERR_USAGE, "the format '%s' is signed: it needs a key",
                         run->platform->name);
    if (run->platform->secret && !run->recipients)
        return error_set(err, ERR_USAGE,
                         "the format '%s' holds secret keys: a station writes it, encrypted for a "
                         "recipient whom the order names",
                         run->platform->name);
    e = calloc(1, sizeof *e);
    if (!e)
        return error_set(err, ERR_INTERNAL, "out of memory");
    e->run = run;
    buf_init(&e->text, DEVICE_MAX);
    buf_init(&e->secret, SECRET_MAX);
    snprintf(e->dir, sizeof e->dir, "%s", dir);
    rc = file_dir_begin(dir, e->making, err);
    if (rc) {
        *e->making = 0;
        export_abort(e);
        return rc;
    }
    *out = e;
    return 0;
}

static int list_file(struct export *e, const char *name, struct error *err)
{
    struct manifest_file *more = reallocarray(e->files, e->file_count + 1, sizeof *more);

    if (!more)
        return error_set(err, ERR_INTERNAL, "out of memory for the list of files");
    e->files = more;
    more[e->file_count] = (struct manifest_file){.bytes = 0};
    snprintf(more[e->file_count].name, sizeof more->name, "%s", name);
    e->file_count++;
    return 0;
}

static int write_bytes(struct export *e, const struct buf *bytes, struct error *err)
{
    if (bytes->len && fwrite(bytes->data, 1, bytes->len, e->out) != bytes->len)
        return error_set_errno(err, errno, "cannot write '%s'", e->path);
    if (bytes->len)
        sha256_update(e->digest, bytes->data, bytes->len);
    e->files[e->file_count - 1].bytes += bytes->len;
    return 0;
}

/* In memory until the file is whole. */
static int keep_secret(struct export *e, struct error *err)
{
    buf_put(&e->secret, e->text.data, e->text.len);
    buf_wipe(&e->text);
    buf_init(&e->text, DEVICE_MAX);
    return buf_check(&e->secret, "a file of keys", err);
}

/* Writes what the text holds, and empties it. */
static int put_text(struct export *e, struct error *err)
{
    int rc = buf_check(&e->text, "the text of a device", err);

    if (rc == 0 && e->run->platform->secret)
        return keep_secret(e, err);
    if (rc == 0)
        rc = write_bytes(e, &e->text, err);
    buf_reset(&e->text);
    return rc;
}

static int put_envelope(struct export *e, struct error *err)
{
    struct buf der;
    int rc;

    buf_init(&der, 2 * SECRET_MAX);
    rc = envelope_seal(e->run->recipients, e->secret.data, e->secret.len, &der, err);
    buf_wipe(&e->secret);
    buf_init(&e->secret, SECRET_MAX);
    if (rc == 0)
        rc = write_bytes(e, &der, err);
    buf_done(&der);
    return rc;
}

static int open_named(struct export *e, const char *name, struct error *err)
{
    int rc = list_file(e, name, err);

    if (rc == 0)
        rc = file_join(e->path, sizeof e->path, e->making, name, err);
    if (rc)
        return rc;
    e->out = fopen(e->path, "wxe");
    if (!e->out)
        return error_set_errno(err, errno, "cannot create '%s'", e->path);
    e->digest = sha256_new();
    e->in_file = 0;
    return 0;
}

static int open_next(struct export *e, struct error *err)
{
    const struct export_format *p = e->run->platform;
    char name[STATEMENT_NAME_MAX + 1];
    int rc;

    snprintf(name, sizeof name, "%s-%05zu.%s", p->name, e->file_count, p->extension);
    rc = open_named(e, p->file ? p->file : name, err);
    if (rc == 0 && p->head)
        p->head(&e->text);
    return rc ? rc : put_text(e, err);
}

static int close_file(struct export *e, struct error *err)
{
    FILE *out = e->out;
    int rc;

    e->out = NULL;
    rc = file_close(out, e->path, err);
    sha256_final(e->digest, e->files[e->file_count - 1].sha256);
    e->digest = NULL;
    return rc;
}

static int end_file(struct export *e, struct error *err)
{
    const struct export_format *p = e->run->platform;
    int rc;

    if (p->tail)
        p->tail(e->in_file, &e->text);
    rc = put_text(e, err);
    if (rc == 0 && p->secret)
        rc = put_envelope(e, err);
    return rc ? rc : close_file(e, err);
}

/* ---- devices ---- */

int export_source(struct export *e, const char *origin, uint64_t seq,
                  const uint8_t hash[SHA256_SIZE], struct error *err)
{
    struct source *more = reallocarray(e->sources, e->source_count + 1, sizeof *more);

    if (!more)
        return error_set(err, ERR_INTERNAL, "out of memory for the list of manifests");
    e->sources = more;
    more[e->source_count] = (struct source){.seq = seq};
    snprintf(more[e->source_count].origin, sizeof more->origin, "%s", origin);
    memcpy(more[e->source_count].sha256, hash, SHA256_SIZE);
    e->source_count++;
    return 0;
}

static int check_device(struct export *e, const struct platform_device *d, struct error *err)
{
    const struct export_format *p = e->run->platform;
    const char *rule = p->refuses(d->record->sn);
    bool known = false;
    int rc;

    if (!rule && d->cert)
        rule = platform_refuses_certificate(p, d->cert, d->record->sn);
    if (!rule && p->refuses_device)
        rule = p->refuses_device(e->run, d);
    if (rule)
        return error_set(err, ERR_REFUSED,
                         "'%s' would refuse device '%s': %s; nothing was exported", p->name,
                         d->record->sn, rule);
    rc = ids_add(&e->ids, d->record->sn, p->folds_case, &known, err);
    if (rc == 0 && known)
        rc = error_set(err, ERR_DUPLICATE,
                       "'%s' knows a device by its serial, and '%s' stands twice%s: export each "
                       "product by itself",
                       p->name, d->record->sn, p->folds_case ? " if case does not count" : "");
    return rc;
}

/* Of a format with one entry for each issuer: whether this one has none yet. */
static int needs_entry(struct export *e, const struct record *r, bool *needs, struct error *err)
{
    *needs = true;
    if (!e->run->platform->by_issuer)
        return 0;
    for (size_t i = 0; i < e->issuer_count; i++)
        if (memcmp(e->issuers[i], r->iss, SHA256_SIZE) == 0)
            *needs = false;
    if (*needs && e->issuer_count == ISSUERS_MAX)
        return error_set(err, ERR_REFUSED, "more than %d issuing CAs", ISSUERS_MAX);
    if (*needs)
        memcpy(e->issuers[e->issuer_count++], r->iss, SHA256_SIZE);
    return 0;
}

static int write_device(struct export *e, const struct platform_device *d, struct error *err)
{
    const struct export_format *p = e->run->platform;
    int rc = 0;

    if (e->out && p->per_file && e->in_file == p->per_file)
        rc = end_file(e, err);
    if (rc == 0 && !e->out)
        rc = open_next(e, err);
    if (rc == 0)
        rc = p->device(e->run, d, e->in_file, &e->text, err);
    if (rc == 0)
        rc = put_text(e, err);
    e->in_file++;
    return rc;
}

int export_device(struct export *e, const struct record *record, X509 *issuer, struct error *err)
{
    struct platform_device d = {.record = record, .issuer = issuer};
    const unsigned char *p = record->cert.p;
    bool needs;
    int rc;

    d.cert = d2i_X509(NULL, &p, (long)record->cert.len);
    ERR_clear_error();
    if (!d.cert)
        return error_set(err, ERR_FORMAT, "the certificate of '%s' cannot be read", record->sn);
    platform_read_cn(d.cert, d.cn, sizeof d.cn);
    rc = check_device(e, &d, err);
    if (rc == 0)
        rc = needs_entry(e, record, &needs, err);
    if (rc == 0 && needs)
        rc = write_device(e, &d, err);
    e->report.devices++;
    X509_free(d.cert);
    return rc;
}

int export_key(struct export *e, const struct record *record, const uint8_t key[PLATFORM_KEY_SIZE],
               struct error *err)
{
    struct platform_device d = {.record = record, .key = key};
    int rc = check_device(e, &d, err);

    if (rc == 0)
        rc = write_device(e, &d, err);
    e->report.devices++;
    return rc;
}

void export_leave(struct export *e, enum export_left why)
{
    e->report.left[why]++;
}

/* ---- the end ---- */

static int put_extra(struct export *e, struct error *err)
{
    const struct export_format *p = e->run->platform;
    int rc;

    if (!p->extra)
        return 0;
    rc = open_named(e, p->extra, err);
    if (rc)
        return rc;
    p->make_extra(e->run, &e->text);
    rc = put_text(e, err);
    return rc ? rc : close_file(e, err);
}

static void put_files(struct jcs *j, const struct export *e)
{
    jcs_array(j, "files");
    for (size_t i = 0; i < e->file_count; i++) {
        jcs_object(j, NULL);
        jcs_int(j, "bytes", (int64_t)e->files[i].bytes);
        jcs_str(j, "name", e->files[i].name);
        jcs_hex(j, "sha256", e->files[i].sha256, SHA256_SIZE);
        jcs_end(j);
    }
    jcs_end(j);
}

static void put_left(struct jcs *j, const struct export *e)
{
    jcs_object(j, "left_out");
#define PUT_LEFT(name, member) jcs_int(j, member, (int64_t)e->report.left[name]);
    EXPORT_LEFT_LIST(PUT_LEFT)
#undef PUT_LEFT
    jcs_end(j);
}

static void put_sources(struct jcs *j, const struct export *e)
{
    jcs_array(j, "manifests");
    for (size_t i = 0; i < e->source_count; i++) {
        jcs_object(j, NULL);
        jcs_str(j, "origin", e->sources[i].origin);
        jcs_int(j, "seq", (int64_t)e->sources[i].seq);
        jcs_hex(j, "sha256", e->sources[i].sha256, SHA256_SIZE);
        jcs_end(j);
    }
    jcs_end(j);
}

static void make_index(const struct export *e, struct buf *out)
{
    char created[CLOCK_TEXT_SIZE];
    struct jcs j;

    clock_text(clock_utc(), created);
    jcs_init(&j, out);
    jcs_object(&j, NULL);
    jcs_str(&j, "created", created);
    jcs_int(&j, "devices", (int64_t)e->report.devices);
    put_files(&j, e);
    jcs_str(&j, "format", EXPORT_FORMAT);
    put_left(&j, e);
    put_sources(&j, e);
    jcs_str(&j, "platform", e->run->platform->name);
    jcs_end(&j);
    buf_put_u8(out, '\n');
}

static int put_index(struct export *e, const struct export_sign *sign, struct error *err)
{
    struct buf index, pem;
    char path[PATH_MAX];
    int rc;

    buf_init(&index, INDEX_MAX);
    buf_init(&pem, DEVICE_MAX);
    make_index(e, &index);
    rc = buf_check(&index, EXPORT_INDEX, err);
    if (rc == 0)
        rc = file_join(path, sizeof path, e->making, EXPORT_INDEX, err);
    if (rc == 0)
        rc = file_write(path, index.data, index.len, 0644, err);
    if (rc == 0 && sign)
        rc = sign->sign(sign->context, &index, &pem, err);
    if (rc == 0 && sign)
        rc = file_join(path, sizeof path, e->making, EXPORT_INDEX ".p7s", err);
    if (rc == 0 && sign)
        rc = file_write(path, pem.data, pem.len, 0644, err);
    buf_done(&index);
    buf_done(&pem);
    return rc;
}

int export_finish(struct export *e, const struct export_sign *sign, struct export_report *report,
                  struct error *err)
{
    int rc = e->out ? end_file(e, err) : 0;

    if (rc == 0)
        rc = put_extra(e, err);
    if (rc == 0)
        rc = put_index(e, sign, err);
    if (rc == 0)
        rc = file_dir_finish(e->making, e->dir, err);
    if (rc == 0) {
        *e->making = 0;
        e->report.files = e->file_count;
        *report = e->report;
    }
    export_abort(e);
    return rc;
}

void export_abort(struct export *e)
{
    if (!e)
        return;
    if (e->out)
        fclose(e->out);
    sha256_free(e->digest);
    if (*e->making)
        (void)!file_remove_tree(e->making, NULL);
    ids_done(&e->ids);
    buf_wipe(&e->text);
    buf_wipe(&e->secret);
    free(e->sources);
    free(e->files);
    free(e);
}
