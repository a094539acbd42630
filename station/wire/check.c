#include "station/wire/check.h"

void wire_put_check(struct buf *m, const struct wire_check *v)
{
    buf_put_u8(m, v->verdict);
    buf_put_u16(m, v->reason);
    buf_put_u16(m, v->algorithm);
    buf_put(m, v->point, sizeof v->point);
}

int wire_get_check(struct reader *r, struct wire_check *v)
{
    struct wire_check got;

    if (reader_u8(r, &got.verdict) || got.verdict < WIRE_CHECK_GOOD ||
        got.verdict > WIRE_CHECK_UNFIT || reader_u16(r, &got.reason) ||
        reader_u16(r, &got.algorithm) || reader_bytes(r, got.point, sizeof got.point) ||
        reader_end(r) || (got.verdict == WIRE_CHECK_GOOD) != (got.algorithm == IMPRINT_ALG_P256))
        return ERR_FORMAT;
    *v = got;
    return 0;
}
