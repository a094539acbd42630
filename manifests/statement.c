#include "manifests/statement.h"

#include "base/clock.h"
#include "base/codec.h"
#include "manifests/canon.h"

#include <stdlib.h>
#include <string.h>

#define INTEGER_MAX ((UINT64_C(1) << 53) - 1)

bool statement_name_valid(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(name);

    return len > 0 && len <= STATEMENT_NAME_MAX && name[0] != '.' && strspn(name, allowed) == len;
}

static int by_name(const void *name, const void *file)
{
    return strcmp(name, ((const struct manifest_file *)file)->name);
}

const struct manifest_file *statement_file(const struct statement *s, const char *name)
{
    return s->file_count ? bsearch(name, s->files, s->file_count, sizeof *s->files, by_name) : NULL;
}

/* A writer's mistake is always its input; in a file that was read, each kind has its own code. */
static int code_or(int code, int when_read)
{
    return code ? code : when_read;
}

static int check_log(const struct statement *s, int code, struct error *err)
{
    uint64_t first = s->has_prev ? s->prev.tree.size : 0;
    uint64_t seq = s->has_prev ? s->prev.seq + 1 : 1;
    struct merkle_hash root;

    if (!note_name_valid(s->origin))
        return error_set(err, code_or(code, ERR_FORMAT), "origin '%s' is not a log name",
                         s->origin);
    if (s->size > INTEGER_MAX || s->count > s->size || s->first != first || s->seq != seq ||
        s->size != s->first + s->count)
        return error_set(err, code_or(code, ERR_INCOMPLETE),
                         "seq, first, count and size of the manifest do not continue what is "
                         "before it");
    if (!s->has_prev)
        return 0;
    if (s->prev.seq == 0)
        return error_set(err, code_or(code, ERR_FORMAT),
                         "the previous manifest cannot have the number 0");
    merkle_root(&s->prev.tree, &root);
    if (memcmp(&root, &s->prev.root, sizeof root))
        return error_set(err, code_or(code, ERR_INTEGRITY),
                         "the frontier in prev does not give prev's root");
    return 0;
}

static int check_files(const struct statement *s, int code, struct error *err)
{
    if (s->file_count > STATEMENT_FILES_MAX)
        return error_set(err, code_or(code, ERR_FORMAT), "more than %d files", STATEMENT_FILES_MAX);
    for (size_t i = 0; i < s->file_count; i++) {
        const char *name = s->files[i].name;

        if (!statement_name_valid(name) || strncmp(name, MANIFEST_NAME, strlen(MANIFEST_NAME)) == 0)
            return error_set(err, code_or(code, ERR_FORMAT),
                             "files[] lists '%s', which is not a plain file name, or is the "
                             "manifest itself",
                             name);
        if (i && strcmp(s->files[i - 1].name, name) >= 0)
            return error_set(err, code_or(code, ERR_FORMAT),
                             "files[] is not sorted by name at '%s'", name);
    }
    return 0;
}

static bool totals_add_up(const struct manifest_totals *t)
{
    uint64_t sum = 0;

#define TOTALS_SUM(name)                                                                           \
    if (t->name > INTEGER_MAX)                                                                     \
        return false;                                                                              \
    sum += t->name;
    MANIFEST_TOTALS(TOTALS_SUM)
#undef TOTALS_SUM
    return sum - t->issued == t->issued;
}

static int check_totals(const struct statement *s, int code, struct error *err)
{
    for (size_t i = 0; i < s->totals_count; i++) {
        const struct manifest_totals *t = &s->totals[i];

        if (i && memcmp(t[-1].order, t->order, sizeof t->order) >= 0)
            return error_set(err, code_or(code, ERR_FORMAT), "totals is not sorted by order hash");
        if (!totals_add_up(t))
            return error_set(err, code_or(code, ERR_INCOMPLETE),
                             "the totals of order %02x%02x%02x%02x... do not add up: issued must "
                             "be the sum of the others",
                             t->order[0], t->order[1], t->order[2], t->order[3]);
    }
    return 0;
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(((const struct manifest_version *)a)->hash,
                  ((const struct manifest_version *)b)->hash, SHA256_SIZE);
}

int statement_versions(const struct statement *s, struct manifest_version **list, size_t *count,
                       struct error *err)
{
    struct manifest_version *made;
    size_t n = s->totals_count;

    for (size_t i = 0; i < s->totals_count; i++)
        n += s->totals[i].amendment_count;
    made = calloc(n + 1, sizeof *made);
    if (!made)
        return error_set(err, ERR_INTERNAL, "out of memory");
    n = 0;
    for (size_t i = 0; i < s->totals_count; i++) {
        const struct manifest_totals *t = &s->totals[i];

        made[n++] = (struct manifest_version){t->order, t};
        for (size_t j = 0; j < t->amendment_count; j++)
            made[n++] = (struct manifest_version){t->amendments[j], t};
    }
    qsort(made, n, sizeof *made, by_hash);
    *list = made;
    *count = n;
    return 0;
}

static int check_versions(const struct statement *s, int code, struct error *err)
{
    struct manifest_version *list;
    size_t count;
    int rc = statement_versions(s, &list, &count, err);

    if (rc)
        return rc;
    for (size_t i = 1; rc == 0 && i < count; i++)
        if (memcmp(list[i - 1].hash, list[i].hash, SHA256_SIZE) == 0)
            rc = error_set(err, code_or(code, ERR_FORMAT),
                           "totals names one version of an order twice");
    free(list);
    return rc;
}

static int check_statement(const struct statement *s, int code, struct error *err)
{
    int rc = check_log(s, code, err);

    if (rc == 0)
        rc = check_files(s, code, err);
    if (rc == 0)
        rc = check_totals(s, code, err);
    return rc ? rc : check_versions(s, code, err);
}

static void write_files(struct jcs *j, const struct statement *s)
{
    jcs_array(j, "files");
    for (size_t i = 0; i < s->file_count; i++) {
        const struct manifest_file *f = &s->files[i];

        jcs_object(j, NULL);
        jcs_int(j, "bytes", (int64_t)f->bytes);
        jcs_str(j, "name", f->name);
        jcs_hex(j, "sha256", f->sha256, sizeof f->sha256);
        jcs_end(j);
    }
    jcs_end(j);
}

static void write_prev(struct jcs *j, const struct manifest_state *prev)
{
    struct merkle_hash frontier[MERKLE_LEVELS];
    size_t count = merkle_frontier(&prev->tree, frontier);

    jcs_object(j, "prev");
    jcs_array(j, "frontier");
    for (size_t i = 0; i < count; i++)
        jcs_base64(j, NULL, frontier[i].bytes, sizeof frontier[i].bytes);
    jcs_end(j);
    jcs_base64(j, "root", prev->root.bytes, sizeof prev->root.bytes);
    jcs_int(j, "seq", (int64_t)prev->seq);
    jcs_hex(j, "sha256", prev->sha256, sizeof prev->sha256);
    jcs_int(j, "size", (int64_t)prev->tree.size);
    jcs_end(j);
}

void manifest_put_amendments(struct jcs *j, const struct manifest_totals *t)
{
    jcs_array(j, "amendments");
    for (size_t i = 0; i < t->amendment_count; i++)
        jcs_hex(j, NULL, t->amendments[i], SHA256_SIZE);
    jcs_end(j);
}

void manifest_put_totals(struct jcs *j, const struct manifest_totals *t)
{
#define PUT_TOTAL(name) jcs_int(j, #name, (int64_t)t->name);
    MANIFEST_TOTALS(PUT_TOTAL)
#undef PUT_TOTAL
}

static void write_totals(struct jcs *j, const struct statement *s)
{
    jcs_object(j, "totals");
    for (size_t i = 0; i < s->totals_count; i++) {
        const struct manifest_totals *t = &s->totals[i];
        char order[2 * SHA256_SIZE + 1];

        hex_encode(t->order, sizeof t->order, order);
        jcs_object(j, order);
        if (t->amendment_count) /* left out while the order was not amended */
            manifest_put_amendments(j, t);
        manifest_put_totals(j, t);
        jcs_end(j);
    }
    jcs_end(j);
}

static void write_members(struct jcs *j, const struct statement *s)
{
    char created[CLOCK_TEXT_SIZE];

    clock_text(s->created, created);
    jcs_object(j, NULL);
    jcs_int(j, "count", (int64_t)s->count);
    jcs_str(j, "created", created);
    if (s->crit)
        canon_write_text(j, "crit", s->crit);
    jcs_str(j, "customer", s->customer);
    jcs_str(j, "environment", s->environment);
    if (s->ext)
        canon_write_text(j, "ext", s->ext);
    write_files(j, s);
    jcs_int(j, "first", (int64_t)s->first);
    jcs_str(j, "format", STATEMENT_FORMAT);
    jcs_str(j, "hash", "sha256");
    jcs_str(j, "origin", s->origin);
    if (s->has_prev)
        write_prev(j, &s->prev);
    else
        jcs_null(j, "prev");
    jcs_base64(j, "root", s->root.bytes, sizeof s->root.bytes);
    jcs_int(j, "seq", (int64_t)s->seq);
    jcs_int(j, "size", (int64_t)s->size);
    jcs_str(j, "station", s->station);
    write_totals(j, s);
    jcs_end(j);
}

static void write_bytes(const struct statement *s, struct buf *out)
{
    struct jcs j;

    jcs_init(&j, out);
    write_members(&j, s);
    buf_put_u8(out, '\n');
}

int statement_write(const struct statement *s, struct buf *out, struct error *err)
{
    int rc = check_statement(s, ERR_INPUT, err);

    if (rc == 0 && (!s->station[0] || !s->environment[0] || !s->customer[0]))
        rc = error_set(err, ERR_INPUT, "station, environment or customer is empty");
    if (rc == 0 && (s->created < 0 || s->created > INT64_C(253402300799)))
        rc = error_set(err, ERR_INPUT, "the time of creation is outside the years 1970 to 9999");
    if (rc == 0 && canon_check_ext_form(s->ext, s->crit, NULL))
        rc = error_set(err, ERR_INPUT,
                       "ext is not a JSON object, or crit not a list of names of its members");
    if (rc)
        return rc;
    write_bytes(s, out);
    if (buf_failed(out))
        return error_set(err, ERR_INPUT,
                         "the manifest has a text that is not printable ASCII, a number that is "
                         "too large, or is too long");
    return 0;
}

/* One element of files[] or of totals, read by a reader of its own. */
static void enter_value(struct canon *c, json_t *value, const char *what, struct canon *child)
{
    *child = (struct canon){.value = json_incref(value), .what = what, .err = c->err, .rc = c->rc};
    if (!json_is_object(value))
        canon_fail(child, "%s is not an object", what);
}

static void read_files(struct canon *c, struct statement *s)
{
    json_t *list = canon_array(c, "files");
    size_t count = json_array_size(list);

    if (count > STATEMENT_FILES_MAX)
        canon_fail(c, "files[] has more than %d entries", STATEMENT_FILES_MAX);
    if (c->rc || count == 0)
        goto out;
    s->files = calloc(count, sizeof *s->files);
    if (!s->files)
        canon_fail(c, "out of memory for %zu files", count);
    for (; c->rc == 0 && s->file_count < count; s->file_count++) {
        struct manifest_file *f = &s->files[s->file_count];
        struct canon in;

        enter_value(c, json_array_get(list, s->file_count), "an entry of files[]", &in);
        canon_u64(&in, "bytes", &f->bytes);
        canon_text(&in, "name", f->name, sizeof f->name);
        canon_hex(&in, "sha256", f->sha256, sizeof f->sha256);
        in.rc = canon_end(&in);
        canon_leave(c, &in);
    }
out:
    if (c->rc == 0)
        json_object_del(c->value, "files");
}

static void read_frontier(struct canon *c, struct merkle_tree *tree, uint64_t size)
{
    struct merkle_hash frontier[MERKLE_LEVELS];
    json_t *list = canon_array(c, "frontier");
    size_t count = json_array_size(list);
    struct buf bytes;

    if (count > MERKLE_LEVELS)
        canon_fail(c, "the frontier has more than %d hashes", MERKLE_LEVELS);
    buf_init(&bytes, SHA256_SIZE);
    for (size_t i = 0; c->rc == 0 && i < count; i++) {
        const json_t *item = json_array_get(list, i);

        buf_reset(&bytes);
        if (!json_is_string(item) ||
            base64_decode(json_string_value(item), json_string_length(item), &bytes) ||
            bytes.len != SHA256_SIZE)
            canon_fail(c, "hash %zu of the frontier is not base64 of 32 bytes", i);
        else
            memcpy(frontier[i].bytes, bytes.data, SHA256_SIZE);
    }
    buf_done(&bytes);
    if (c->rc == 0 && merkle_restore(tree, size, frontier, count))
        canon_fail(c, "the frontier does not have one hash for each bit of prev's size");
    if (c->rc == 0)
        json_object_del(c->value, "frontier");
}

static void read_prev(struct canon *c, struct statement *s)
{
    uint64_t size = 0;
    struct canon in;

    s->has_prev = !json_is_null(json_object_get(c->value, "prev"));
    if (!s->has_prev) {
        json_object_del(c->value, "prev");
        return;
    }
    canon_enter(c, "prev", &in);
    canon_base64(&in, "root", s->prev.root.bytes, sizeof s->prev.root.bytes);
    canon_u64(&in, "seq", &s->prev.seq);
    canon_hex(&in, "sha256", s->prev.sha256, sizeof s->prev.sha256);
    canon_u64(&in, "size", &size);
    read_frontier(&in, &s->prev.tree, size);
    in.rc = canon_end(&in);
    canon_leave(c, &in);
}

static int by_order(const void *a, const void *b)
{
    const struct manifest_totals *x = a, *y = b;

    return memcmp(x->order, y->order, sizeof x->order);
}

static void read_amendments(struct canon *c, struct manifest_totals *t)
{
    json_t *list;
    size_t count;

    if (!canon_has(c, "amendments"))
        return;
    list = canon_array(c, "amendments");
    count = json_array_size(list);
    t->amendments = count ? calloc(count, SHA256_SIZE) : NULL;
    if (c->rc == 0 && !t->amendments)
        canon_fail(c, "amendments is an empty list, or too long");
    for (; c->rc == 0 && t->amendment_count < count; t->amendment_count++) {
        const char *hash = json_string_value(json_array_get(list, t->amendment_count));

        if (!hash || hex_decode(hash, t->amendments[t->amendment_count], SHA256_SIZE))
            canon_fail(c, "amendments has a member that is not the hash of a version");
    }
    if (c->rc == 0)
        json_object_del(c->value, "amendments");
}

static void read_one_total(struct canon *c, const char *order, json_t *value,
                           struct manifest_totals *t)
{
    struct canon in;

    if (hex_decode(order, t->order, sizeof t->order))
        canon_fail(c, "totals has a member that is not the hash of an order");
    enter_value(c, value, "an entry of totals", &in);
    read_amendments(&in, t);
#define TOTALS_READ(name) canon_u64(&in, #name, &t->name);
    MANIFEST_TOTALS(TOTALS_READ)
#undef TOTALS_READ
    in.rc = canon_end(&in);
    canon_leave(c, &in);
}

static void read_totals(struct canon *c, struct statement *s)
{
    struct canon in;
    const char *order;
    json_t *value;
    size_t count;

    canon_enter(c, "totals", &in);
    count = in.rc ? 0 : json_object_size(in.value);
    if (count) {
        s->totals = calloc(count, sizeof *s->totals);
        if (!s->totals)
            canon_fail(&in, "out of memory for %zu totals", count);
    }
    if (in.rc == 0 && count)
        json_object_foreach(in.value, order, value)
            read_one_total(&in, order, value, &s->totals[s->totals_count++]);
    if (s->totals_count)
        qsort(s->totals, s->totals_count, sizeof *s->totals, by_order);
    canon_leave(c, &in);
}

static void read_optional_raw(struct canon *c, const char *name, struct buf *held, const char **out)
{
    size_t from = held->len;

    if (!canon_has(c, name))
        return;
    canon_raw(c, name, held);
    buf_put_u8(held, 0);
    if (c->rc == 0)
        *out = (const char *)held->data + from;
}

/* Refuses another format or hash before anything else is looked at. */
static void read_format(struct canon *c)
{
    char text[64] = "";

    canon_text(c, "format", text, sizeof text);
    if (c->rc == 0 && strcmp(text, STATEMENT_FORMAT))
        canon_fail(c, "the format '%s' is not known: use a newer imprint-manifest", text);
    canon_text(c, "hash", text, sizeof text);
    if (c->rc == 0 && strcmp(text, "sha256"))
        canon_fail(c, "the hash '%s' is not known: use a newer imprint-manifest", text);
}

static void read_members(struct canon *c, struct statement *s)
{
    read_format(c);
    canon_u64(c, "count", &s->count);
    canon_time(c, "created", &s->created);
    canon_text(c, "customer", s->customer, sizeof s->customer);
    canon_text(c, "environment", s->environment, sizeof s->environment);
    canon_u64(c, "first", &s->first);
    canon_text(c, "origin", s->origin, sizeof s->origin);
    canon_base64(c, "root", s->root.bytes, sizeof s->root.bytes);
    canon_u64(c, "seq", &s->seq);
    canon_u64(c, "size", &s->size);
    canon_text(c, "station", s->station, sizeof s->station);
    read_optional_raw(c, "ext", &s->held, &s->ext);
    read_optional_raw(c, "crit", &s->held, &s->crit);
    read_files(c, s);
    read_prev(c, s);
    read_totals(c, s);
}

static int same_bytes(const struct statement *s, const void *bytes, size_t len, struct error *err)
{
    struct buf again;
    int rc;

    buf_init(&again, STATEMENT_MAX);
    write_bytes(s, &again);
    rc = canon_same(&again, bytes, len,
                    "manifest.json is not canonical JSON and one line end: it was edited or "
                    "reformatted",
                    err);
    buf_done(&again);
    return rc;
}

int statement_parse(const void *bytes, size_t len, struct statement *s, struct error *err)
{
    struct statement made = {0};
    struct canon c;
    int rc;

    if (len > STATEMENT_MAX)
        return error_set(err, ERR_FORMAT, "manifest.json is larger than %d bytes", STATEMENT_MAX);
    /* held never moves: canonical texts are not longer than what they were read from. */
    buf_init(&made.held, len + 2);
    (void)buf_grow(&made.held, len + 2);
    buf_reset(&made.held);
    rc = canon_open(&c, bytes, len, MANIFEST_NAME, err);
    if (rc == 0) {
        read_members(&c, &made);
        rc = canon_end(&c);
    }
    canon_close(&c);
    if (rc == 0)
        rc = same_bytes(&made, bytes, len, err);
    if (rc == 0)
        rc = check_statement(&made, 0, err);
    if (rc == 0)
        rc = canon_check_ext(made.ext, made.crit, NULL, err);
    if (rc)
        statement_done(&made);
    else
        *s = made;
    return rc;
}

void manifest_totals_free(struct manifest_totals *totals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(totals[i].amendments);
    free(totals);
}

void statement_done(struct statement *s)
{
    free(s->files);
    manifest_totals_free(s->totals, s->totals_count);
    buf_done(&s->held);
    s->files = NULL;
    s->totals = NULL;
}
