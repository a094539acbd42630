#include "manifests/seal.h"

#include "base/file.h"
#include "manifests/evidence.h"
#include "manifests/folder.h"
#include "manifests/stream.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The shards of one kind while they are written. */
struct shards {
    const char *kind;
    uint64_t lines; /* in all shards so far */
    FILE *out;
    char path[PATH_MAX];
    struct manifest_file file; /* the open one */
    struct sha256 *digest;
};

struct seal {
    char dir[PATH_MAX];
    struct shards devices, evidence;
    bool failed; /* a record may be half written: nothing can be sealed any more */
    struct seal_result result;
};

/* Keeps the list sorted: files are few, and come nearly in order. */
static int list_file(struct seal_result *result, const struct manifest_file *file,
                     struct error *err)
{
    struct manifest_file *files = result->files;
    size_t at = result->file_count;

    while (at > 0 && strcmp(files[at - 1].name, file->name) > 0)
        at--;
    if (at > 0 && strcmp(files[at - 1].name, file->name) == 0)
        return error_set(err, ERR_EXISTS, "the batch has a file '%s' already", file->name);
    files = reallocarray(files, result->file_count + 1, sizeof *files);
    if (!files)
        return error_set(err, ERR_INTERNAL, "out of memory for the list of files");
    memmove(&files[at + 1], &files[at], (result->file_count - at) * sizeof *files);
    files[at] = *file;
    result->files = files;
    result->file_count++;
    return 0;
}

int seal_open(const char *dir, const char *origin, const struct manifest_state *previous,
              struct seal **seal, struct error *err)
{
    struct seal *s;

    if (!note_name_valid(origin) || strlen(dir) >= sizeof s->dir)
        return error_set(err, ERR_INPUT,
                         "the log name '%s' is not 1 to %d printable characters without blank and "
                         "'+', or the folder's path is too long",
                         origin, NOTE_NAME_MAX);
    s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERR_INTERNAL, "out of memory");
    strcpy(s->dir, dir);
    strcpy(s->result.origin, origin);
    s->devices.kind = "devices";
    s->evidence.kind = "evidence";
    if (previous)
        s->result.tree = previous->tree;
    s->result.first = s->result.tree.size;
    *seal = s;
    return 0;
}

static int open_shard(struct seal *s, struct shards *k, struct error *err)
{
    int rc;

    memset(&k->file, 0, sizeof k->file);
    folder_shard_name(k->kind, k->lines / MANIFEST_SHARD_LINES, k->file.name);
    rc = file_join(k->path, sizeof k->path, s->dir, k->file.name, err);
    if (rc)
        return rc;
    k->out = fopen(k->path, "wxe");
    if (!k->out)
        return error_set_errno(err, errno, "cannot create '%s'", k->path);
    k->digest = sha256_new();
    return 0;
}

static int close_shard(struct seal *s, struct shards *k, struct error *err)
{
    int rc;

    if (!k->out)
        return 0;
    rc = file_close(k->out, k->path, err);
    k->out = NULL;
    sha256_final(k->digest, k->file.sha256);
    k->digest = NULL;
    return rc ? rc : list_file(&s->result, &k->file, err);
}

static int put_line(struct seal *s, struct shards *k, const void *line, size_t len,
                    struct error *err)
{
    int rc = 0;

    if (k->out && k->lines % MANIFEST_SHARD_LINES == 0)
        rc = close_shard(s, k, err);
    if (rc == 0 && !k->out)
        rc = open_shard(s, k, err);
    if (rc)
        return rc;
    if (fwrite(line, 1, len, k->out) != len || putc('\n', k->out) == EOF)
        return error_set_errno(err, errno, "cannot write '%s'", k->path);
    sha256_update(k->digest, line, len);
    sha256_update(k->digest, "\n", 1);
    k->file.bytes += len + 1;
    k->lines++;
    return 0;
}

static int check_evidence(const struct record *r, const void *evidence, size_t len,
                          struct error *err)
{
    bool names = r->t == RECORD_ADD || r->t == RECORD_REPLACE;
    struct evidence e;
    uint8_t digest[SHA256_SIZE];

    if (names != (evidence != NULL))
        return error_set(err, ERR_INPUT, "the record of '%s' %s evidence", r->sn,
                         names ? "needs" : "cannot have");
    if (!names)
        return 0;
    sha256(evidence, len, digest);
    if (!sha256_equal(digest, r->ev))
        return error_set(err, ERR_INPUT, "the record of '%s' names other evidence", r->sn);
    if (evidence_parse(evidence, len, &e, err)) {
        error_prefix(err, "'%s'", r->sn);
        return error_recode(err, ERR_INPUT);
    }
    evidence_done(&e);
    return 0;
}

int seal_add(struct seal *s, const void *line, size_t len, const void *evidence,
             size_t evidence_len, struct error *err)
{
    struct merkle_hash leaf;
    struct record r;
    int rc;

    if (record_parse(line, len, &r, err)) {
        s->failed = true;
        error_prefix(err, "record %zu of the batch", (size_t)s->devices.lines + 1);
        return error_recode(err, ERR_INPUT);
    }
    rc = check_evidence(&r, evidence, evidence_len, err);
    if (rc == 0 && record_has_ref(&r) && r.ref >= s->result.tree.size)
        rc = error_set(err, ERR_INPUT, "the record of '%s' refers to one that is not before it",
                       r.sn);
    if (rc == 0)
        rc = put_line(s, &s->devices, line, len, err);
    if (rc == 0 && evidence)
        rc = put_line(s, &s->evidence, evidence, evidence_len, err);
    record_done(&r);
    if (rc) {
        s->failed = true;
        return rc;
    }
    merkle_leaf(line, len, &leaf);
    merkle_push(&s->result.tree, &leaf);
    return 0;
}

int seal_close(struct seal *s, struct seal_result *result, struct error *err)
{
    int rc = 0;

    if (s->failed)
        rc = error_set(err, ERR_INTERNAL, "a batch cannot be sealed after a record failed");
    if (rc == 0)
        rc = close_shard(s, &s->devices, err);
    if (rc == 0)
        rc = close_shard(s, &s->evidence, err);
    if (rc == 0)
        rc = file_sync_dir(s->dir, err);
    if (rc == 0) {
        s->result.size = s->result.tree.size;
        s->result.count = s->result.size - s->result.first;
        merkle_root(&s->result.tree, &s->result.root);
        *result = s->result;
        s->result = (struct seal_result){0};
    }
    seal_abort(s);
    return rc;
}

int seal_compress(const char *dir, struct seal_result *result, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < result->file_count; i++) {
        char packed[STATEMENT_NAME_MAX + sizeof STREAM_SUFFIX];
        struct manifest_file file;

        snprintf(packed, sizeof packed, "%s" STREAM_SUFFIX, result->files[i].name);
        if (!stream_is_compressed(packed))
            continue;
        rc = stream_compress(dir, result->files[i].name, &file, err);
        if (rc == 0)
            rc = list_file(result, &file, err);
    }
    return rc ? rc : file_sync_dir(dir, err);
}

int seal_list_compressed(const struct buf *statement, struct seal_result *result, struct error *err)
{
    struct statement s;
    int rc = statement_parse(statement->data, statement->len, &s, err);

    if (rc)
        return rc;
    for (size_t i = 0; rc == 0 && i < s.file_count; i++)
        if (stream_is_compressed(s.files[i].name))
            rc = list_file(result, &s.files[i], err);
    statement_done(&s);
    return rc;
}

static void drop_shard(struct shards *k)
{
    if (k->out)
        fclose(k->out);
    sha256_free(k->digest);
}

void seal_abort(struct seal *s)
{
    if (!s)
        return;
    drop_shard(&s->devices);
    drop_shard(&s->evidence);
    seal_result_done(&s->result);
    free(s);
}

void seal_result_done(struct seal_result *result)
{
    free(result->files);
    result->files = NULL;
    result->file_count = 0;
}

void seal_checkpoint(const struct seal_result *result, struct buf *text)
{
    struct checkpoint c = {.size = result->size, .root = result->root};

    strcpy(c.origin, result->origin);
    checkpoint_write(&c, text);
}

int seal_put_file(const char *dir, const char *name, const void *bytes, size_t len,
                  struct seal_result *result, struct error *err)
{
    struct manifest_file file = {.bytes = len};
    char path[PATH_MAX];
    int rc;

    if (!statement_name_valid(name))
        return error_set(err, ERR_INPUT, "'%s' cannot be the name of a file in a manifest", name);
    strcpy(file.name, name);
    sha256(bytes, len, file.sha256);
    rc = file_join(path, sizeof path, dir, name, err);
    if (rc == 0)
        rc = list_file(result, &file, err);
    if (rc == 0)
        rc = file_write(path, bytes, len, 0644, err);
    return rc;
}

void seal_statement(const struct seal_result *result, const struct manifest_state *previous,
                    struct statement *s)
{
    *s = (struct statement){
        .seq = previous ? previous->seq + 1 : 1,
        .first = result->first,
        .count = result->count,
        .size = result->size,
        .root = result->root,
        .has_prev = previous != NULL,
        .files = result->files,
        .file_count = result->file_count,
    };
    strcpy(s->origin, result->origin);
    if (previous)
        s->prev = *previous;
}

static int write_named(const char *dir, const char *name, const struct buf *bytes,
                       struct error *err)
{
    char path[PATH_MAX];
    int rc = file_join(path, sizeof path, dir, name, err);

    return rc ? rc : file_write(path, bytes->data, bytes->len, 0644, err);
}

int seal_finish(const char *dir, const struct buf *statement, const struct buf *pem,
                struct error *err)
{
    int rc = write_named(dir, MANIFEST_NAME, statement, err);

    return rc ? rc : write_named(dir, MANIFEST_SIGNATURE, pem, err);
}

int seal_put_signature(const char *dir, enum cms_algorithm algorithm, const struct buf *pem,
                       struct error *err)
{
    char name[STATEMENT_NAME_MAX + 1];

    snprintf(name, sizeof name, MANIFEST_NAME ".%s.p7s", cms_algorithm_name(algorithm));
    return write_named(dir, name, pem, err);
}

void seal_state(const struct seal_result *result, uint64_t seq, const struct buf *statement,
                struct manifest_state *state)
{
    *state = (struct manifest_state){.seq = seq, .root = result->root, .tree = result->tree};
    sha256(statement->data, statement->len, state->sha256);
}

/* Pushes the leaf of every record of a batch. */
static int fold_records(const char *dir, const struct statement *s, struct merkle_tree *tree,
                        struct error *err)
{
    struct folder_lines lines;
    struct merkle_hash leaf;
    const char *line;
    size_t len;
    int rc = folder_lines_open(&lines, dir, "devices", s, err);

    while (rc == 0 && (rc = folder_lines_next(&lines, &line, &len, err)) > 0) {
        merkle_leaf(line, len, &leaf);
        merkle_push(tree, &leaf);
        rc = 0;
    }
    folder_lines_close(&lines);
    return rc;
}

static int read_state(const char *dir, const struct statement *s, struct manifest_state *state,
                      struct error *err)
{
    int rc;

    if (s->has_prev)
        state->tree = s->prev.tree;
    rc = fold_records(dir, s, &state->tree, err);
    if (rc)
        return rc;
    if (state->tree.size != s->size)
        return error_set(err, ERR_INCOMPLETE, "'%s' does not have the %llu records it announces",
                         dir, (unsigned long long)s->count);
    merkle_root(&state->tree, &state->root);
    if (memcmp(&state->root, &s->root, sizeof s->root))
        return error_set(err, ERR_INTEGRITY, "the records of '%s' do not give its root", dir);
    state->seq = s->seq;
    return 0;
}

int seal_state_read(const char *dir, struct manifest_state *state, struct error *err)
{
    struct manifest_state made = {0};
    struct statement s = {0};
    struct buf bytes;
    int rc;

    buf_init(&bytes, STATEMENT_MAX);
    rc = folder_read(dir, MANIFEST_NAME, &bytes, err);
    if (rc == 0)
        rc = statement_parse(bytes.data, bytes.len, &s, err);
    if (rc == 0)
        rc = read_state(dir, &s, &made, err);
    if (rc == 0) {
        sha256(bytes.data, bytes.len, made.sha256);
        *state = made;
    }
    statement_done(&s);
    buf_done(&bytes);
    return rc;
}
