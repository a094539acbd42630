/*
 * What a program of the plant says. Whatever it is, the verdict is one of three, the text passes to the
 * vault, and a yes or no has the question's id in it.
 */
#include "fuzz.h"

#include "station/hook/answer.h"

#include <string.h>

#define ID "00112233445566778899aabbccddeeff"

static void check_text(const char *text)
{
    FUZZ_ASSERT(strlen(text) <= HOOK_TEXT_MAX);
    for (const char *p = text; *p; p++)
        FUZZ_ASSERT(*p >= 0x20 && *p <= 0x7e);
}

/* What is told to the vault, it reads. */
static void pass_on(const struct hook_answer *a)
{
    struct hook_answer got;
    struct reader r;
    struct buf m;

    buf_init(&m, 1024);
    wire_put_hook_answer(&m, a);
    reader_init(&r, m.data, m.len);
    FUZZ_ASSERT(wire_get_hook_answer(&r, &got) == 0);
    FUZZ_ASSERT(got.number == a->number && got.verdict == a->verdict);
    FUZZ_ASSERT(strcmp(got.text, a->text) == 0);
    buf_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char id[2 * HOOK_ID_SIZE + 1];
    struct hook_answer a = {.number = 5};

    answer_read(data, size, ID, &a);
    FUZZ_ASSERT(a.verdict >= HOOK_YES && a.verdict <= HOOK_FAILED);
    FUZZ_ASSERT(a.verdict == HOOK_FAILED || size <= ANSWER_MAX);
    check_text(a.text);
    pass_on(&a);
    answer_id_of(data, size, id);
    if (a.verdict != HOOK_FAILED)
        FUZZ_ASSERT(strcmp(id, ID) == 0);
    return 0;
}
