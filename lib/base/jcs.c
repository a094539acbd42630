#include "base/jcs.h"

#include "base/codec.h"

#include <inttypes.h>
#include <string.h>

#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

void jcs_init(struct jcs *j, struct buf *out)
{
    memset(j, 0, sizeof *j);
    j->out = out;
    j->first[0] = true;
}

static bool plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '"' || text[i] == '\\')
            return false;
    return true;
}

static void put_text(struct jcs *j, const char *text)
{
    size_t len = strlen(text);
    uint8_t *room;

    if (plain(text, len)) {
        room = buf_grow(j->out, len + 2);
        if (room) {
            room[0] = room[len + 1] = '"';
            memcpy(room + 1, text, len);
        }
        return;
    }
    buf_put_u8(j->out, '"');
    for (; *text; text++) {
        if (*text < 0x20 || *text > 0x7e) {
            j->out->failed = true;
            return;
        }
        if (*text == '"' || *text == '\\')
            buf_put_u8(j->out, '\\');
        buf_put_u8(j->out, (uint8_t)*text);
    }
    buf_put_u8(j->out, '"');
}

/* Comma and name before a value; fails the writer on a name that breaks the order. */
static void put_name(struct jcs *j, const char *name)
{
    char *last = j->last[j->depth];

    if (!j->first[j->depth])
        buf_put_u8(j->out, ',');
    if (j->object[j->depth] != (name != NULL)) {
        j->out->failed = true;
        return;
    }
    if (name) {
        if (strlen(name) >= JCS_NAME_MAX || (!j->first[j->depth] && strcmp(last, name) >= 0)) {
            j->out->failed = true;
            return;
        }
        strcpy(last, name);
        put_text(j, name);
        buf_put_u8(j->out, ':');
    }
    j->first[j->depth] = false;
}

static void begin(struct jcs *j, const char *name, bool object)
{
    put_name(j, name);
    if (j->depth + 1 >= JCS_DEPTH_MAX) {
        j->out->failed = true;
        return;
    }
    j->depth++;
    j->first[j->depth] = true;
    j->object[j->depth] = object;
    buf_put_u8(j->out, object ? '{' : '[');
}

void jcs_object(struct jcs *j, const char *name)
{
    begin(j, name, true);
}

void jcs_array(struct jcs *j, const char *name)
{
    begin(j, name, false);
}

void jcs_end(struct jcs *j)
{
    if (j->depth == 0) {
        j->out->failed = true;
        return;
    }
    buf_put_u8(j->out, j->object[j->depth] ? '}' : ']');
    j->depth--;
}

void jcs_str(struct jcs *j, const char *name, const char *text)
{
    put_name(j, name);
    put_text(j, text);
}

void jcs_int(struct jcs *j, const char *name, int64_t value)
{
    put_name(j, name);
    if (value > INTEGER_MAX || value < -INTEGER_MAX)
        j->out->failed = true;
    buf_printf(j->out, "%" PRId64, value);
}

void jcs_bool(struct jcs *j, const char *name, bool value)
{
    put_name(j, name);
    buf_put_str(j->out, value ? "true" : "false");
}

void jcs_null(struct jcs *j, const char *name)
{
    put_name(j, name);
    buf_put_str(j->out, "null");
}

void jcs_hex(struct jcs *j, const char *name, const void *bytes, size_t len)
{
    char *room;

    put_name(j, name);
    buf_put_u8(j->out, '"');
    room = (char *)buf_grow(j->out, 2 * len + 1);
    if (room) {
        hex_encode(bytes, len, room);
        room[2 * len] = '"'; /* in place of the NUL */
    }
}

void jcs_base64(struct jcs *j, const char *name, const void *bytes, size_t len)
{
    put_name(j, name);
    buf_put_u8(j->out, '"');
    base64_put(j->out, bytes, len);
    buf_put_u8(j->out, '"');
}
