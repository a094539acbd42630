/*
 * What the process that asks a device says of it, to the command that judges: byte 0 chooses question or answer.
 * What is taken is written again to the same bytes.
 */
#include "fuzz.h"

#include "station/verify/probe.h"

#include <string.h>

static void expect(struct buf *again, const uint8_t *data, size_t size)
{
    FUZZ_ASSERT(!buf_failed(again) && again->len == size);
    FUZZ_ASSERT(size == 0 || memcmp(again->data, data, size) == 0);
}

static void fuzz_question(const uint8_t *data, size_t size, struct buf *again)
{
    struct probe_question q;

    if (probe_question_get(data, size, &q))
        return;
    probe_question_put(again, &q);
    expect(again, data, size);
}

static void fuzz_answer(const uint8_t *data, size_t size, struct buf *again)
{
    struct error err = ERROR_INIT;
    struct probe p;

    if (probe_get(data, size, &p, &err)) {
        FUZZ_ASSERT(err.code != 0 && strlen(err.text) < sizeof err.text);
        return;
    }
    FUZZ_ASSERT(p.chip_len >= 1 && p.chip_len <= sizeof p.chip && p.proof_len <= sizeof p.proof);
    probe_put(again, &p);
    expect(again, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf again;

    if (size == 0)
        return 0;
    buf_init(&again, 8192);
    (data[0] & 1 ? fuzz_question : fuzz_answer)(data + 1, size - 1, &again);
    buf_done(&again);
    return 0;
}
