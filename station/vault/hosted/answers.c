#include "station/vault/hosted/answers.h"

#include "base/file.h"
#include "station/vault/hosted/answer_pieces.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what it is ---- */

static int read_content(struct answer_source *s)
{
    uint64_t before = s->found;
    int rc;

    rc = pieces_are_der(s) ? pieces_read_der(s) : pieces_read_text(s);
    if (rc == 0 && s->found == before) {
        s->line = 0;
        rc = source_problem(s, "no certificate was found in it");
    }
    return rc;
}

/* ---- archives ---- */

/* A whole block; false at the end of the stream. */
static bool read_block(struct answer_source *s, uint8_t block[TAR_BLOCK])
{
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        int c = source_next(s);

        if (c == EOF)
            return false;
        block[i] = (uint8_t)c;
    }
    return true;
}

static bool skip(struct answer_source *s, uint64_t octets)
{
    while (octets > 0 && source_next(s) != EOF)
        octets--;
    return octets == 0;
}

/* One file of the archive, whose octets come next. */
static int read_entry(struct answer_source *archive, const struct tar_entry *e)
{
    char name[ANSWERS_PLACE_SIZE];
    struct answer_source s = {.in = archive->in,
                              .left = e->size,
                              .name = name,
                              .sink = archive->sink,
                              .err = archive->err};
    int rc;

    snprintf(name, sizeof name, "%.380s: %s", archive->name, e->name);
    source_read_head(&s);
    rc = read_content(&s);
    archive->found += s.found;
    if (rc == 0 && !skip(archive, s.left + tar_padding(e->size)))
        rc = source_problem(archive, "the archive is cut off");
    return rc;
}

static int read_tar(struct answer_source *s)
{
    uint8_t block[TAR_BLOCK];
    struct tar_entry e;
    int rc = 0;

    while (rc == 0) {
        if (!read_block(s, block)) {
            rc = source_check(s);
            return rc ? rc : source_problem(s, "the archive is cut off");
        }
        if (tar_parse(block, &e))
            return source_problem(s, "the archive is damaged: what follows is not read");
        if (e.end)
            break;
        if (e.regular)
            rc = read_entry(s, &e);
        else if (!skip(s, e.size + tar_padding(e.size)))
            rc = source_problem(s, "the archive is cut off");
    }
    if (rc == 0 && s->found == 0)
        rc = source_problem(s, "no certificate was found in it");
    return rc;
}

/* ---- files and folders ---- */

int answers_read_stream(FILE *in, const char *name, const struct answers_sink *sink,
                        struct error *err)
{
    struct answer_source s = {.in = in, .left = UINT64_MAX, .name = name, .sink = sink, .err = err};
    struct tar_entry first;

    source_read_head(&s);
    if (s.head_len == TAR_BLOCK && tar_parse(s.head, &first) == 0 && !first.end)
        return read_tar(&s);
    return read_content(&s);
}

static int read_file(const char *path, const struct answers_sink *sink, struct error *err)
{
    FILE *in;
    int rc = file_open_regular(path, &in, NULL, err);

    if (rc)
        return rc;
    rc = answers_read_stream(in, path, sink, err);
    fclose(in);
    return rc;
}

/* What is no file is told, and the others are read. */
static int read_member(const char *dir, const char *name, const struct answers_sink *sink,
                       struct error *err)
{
    char path[PATH_MAX];
    const struct answer_source s = {.name = path, .sink = sink, .err = err};
    struct stat st;
    FILE *in;
    int rc = file_join(path, sizeof path, dir, name, err);

    if (rc)
        return rc;
    if (lstat(path, &st) || !S_ISREG(st.st_mode))
        return source_problem(&s, "it is no file: it is left out");
    if (file_open_regular(path, &in, NULL, err))
        return source_problem(&s, "it cannot be opened: it is left out");
    rc = answers_read_stream(in, path, sink, err);
    fclose(in);
    return rc;
}

static int read_folder(DIR *dir, const char *path, const struct answers_sink *sink,
                       struct error *err)
{
    struct dirent *entry;
    int rc = 0;

    while (rc == 0) {
        errno = 0;
        entry = readdir(dir);
        if (!entry)
            return errno ? error_set_errno(err, errno, "cannot read '%s'", path) : 0;
        if (entry->d_name[0] != '.')
            rc = read_member(path, entry->d_name, sink, err);
    }
    return rc;
}

int answers_read(const char *path, const struct answers_sink *sink, struct error *err)
{
    DIR *dir = opendir(path);
    int rc;

    if (!dir && errno == ENOTDIR)
        return read_file(path, sink, err);
    if (!dir)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    rc = read_folder(dir, path, sink, err);
    closedir(dir);
    return rc;
}
