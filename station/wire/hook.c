#include "station/wire/hook.h"

#include <string.h>

int hook_timeout_ms(enum hook_kind kind)
{
    return kind == HOOK_OUTBOX ? 10000 : 2000;
}

const char *hook_name(enum hook_kind kind)
{
    static const char *const names[HOOK_KINDS] = {"before_claim", "after_result", "outbox"};

    return names[kind];
}

void wire_put_question(struct buf *m, uint32_t number, enum hook_kind kind,
                       const struct buf *question)
{
    buf_put_u32(m, number);
    buf_put_u8(m, (uint8_t)kind);
    buf_put(m, question->data, question->len);
}

int wire_get_question(struct reader *r, uint32_t *number, enum hook_kind *kind,
                      const uint8_t **question, size_t *len)
{
    uint32_t got;
    uint8_t which;

    if (reader_u32(r, &got) || reader_u8(r, &which) || which >= HOOK_KINDS || r->left == 0 ||
        r->left > HOOK_QUESTION_MAX)
        return ERR_FORMAT;
    *len = r->left;
    if (reader_view(r, question, *len))
        return ERR_FORMAT;
    *number = got;
    *kind = (enum hook_kind)which;
    return 0;
}

void wire_put_hook_answer(struct buf *m, const struct hook_answer *v)
{
    buf_put_u32(m, v->number);
    buf_put_u8(m, v->verdict);
    buf_put_lp(m, v->text, strlen(v->text));
}

int wire_get_hook_answer(struct reader *r, struct hook_answer *v)
{
    struct hook_answer got;

    if (reader_u32(r, &got.number) || reader_u8(r, &got.verdict) || got.verdict < HOOK_YES ||
        got.verdict > HOOK_FAILED || reader_lp_str(r, got.text, sizeof got.text) || reader_end(r))
        return ERR_FORMAT;
    for (const char *p = got.text; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            return ERR_FORMAT;
    *v = got;
    return 0;
}
