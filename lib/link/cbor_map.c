#include "link/cbor_map.h"

#include "link/cbor_write.h"

#include <string.h>

/* Reads the argument of a head that is not indefinite and not longer than eight bytes. */
static int read_head(struct reader *r, uint8_t *major, uint64_t *value)
{
    uint8_t first, u8;
    uint16_t u16;
    uint32_t u32;

    if (reader_u8(r, &first))
        return ERR_FORMAT;
    *major = first >> 5;
    *value = first & 0x1f;
    switch (first & 0x1f) {
    case 24:
        if (reader_u8(r, &u8))
            return ERR_FORMAT;
        *value = u8;
        return 0;
    case 25:
        if (reader_u16(r, &u16))
            return ERR_FORMAT;
        *value = u16;
        return 0;
    case 26:
        if (reader_u32(r, &u32))
            return ERR_FORMAT;
        *value = u32;
        return 0;
    case 27:
        return reader_u64(r, value);
    default:
        return (first & 0x1f) < 24 ? 0 : ERR_FORMAT;
    }
}

/*
 * libcbor allocates an array by the count in its head: so first walk the heads and see that every
 * item that is promised can still be there.
 */
static bool is_bounded(const uint8_t *bytes, size_t len)
{
    struct reader r;
    uint64_t pending = 1, value;
    uint8_t major;
    const uint8_t *skipped;

    reader_init(&r, bytes, len);
    while (pending > 0) {
        if (pending > r.left || read_head(&r, &major, &value))
            return false;
        pending--;
        if (major == LINK_CBOR_BYTES || major == LINK_CBOR_TEXT) {
            if (value > r.left || reader_view(&r, &skipped, (size_t)value))
                return false;
        } else if (major == LINK_CBOR_ARRAY || major == LINK_CBOR_MAP) {
            if (value > r.left)
                return false;
            pending += major == LINK_CBOR_MAP ? 2 * value : value;
        } else if (major != LINK_CBOR_UINT &&
                   !(major == LINK_CBOR_SIMPLE &&
                     (value == LINK_CBOR_FALSE || value == LINK_CBOR_TRUE))) {
            return false;
        }
    }
    return r.left == 0;
}

static int encode_again(const cbor_item_t *item, int depth, struct buf *out);

static int encode_map(const cbor_item_t *item, int depth, struct buf *out)
{
    const struct cbor_pair *pairs = cbor_map_handle(item);
    uint64_t last = 0;

    link_cbor_head(out, LINK_CBOR_MAP, cbor_map_size(item));
    for (size_t i = 0; i < cbor_map_size(item); i++) {
        uint64_t key;

        if (!cbor_isa_uint(pairs[i].key))
            return ERR_FORMAT;
        key = cbor_get_int(pairs[i].key);
        if ((i > 0 && key <= last) || encode_again(pairs[i].key, depth, out) ||
            encode_again(pairs[i].value, depth, out))
            return ERR_FORMAT;
        last = key;
    }
    return 0;
}

/* Encodes an item in the deterministic form; ERR_FORMAT when it has none here. */
static int encode_again(const cbor_item_t *item, int depth, struct buf *out)
{
    if (depth == 0)
        return ERR_FORMAT;
    switch (cbor_typeof(item)) {
    case CBOR_TYPE_UINT:
        link_cbor_head(out, LINK_CBOR_UINT, cbor_get_int(item));
        return 0;
    case CBOR_TYPE_BYTESTRING:
        link_cbor_head(out, LINK_CBOR_BYTES, cbor_bytestring_length(item));
        buf_put(out, cbor_bytestring_handle(item), cbor_bytestring_length(item));
        return 0;
    case CBOR_TYPE_STRING:
        link_cbor_head(out, LINK_CBOR_TEXT, cbor_string_length(item));
        buf_put(out, cbor_string_handle(item), cbor_string_length(item));
        return 0;
    case CBOR_TYPE_ARRAY:
        link_cbor_head(out, LINK_CBOR_ARRAY, cbor_array_size(item));
        for (size_t i = 0; i < cbor_array_size(item); i++)
            if (encode_again(cbor_array_handle(item)[i], depth - 1, out))
                return ERR_FORMAT;
        return 0;
    case CBOR_TYPE_MAP:
        return encode_map(item, depth - 1, out);
    default:
        if (!cbor_is_bool(item))
            return ERR_FORMAT;
        link_cbor_head(out, LINK_CBOR_SIMPLE,
                       cbor_get_bool(item) ? LINK_CBOR_TRUE : LINK_CBOR_FALSE);
        return 0;
    }
}

int link_map_open(const uint8_t *bytes, size_t len, cbor_item_t **root)
{
    struct cbor_load_result result;
    cbor_item_t *item;
    struct buf again;
    bool same;

    if (!is_bounded(bytes, len))
        return ERR_FORMAT;
    item = cbor_load(bytes, len, &result);
    if (!item)
        return ERR_FORMAT;
    buf_init(&again, len);
    same = cbor_isa_map(item) && encode_again(item, LINK_MAP_DEPTH + 1, &again) == 0 &&
           !buf_failed(&again) && again.len == len && memcmp(again.data, bytes, len) == 0;
    buf_done(&again);
    if (!same) {
        cbor_decref(&item);
        return ERR_FORMAT;
    }
    *root = item;
    return 0;
}

void link_map_close(cbor_item_t *root)
{
    cbor_decref(&root);
}

void link_map_init(struct link_map *m, const cbor_item_t *item)
{
    *m = (struct link_map){.bad = true};
    if (item && cbor_isa_map(item))
        *m = (struct link_map){.pairs = cbor_map_handle(item), .left = cbor_map_size(item)};
}

bool link_map_has(const struct link_map *m, uint64_t key)
{
    return !m->bad && m->left > 0 && cbor_get_int(m->pairs->key) == key;
}

const cbor_item_t *link_map_item(struct link_map *m, uint64_t key)
{
    if (!link_map_has(m, key)) {
        m->bad = true;
        return NULL;
    }
    m->left--;
    return m->pairs++->value;
}

uint64_t link_map_uint(struct link_map *m, uint64_t key, uint64_t max)
{
    const cbor_item_t *item = link_map_item(m, key);

    if (!item || !cbor_isa_uint(item) || cbor_get_int(item) > max) {
        m->bad = true;
        return 0;
    }
    return cbor_get_int(item);
}

bool link_map_bool(struct link_map *m, uint64_t key)
{
    const cbor_item_t *item = link_map_item(m, key);

    if (!item || !cbor_isa_float_ctrl(item) || !cbor_is_bool(item)) {
        m->bad = true;
        return false;
    }
    return cbor_get_bool(item);
}

size_t link_map_bytes(struct link_map *m, uint64_t key, void *out, size_t min, size_t max)
{
    const cbor_item_t *item = link_map_item(m, key);
    size_t len = item && cbor_isa_bytestring(item) ? cbor_bytestring_length(item) : SIZE_MAX;

    if (len < min || len > max) {
        m->bad = true;
        return 0;
    }
    if (len)
        memcpy(out, cbor_bytestring_handle(item), len);
    return len;
}

void link_map_text(struct link_map *m, uint64_t key, char *out, size_t max)
{
    const cbor_item_t *item = link_map_item(m, key);
    size_t len = item && cbor_isa_string(item) ? cbor_string_length(item) : 0;
    bool ok = len >= 1 && len <= max;

    for (size_t i = 0; ok && i < len; i++)
        ok = cbor_string_handle(item)[i] >= 0x20 && cbor_string_handle(item)[i] <= 0x7e;
    if (!ok) {
        m->bad = true;
        return;
    }
    memcpy(out, cbor_string_handle(item), len);
    out[len] = 0;
}

size_t link_map_uints(struct link_map *m, uint64_t key, uint32_t *out, size_t max, uint64_t limit)
{
    const cbor_item_t *item = link_map_item(m, key);
    size_t count = item && cbor_isa_array(item) ? cbor_array_size(item) : SIZE_MAX;

    if (count > max) {
        m->bad = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        const cbor_item_t *element = cbor_array_handle(item)[i];

        if (!cbor_isa_uint(element) || cbor_get_int(element) > limit) {
            m->bad = true;
            return 0;
        }
        out[i] = (uint32_t)cbor_get_int(element);
    }
    return count;
}

int link_map_end(const struct link_map *m)
{
    return m->bad || m->left > 0 ? ERR_FORMAT : 0;
}
