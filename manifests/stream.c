#include "manifests/stream.h"

#include "base/file.h"
#include "manifests/folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define WINDOW_LOG_MAX 23 /* 8 MiB */
#define LEVEL          3
#define BLOCK_SIZE     (128 * 1024)

struct stream {
    FILE *in;
    char name[STATEMENT_NAME_MAX + sizeof STREAM_SUFFIX]; /* of the file that is read */
    ZSTD_DStream *inflater;                               /* NULL: the file is plain */
    ZSTD_inBuffer ahead;                                  /* what was read and not yet inflated */
    uint64_t left;                                        /* plain bytes that may still come */
    bool in_frame;                                        /* a frame began and has not ended */
    uint8_t block[BLOCK_SIZE];
};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t len = strlen(name), tail = strlen(suffix);

    return len > tail && strcmp(name + len - tail, suffix) == 0;
}

bool stream_is_compressed(const char *name)
{
    return has_suffix(name, ".jsonl" STREAM_SUFFIX) &&
           (strncmp(name, "devices-", 8) == 0 || strncmp(name, "evidence-", 9) == 0);
}

static int open_file(struct stream *s, const char *dir, const char *name, uint64_t *size,
                     struct error *err)
{
    snprintf(s->name, sizeof s->name, "%s", name);
    return folder_open(dir, name, &s->in, size, err);
}

static int check_expansion(const struct stream *s, uint64_t plain, uint64_t packed,
                           struct error *err)
{
    if (plain <= STREAM_EXPANSION_MIN || plain / STREAM_EXPANSION_MAX <= packed)
        return 0;
    return error_set(err, ERR_FORMAT,
                     "'%s' would expand from %" PRIu64 " to %" PRIu64
                     " bytes, more than %d times: no file of records does",
                     s->name, packed, plain, STREAM_EXPANSION_MAX);
}

static int start_inflater(struct stream *s, struct error *err)
{
    s->inflater = ZSTD_createDStream();
    if (!s->inflater ||
        ZSTD_isError(ZSTD_DCtx_setParameter(s->inflater, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return error_set(err, ERR_INTERNAL, "out of memory for '%s'", s->name);
    return 0;
}

static struct stream *new_stream(struct error *err)
{
    struct stream *s = calloc(1, sizeof *s);

    if (!s)
        error_set(err, ERR_INTERNAL, "out of memory");
    return s;
}

int stream_open_compressed(const char *dir, const struct statement *s, const char *name,
                           struct stream **out, struct error *err)
{
    const struct manifest_file *plain = statement_file(s, name);
    char packed[STATEMENT_NAME_MAX + sizeof STREAM_SUFFIX];
    struct stream *made = new_stream(err);
    uint64_t size;
    int rc = made ? 0 : ERR_INTERNAL;

    snprintf(packed, sizeof packed, "%s" STREAM_SUFFIX, name);
    if (rc == 0)
        rc = open_file(made, dir, packed, &size, err);
    if (rc == 0) {
        made->left = plain ? plain->bytes : 0;
        rc = check_expansion(made, made->left, size, err);
    }
    if (rc == 0)
        rc = start_inflater(made, err);
    if (rc)
        stream_close(made);
    else
        *out = made;
    return rc;
}

static bool is_there(const char *dir, const char *name)
{
    char path[PATH_MAX];

    return file_join(path, sizeof path, dir, name, NULL) == 0 && access(path, F_OK) == 0;
}

int stream_open(const char *dir, const struct statement *s, const char *name, struct stream **out,
                struct error *err)
{
    char packed[STATEMENT_NAME_MAX + sizeof STREAM_SUFFIX];
    struct stream *made;
    int rc;

    snprintf(packed, sizeof packed, "%s" STREAM_SUFFIX, name);
    if (!is_there(dir, name) && statement_file(s, packed) && is_there(dir, packed))
        return stream_open_compressed(dir, s, name, out, err);
    made = new_stream(err);
    if (!made)
        return ERR_INTERNAL;
    rc = open_file(made, dir, name, NULL, err);
    if (rc)
        stream_close(made);
    else
        *out = made;
    return rc;
}

/* More of the file; *more is false at its end. */
static int read_ahead(struct stream *s, bool *more, struct error *err)
{
    size_t n = fread(s->block, 1, sizeof s->block, s->in);

    s->ahead = (ZSTD_inBuffer){s->block, n, 0};
    *more = n > 0;
    return ferror(s->in) ? error_set(err, ERR_IO, "cannot read '%s'", s->name) : 0;
}

static int inflate_some(struct stream *s, ZSTD_outBuffer *out, struct error *err)
{
    size_t left = ZSTD_decompressStream(s->inflater, out, &s->ahead);

    if (ZSTD_isError(left))
        return error_set(err, ERR_FORMAT, "'%s' cannot be decompressed (%s): get it again", s->name,
                         ZSTD_getErrorName(left));
    s->in_frame = left != 0;
    return 0;
}

/* The next plain bytes; none at the end. Only inside a frame may the inflater hold some back. */
static int inflate_next(struct stream *s, ZSTD_outBuffer *out, struct error *err)
{
    bool more = true;
    int rc = 0;

    while (rc == 0 && more) {
        if (s->in_frame || s->ahead.pos < s->ahead.size)
            rc = inflate_some(s, out, err);
        if (rc || out->pos)
            return rc;
        if (s->ahead.pos == s->ahead.size)
            rc = read_ahead(s, &more, err);
    }
    return rc;
}

static int inflate(struct stream *s, void *to, size_t size, size_t *got, struct error *err)
{
    ZSTD_outBuffer out = {to, size, 0};
    int rc = inflate_next(s, &out, err);

    if (rc == 0 && out.pos == 0 && s->in_frame)
        rc = error_set(err, ERR_INCOMPLETE, "'%s' is cut: copy it again", s->name);
    if (rc == 0 && out.pos > s->left)
        rc = error_set(err, ERR_INTEGRITY, "'%s' holds more than the manifest lists", s->name);
    if (rc == 0) {
        s->left -= out.pos;
        *got = out.pos;
    }
    return rc;
}

int stream_read(struct stream *s, void *out, size_t size, size_t *got, struct error *err)
{
    if (s->inflater)
        return inflate(s, out, size, got, err);
    *got = fread(out, 1, size, s->in);
    return ferror(s->in) ? error_set_errno(err, errno, "cannot read '%s'", s->name) : 0;
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    if (s->in)
        fclose(s->in);
    ZSTD_freeDStream(s->inflater);
    free(s);
}

/* ---- writing ---- */

struct packing {
    FILE *in, *out;
    ZSTD_CStream *deflater;
    struct sha256 *digest;
    struct manifest_file *file;
    char from[PATH_MAX], to[PATH_MAX];
    uint8_t block[BLOCK_SIZE], packed[BLOCK_SIZE];
};

static int put_packed(struct packing *p, size_t len, struct error *err)
{
    if (fwrite(p->packed, 1, len, p->out) != len)
        return error_set_errno(err, errno, "cannot write '%s'", p->to);
    sha256_update(p->digest, p->packed, len);
    p->file->bytes += len;
    return 0;
}

/* One block; the last ends the frame. */
static int pack_block(struct packing *p, size_t len, bool last, struct error *err)
{
    ZSTD_inBuffer in = {p->block, len, 0};
    size_t left;
    int rc;

    do {
        ZSTD_outBuffer out = {p->packed, sizeof p->packed, 0};

        left = ZSTD_compressStream2(p->deflater, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return error_set(err, ERR_INTERNAL, "cannot compress '%s': %s", p->from,
                             ZSTD_getErrorName(left));
        rc = put_packed(p, out.pos, err);
    } while (rc == 0 && (last ? left > 0 : in.pos < in.size));
    return rc;
}

static int pack(struct packing *p, struct error *err)
{
    bool last = false;
    int rc = 0;

    while (rc == 0 && !last) {
        size_t n = fread(p->block, 1, sizeof p->block, p->in);

        last = n < sizeof p->block;
        rc = ferror(p->in) ? error_set_errno(err, errno, "cannot read '%s'", p->from)
                           : pack_block(p, n, last, err);
    }
    return rc;
}

static int open_packing(struct packing *p, const char *dir, const char *name, struct error *err)
{
    int rc = file_join(p->from, sizeof p->from, dir, name, err);

    if (rc == 0)
        rc = file_join(p->to, sizeof p->to, dir, p->file->name, err);
    if (rc == 0)
        rc = file_open_regular(p->from, &p->in, NULL, err);
    if (rc == 0 && !(p->out = fopen(p->to, "wxe")))
        rc = error_set_errno(err, errno, "cannot create '%s'", p->to);
    p->deflater = ZSTD_createCStream();
    p->digest = sha256_new();
    if (rc == 0 && (!p->deflater || ZSTD_isError(ZSTD_CCtx_setParameter(
                                        p->deflater, ZSTD_c_compressionLevel, LEVEL))))
        rc = error_set(err, ERR_INTERNAL, "out of memory for '%s'", p->to);
    return rc;
}

int stream_compress(const char *dir, const char *name, struct manifest_file *file,
                    struct error *err)
{
    struct packing *p = calloc(1, sizeof *p);
    int rc;

    if (!p)
        return error_set(err, ERR_INTERNAL, "out of memory");
    *file = (struct manifest_file){.bytes = 0};
    snprintf(file->name, sizeof file->name, "%.*s" STREAM_SUFFIX,
             (int)(sizeof file->name - sizeof STREAM_SUFFIX), name);
    p->file = file;
    rc = open_packing(p, dir, name, err);
    if (rc == 0)
        rc = pack(p, err);
    if (p->in)
        fclose(p->in);
    if (p->out && rc == 0)
        rc = file_close(p->out, p->to, err);
    else if (p->out)
        fclose(p->out);
    sha256_final(p->digest, file->sha256);
    ZSTD_freeCStream(p->deflater);
    if (rc == 0 && unlink(p->from))
        rc = error_set_errno(err, errno, "cannot remove '%s'", p->from);
    free(p);
    return rc;
}
