/*
 * canon: reads JSON that must already be canonical (RFC 8785), member by member.
 *
 * Invariants
 *  1. A reader that once failed stays failed and keeps its first error: read all members of an
 *     object, then ask canon_end() once.
 *  2. A member that is read is taken out; what is left at canon_end() is unknown and refused.
 *  3. Outputs are unspecified once the reader failed, so callers read into a local value first.
 *
 * These functions check values, not order and blanks. Whoever must know that bytes are canonical
 * writes the value again with base/jcs.h and compares the bytes.
 */
#ifndef MANIFESTS_CANON_H
#define MANIFESTS_CANON_H

#include "base/jcs.h"

#include <jansson.h>

struct canon {
    json_t *value;  /* the object; NULL when a line is read */
    const char *at; /* in a line: the next member, or the closing brace; otherwise NULL */
    const char *end;
    const char *what; /* names it in messages */
    struct error *err;
    int rc; /* 0 or the first failure */
};

/*
 * Parses an object; repeated members, floats and anything after it are refused. Call canon_close in
 * any case. Errors: ERR_FORMAT, also kept in c.
 */
MUST_USE int canon_open(struct canon *c, const void *bytes, size_t len, const char *what,
                        struct error *err);
void canon_close(struct canon *c);

/*
 * As canon_open for one of millions of lines: builds no tree, keeps a pointer to bytes instead, and
 * is many times as fast. Members must be asked for in ascending order, each at most once; objects
 * in it are read with canon_enter, and canon_array is not possible. What is not canonical fails
 * here or when the caller writes the line again and compares.
 */
MUST_USE int canon_open_line(struct canon *c, const void *bytes, size_t len, const char *what,
                             struct error *err);

/* Fails the reader with ERR_FORMAT unless it failed before. */
void canon_fail(struct canon *c, const char *format, ...) PRINTF_LIKE(2, 3);

bool canon_has(const struct canon *c, const char *name);

/* Printable ASCII, 1 to size - 1 characters, with a NUL into out. */
void canon_text(struct canon *c, const char *name, char *out, size_t size);
/* Exactly len bytes as lower-case hexadecimal, or as base64. */
void canon_hex(struct canon *c, const char *name, void *out, size_t len);
void canon_base64(struct canon *c, const char *name, void *out, size_t len);
/* 1 to max bytes as hexadecimal; *len is how many. */
void canon_hex_any(struct canon *c, const char *name, void *out, size_t max, size_t *len);
/* Any number of bytes as base64, appended to out up to its limit. */
void canon_base64_any(struct canon *c, const char *name, struct buf *out);
void canon_u64(struct canon *c, const char *name, uint64_t *out); /* 0 to 2^53 - 1 */
void canon_bool(struct canon *c, const char *name, bool *out);
void canon_time(struct canon *c, const char *name, int64_t *utc);
/* The position of a text among count names (entries may be NULL). */
void canon_choice(struct canon *c, const char *name, const char *const *names, size_t count,
                  int *out);

/*
 * A member that is an object: opened as a reader of its own, which keeps its errors in the same
 * struct error. Its canon_end() is followed by canon_leave().
 */
void canon_enter(struct canon *c, const char *name, struct canon *child);
void canon_leave(struct canon *c, struct canon *child);

/* Any JSON value, appended to out as canonical text. */
void canon_raw(struct canon *c, const char *name, struct buf *out);

/* A member that is an array, borrowed from c; NULL once failed. Its elements are the caller's to
 * check. */
json_t *canon_array(struct canon *c, const char *name);

/* 0, or the first failure, or ERR_FORMAT when a member is left over. */
MUST_USE int canon_end(struct canon *c);

/*
 * The last check of a parser: whether what it read is the same bytes when it is written again, so that
 * two programs cannot read different things out of them. Errors: ERR_FORMAT, which says wrong.
 */
MUST_USE int canon_same(const struct buf *again, const void *bytes, size_t len, const char *wrong,
                        struct error *err);

/* Writes any JSON value through j: integers, texts, booleans, null, arrays, objects. Fails j's
 * buffer on what canonical JSON of this project cannot hold. */
void canon_write(struct jcs *j, const char *name, const json_t *value);

/* The same for a value given as JSON text; text that is not JSON fails the buffer. */
void canon_write_text(struct jcs *j, const char *name, const char *text);

/*
 * The rule for later members: ext is an object, crit a list without repetition of names in ext that
 * a reader must understand (both as JSON text, NULL when absent). known is the one that the caller
 * understands, NULL for none: any other is refused by name. Errors: ERR_FORMAT.
 */
MUST_USE int canon_check_ext(const char *ext, const char *crit, const char *known,
                             struct error *err);

/* As canon_check_ext, but only for the form: what a writer may emit. */
MUST_USE int canon_check_ext_form(const char *ext, const char *crit, struct error *err);

#endif
