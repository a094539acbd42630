/*
 * hook: what the vault and the process that runs the plant's programs say to each other.
 *
 *   vault                                          imprint-hook
 *   u32 number ‖ u8 kind ‖ the question, JSON   -> runs the program of that kind
 *   u8 verdict ‖ lp(text), as                   <- u32 number ‖ u8 verdict ‖ lp(text)
 *
 * Many questions may be under way; each is answered once, in any order. The vault parses no JSON of
 * somebody else: text is at most HOOK_TEXT_MAX characters of printable ASCII.
 */
#ifndef STATION_WIRE_HOOK_H
#define STATION_WIRE_HOOK_H

#include "base/buf.h"

#define HOOK_TEXT_MAX     200
#define HOOK_QUESTION_MAX 4096 /* bytes of JSON */
#define HOOK_ID_SIZE      16   /* of a question or event: random bytes, 32 hexadecimal digits */

enum hook_kind {
    HOOK_BEFORE_CLAIM, /* may this unit be provisioned? */
    HOOK_AFTER_RESULT, /* this unit is finished, or failed */
    HOOK_OUTBOX,       /* an event of the outbox: taken? */
    HOOK_KINDS
};

enum hook_verdict {
    HOOK_YES = 1,
    HOOK_NO = 2,    /* text is the program's reason, or empty */
    HOOK_FAILED = 3 /* no answer; text says why */
};

struct hook_answer {
    uint32_t number;
    uint8_t verdict;
    char text[HOOK_TEXT_MAX + 1];
};

/* How long a program has, in milliseconds. */
int hook_timeout_ms(enum hook_kind kind);

/* What documents and configurations call a kind: "before_claim". */
const char *hook_name(enum hook_kind kind);

void wire_put_question(struct buf *m, uint32_t number, enum hook_kind kind,
                       const struct buf *question);
void wire_put_hook_answer(struct buf *m, const struct hook_answer *v);

/* ERR_FORMAT on any deviation. question is a view of 1 to HOOK_QUESTION_MAX bytes. */
MUST_USE int wire_get_question(struct reader *r, uint32_t *number, enum hook_kind *kind,
                               const uint8_t **question, size_t *len);
MUST_USE int wire_get_hook_answer(struct reader *r, struct hook_answer *v);

#endif
