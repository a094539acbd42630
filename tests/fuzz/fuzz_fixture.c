/*
 * What a fixture sends: octets in pieces, as a connection brings them. Byte 0 says how long a piece is. A line
 * that is taken has one form: written again it is the line.
 */
#include "fuzz.h"

#include "station/fixture/talk.h"

#include <string.h>

static void check(const struct fixture_message *m, enum fixture_side from)
{
    struct fixture_message again;
    char line[FIXTURE_LINE_MAX + 2];
    size_t len = fixture_format(from, m, line);

    FUZZ_ASSERT(len > 1 && len <= FIXTURE_LINE_MAX + 1);
    FUZZ_ASSERT(fixture_parse(from, line, len - 1, &again, NULL) == 0);
    FUZZ_ASSERT(memcmp(m, &again, sizeof again) == 0);
}

static void hear(struct talk *t, const uint8_t *bytes, size_t len)
{
    struct fixture_message message;
    struct error err = ERROR_INIT;
    int got;

    memcpy(t->chunk, bytes, len);
    t->chunk_len = len;
    t->chunk_at = 0;
    while ((got = talk_next(t, &message, &err)))
        if (got > 0)
            check(&message, t->peer);
        else
            FUZZ_ASSERT(got == ERR_PROTOCOL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct talk talk;
    size_t piece;

    if (size < 1)
        return 0;
    piece = (size_t)(data[0] & 0x7f) + 1;
    talk_init(&talk, -1, data[0] & 0x80 ? FIXTURE_STATION : FIXTURE_DEVICE);
    for (size_t at = 1; at < size; at += piece)
        hear(&talk, data + at, size - at < piece ? size - at : piece);
    return 0;
}
