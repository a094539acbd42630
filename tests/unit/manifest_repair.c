#include "manifest_kit.h"

#include "base/codec.h"
#include "base/file.h"
#include "manifests/canon.h"
#include "manifests/cms.h"
#include "manifests/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(cond) ((cond) ? (void)0 : kit_die(#cond, __LINE__, NULL))
#define OK(call)   ((call) == 0 ? (void)0 : kit_die(#call, __LINE__, &kit_error))

static struct error kit_error;

static void kit_die(const char *what, int line, const struct error *err)
{
    fprintf(stderr, "manifest_repair.c:%d: %s failed: %s\n", line, what, err ? err->text : "");
    abort();
}

static void path_of(char out[PATH_MAX], const char *dir, const char *name)
{
    OK(file_join(out, PATH_MAX, dir, name, &kit_error));
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    OK(file_write(path, bytes, len, 0644, &kit_error));
}

static void read_file(const char *dir, const char *name, struct buf *out)
{
    OK(folder_read(dir, name, out, &kit_error));
}

/* Replaces a member of a JSON object; takes the value over. */
static void set(json_t *object, const char *name, json_t *value)
{
    MUST(value && json_object_set_new(object, name, value) == 0);
}

static json_t *base64_value(const void *bytes, size_t len)
{
    struct buf text;
    json_t *value;

    buf_init(&text, 4096);
    base64_put(&text, bytes, len);
    value = json_stringn((const char *)text.data, text.len);
    buf_done(&text);
    return value;
}

static void fold_lines(const char *dir, struct merkle_tree *tree)
{
    struct buf lines;
    struct merkle_hash leaf;
    size_t at = 0;

    buf_init(&lines, STATEMENT_MAX);
    read_file(dir, "devices-00000.jsonl", &lines);
    while (at < lines.len) {
        const uint8_t *end = memchr(lines.data + at, '\n', lines.len - at);
        size_t len = end ? (size_t)(end - lines.data) - at : lines.len - at;

        merkle_leaf(lines.data + at, len, &leaf);
        merkle_push(tree, &leaf);
        at += len + 1;
    }
    buf_done(&lines);
}

/* The log as the files say, signed by the log key. */
static void repair_log(struct kit *k, const char *dir, const struct statement *before, json_t *m)
{
    struct merkle_tree tree = before->prev.tree;
    struct checkpoint c = {.size = 0};
    struct buf text, note;
    char path[PATH_MAX];

    fold_lines(dir, &tree);
    strcpy(c.origin, before->origin);
    c.size = tree.size;
    merkle_root(&tree, &c.root);
    set(m, "count", json_integer((json_int_t)(tree.size - before->first)));
    set(m, "size", json_integer((json_int_t)tree.size));
    set(m, "root", base64_value(c.root.bytes, sizeof c.root.bytes));
    buf_init(&text, 4096);
    buf_init(&note, 4096);
    checkpoint_write(&c, &text);
    OK(note_sign(text.data, text.len, k->origin, k->log_key, &note, &kit_error));
    path_of(path, dir, MANIFEST_CHECKPOINT);
    write_file(path, note.data, note.len);
    buf_done(&text);
    buf_done(&note);
}

static void repair_files(const char *dir, json_t *m)
{
    json_t *files = json_object_get(m, "files"), *entry;
    size_t i;

    json_array_foreach(files, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        uint8_t digest[SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1], path[PATH_MAX];
        struct buf bytes;

        path_of(path, dir, name);
        if (!file_exists(path))
            continue;
        buf_init(&bytes, STATEMENT_MAX);
        read_file(dir, name, &bytes);
        sha256(bytes.data, bytes.len, digest);
        hex_encode(digest, sizeof digest, hex);
        set(entry, "bytes", json_integer((json_int_t)bytes.len));
        set(entry, "sha256", json_string(hex));
        buf_done(&bytes);
    }
}

void kit_sign_with(const struct signer *signer, const char *dir)
{
    struct buf bytes, pem;
    char path[PATH_MAX];

    buf_init(&bytes, STATEMENT_MAX);
    buf_init(&pem, 65536);
    read_file(dir, MANIFEST_NAME, &bytes);
    OK(cms_sign(signer, bytes.data, bytes.len, &pem, &kit_error));
    path_of(path, dir, MANIFEST_SIGNATURE);
    write_file(path, pem.data, pem.len);
    buf_done(&bytes);
    buf_done(&pem);
}

/* Writes the statement as canonical JSON and signs it; takes m over. */
static void write_statement(struct kit *k, const char *dir, json_t *m)
{
    char path[PATH_MAX];
    struct buf bytes;
    struct jcs j;

    buf_init(&bytes, STATEMENT_MAX);
    jcs_init(&j, &bytes);
    canon_write(&j, NULL, m);
    buf_put_u8(&bytes, '\n');
    MUST(!buf_failed(&bytes));
    path_of(path, dir, MANIFEST_NAME);
    write_file(path, bytes.data, bytes.len);
    json_decref(m);
    buf_done(&bytes);
    kit_sign_with(&k->signer, dir);
}

static json_t *load_statement(const char *dir, struct buf *bytes)
{
    json_t *m;

    read_file(dir, MANIFEST_NAME, bytes);
    m = json_loadb((const char *)bytes->data, bytes->len, 0, NULL);
    MUST(m);
    return m;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct manifest_file *)a)->name, ((const struct manifest_file *)b)->name);
}

void kit_compress(struct kit *k, const char *dir)
{
    struct manifest_file *files;
    struct statement s;
    struct buf bytes;

    buf_init(&bytes, STATEMENT_MAX);
    read_file(dir, MANIFEST_NAME, &bytes);
    OK(statement_parse(bytes.data, bytes.len, &s, &kit_error));
    files = calloc(s.file_count + 2, sizeof *files);
    MUST(files);
    memcpy(files, s.files, s.file_count * sizeof *files);
    OK(stream_compress(dir, "devices-00000.jsonl", &files[s.file_count], &kit_error));
    OK(stream_compress(dir, "evidence-00000.jsonl", &files[s.file_count + 1], &kit_error));
    qsort(files, s.file_count + 2, sizeof *files, by_name);
    free(s.files);
    s.files = files;
    s.file_count += 2;
    buf_reset(&bytes);
    OK(statement_write(&s, &bytes, &kit_error));
    statement_done(&s);
    buf_put_u8(&bytes, 0);
    write_statement(k, dir, json_loads((const char *)bytes.data, 0, NULL));
    buf_done(&bytes);
}

void kit_repair(struct kit *k, const char *dir, unsigned what)
{
    struct statement before = {0};
    struct buf bytes;
    json_t *m;

    if (what & KIT_RAW)
        return kit_sign_with(&k->signer, dir);
    buf_init(&bytes, STATEMENT_MAX);
    m = load_statement(dir, &bytes);
    if (what & KIT_LOG) {
        OK(statement_parse(bytes.data, bytes.len, &before, &kit_error));
        repair_log(k, dir, &before, m);
    }
    if (what & (KIT_FILES | KIT_LOG))
        repair_files(dir, m);
    write_statement(k, dir, m);
    statement_done(&before);
    buf_done(&bytes);
}
