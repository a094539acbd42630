/*
 * schema: reads a YAML file into a plain struct, by a table that says what each field is.
 *
 * Invariants
 *  1. Nothing is guessed. An unknown field, a missing one, one that is given twice, a number with
 *     trailing letters or out of range, a text too long, a bool that is not true or false: each is
 *     refused as `file:line:column: what is wrong, what was expected`, with the nearest valid name
 *     where a name is unknown.
 *  2. The target struct holds no pointers: texts are arrays, lists are arrays with a count. It is
 *     written only as far as the file was right; after an error its contents are meaningless.
 *  3. A field that is not required and not given keeps what the caller put there: the default.
 */
#ifndef STATION_SCHEMA_H
#define STATION_SCHEMA_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schema_type {
    SCHEMA_TEXT, /* char[max + 1]; min and max are lengths in bytes */
    SCHEMA_INT,  /* int64_t from min to max */
    SCHEMA_BOOL, /* bool: true or false */
    SCHEMA_MAP, /* a struct described by fields; with count_offset, a size_t 1 there: it was given */
    SCHEMA_LIST, /* an array of such structs: min to max of them, size_t count at count_offset */
    SCHEMA_TEXTS /* an array of char[item_size]: min to max texts, size_t count at count_offset */
};

/*
 * What else must hold of a value that was read: of a text, a number, each item of a list, or a map
 * once all its members are there. value is where it was written. Of a map *member may be set to the
 * name of the member that is at fault. Errors: ERR_INPUT, without a position.
 */
typedef int (*schema_check)(const void *value, const char **member, struct error *err);

struct schema_field {
    const char *name; /* NULL ends a table */
    enum schema_type type;
    bool required;
    size_t offset; /* of the target in the struct that this table describes */
    int64_t min;
    int64_t max;
    const char *meaning; /* one line for the user: what the field is, with its unit */
    const struct schema_field *fields;
    size_t item_size;
    size_t count_offset;
    schema_check check; /* or NULL */
};

/*
 * Reads the file at path into out. Errors: ERR_MISSING or ERR_IO when it cannot be read, ERR_INPUT
 * with a position for everything else.
 */
MUST_USE int schema_read(const char *path, const struct schema_field *fields, void *out,
                         struct error *err);

/* The same for a text at hand; source stands for its path in messages, check is for the whole. */
MUST_USE int schema_parse(const char *source, const void *text, size_t len,
                          const struct schema_field *fields, schema_check check, void *out,
                          struct error *err);

/*
 * The name in a NULL-terminated list that is nearest to a mistyped one (at most two letters off),
 * or NULL. Also used for subcommands.
 */
const char *schema_nearest(const char *word, const char *const *names);

#endif
