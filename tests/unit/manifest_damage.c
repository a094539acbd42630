#include "manifest_damage.h"

#include "base/codec.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINES_MAX 64
#define MUST(cond)                                                                                 \
    ((cond) ? (void)0 : (fprintf(stderr, "manifest_damage.c:%d: %s\n", __LINE__, #cond), abort()))

struct lines {
    struct buf bytes;
    size_t count;
    const uint8_t *at[LINES_MAX];
    size_t len[LINES_MAX]; /* with the line end */
};

static void path_of(char path[PATH_MAX], const char *dir, const char *name)
{
    MUST(file_join(path, PATH_MAX, dir, name, NULL) == 0);
}

static void read_whole(const char *dir, const char *name, struct buf *out)
{
    char path[PATH_MAX];

    path_of(path, dir, name);
    buf_init(out, STATEMENT_MAX);
    MUST(file_read(path, out, NULL) == 0);
}

static void write_whole(const char *dir, const char *name, struct buf *bytes)
{
    char path[PATH_MAX];

    path_of(path, dir, name);
    MUST(!buf_failed(bytes) && file_write(path, bytes->data, bytes->len, 0644, NULL) == 0);
    buf_done(bytes);
}

void damage_replace(const char *dir, const char *name, const char *find, const char *put)
{
    struct buf in, out;
    const uint8_t *at;
    size_t before;

    read_whole(dir, name, &in);
    at = memmem(in.data, in.len, find, strlen(find));
    MUST(at);
    before = (size_t)(at - in.data);
    buf_init(&out, STATEMENT_MAX);
    buf_put(&out, in.data, before);
    buf_put_str(&out, put);
    buf_put(&out, at + strlen(find), in.len - before - strlen(find));
    buf_done(&in);
    write_whole(dir, name, &out);
}

void damage_flip(const char *dir, const char *name, const char *marker, size_t skip)
{
    struct buf b;
    uint8_t *at;

    read_whole(dir, name, &b);
    at = memmem(b.data, b.len, marker, strlen(marker));
    MUST(at);
    at += strlen(marker) + skip;
    *at = *at == '0' ? '1' : '0';
    write_whole(dir, name, &b);
}

static void split(const char *dir, const char *name, struct lines *l)
{
    const uint8_t *at, *end;

    *l = (struct lines){.count = 0};
    read_whole(dir, name, &l->bytes);
    at = l->bytes.data;
    end = at + l->bytes.len;
    while (at < end) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));

        MUST(stop && l->count < LINES_MAX);
        l->at[l->count] = at;
        l->len[l->count++] = (size_t)(stop - at) + 1;
        at = stop + 1;
    }
}

/* Writes the lines of these numbers, and frees. */
static void join(const char *dir, const char *name, struct lines *l, const size_t *order,
                 size_t count)
{
    struct buf out;

    buf_init(&out, STATEMENT_MAX);
    for (size_t i = 0; i < count; i++)
        buf_put(&out, l->at[order[i]], l->len[order[i]]);
    buf_done(&l->bytes);
    write_whole(dir, name, &out);
}

static size_t rearrange(const struct lines *l, size_t order[LINES_MAX + 1], size_t from,
                        size_t copies)
{
    size_t count = 0;

    MUST(from < l->count);
    for (size_t i = 0; i < l->count; i++)
        for (size_t n = i == from ? copies : 1; n > 0; n--)
            order[count++] = i;
    return count;
}

void damage_drop_line(const char *dir, const char *name, size_t line)
{
    struct lines l;
    size_t order[LINES_MAX + 1], count;

    split(dir, name, &l);
    count = rearrange(&l, order, line, 0);
    join(dir, name, &l, order, count);
}

void damage_repeat_line(const char *dir, const char *name, size_t line)
{
    struct lines l;
    size_t order[LINES_MAX + 1], count;

    split(dir, name, &l);
    count = rearrange(&l, order, line, 2);
    join(dir, name, &l, order, count);
}

void damage_swap_lines(const char *dir, const char *name, size_t one, size_t other)
{
    struct lines l;
    size_t order[LINES_MAX + 1], count;

    split(dir, name, &l);
    count = rearrange(&l, order, one, 1);
    order[one] = other;
    order[other] = one;
    join(dir, name, &l, order, count);
}

void damage_cut(const char *dir, const char *name, size_t bytes)
{
    struct buf b;

    read_whole(dir, name, &b);
    MUST(b.len > bytes);
    b.len -= bytes;
    write_whole(dir, name, &b);
}

void damage_append(const char *dir, const char *name, const char *text)
{
    struct buf b;

    read_whole(dir, name, &b);
    buf_put_str(&b, text);
    write_whole(dir, name, &b);
}

void damage_remove(const char *dir, const char *name)
{
    char path[PATH_MAX];

    path_of(path, dir, name);
    MUST(unlink(path) == 0);
}

void damage_write(const char *dir, const char *name, const char *text)
{
    struct buf b;

    buf_init(&b, STATEMENT_MAX);
    buf_put_str(&b, text);
    write_whole(dir, name, &b);
}

void damage_line(const struct buf *in, const struct damage_edit *e, struct buf *out)
{
    const char *at = memmem(in->data, in->len, e->find, strlen(e->find));
    size_t before;

    MUST(at);
    before = (size_t)(at - (const char *)in->data);
    buf_put(out, in->data, before);
    buf_put_str(out, e->put);
    buf_put(out, at + strlen(e->find), in->len - before - strlen(e->find));
}

void damage_statement(const char *dir, void (*edit)(struct statement *s, void *context),
                      void *context)
{
    struct statement s;
    struct buf bytes;

    read_whole(dir, MANIFEST_NAME, &bytes);
    MUST(statement_parse(bytes.data, bytes.len, &s, NULL) == 0);
    edit(&s, context);
    buf_reset(&bytes);
    MUST(statement_write(&s, &bytes, NULL) == 0);
    write_whole(dir, MANIFEST_NAME, &bytes);
    statement_done(&s);
}

void damage_copy(const char *from_dir, const char *to_dir, const char *name)
{
    struct buf b;

    read_whole(from_dir, name, &b);
    write_whole(to_dir, name, &b);
}

void damage_rename(const char *dir, const char *name, const char *to)
{
    char from_path[PATH_MAX], to_path[PATH_MAX];

    path_of(from_path, dir, name);
    path_of(to_path, dir, to);
    MUST(rename(from_path, to_path) == 0);
}

void damage_symlink(const char *dir, const char *name)
{
    char path[PATH_MAX], away[PATH_MAX];

    path_of(path, dir, name);
    MUST(snprintf(away, sizeof away, "%s.away", dir) > 0);
    MUST(rename(path, away) == 0 && symlink(away, path) == 0);
}

void damage_name_evidence(const char *dir, size_t line)
{
    struct lines devices, evidence;
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    uint8_t *at;

    split(dir, DEVICES, &devices);
    split(dir, EVIDENCE, &evidence);
    sha256(evidence.at[line], evidence.len[line] - 1, digest);
    hex_encode(digest, sizeof digest, hex);
    at = memmem(devices.at[line], devices.len[line], "\"ev\":\"", 6);
    MUST(at);
    memcpy(at + 6, hex, 2 * SHA256_SIZE);
    buf_done(&evidence.bytes);
    write_whole(dir, DEVICES, &devices.bytes);
}
