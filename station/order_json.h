/*
 * order_json: reads the members of what an owner signs, and says which one is wrong.
 *
 * Each function fills its output from a member of object and leaves it alone on error. Errors:
 * ERR_INPUT with a text that names the source and the member.
 */
#ifndef STATION_ORDER_JSON_H
#define STATION_ORDER_JSON_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORDER_COUNT_MAX INT64_C(100000000)

/* What is being read. where is put in front of a member's name: "" or such as "stations[2]." */
struct order_source {
    const char *name;
    char where[32];
    struct error *err;
};

int order_wrong(const struct order_source *s, const char *member, const char *expected);

/* Refuses a member that is not in names, whose end is NULL. */
MUST_USE int order_known(const struct order_source *s, const json_t *object,
                         const char *const *names);

/* Printable ASCII, not empty, that fits size with its NUL. */
MUST_USE int order_text(const struct order_source *s, const json_t *object, const char *member,
                        char *out, size_t size);
/* The same without blanks, as records and certificates take it. */
MUST_USE int order_word(const struct order_source *s, const json_t *object, const char *member,
                        char *out, size_t size);
/* 32 bytes in lower-case hexadecimal digits. */
MUST_USE int order_hash_text(const struct order_source *s, const json_t *object, const char *member,
                             uint8_t out[32]);
MUST_USE int order_bool(const struct order_source *s, const json_t *object, const char *member,
                        bool *out);
MUST_USE int order_time(const struct order_source *s, const json_t *object, const char *member,
                        int64_t *utc);
MUST_USE int order_number(const struct order_source *s, const json_t *object, const char *member,
                          int64_t least, int64_t most, const char *expected, int64_t *out);
/* An object; *out is borrowed. */
MUST_USE int order_object(const struct order_source *s, const json_t *object, const char *member,
                          const json_t **out);
/* A list that holds the one text that is known so far. */
MUST_USE int order_only(const struct order_source *s, const json_t *object, const char *member,
                        const char *known);

#endif
