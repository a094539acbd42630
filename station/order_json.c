#include "station/order_json.h"

#include "base/clock.h"
#include "base/codec.h"

#include <stdio.h>
#include <string.h>

int order_wrong(const struct order_source *s, const char *member, const char *expected)
{
    return error_set(s->err, ERR_INPUT, "order '%s': member '%s%s' must be %s", s->name, s->where,
                     member, expected);
}

int order_known(const struct order_source *s, const json_t *object, const char *const *names)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const char *const *n = names;

        while (*n && strcmp(*n, key))
            n++;
        if (!*n)
            return error_set(s->err, ERR_INPUT, "order '%s': unknown member '%s%s'", s->name,
                             s->where, key);
    }
    return 0;
}

int order_text(const struct order_source *s, const json_t *object, const char *member, char *out,
               size_t size)
{
    const json_t *value = json_object_get(object, member);
    const char *text = json_string_value(value);
    size_t len = text ? json_string_length(value) : 0;

    if (!text || len == 0 || len >= size || strlen(text) != len)
        return order_wrong(s, member, "a text that is not empty and not too long");
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return order_wrong(s, member, "printable ASCII");
    memcpy(out, text, len + 1);
    return 0;
}

int order_word(const struct order_source *s, const json_t *object, const char *member, char *out,
               size_t size)
{
    if (order_text(s, object, member, out, size))
        return ERR_INPUT;
    return strchr(out, ' ') ? order_wrong(s, member, "without blanks") : 0;
}

int order_hash_text(const struct order_source *s, const json_t *object, const char *member,
                    uint8_t out[32])
{
    const char *text = json_string_value(json_object_get(object, member));

    if (!text || hex_decode(text, out, 32))
        return order_wrong(s, member, "a SHA-256 in 64 lower-case hexadecimal digits");
    return 0;
}

int order_bool(const struct order_source *s, const json_t *object, const char *member, bool *out)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_boolean(value))
        return order_wrong(s, member, "true or false");
    *out = json_is_true(value);
    return 0;
}

int order_time(const struct order_source *s, const json_t *object, const char *member, int64_t *utc)
{
    const char *text = json_string_value(json_object_get(object, member));

    if (!text || clock_parse(text, utc))
        return order_wrong(s, member, "a time in UTC such as 2026-01-31T23:59:59Z");
    return 0;
}

int order_number(const struct order_source *s, const json_t *object, const char *member,
                 int64_t least, int64_t most, const char *expected, int64_t *out)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most)
        return order_wrong(s, member, expected);
    *out = json_integer_value(value);
    return 0;
}

int order_object(const struct order_source *s, const json_t *object, const char *member,
                 const json_t **out)
{
    const json_t *value = json_object_get(object, member);

    if (!json_is_object(value))
        return order_wrong(s, member, "an object");
    *out = value;
    return 0;
}

int order_only(const struct order_source *s, const json_t *object, const char *member,
               const char *known)
{
    const json_t *list = json_object_get(object, member);
    const char *text = json_string_value(json_array_get(list, 0));
    char expected[64];

    if (json_array_size(list) == 1 && text && strcmp(text, known) == 0)
        return 0;
    snprintf(expected, sizeof expected, "[\"%s\"], the only one that is known yet", known);
    return order_wrong(s, member, expected);
}
