/*
 * jcs: writes canonical JSON (RFC 8785), the only form in which this project signs or hashes JSON.
 *
 * Invariants
 *  1. Members are written in ascending order of their names; a name out of order, a repeated
 *     name or a text with a byte outside printable ASCII fails the writer, so nothing that is not
 *     canonical ever leaves here.
 *  2. Numbers are integers from -(2^53 - 1) to 2^53 - 1: every JSON reader keeps those exactly.
 *  3. As with buf, a failed writer stays failed: build the whole text, then ask once.
 */
#ifndef BASE_JCS_H
#define BASE_JCS_H

#include "base/buf.h"

#define JCS_DEPTH_MAX 8
#define JCS_NAME_MAX  80 /* room for a hash in hexadecimal */

struct jcs {
    struct buf *out;
    int depth;
    bool first[JCS_DEPTH_MAX];              /* nothing written yet at this depth */
    bool object[JCS_DEPTH_MAX];             /* an object, not an array */
    char last[JCS_DEPTH_MAX][JCS_NAME_MAX]; /* the name written last at this depth */
};

/* Writes to out, which belongs to the caller and receives failures as well (buf_failed). */
void jcs_init(struct jcs *j, struct buf *out);

/* name is NULL for the outermost value and inside arrays. */
void jcs_object(struct jcs *j, const char *name);
void jcs_array(struct jcs *j, const char *name);
void jcs_end(struct jcs *j); /* of the innermost object or array */

void jcs_str(struct jcs *j, const char *name, const char *text);
void jcs_int(struct jcs *j, const char *name, int64_t value);
void jcs_bool(struct jcs *j, const char *name, bool value);
void jcs_null(struct jcs *j, const char *name);
void jcs_hex(struct jcs *j, const char *name, const void *bytes, size_t len);
void jcs_base64(struct jcs *j, const char *name, const void *bytes, size_t len);

#endif
