#include "manifests/receipt.h"

#include "base/clock.h"
#include "base/codec.h"
#include "manifests/canon.h"

#include <string.h>

static void put_bytes(const struct receipt *r, struct buf *out)
{
    char accepted[CLOCK_TEXT_SIZE], hex[2 * SHA256_SIZE + 1];
    struct jcs j;

    clock_text(r->accepted, accepted);
    jcs_init(&j, out);
    jcs_object(&j, NULL);
    jcs_str(&j, "accepted", accepted);
    jcs_array(&j, "closings");
    for (size_t i = 0; i < r->closing_count; i++) {
        hex_encode(r->closings[i], SHA256_SIZE, hex);
        jcs_str(&j, NULL, hex);
    }
    jcs_end(&j);
    jcs_str(&j, "environment", r->environment);
    jcs_str(&j, "format", RECEIPT_FORMAT);
    jcs_str(&j, "origin", r->origin);
    jcs_base64(&j, "root", r->root.bytes, sizeof r->root.bytes);
    jcs_int(&j, "seq", (int64_t)r->seq);
    jcs_hex(&j, "sha256", r->sha256, sizeof r->sha256);
    jcs_int(&j, "size", (int64_t)r->size);
    jcs_end(&j);
    buf_put_u8(out, '\n');
}

int receipt_write(const struct receipt *r, struct buf *out, struct error *err)
{
    put_bytes(r, out);
    return buf_failed(out) ? error_set(err, ERR_INPUT, "the receipt cannot be written") : 0;
}

static void take_closings(struct canon *c, struct receipt *r)
{
    json_t *list = canon_array(c, "closings");
    size_t count = json_array_size(list);

    if (c->rc == 0 && count > RECEIPT_CLOSINGS_MAX)
        canon_fail(c, "closings has more than %d members", RECEIPT_CLOSINGS_MAX);
    for (; c->rc == 0 && r->closing_count < count; r->closing_count++) {
        const char *hash = json_string_value(json_array_get(list, r->closing_count));

        if (!hash || hex_decode(hash, r->closings[r->closing_count], SHA256_SIZE))
            canon_fail(c, "closings has a member that is not a hash");
    }
    if (c->rc == 0)
        json_object_del(c->value, "closings");
}

static void take_members(struct canon *c, struct receipt *r)
{
    char format[64] = "";

    canon_text(c, "format", format, sizeof format);
    if (c->rc == 0 && strcmp(format, RECEIPT_FORMAT))
        canon_fail(c, "the format '%s' is not that of a receipt", format);
    canon_time(c, "accepted", &r->accepted);
    take_closings(c, r);
    canon_text(c, "environment", r->environment, sizeof r->environment);
    canon_text(c, "origin", r->origin, sizeof r->origin);
    canon_base64(c, "root", r->root.bytes, sizeof r->root.bytes);
    canon_u64(c, "seq", &r->seq);
    canon_hex(c, "sha256", r->sha256, sizeof r->sha256);
    canon_u64(c, "size", &r->size);
}

static int same_bytes(const struct receipt *r, const void *bytes, size_t len, struct error *err)
{
    struct buf again;
    int rc;

    buf_init(&again, RECEIPT_MAX);
    put_bytes(r, &again);
    rc = canon_same(&again, bytes, len, "the receipt is not canonical JSON and one line end", err);
    buf_done(&again);
    return rc;
}

int receipt_parse(const void *bytes, size_t len, struct receipt *r, struct error *err)
{
    struct receipt made = {.seq = 0};
    struct canon c;
    int rc = canon_open(&c, bytes, len, "the receipt", err);

    if (rc == 0) {
        take_members(&c, &made);
        rc = canon_end(&c);
    }
    canon_close(&c);
    if (rc == 0)
        rc = same_bytes(&made, bytes, len, err);
    if (rc == 0)
        *r = made;
    return rc;
}
