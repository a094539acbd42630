#include "manifests/folder.h"

#include "base/file.h"
#include "manifests/signatures.h"
#include "manifests/stream.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SIGNATURE_MAX (1 << 20)
#define BLOCK_SIZE    (256 * 1024) /* more than the longest line */

int folder_open(const char *dir, const char *name, FILE **out, uint64_t *size, struct error *err)
{
    char path[PATH_MAX];
    int rc = file_join(path, sizeof path, dir, name, err);

    if (rc == 0)
        rc = file_open_regular(path, out, size, err);
    if (rc == ERR_MISSING)
        rc = error_set(err, ERR_INCOMPLETE, "'%s' is missing: get the whole folder again", path);
    return rc;
}

/* Reads a file in blocks to take(); ERR_IO when reading fails. */
static int pump(FILE *in, const char *dir, const char *name,
                void (*take)(void *ctx, const void *bytes, size_t len), void *ctx,
                struct error *err)
{
    uint8_t *block = malloc(BLOCK_SIZE);
    size_t n;
    int rc = 0;

    if (!block)
        return error_set(err, ERR_INTERNAL, "out of memory");
    while ((n = fread(block, 1, BLOCK_SIZE, in)) > 0)
        take(ctx, block, n);
    if (ferror(in))
        rc = error_set_errno(err, errno, "cannot read '%s/%s'", dir, name);
    free(block);
    return rc;
}

static void take_into_buf(void *ctx, const void *bytes, size_t len)
{
    buf_put(ctx, bytes, len);
}

int folder_read(const char *dir, const char *name, struct buf *out, struct error *err)
{
    uint64_t size;
    FILE *in;
    int rc = folder_open(dir, name, &in, &size, err);
    bool fits;

    if (rc)
        return rc;
    fits = size <= out->limit; /* else it may be as long as a disk, and is not read to its end */
    if (fits)
        rc = pump(in, dir, name, take_into_buf, out, err);
    fclose(in);
    if (rc == 0 && (!fits || buf_failed(out)))
        rc = error_set(err, ERR_FORMAT, "'%s/%s' is larger than %zu bytes", dir, name, out->limit);
    return rc;
}

int folder_read_signed(const char *dir, const char *name, X509 *root, int64_t at, struct buf *out,
                       struct cms_signer *who, struct error *err)
{
    char signature[STATEMENT_NAME_MAX + 1];
    struct buf pem;
    int rc;

    snprintf(signature, sizeof signature, "%s.p7s", name);
    buf_init(&pem, SIGNATURE_MAX);
    rc = folder_read(dir, name, out, err);
    if (rc == 0)
        rc = folder_read(dir, signature, &pem, err);
    if (rc == 0 && cms_verify(pem.data, pem.len, out->data, out->len, root, at, who, err))
        rc = error_prefix(err, "'%s'", signature);
    buf_done(&pem);
    return rc;
}

static void take_into_digest(void *ctx, const void *bytes, size_t len)
{
    sha256_update(ctx, bytes, len);
}

static int check_size(const char *dir, const struct manifest_file *f, uint64_t size,
                      struct error *err)
{
    if (size < f->bytes)
        return error_set(err, ERR_INCOMPLETE,
                         "'%s/%s' is cut: %" PRIu64 " of %" PRIu64 " bytes; copy it again", dir,
                         f->name, size, f->bytes);
    if (size > f->bytes)
        return error_set(err, ERR_INTEGRITY,
                         "'%s/%s' was changed: %" PRIu64 " bytes where the manifest says %" PRIu64,
                         dir, f->name, size, f->bytes);
    return 0;
}

static int check_digest(const char *dir, const struct manifest_file *f,
                        const uint8_t digest[SHA256_SIZE], struct error *err)
{
    if (sha256_equal(digest, f->sha256))
        return 0;
    return error_set(err, ERR_INTEGRITY,
                     "'%s/%s' was changed: its SHA-256 is not the one that the manifest "
                     "lists; do not use it",
                     dir, f->name);
}

static int check_bytes(const char *dir, const struct manifest_file *f, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    struct sha256 *s;
    uint64_t size;
    FILE *in;
    int rc = folder_open(dir, f->name, &in, &size, err);

    if (rc)
        return rc;
    rc = check_size(dir, f, size, err);
    if (rc == 0) {
        s = sha256_new();
        rc = pump(in, dir, f->name, take_into_digest, s, err);
        sha256_final(s, digest);
    }
    fclose(in);
    return rc ? rc : check_digest(dir, f, digest, err);
}

static bool is_there(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    return file_join(path, sizeof path, dir, name, NULL) == 0 && lstat(path, &st) == 0;
}

/* The plain bytes of a compressed file, as far as they are listed, against their listed hash. */
static int check_expanded(const char *dir, const struct statement *s, const struct manifest_file *f,
                          struct error *err)
{
    uint8_t *block = malloc(BLOCK_SIZE), digest[SHA256_SIZE];
    struct sha256 *hash = sha256_new();
    struct stream *in = NULL;
    uint64_t size = 0;
    size_t n = 1;
    int rc = block ? stream_open_compressed(dir, s, f->name, &in, err)
                   : error_set(err, ERR_INTERNAL, "out of memory");

    while (rc == 0 && n > 0 && (rc = stream_read(in, block, BLOCK_SIZE, &n, err)) == 0) {
        sha256_update(hash, block, n);
        size += n;
    }
    sha256_final(hash, digest);
    stream_close(in);
    free(block);
    if (rc == 0)
        rc = check_size(dir, f, size, err);
    return rc ? rc : check_digest(dir, f, digest, err);
}

/* Of a file of lines and its compressed form one is enough, and each that is there must be right. */
static int check_packed(const char *dir, const struct statement *s,
                        const struct manifest_file *packed, struct error *err)
{
    char name[STATEMENT_NAME_MAX + 1];
    const struct manifest_file *plain;
    int rc;

    snprintf(name, sizeof name, "%.*s", (int)(strlen(packed->name) - strlen(STREAM_SUFFIX)),
             packed->name);
    plain = statement_file(s, name);
    if (!plain)
        return error_set(err, ERR_INCOMPLETE, "the manifest lists '%s' and not '%s'", packed->name,
                         name);
    if (!is_there(dir, packed->name))
        return 0; /* then check_file wants the plain one */
    rc = check_bytes(dir, packed, err);
    return rc ? rc : check_expanded(dir, s, plain, err);
}

static int check_file(const char *dir, const struct statement *s, const struct manifest_file *f,
                      struct error *err)
{
    char packed[STATEMENT_NAME_MAX + sizeof STREAM_SUFFIX];

    if (stream_is_compressed(f->name))
        return check_packed(dir, s, f, err);
    snprintf(packed, sizeof packed, "%s" STREAM_SUFFIX, f->name);
    if (stream_is_compressed(packed) && statement_file(s, packed) && !is_there(dir, f->name) &&
        is_there(dir, packed))
        return 0; /* check_packed looks into it */
    return check_bytes(dir, f, err);
}

static int check_entry(const char *dir, const char *name, const struct statement *s,
                       struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    int rc;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, MANIFEST_NAME) == 0 ||
        signatures_is_name(name) || statement_file(s, name))
        return 0;
    rc = file_join(path, sizeof path, dir, name, err);
    if (rc)
        return rc;
    if (strcmp(name, MANIFEST_PROOFS) == 0 && lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return error_set(err, ERR_INTEGRITY,
                     "'%s' is not listed in the manifest: remove it, or find out who put it there",
                     path);
}

static int check_entries(const char *dir, const struct statement *s, struct error *err)
{
    const struct dirent *entry;
    DIR *d = opendir(dir);
    int rc = 0;

    if (!d)
        return error_set_errno(err, errno, "cannot open folder '%s'", dir);
    while (rc == 0 && (errno = 0, entry = readdir(d)))
        rc = check_entry(dir, entry->d_name, s, err);
    if (rc == 0 && errno)
        rc = error_set_errno(err, errno, "cannot read folder '%s'", dir);
    closedir(d);
    return rc;
}

int folder_check(const char *dir, const struct statement *s, const struct folder_progress *progress,
                 struct error *err)
{
    int rc = check_entries(dir, s, err);

    for (size_t i = 0; rc == 0 && i < s->file_count; i++) {
        if (progress && progress->report)
            progress->report(progress->ctx, "files", i, s->file_count);
        rc = check_file(dir, s, &s->files[i], err);
    }
    return rc;
}

void folder_shard_name(const char *kind, uint64_t n, char name[STATEMENT_NAME_MAX + 1])
{
    snprintf(name, STATEMENT_NAME_MAX + 1, "%s-%05" PRIu64 ".jsonl", kind, n);
}

void folder_position(const char *kind, uint64_t index, char *out, size_t size)
{
    char name[STATEMENT_NAME_MAX + 1];

    folder_shard_name(kind, index / MANIFEST_SHARD_LINES, name);
    snprintf(out, size, "'%s' line %" PRIu64, name, index % MANIFEST_SHARD_LINES + 1);
}

/* Counts the listed shards and checks that their numbers run from 0 without a gap. */
static int count_shards(const char *kind, const struct statement *s, uint64_t *shards,
                        struct error *err)
{
    size_t len = strlen(kind);
    uint64_t found = 0;
    char name[STATEMENT_NAME_MAX + 1];

    for (size_t i = 0; i < s->file_count; i++) {
        if (strncmp(s->files[i].name, kind, len) || s->files[i].name[len] != '-' ||
            stream_is_compressed(s->files[i].name))
            continue;
        folder_shard_name(kind, found, name);
        if (strcmp(name, s->files[i].name))
            return error_set(err, ERR_INCOMPLETE, "the manifest lists '%s' where '%s' must come",
                             s->files[i].name, name);
        found++;
    }
    *shards = found;
    return 0;
}

int folder_lines_open(struct folder_lines *l, const char *dir, const char *kind,
                      const struct statement *s, struct error *err)
{
    int rc;

    *l = (struct folder_lines){.dir = dir, .kind = kind, .s = s};
    rc = count_shards(kind, s, &l->shards, err);
    if (rc)
        return rc;
    l->block = malloc(BLOCK_SIZE);
    if (!l->block)
        return error_set(err, ERR_INTERNAL, "out of memory");
    return 0;
}

void folder_lines_close(struct folder_lines *l)
{
    stream_close(l->in);
    free(l->block);
    l->in = NULL;
    l->block = NULL;
}

static int open_shard(struct folder_lines *l, struct error *err)
{
    char name[STATEMENT_NAME_MAX + 1];
    int rc;

    folder_shard_name(l->kind, l->shard, name);
    rc = stream_open(l->dir, l->s, name, &l->in, err);
    if (rc == 0) {
        l->shard++;
        l->shard_line = 0;
        l->at = l->have = 0;
    }
    return rc;
}

/* Moves what is left to the front of the block and reads more behind it. 1, or 0 at the end. */
static int fill_block(struct folder_lines *l, struct error *err)
{
    size_t n = 0;
    int rc;

    memmove(l->block, l->block + l->at, l->have - l->at);
    l->have -= l->at;
    l->at = 0;
    rc = stream_read(l->in, l->block + l->have, BLOCK_SIZE - l->have, &n, err);
    l->have += n;
    return rc ? rc : n > 0;
}

static int close_shard(struct folder_lines *l, struct error *err)
{
    char name[STATEMENT_NAME_MAX + 1];

    stream_close(l->in);
    l->in = NULL;
    folder_shard_name(l->kind, l->shard - 1, name);
    if (l->have > l->at)
        return error_set(err, ERR_INCOMPLETE, "'%s' is cut in line %" PRIu64, name,
                         l->shard_line + 1);
    if (l->shard < l->shards && l->shard_line != MANIFEST_SHARD_LINES)
        return error_set(err, ERR_INCOMPLETE,
                         "'%s' has %" PRIu64 " of %d lines, and another file follows it", name,
                         l->shard_line, MANIFEST_SHARD_LINES);
    return 0;
}

static int fail_line(const struct folder_lines *l, bool fits, struct error *err)
{
    char where[STATEMENT_NAME_MAX + 64];

    folder_position(l->kind, l->taken, where, sizeof where);
    return fits ? error_set(err, ERR_FORMAT, "%s: a file has at most %d lines", where,
                            MANIFEST_SHARD_LINES)
                : error_set(err, ERR_FORMAT, "%s is longer than %d bytes", where, RECORD_LINE_MAX);
}

/* A line out of the open shard: 1, or 0 at its end. */
static int take_line(struct folder_lines *l, const char **line, size_t *len, struct error *err)
{
    const char *from = l->block + l->at;
    const char *end = memchr(from, '\n', l->have - l->at);
    int rc = end ? 1 : fill_block(l, err);

    if (rc <= 0)
        return rc ? rc : close_shard(l, err);
    if (!end) {
        from = l->block;
        end = memchr(from, '\n', l->have);
    }
    if (!end && l->have <= RECORD_LINE_MAX)
        return take_line(l, line, len, err); /* a short read; or the end, which the next one sees */
    if (!end || end - from > RECORD_LINE_MAX || l->shard_line == MANIFEST_SHARD_LINES)
        return fail_line(l, end && end - from <= RECORD_LINE_MAX, err);
    *line = from;
    *len = (size_t)(end - from);
    l->at = (size_t)(end - l->block) + 1;
    l->shard_line++;
    l->taken++;
    return 1;
}

int folder_lines_next(struct folder_lines *l, const char **line, size_t *len, struct error *err)
{
    for (;;) {
        int rc;

        if (!l->in) {
            if (l->shard == l->shards)
                return 0;
            rc = open_shard(l, err);
            if (rc)
                return rc;
        }
        rc = take_line(l, line, len, err);
        if (rc)
            return rc;
    }
}
