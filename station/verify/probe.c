#include "station/verify/probe.h"

#include <string.h>

enum { KIND_PROBE = 1, KIND_FAILURE };

#define TEXT_MAX 400

void probe_question_put(struct buf *out, const struct probe_question *q)
{
    buf_put(out, q->hello, sizeof q->hello);
    buf_put(out, q->prove, sizeof q->prove);
}

int probe_question_get(const uint8_t *bytes, size_t len, struct probe_question *q)
{
    struct probe_question got;
    struct reader r;

    reader_init(&r, bytes, len);
    if (reader_bytes(&r, got.hello, sizeof got.hello) ||
        reader_bytes(&r, got.prove, sizeof got.prove) || reader_end(&r))
        return ERR_FORMAT;
    *q = got;
    return 0;
}

void probe_put(struct buf *out, const struct probe *p)
{
    buf_put_u8(out, KIND_PROBE);
    buf_put_lp(out, p->chip, p->chip_len);
    buf_put_lp(out, p->firmware, strlen(p->firmware));
    buf_put_u8(out, p->debug);
    buf_put_u8(out, p->state);
    buf_put(out, p->tx, sizeof p->tx);
    buf_put_lp(out, p->serial, strlen(p->serial));
    buf_put_u8(out, p->proved);
    buf_put_u8(out, p->lifecycle);
    buf_put_u32(out, p->commit_count);
    buf_put_u16(out, p->proof_alg);
    buf_put_lp(out, p->proof, p->proof_len);
}

void probe_put_failure(struct buf *out, const struct error *why)
{
    size_t len = strnlen(why->text, TEXT_MAX);

    buf_put_u8(out, KIND_FAILURE);
    buf_put_u8(out, (uint8_t)error_exit_status(why->code));
    buf_put_lp(out, why->text, len);
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static int get_flag(struct reader *r, bool *flag)
{
    uint8_t byte;

    if (reader_u8(r, &byte) || byte > 1)
        return ERR_FORMAT;
    *flag = byte;
    return 0;
}

static int get_short(struct reader *r, uint8_t *out, size_t *len, size_t max)
{
    const uint8_t *view;

    if (reader_lp(r, &view, len, max))
        return ERR_FORMAT;
    if (*len)
        memcpy(out, view, *len);
    return 0;
}

static int get_probe(struct reader *r, struct probe *p)
{
    size_t proof;

    if (get_short(r, p->chip, &p->chip_len, sizeof p->chip) || p->chip_len == 0 ||
        reader_lp_str(r, p->firmware, sizeof p->firmware) || get_flag(r, &p->debug) ||
        reader_u8(r, &p->state) || reader_bytes(r, p->tx, sizeof p->tx) ||
        reader_lp_str(r, p->serial, sizeof p->serial) || get_flag(r, &p->proved) ||
        reader_u8(r, &p->lifecycle) || reader_u32(r, &p->commit_count) ||
        reader_u16(r, &p->proof_alg) || get_short(r, p->proof, &proof, sizeof p->proof) ||
        reader_end(r) || !is_printable(p->firmware) || !is_printable(p->serial))
        return ERR_FORMAT;
    p->proof_len = (uint16_t)proof;
    return 0;
}

static int get_failure(struct reader *r, struct error *err)
{
    char text[TEXT_MAX + 1];
    uint8_t status;

    if (reader_u8(r, &status) || status == 0 || reader_lp_str(r, text, sizeof text) ||
        reader_end(r) || !is_printable(text))
        return ERR_FORMAT;
    return error_set(err, -(int)status, "%s", text);
}

int probe_get(const uint8_t *bytes, size_t len, struct probe *p, struct error *err)
{
    struct probe got = {0};
    struct reader r;
    uint8_t kind = 0;
    int rc = ERR_FORMAT;

    reader_init(&r, bytes, len);
    if (reader_u8(&r, &kind) == 0 && kind == KIND_PROBE)
        rc = get_probe(&r, &got);
    else if (kind == KIND_FAILURE)
        rc = get_failure(&r, err);
    if (rc == ERR_FORMAT)
        return error_set(err, ERR_PROTOCOL, "the process that asks the device broke its protocol");
    if (rc == 0)
        *p = got;
    return rc;
}
