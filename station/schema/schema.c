#include "station/schema/schema.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX     (1024 * 1024)
#define FIELDS_MAX   64
#define NAME_MAX_LEN 64

/* Where we are in the file, for messages. */
struct place {
    const char *path;
    struct fy_node *node; /* the scalar that the message is about, or NULL for the whole file */
};

static int read_map(const char *path, struct fy_node *map, struct fy_node *at,
                    const struct schema_field *fields, uint8_t *out, struct error *err);

/* Prefixes the message in err with file:line:column (counted from 1). */
static int at(const struct place *place, struct error *err)
{
    struct fy_token *token = place->node ? fy_node_get_scalar_token(place->node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

    return error_prefix(err, "%s:%d:%d", place->path, mark ? mark->line + 1 : 1,
                        mark ? mark->column + 1 : 1);
}

/* Levenshtein distance of two words of at most NAME_MAX_LEN letters. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LEN + 1], n = strlen(b);

    if (n > NAME_MAX_LEN)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

            diagonal = row[j];
            row[j] = change < best ? change : best;
        }
    }
    return row[n];
}

const char *schema_nearest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = 3;

    for (; *names; names++) {
        size_t d = distance(word, *names);

        if (d < best_distance) {
            best_distance = d;
            best = *names;
        }
    }
    return best;
}

static int unknown_field(const char *name, const struct schema_field *fields, struct error *err)
{
    const char *names[FIELDS_MAX + 1];
    const char *near;
    size_t n = 0;

    while (fields[n].name && n < FIELDS_MAX) {
        names[n] = fields[n].name;
        n++;
    }
    names[n] = NULL;
    near = schema_nearest(name, names);
    if (near)
        return error_set(err, ERR_INPUT, "unknown field '%s'; did you mean '%s'?", name, near);
    return error_set(err, ERR_INPUT, "unknown field '%s'; the first valid one is '%s' (%s)", name,
                     fields[0].name, fields[0].meaning);
}

/* The scalar's text with a NUL, in a buffer of size bytes. */
static int scalar_text(struct fy_node *node, char *out, size_t size)
{
    size_t len;
    const char *text = fy_node_is_scalar(node) ? fy_node_get_scalar(node, &len) : NULL;

    if (!text || len >= size || memchr(text, 0, len))
        return ERR_INPUT;
    memcpy(out, text, len);
    out[len] = 0;
    return 0;
}

static int read_text(struct fy_node *node, const struct schema_field *f, uint8_t *out,
                     struct error *err)
{
    char *target = (char *)out + f->offset;

    if (scalar_text(node, target, (size_t)f->max + 1) || strlen(target) < (size_t)f->min)
        return error_set(err, ERR_INPUT,
                         "'%s' must be a text of %" PRId64 " to %" PRId64 " bytes (%s)", f->name,
                         f->min, f->max, f->meaning);
    return 0;
}

static int read_int(struct fy_node *node, const struct schema_field *f, uint8_t *out,
                    struct error *err)
{
    char text[32], *end = text;
    int64_t value = 0;

    errno = 0;
    if (scalar_text(node, text, sizeof text) == 0 &&
        (text[0] == '-' || (text[0] >= '0' && text[0] <= '9')))
        value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < f->min || value > f->max)
        return error_set(err, ERR_INPUT,
                         "'%s' must be a whole number from %" PRId64 " to %" PRId64 " (%s)",
                         f->name, f->min, f->max, f->meaning);
    memcpy(out + f->offset, &value, sizeof value);
    return 0;
}

static int read_bool(struct fy_node *node, const struct schema_field *f, uint8_t *out,
                     struct error *err)
{
    char text[8] = "";
    bool value;

    if (scalar_text(node, text, sizeof text) || (strcmp(text, "true") && strcmp(text, "false")))
        return error_set(err, ERR_INPUT, "'%s' must be true or false (%s)", f->name, f->meaning);
    value = text[0] == 't';
    memcpy(out + f->offset, &value, sizeof value);
    return 0;
}

/* Runs a check of a value and puts the position in front of what it says. */
static int run_check(schema_check check, const char *path, struct fy_node *node, const void *value,
                     struct error *err)
{
    struct place place = {path, node};
    const char *member = NULL;
    int rc = check ? check(value, &member, err) : 0;

    (void)member; /* a scalar has none */
    return rc ? at(&place, err) : 0;
}

/* As run_check for a map; at_node: the scalar to point at when no member is to blame. */
static int check_map(schema_check check, const char *path, struct fy_node *map,
                     struct fy_node *at_node, const void *value, struct error *err)
{
    struct place place = {path, at_node};
    const char *member = NULL;
    int rc = check ? check(value, &member, err) : 0;
    struct fy_node_pair *pair;
    void *iterator = NULL;
    char name[NAME_MAX_LEN];

    if (rc == 0)
        return 0;
    while ((pair = fy_node_mapping_iterate(map, &iterator))) {
        struct fy_node *key = fy_node_pair_key(pair);

        if (!place.node)
            place.node = key;
        if (member && scalar_text(key, name, sizeof name) == 0 && strcmp(name, member) == 0)
            place.node = key;
    }
    return at(&place, err);
}

static int list_size(const char *path, struct fy_node *node, struct fy_node *key,
                     const struct schema_field *f, struct error *err)
{
    struct place place = {path, key};

    if (fy_node_is_sequence(node) && fy_node_sequence_item_count(node) >= f->min &&
        fy_node_sequence_item_count(node) <= f->max)
        return 0;
    error_set(err, ERR_INPUT, "'%s' must be a list of %" PRId64 " to %" PRId64 " items (%s)",
              f->name, f->min, f->max, f->meaning);
    return at(&place, err);
}

static int read_texts(const char *path, struct fy_node *node, struct fy_node *key,
                      const struct schema_field *f, uint8_t *out, struct error *err)
{
    void *iterator = NULL;
    struct fy_node *item;
    size_t count = 0;
    int rc = list_size(path, node, key, f, err);

    while (rc == 0 && (item = fy_node_sequence_iterate(node, &iterator))) {
        struct place place = {path, fy_node_is_scalar(item) ? item : key};
        char *target = (char *)out + f->offset + count++ * f->item_size;

        if (scalar_text(item, target, f->item_size) || !*target) {
            error_set(err, ERR_INPUT, "an item of '%s' must be a text of 1 to %zu bytes (%s)",
                      f->name, f->item_size - 1, f->meaning);
            return at(&place, err);
        }
        rc = run_check(f->check, path, item, target, err);
    }
    memcpy(out + f->count_offset, &count, sizeof count);
    return rc;
}

static int read_list(const char *path, struct fy_node *node, struct fy_node *key,
                     const struct schema_field *f, uint8_t *out, struct error *err)
{
    void *iterator = NULL;
    struct fy_node *item;
    size_t count = 0;
    int rc = list_size(path, node, key, f, err);

    while (rc == 0 && (item = fy_node_sequence_iterate(node, &iterator))) {
        uint8_t *target = out + f->offset + count++ * f->item_size;

        rc = read_map(path, item, key, f->fields, target, err);
        if (rc == 0)
            rc = check_map(f->check, path, item, NULL, target, err);
    }
    memcpy(out + f->count_offset, &count, sizeof count);
    return rc;
}

static int read_given_map(const char *path, struct fy_node *node, struct fy_node *key,
                          const struct schema_field *f, uint8_t *out, struct error *err)
{
    const size_t given = 1;
    int rc = read_map(path, node, key, f->fields, out + f->offset, err);

    if (rc == 0 && f->count_offset)
        memcpy(out + f->count_offset, &given, sizeof given);
    return rc ? rc : check_map(f->check, path, node, key, out + f->offset, err);
}

static int read_field(const char *path, struct fy_node *key, struct fy_node *node,
                      const struct schema_field *f, uint8_t *out, struct error *err)
{
    struct place place = {path, fy_node_is_scalar(node) ? node : key};
    int rc;

    switch (f->type) {
    case SCHEMA_MAP:
        return read_given_map(path, node, key, f, out, err);
    case SCHEMA_LIST:
        return read_list(path, node, key, f, out, err);
    case SCHEMA_TEXTS:
        return read_texts(path, node, key, f, out, err);
    case SCHEMA_TEXT:
        rc = read_text(node, f, out, err);
        break;
    case SCHEMA_INT:
        rc = read_int(node, f, out, err);
        break;
    case SCHEMA_BOOL:
    default:
        rc = read_bool(node, f, out, err);
        break;
    }
    return rc ? at(&place, err) : run_check(f->check, path, place.node, out + f->offset, err);
}

static const struct schema_field *find_field(const struct schema_field *fields, const char *name)
{
    for (; fields->name; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

static int check_required(const struct place *place, const struct schema_field *fields,
                          uint64_t seen, struct error *err)
{
    for (size_t i = 0; fields[i].name; i++)
        if (fields[i].required && !(seen >> i & 1)) {
            error_set(err, ERR_INPUT, "missing field '%s' (%s)", fields[i].name, fields[i].meaning);
            return at(place, err);
        }
    return 0;
}

/* at_node: the scalar to point at when the map itself is wrong or lacks a field. */
static int read_map(const char *path, struct fy_node *map, struct fy_node *at_node,
                    const struct schema_field *fields, uint8_t *out, struct error *err)
{
    struct place place = {path, at_node};
    struct fy_node_pair *pair;
    void *iterator = NULL;
    uint64_t seen = 0;
    int rc;

    if (!fy_node_is_mapping(map)) {
        error_set(err, ERR_INPUT, "expected 'name: value' lines, the first being '%s' (%s)",
                  fields[0].name, fields[0].meaning);
        return at(&place, err);
    }
    while ((pair = fy_node_mapping_iterate(map, &iterator))) {
        struct fy_node *key = fy_node_pair_key(pair);
        const struct schema_field *f;
        char name[NAME_MAX_LEN] = "";

        if (!place.node || place.node == at_node)
            place.node = key;
        if (scalar_text(key, name, sizeof name) || !(f = find_field(fields, name))) {
            struct place here = {path, key};

            unknown_field(name, fields, err);
            return at(&here, err);
        }
        rc = read_field(path, key, fy_node_pair_value(pair), f, out, err);
        if (rc)
            return rc;
        seen |= UINT64_C(1) << (f - fields);
    }
    return check_required(&place, fields, seen, err);
}

static int syntax_error(const char *path, struct fy_diag *diag, struct error *err)
{
    void *iterator = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &iterator);

    if (!e)
        return error_set(err, ERR_INPUT, "%s:1:1: the file is empty or not YAML", path);
    return error_set(err, ERR_INPUT, "%s:%d:%d: %s", path, e->line, e->column, e->msg);
}

/* libfyaml 0.7 never returns from a directive with bytes that are not UTF-8. */
static int check_utf8(const char *source, const uint8_t *text, size_t size, struct error *err)
{
    size_t line = 1, start = 0, len;

    for (size_t i = 0; i < size; i += len) {
        len = text_character(text + i, size - i);
        if (len == 0)
            return error_set(err, ERR_INPUT, "%s:%zu:%zu: this is not text in UTF-8", source, line,
                             i - start + 1);
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    }
    return 0;
}

int schema_parse(const char *source, const void *text, size_t len,
                 const struct schema_field *fields, schema_check check, void *out,
                 struct error *err)
{
    struct fy_diag_cfg diag_cfg;
    struct fy_parse_cfg cfg = {.flags = FYPCF_COLLECT_DIAG};
    struct fy_document *doc;
    struct fy_diag *diag;
    int rc;

    if (len == 0)
        return error_set(err, ERR_INPUT, "%s:1:1: the file is empty", source);
    rc = check_utf8(source, text, len, err);
    if (rc)
        return rc;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag = fy_diag_create(&diag_cfg);
    if (!diag)
        return error_set(err, ERR_INTERNAL, "out of memory");
    fy_diag_set_collect_errors(diag, true);
    cfg.diag = diag;
    doc = fy_document_build_from_string(&cfg, text, len);
    if (!doc || !fy_document_root(doc))
        rc = syntax_error(source, diag, err);
    else
        rc = read_map(source, fy_document_root(doc), NULL, fields, out, err);
    if (rc == 0)
        rc = check_map(check, source, fy_document_root(doc), NULL, out, err);
    fy_document_destroy(doc);
    fy_diag_destroy(diag);
    return rc;
}

int schema_read(const char *path, const struct schema_field *fields, void *out, struct error *err)
{
    struct buf text;
    int rc;

    buf_init(&text, FILE_MAX);
    rc = file_read(path, &text, err);
    if (rc == 0)
        rc = schema_parse(path, text.data, text.len, fields, NULL, out, err);
    buf_done(&text);
    return rc;
}
