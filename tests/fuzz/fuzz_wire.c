/*
 * Messages between vault and line from a hostile peer: byte 0 chooses the message. What is taken is
 * written again to the same bytes, so no message has two forms.
 */
#include "fuzz.h"

#include "station/wire/channel.h"
#include "tests/unit/wire_samples.h"

static void fuzz_status(const uint8_t *p, size_t len)
{
    struct error err = ERROR_INIT;
    struct reader r;

    reader_init(&r, p, len);
    if (wire_get_status(&r, &err))
        FUZZ_ASSERT(err.code != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct kind *kind;
    union any value;
    struct reader r;
    struct buf again;

    if (size == 0)
        return 0;
    if (data[0] >= KINDS) {
        fuzz_status(data + 1, size - 1);
        return 0;
    }
    kind = &kinds[data[0]];
    memset(&value, 0, sizeof value);
    reader_init(&r, data + 1, size - 1);
    if (kind->decode(&r, value.bytes))
        return 0;
    buf_init(&again, WIRE_MAX);
    kind->encode(&again, value.bytes);
    FUZZ_ASSERT(!buf_failed(&again) && again.len == kind->skip + size - 1);
    FUZZ_ASSERT(memcmp(again.data + kind->skip, data + 1, size - 1) == 0);
    buf_done(&again);
    return 0;
}
