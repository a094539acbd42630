/* Malformed requests, noise and random bytes at the agent's port. */
#include "agent_fixture.h"

#include <string.h>

/* ------ malformed requests ------ */

START_TEST(malformed_requests_are_answered_with_format)
{
    static const struct {
        uint8_t message;
        const char *bytes;
        size_t len;
    } cases[] = {
#define CASE(message, bytes) {message, bytes, sizeof bytes - 1}
#define NONCE                "0123456789abcdef0123456789abcdef"
#define TX                   "0123456789abcdef"
        CASE(IMPRINT_MSG_HELLO, ""),                              /* nothing */
        CASE(IMPRINT_MSG_HELLO, "\xa0"),                          /* member missing */
        CASE(IMPRINT_MSG_HELLO, "\x80"),                          /* no map */
        CASE(IMPRINT_MSG_HELLO, "\xa1\x01\x58\x20"),              /* cut */
        CASE(IMPRINT_MSG_HELLO, "\xa1\x01\x58\x1f" NONCE),        /* too short, and bytes left */
        CASE(IMPRINT_MSG_HELLO, "\xa1\x02\x58\x20" NONCE),        /* other key */
        CASE(IMPRINT_MSG_HELLO, "\xa1\x01\x78\x20" NONCE),        /* text, not bytes */
        CASE(IMPRINT_MSG_HELLO, "\xbf\x01\x58\x20" NONCE "\xff"), /* indefinite map */
        CASE(IMPRINT_MSG_HELLO, "\xa1\x01\x5f\x58\x20" NONCE "\xff"), /* indefinite string */
        CASE(IMPRINT_MSG_HELLO, "\xa1\x01\x59\x00\x20" NONCE),        /* length not shortest */
        CASE(IMPRINT_MSG_HELLO, "\xb8\x01\x01\x58\x20" NONCE),        /* count not shortest */
        CASE(IMPRINT_MSG_HELLO, "\xa1\x18\x01\x58\x20" NONCE),        /* key not shortest */
        CASE(IMPRINT_MSG_HELLO, "\xa1\x01\x58\x20" NONCE "\x00"),     /* trailing byte */
        CASE(IMPRINT_MSG_HELLO, "\xa2\x01\x58\x20" NONCE "\x01\x00"), /* repeated key */
        CASE(IMPRINT_MSG_HELLO, "\xa1\x01\x5b\x00\x00\x00\x00\x00\x00\x00\x20" NONCE),
        CASE(IMPRINT_MSG_HELLO, "\xc1\xa1\x01\x58\x20" NONCE), /* tag */
        CASE(IMPRINT_MSG_READ, "\xa0\x01\x00"),                /* a member that is not counted */
        CASE(IMPRINT_MSG_READ, "\xa1\x01\x20"),                /* negative */
        CASE(IMPRINT_MSG_READ, "\xa1\x01\xf9\x00\x00"),        /* floating point */
        CASE(IMPRINT_MSG_READ, "\xa1\x01\x1b\x00\x00\x00\x01\x00\x00\x00\x00"),
        CASE(IMPRINT_MSG_COMMIT, "\xa1\x01\x4f" TX),
        CASE(IMPRINT_MSG_COMMIT, "\xa1\x01\x51" TX),
        CASE(IMPRINT_MSG_PROVE, "\xa1\x01\x50" TX),
        CASE(IMPRINT_MSG_PROVE, "\xa2\x02\x58\x20" NONCE "\x01\x50" TX),     /* keys descend */
        CASE(IMPRINT_MSG_PUT, "\xa4\x01\x50" TX "\x02\x01\x03\x00\x04\x40"), /* no bytes */
        CASE(IMPRINT_MSG_PUT, "\xa4\x01\x50" TX "\x02\x1a\x00\x01\x00\x01\x03\x00\x04\x41\x00"),
        CASE(IMPRINT_MSG_LOCK, "\xa0"),
        CASE(IMPRINT_MSG_ABORT, "\xa1\x01\x00"),
        CASE(IMPRINT_MSG_BEGIN, "\xac\x01\x02"),
#undef CASE
    };

    begin_test();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct link_frame reply;
        struct buf b;

        buf_init(&b, 1000);
        buf_put(&b, cases[i].bytes, cases[i].len);
        ASSERT_OK(link_client_request(&rig.client, cases[i].message, &b, &reply, &err), err);
        ck_assert_msg(reply.len == 3 && memcmp(reply.payload, "\xa1\x00\x03", 3) == 0, "case %zu",
                      i);
        buf_done(&b);
    }
    end_test();
}
END_TEST

/* Where these bytes first are. */
static uint8_t *find(const struct buf *b, const char *bytes, size_t len)
{
    for (size_t at = 0; at + len <= b->len; at++)
        if (memcmp(b->data + at, bytes, len) == 0)
            return b->data + at;
    ck_abort_msg("they are nowhere");
    return NULL;
}

START_TEST(a_row_of_begin_that_counts_wrong_is_malformed)
{
    /* What the table begins with: key 9, three rows of four, the private key's format and length. */
    static const char table[] = "\x09\x83\x84\x01\x01\x18";
    static const struct {
        size_t at;
        uint8_t value, instead;
    } cases[] = {{2, 0x84, 0x83}, {2, 0x84, 0x85}, {8, 0x20, 0x1f}, {8, 0x20, 0x21}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct link_frame reply;
        struct buf b;
        uint8_t *byte;

        prepared(IMPRINT_SUITE_X963);
        buf_init(&b, 4096);
        link_begin_encode(&b, &station.begin);
        byte = find(&b, table, sizeof table - 1) + cases[i].at;
        ck_assert_uint_eq(*byte, cases[i].value);
        *byte = cases[i].instead;
        ASSERT_OK(link_client_request(&rig.client, IMPRINT_MSG_BEGIN, &b, &reply, &err), err);
        ck_assert_msg(reply.len == 3 && memcmp(reply.payload, "\xa1\x00\x03", 3) == 0, "case %zu",
                      i);
        buf_done(&b);
        end_test();
    }
}
END_TEST

START_TEST(messages_that_this_build_does_not_have_are_answered_so)
{
    static const uint8_t messages[] = {0x00, IMPRINT_MSG_FDO_HMAC, 0x0c, 0x7f};

    begin_test();
    for (size_t i = 0; i < sizeof messages; i++) {
        struct link_frame reply;
        struct buf b;

        buf_init(&b, 10);
        link_abort_encode(&b);
        ASSERT_OK(link_client_request(&rig.client, messages[i], &b, &reply, &err), err);
        ck_assert_mem_eq(reply.payload, "\xa1\x00\x02", 3);
        buf_done(&b);
    }
    end_test();
}
END_TEST

/* Feeds the device and returns how many bytes it answered with. */
static size_t answered(const void *bytes, size_t len)
{
    rig.sent.len = 0;
    imprint_agent_input(&rig.agent, bytes, len);
    return rig.sent.len;
}

START_TEST(noise_wrong_checksums_and_echoes_are_not_answered)
{
    struct buf good, request;

    begin_test();
    buf_init(&good, 5000);
    buf_init(&request, 5000);
    link_abort_encode(&request);
    link_frame_encode(&good, IMPRINT_MSG_ABORT, 7, request.data, request.len);
    ck_assert_uint_gt(answered(good.data, good.len), 0);
    for (size_t i = 1; i + 1 < good.len; i++) {
        for (uint8_t bit = 1; bit; bit = (uint8_t)(bit << 1)) {
            good.data[i] ^= bit;
            ck_assert_msg(answered(good.data, good.len) == 0, "byte %zu", i);
            good.data[i] ^= bit;
        }
        ck_assert_uint_eq(answered(good.data, i), 0);
        ck_assert_uint_eq(answered("\0", 1), 0);
    }
    buf_reset(&good);
    link_frame_encode(&good, IMPRINT_MSG_ABORT | IMPRINT_MSG_REPLY, 7, request.data, request.len);
    ck_assert_uint_eq(answered(good.data, good.len), 0);
    buf_reset(&request);
    memset(buf_grow(&request, 3000), 0x55, 3000);
    buf_reset(&good);
    link_frame_encode(&good, IMPRINT_MSG_ABORT, 7, request.data, request.len);
    ck_assert_uint_eq(answered(good.data, good.len), 0); /* longer than its buffer */
    ck_assert_uint_eq(answered("hello?\r\nATI\r\n", 13), 0);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    buf_done(&good);
    buf_done(&request);
    end_test();
}
END_TEST

START_TEST(another_link_version_is_answered_with_version)
{
    /* Version 2, HELLO, sequence 0x0101, an empty map: no zero in it, so COBS is one block. */
    uint8_t wire[11] = {0, 10, 2, IMPRINT_MSG_HELLO, 1, 1, 0xa0};
    uint32_t crc = link_crc32(wire + 2, 5);
    struct link_frame_reader reader;
    struct link_frame reply = {0};
    bool found = false;

    begin_test();
    for (int i = 0; i < 4; i++) {
        wire[7 + i] = (uint8_t)(crc >> (24 - 8 * i));
        ck_assert_uint_ne(wire[7 + i], 0);
    }
    ck_assert_uint_eq(answered(wire, sizeof wire), 0);
    imprint_agent_input(&rig.agent, (const uint8_t *)"", 1);
    link_frame_reader_init(&reader);
    for (size_t i = 0; i < rig.sent.len && !found; i++)
        found = link_frame_feed(&reader, rig.sent.data[i], &reply);
    ck_assert(found);
    ck_assert_uint_eq(reply.sequence, 0x0101);
    ck_assert_mem_eq(reply.payload, "\xa1\x00\x01", 3);
    end_test();
}
END_TEST

/* A small generator, so that a failure can be run again. */
static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

START_TEST(random_requests_never_break_a_device)
{
    uint32_t seed = 1;
    struct buf model;

    begin_test();
    ASSERT_OK(rig_provision(&rig, &station, IMPRINT_SUITE_X963, &err), err);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare(&other, &hello, IMPRINT_SUITE_X963);
    buf_init(&model, 4096);
    for (int round = 0; round < 20000; round++) {
        struct buf wire;
        uint8_t message = (uint8_t)(1 + random_next(&seed) % 9);

        buf_reset(&model);
        if (message == IMPRINT_MSG_BEGIN)
            link_begin_encode(&model, &other.begin);
        else if (message == IMPRINT_MSG_PUT)
            link_put_encode(&model, other.begin.transaction, 2, 0, other.certificates.data, 64);
        else
            link_prove_encode(&model, other.begin.transaction, other.begin.station_nonce);
        for (uint32_t n = 1 + random_next(&seed) % 3; n > 0; n--)
            model.data[random_next(&seed) % model.len] = (uint8_t)random_next(&seed);
        if (random_next(&seed) % 4 == 0)
            model.len = random_next(&seed) % (model.len + 1);
        buf_init(&wire, 5000);
        link_frame_encode(&wire, message, (uint16_t)round, model.data, model.len);
        ck_assert_uint_gt(answered(wire.data, wire.len), 0);
        buf_done(&wire);
    }
    ck_assert(rig_holds(&rig, &station));
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    buf_done(&model);
    end_test();
}
END_TEST

CHECK_MAIN("agent_wire", a_row_of_begin_that_counts_wrong_is_malformed,
           malformed_requests_are_answered_with_format,
           messages_that_this_build_does_not_have_are_answered_so,
           noise_wrong_checksums_and_echoes_are_not_answered,
           another_link_version_is_answered_with_version, random_requests_never_break_a_device)
