#include "manifests/canon.h"

#include "base/clock.h"
#include "base/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTEGER_MAX ((INT64_C(1) << 53) - 1)
#define NAMES_MAX   64 /* members of one object inside ext */
#define HEX_MAX     64 /* bytes of one hexadecimal text */

/* A value where it was found: in the tree, or in the text of a line. */
struct found {
    const json_t *json; /* NULL in a line */
    const char *p;      /* a text without its quotes, or any other value as written */
    size_t len;
    bool text, escaped; /* escaped: has a backslash, which only a text of a line keeps */
};

int canon_open(struct canon *c, const void *bytes, size_t len, const char *what, struct error *err)
{
    json_error_t why;

    *c = (struct canon){.what = what, .err = err};
    c->value = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &why);
    if (!c->value)
        canon_fail(c, "%s is not JSON: %s", what, why.text);
    else if (!json_is_object(c->value))
        canon_fail(c, "%s is not a JSON object", what);
    return c->rc;
}

/* Goes behind the brace of an object that is written from p to end. */
static void open_text(struct canon *c, const char *p, const char *end)
{
    if (p == end || *p != '{')
        canon_fail(c, "%s is not an object of canonical JSON", c->what);
    else
        c->at = p + 1;
    c->end = end;
}

int canon_open_line(struct canon *c, const void *bytes, size_t len, const char *what,
                    struct error *err)
{
    const char *p = bytes;

    *c = (struct canon){.what = what, .err = err};
    open_text(c, p, p + len);
    return c->rc;
}

void canon_close(struct canon *c)
{
    json_decref(c->value);
    c->value = NULL;
}

void canon_fail(struct canon *c, const char *format, ...)
{
    va_list args;

    if (c->rc)
        return;
    va_start(args, format);
    c->rc = error_vset(c->err, ERR_FORMAT, 0, format, args);
    va_end(args);
}

/* What comes after "name": at this place of a line, or NULL when it is another member. */
static const char *after_name(const struct canon *c, const char *name)
{
    size_t len = strlen(name);

    if ((size_t)(c->end - c->at) < len + 3 || c->at[0] != '"' || memcmp(c->at + 1, name, len) ||
        c->at[len + 1] != '"' || c->at[len + 2] != ':')
        return NULL;
    return c->at + len + 3;
}

bool canon_has(const struct canon *c, const char *name)
{
    if (c->rc)
        return false;
    return c->at ? after_name(c, name) != NULL : json_object_get(c->value, name) != NULL;
}

/* The end of the text that begins with a quote at p, or NULL. */
static const char *text_end(const char *p, const char *end, bool *escaped)
{
    const char *quote = memchr(p + 1, '"', (size_t)(end - p - 1));

    *escaped = quote && memchr(p + 1, '\\', (size_t)(quote - p - 1));
    if (!*escaped)
        return quote ? quote + 1 : NULL;
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : NULL;
}

/* The end of the value at p: nothing but brackets and quotes is understood here. */
static const char *value_end(const char *p, const char *end)
{
    bool escaped;
    int depth = 0;

    do {
        if (p == end)
            return NULL;
        if (*p == '"') {
            p = text_end(p, end, &escaped);
            if (!p)
                return NULL;
            continue;
        }
        depth += *p == '{' || *p == '[';
        depth -= *p == '}' || *p == ']';
        p++;
    } while (depth > 0 || (p < end && *p != ',' && *p != '}' && depth == 0));
    return depth == 0 ? p : NULL;
}

/* The value of the next member of a line, which must be this one; goes on behind it. */
static bool find_in_line(struct canon *c, const char *name, struct found *f)
{
    const char *p = after_name(c, name), *to = NULL;

    if (p && p < c->end && *p == '"') {
        to = text_end(p, c->end, &f->escaped);
        f->text = true;
        f->p = p + 1;
        f->len = to ? (size_t)(to - p) - 2 : 0;
    } else if (p) {
        to = value_end(p, c->end);
        f->p = p;
        f->len = to ? (size_t)(to - p) : 0;
    }
    if (!p) {
        canon_fail(c, "%s has no member '%s' in its place", c->what, name);
    } else if (!to || to == c->end || (*to != ',' && *to != '}')) {
        canon_fail(c, "member '%s' of %s is not canonical JSON", name, c->what);
    } else {
        c->at = *to == ',' ? to + 1 : to;
    }
    return c->rc == 0;
}

/* Finds a member. False, and the reader has failed, when it is not there. */
static bool find(struct canon *c, const char *name, struct found *f)
{
    *f = (struct found){0};
    if (c->rc)
        return false;
    if (c->at)
        return find_in_line(c, name, f);
    f->json = json_object_get(c->value, name);
    if (!f->json) {
        canon_fail(c, "%s has no member '%s'", c->what, name);
        return false;
    }
    f->text = json_is_string(f->json);
    if (f->text) {
        f->p = json_string_value(f->json);
        f->len = json_string_length(f->json);
    }
    return true;
}

static bool find_text(struct canon *c, const char *name, struct found *f)
{
    if (find(c, name, f) && !f->text)
        canon_fail(c, "member '%s' of %s is not a text", name, c->what);
    return c->rc == 0;
}

static void take(struct canon *c, const char *name)
{
    if (c->rc == 0 && !c->at)
        json_object_del(c->value, name);
}

static bool printable(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

/* Copies a text with a NUL into out; false when it does not fit, or has a NUL or another escape
 * than the two of canonical ASCII. */
static bool copy_text(const struct found *f, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < f->len; i++) {
        if (f->escaped && f->p[i] == '\\' && ++i < f->len && f->p[i] != '"' && f->p[i] != '\\')
            return false;
        if (n + 1 >= size || f->p[i] == 0)
            return false;
        out[n++] = f->p[i];
    }
    out[n] = 0;
    return true;
}

void canon_text(struct canon *c, const char *name, char *out, size_t size)
{
    struct found f;

    if (!find_text(c, name, &f))
        return;
    if (f.len == 0 || !copy_text(&f, out, size) || !printable(out))
        canon_fail(c, "member '%s' of %s is not 1 to %zu printable ASCII characters", name, c->what,
                   size - 1);
    take(c, name);
}

void canon_hex_any(struct canon *c, const char *name, void *out, size_t max, size_t *len)
{
    char text[2 * HEX_MAX + 1];
    struct found f;

    if (!find_text(c, name, &f))
        return;
    if (!copy_text(&f, text, sizeof text) || hex_decode_any(text, out, max, len) || *len == 0)
        canon_fail(c, "member '%s' of %s is not 1 to %zu bytes in lower-case hexadecimal", name,
                   c->what, max);
    take(c, name);
}

void canon_hex(struct canon *c, const char *name, void *out, size_t len)
{
    size_t n = len;

    canon_hex_any(c, name, out, len, &n);
    if (c->rc == 0 && n != len)
        canon_fail(c, "member '%s' of %s is not %zu bytes in lower-case hexadecimal", name, c->what,
                   len);
}

void canon_base64_any(struct canon *c, const char *name, struct buf *out)
{
    struct found f;

    if (!find_text(c, name, &f))
        return;
    if (base64_decode(f.p, f.len, out))
        canon_fail(c, "member '%s' of %s is not base64 of the allowed length", name, c->what);
    take(c, name);
}

void canon_base64(struct canon *c, const char *name, void *out, size_t len)
{
    struct buf bytes;

    buf_init(&bytes, len);
    canon_base64_any(c, name, &bytes);
    if (c->rc == 0 && bytes.len != len)
        canon_fail(c, "member '%s' of %s is not base64 of %zu bytes", name, c->what, len);
    if (c->rc == 0)
        memcpy(out, bytes.data, len);
    buf_done(&bytes);
}

/* Decimal digits as canonical JSON writes them, up to 2^53 - 1. */
static bool parse_u64(const char *p, size_t len, uint64_t *out)
{
    uint64_t value = 0;

    if (len == 0 || len > 16 || (len > 1 && *p == '0'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        value = 10 * value + (uint64_t)(p[i] - '0');
    }
    *out = value;
    return value <= INTEGER_MAX;
}

void canon_u64(struct canon *c, const char *name, uint64_t *out)
{
    struct found f;
    bool good;

    if (!find(c, name, &f))
        return;
    if (f.json) {
        good = json_is_integer(f.json) && json_integer_value(f.json) >= 0 &&
               json_integer_value(f.json) <= INTEGER_MAX;
        *out = good ? (uint64_t)json_integer_value(f.json) : 0;
    } else {
        good = !f.text && parse_u64(f.p, f.len, out);
    }
    if (!good)
        canon_fail(c, "member '%s' of %s is not a whole number from 0 to 2^53 - 1", name, c->what);
    take(c, name);
}

static bool is_word(const struct found *f, const char *word)
{
    return !f->text && f->len == strlen(word) && memcmp(f->p, word, f->len) == 0;
}

void canon_bool(struct canon *c, const char *name, bool *out)
{
    struct found f;

    if (!find(c, name, &f))
        return;
    *out = f.json ? json_is_true(f.json) : is_word(&f, "true");
    if (!*out && !(f.json ? json_is_false(f.json) : is_word(&f, "false")))
        canon_fail(c, "member '%s' of %s is neither true nor false", name, c->what);
    take(c, name);
}

void canon_time(struct canon *c, const char *name, int64_t *utc)
{
    char text[CLOCK_TEXT_SIZE];
    struct found f;

    if (!find_text(c, name, &f))
        return;
    if (!copy_text(&f, text, sizeof text) || clock_parse(text, utc))
        canon_fail(c, "member '%s' of %s is not a UTC time like 2026-01-31T23:59:59Z", name,
                   c->what);
    take(c, name);
}

void canon_choice(struct canon *c, const char *name, const char *const *names, size_t count,
                  int *out)
{
    char text[41] = "?";
    struct found f;

    if (!find_text(c, name, &f))
        return;
    *out = -1;
    for (size_t i = 0; i < count; i++)
        if (names[i] && strlen(names[i]) == f.len && memcmp(names[i], f.p, f.len) == 0)
            *out = (int)i;
    if (*out < 0)
        canon_fail(c, "member '%s' of %s has the unknown value '%s'", name, c->what,
                   copy_text(&f, text, sizeof text) && printable(text) ? text : "?");
    take(c, name);
}

void canon_enter(struct canon *c, const char *name, struct canon *child)
{
    struct found f;
    union { /* the tree is the reader's own; find() only looks at it */
        const json_t *in;
        json_t *out;
    } same;

    *child = (struct canon){.what = name, .err = c->err};
    if (find(c, name, &f)) {
        same.in = f.json;
        child->value = json_incref(same.out);
        if (c->at)
            open_text(child, f.p, f.p + (f.text ? 0 : f.len));
        else if (!json_is_object(f.json))
            canon_fail(c, "member '%s' of %s is not an object", name, c->what);
    }
    if (child->rc == 0)
        child->rc = c->rc;
    take(c, name);
}

void canon_leave(struct canon *c, struct canon *child)
{
    if (c->rc == 0)
        c->rc = child->rc;
    canon_close(child);
}

/* A value of a line is parsed here: it is rare, and may be of any depth. */
void canon_raw(struct canon *c, const char *name, struct buf *out)
{
    json_t *parsed = NULL;
    struct found f;
    struct jcs j;

    if (!find(c, name, &f))
        return;
    if (!f.json) {
        parsed = json_loadb(f.text ? f.p - 1 : f.p, f.text ? f.len + 2 : f.len,
                            JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        f.json = parsed;
    }
    jcs_init(&j, out);
    if (f.json)
        canon_write(&j, NULL, f.json);
    if (!f.json || buf_failed(out))
        canon_fail(c, "member '%s' of %s cannot be written as canonical JSON", name, c->what);
    json_decref(parsed);
    take(c, name);
}

json_t *canon_array(struct canon *c, const char *name)
{
    json_t *value = c->rc ? NULL : json_object_get(c->value, name);

    if (!json_is_array(value)) {
        canon_fail(c, "%s has no member '%s' that is a list", c->what, name);
        return NULL;
    }
    return value;
}

/* What stands where a line should have ended. */
static void fail_at_rest(struct canon *c)
{
    const char *p = c->at + 1;
    char name[41] = "";

    for (size_t i = 0; i + 1 < sizeof name && p + i < c->end && p[i] != '"'; i++) {
        name[i] = p[i];
        name[i + 1] = 0;
    }
    canon_fail(c, "%s is cut, or its member '%s' is unknown, repeated or out of order", c->what,
               printable(name) ? name : "?");
}

int canon_end(struct canon *c)
{
    const char *name;
    json_t *value;

    if (c->rc)
        return c->rc;
    if (c->at && (c->at + 1 != c->end || *c->at != '}'))
        fail_at_rest(c);
    json_object_foreach(c->value, name, value)
    {
        canon_fail(c, "%s has the unknown member '%.40s'", c->what, printable(name) ? name : "?");
        break;
    }
    return c->rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_object(struct jcs *j, const char *name, const json_t *value)
{
    const char *names[NAMES_MAX];
    size_t count = json_object_size(value), i = 0;
    void *it;

    if (count > NAMES_MAX) {
        j->out->failed = true;
        return;
    }
    /* json_object_iter takes no const, and changes nothing. */
    union {
        const json_t *in;
        json_t *out;
    } same = {.in = value};
    for (it = json_object_iter(same.out); it; it = json_object_iter_next(same.out, it))
        names[i++] = json_object_iter_key(it);
    qsort(names, count, sizeof *names, by_name);
    jcs_object(j, name);
    for (i = 0; i < count && !buf_failed(j->out); i++)
        canon_write(j, names[i], json_object_get(value, names[i]));
    jcs_end(j);
}

void canon_write(struct jcs *j, const char *name, const json_t *value)
{
    if (buf_failed(j->out))
        return; /* also ends the recursion into what is nested too deep */
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(j, name, value);
        break;
    case JSON_ARRAY:
        jcs_array(j, name);
        for (size_t i = 0; i < json_array_size(value) && !buf_failed(j->out); i++)
            canon_write(j, NULL, json_array_get(value, i));
        jcs_end(j);
        break;
    case JSON_STRING:
        jcs_str(j, name, json_string_value(value));
        break;
    case JSON_INTEGER:
        jcs_int(j, name, json_integer_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        jcs_bool(j, name, json_is_true(value));
        break;
    case JSON_NULL:
        jcs_null(j, name);
        break;
    default: /* a float */
        j->out->failed = true;
    }
}

static json_t *load(const char *text)
{
    return text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

void canon_write_text(struct jcs *j, const char *name, const char *text)
{
    json_t *value = load(text);

    if (value)
        canon_write(j, name, value);
    else
        j->out->failed = true;
    json_decref(value);
}

/* True when every entry of crit is a text, names a member of ext, and is there once. */
static bool crit_fits(const json_t *crit, const json_t *ext)
{
    size_t count = json_array_size(crit);

    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(crit, i));

        if (!name || !json_object_get(ext, name))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(json_string_value(json_array_get(crit, k)), name) == 0)
                return false;
    }
    return count > 0;
}

/* The first that is not known, or NULL. */
static const char *first_unknown(const json_t *crit, const char *known)
{
    for (size_t i = 0; i < json_array_size(crit); i++) {
        const char *name = json_string_value(json_array_get(crit, i));

        if (!known || strcmp(name, known))
            return name;
    }
    return NULL;
}

/* form_only: what crit names need not be understood. */
static int check_ext(const char *ext, const char *crit, bool form_only, const char *known,
                     struct error *err)
{
    json_t *members = load(ext), *names = load(crit);
    const char *unknown = NULL;
    int rc = 0;

    if (ext && !json_is_object(members))
        rc = error_set(err, ERR_FORMAT, "member 'ext' is not an object");
    else if (crit && !crit_fits(names, members))
        rc = error_set(err, ERR_FORMAT,
                       "member 'crit' is not a list of distinct names of members of 'ext'");
    else if (crit && !form_only)
        unknown = first_unknown(names, known);
    if (unknown)
        rc = error_set(err, ERR_FORMAT,
                       "the extension '%.40s' is marked critical and this version does not know "
                       "it: use a newer imprint-manifest",
                       unknown);
    json_decref(members);
    json_decref(names);
    return rc;
}

int canon_check_ext(const char *ext, const char *crit, const char *known, struct error *err)
{
    return check_ext(ext, crit, false, known, err);
}

int canon_same(const struct buf *again, const void *bytes, size_t len, const char *wrong,
               struct error *err)
{
    if (!buf_failed(again) && again->len == len && memcmp(again->data, bytes, len) == 0)
        return 0;
    return error_set_plain(err, ERR_FORMAT, wrong);
}

int canon_check_ext_form(const char *ext, const char *crit, struct error *err)
{
    return check_ext(ext, crit, true, NULL, err);
}
