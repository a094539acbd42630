#include "manifests/canon.h"

#include "base/clock.h"
#include "base/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTEGER_MAX ((INT64_C(1) << 53) - 1)
#define NAMES_MAX   64 /* members of one object inside ext */
#define TEXT_MAX    65536

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

void canon_close(struct canon *c)
{
    json_decref(c->value);
    c->value = NULL;
}

void canon_fail(struct canon *c, const char *format, ...)
{
    char text[sizeof c->err->text];
    va_list args;

    if (c->rc)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->rc = error_set(c->err, ERR_FORMAT, "%s", text);
}

bool canon_has(const struct canon *c, const char *name)
{
    return c->rc == 0 && json_object_get(c->value, name) != NULL;
}

static json_t *find(struct canon *c, const char *name)
{
    json_t *value = c->rc ? NULL : json_object_get(c->value, name);

    if (!value)
        canon_fail(c, "%s has no member '%s'", c->what, name);
    return value;
}

/* The text of a member, or NULL; *len is its length. */
static const char *find_text(struct canon *c, const char *name, size_t *len)
{
    const json_t *value = find(c, name);

    if (value && !json_is_string(value))
        canon_fail(c, "member '%s' of %s is not a text", name, c->what);
    if (c->rc)
        return NULL;
    *len = json_string_length(value);
    return json_string_value(value);
}

static void take(struct canon *c, const char *name)
{
    if (c->rc == 0)
        json_object_del(c->value, name);
}

static bool printable(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

void canon_text(struct canon *c, const char *name, char *out, size_t size)
{
    size_t len;
    const char *text = find_text(c, name, &len);

    if (!text)
        return;
    if (len == 0 || len >= size || !printable(text))
        canon_fail(c, "member '%s' of %s is not 1 to %zu printable ASCII characters", name, c->what,
                   size - 1);
    else
        memcpy(out, text, len + 1);
    take(c, name);
}

void canon_hex(struct canon *c, const char *name, void *out, size_t len)
{
    size_t n;
    const char *text = find_text(c, name, &n);

    if (text && hex_decode(text, out, len))
        canon_fail(c, "member '%s' of %s is not %zu lower-case hexadecimal digits", name, c->what,
                   2 * len);
    take(c, name);
}

void canon_hex_any(struct canon *c, const char *name, void *out, size_t max, size_t *len)
{
    size_t n;
    const char *text = find_text(c, name, &n);

    if (text && (hex_decode_any(text, out, max, len) || *len == 0))
        canon_fail(c, "member '%s' of %s is not 1 to %zu bytes in lower-case hexadecimal", name,
                   c->what, max);
    take(c, name);
}

void canon_base64_any(struct canon *c, const char *name, struct buf *out)
{
    size_t n;
    const char *text = find_text(c, name, &n);

    if (text && base64_decode(text, n, out))
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

void canon_u64(struct canon *c, const char *name, uint64_t *out)
{
    const json_t *value = find(c, name);

    if (!value)
        return;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > INTEGER_MAX)
        canon_fail(c, "member '%s' of %s is not a whole number from 0 to 2^53 - 1", name, c->what);
    else
        *out = (uint64_t)json_integer_value(value);
    take(c, name);
}

void canon_bool(struct canon *c, const char *name, bool *out)
{
    const json_t *value = find(c, name);

    if (value && !json_is_boolean(value))
        canon_fail(c, "member '%s' of %s is neither true nor false", name, c->what);
    if (c->rc == 0)
        *out = json_is_true(value);
    take(c, name);
}

void canon_time(struct canon *c, const char *name, int64_t *utc)
{
    size_t n;
    const char *text = find_text(c, name, &n);

    if (text && clock_parse(text, utc))
        canon_fail(c, "member '%s' of %s is not a UTC time like 2026-01-31T23:59:59Z", name,
                   c->what);
    take(c, name);
}

void canon_choice(struct canon *c, const char *name, const char *const *names, size_t count,
                  int *out)
{
    size_t n, found = count;
    const char *text = find_text(c, name, &n);

    for (size_t i = 0; text && i < count; i++)
        if (names[i] && strcmp(names[i], text) == 0)
            found = i;
    if (found == count)
        canon_fail(c, "member '%s' of %s has the unknown value '%.40s'", name, c->what,
                   text && printable(text) ? text : "?");
    else
        *out = (int)found;
    take(c, name);
}

void canon_enter(struct canon *c, const char *name, struct canon *child)
{
    json_t *value = find(c, name);

    *child = (struct canon){.value = json_incref(value), .what = name, .err = c->err};
    if (value && !json_is_object(value))
        canon_fail(c, "member '%s' of %s is not an object", name, c->what);
    child->rc = c->rc;
    take(c, name);
}

void canon_leave(struct canon *c, struct canon *child)
{
    if (c->rc == 0)
        c->rc = child->rc;
    canon_close(child);
}

void canon_raw(struct canon *c, const char *name, struct buf *out)
{
    const json_t *value = find(c, name);
    struct jcs j;

    if (!value)
        return;
    jcs_init(&j, out);
    canon_write(&j, NULL, value);
    if (buf_failed(out))
        canon_fail(c, "member '%s' of %s cannot be written as canonical JSON", name, c->what);
    take(c, name);
}

json_t *canon_array(struct canon *c, const char *name)
{
    json_t *value = find(c, name);

    if (value && !json_is_array(value)) {
        canon_fail(c, "member '%s' of %s is not a list", name, c->what);
        return NULL;
    }
    return value;
}

int canon_end(struct canon *c)
{
    const char *name;
    json_t *value;

    if (c->rc)
        return c->rc;
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

/* form_only: what crit names need not be understood. */
static int check_ext(const char *ext, const char *crit, bool form_only, struct error *err)
{
    json_t *members = load(ext), *names = load(crit);
    int rc = 0;

    if (ext && !json_is_object(members))
        rc = error_set(err, ERR_FORMAT, "member 'ext' is not an object");
    else if (crit && !crit_fits(names, members))
        rc = error_set(err, ERR_FORMAT,
                       "member 'crit' is not a list of distinct names of members of 'ext'");
    else if (crit && !form_only)
        rc = error_set(err, ERR_FORMAT,
                       "the extension '%.40s' is marked critical and this version does not know "
                       "it: use a newer imprint-manifest",
                       json_string_value(json_array_get(names, 0)));
    json_decref(members);
    json_decref(names);
    return rc;
}

int canon_check_ext(const char *ext, const char *crit, struct error *err)
{
    return check_ext(ext, crit, false, err);
}

int canon_check_ext_form(const char *ext, const char *crit, struct error *err)
{
    return check_ext(ext, crit, true, err);
}
