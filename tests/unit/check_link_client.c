/* The client of the device link, over a device that follows a script. */
#include "check_util.h"

#include "link/client.h"

#include <string.h>

static struct error err;

/* ------ the client, over a device that follows a script ------ */

struct script {
    struct transport transport;
    struct link_client client;
    struct buf out; /* what the device has said and the station not read */
    unsigned writes;
    unsigned silent;        /* requests that are not answered */
    const char *noise_only; /* said instead of an answer */
    const char *before;     /* noise in front of an answer */
    int wrong_sequence;     /* an answer to another request comes first */
    int write_fails;        /* code that write returns */
    const char *payload;    /* the answer */
    size_t payload_len;
};

static int script_write(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                        struct error *error)
{
    struct script *s = (struct script *)t;
    struct link_frame_reader reader;
    struct link_frame frame;
    bool whole = false;

    ck_assert_int_gt(timeout_ms, 0);
    s->writes++;
    if (s->write_fails)
        return error_set(error, s->write_fails, "the port failed");
    link_frame_reader_init(&reader);
    for (size_t i = 0; i < len; i++)
        whole = link_frame_feed(&reader, bytes[i], &frame) || whole;
    ck_assert(whole);
    if (s->noise_only) {
        buf_put_str(&s->out, s->noise_only);
        return 0;
    }
    if (s->silent > 0) {
        s->silent--;
        return 0;
    }
    if (s->before)
        buf_put_str(&s->out, s->before);
    if (s->wrong_sequence)
        link_frame_encode(&s->out, frame.message | 0x80,
                          (uint16_t)(frame.sequence + s->wrong_sequence),
                          (const uint8_t *)"\xa1\x00\x0c", 3);
    link_frame_encode(&s->out, frame.message, frame.sequence, frame.payload, frame.len); /* echo */
    link_frame_encode(&s->out, frame.message | 0x80, frame.sequence, (const uint8_t *)s->payload,
                      s->payload_len);
    return 0;
}

static int script_read(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                       struct error *error)
{
    struct script *s = (struct script *)t;

    (void)timeout_ms;
    (void)max;
    if (s->out.len == 0)
        return error_set(error, ERR_TIMEOUT, "silence");
    out[0] = s->out.data[0]; /* one byte a read: frames come in pieces */
    memmove(s->out.data, s->out.data + 1, --s->out.len);
    *got = 1;
    return 0;
}

static void script_close(struct transport *t)
{
    (void)t;
}

static const struct transport_ops script_ops = {script_write, script_read, script_close};

#define SCRIPT(s, text)                                                                            \
    script_init(&s);                                                                               \
    s.payload = text;                                                                              \
    s.payload_len = sizeof text - 1

static void script_init(struct script *s)
{
    memset(s, 0, sizeof *s);
    s->transport = (struct transport){&script_ops, "/dev/ttyX"};
    buf_init(&s->out, 20000);
    link_client_init(&s->client, &s->transport);
    s->client.timeout_ms = 200;
}

START_TEST(the_client_finds_its_answer_among_noise_echoes_and_old_answers)
{
    static struct script s;

    for (int wrong = -1; wrong <= 1; wrong++) {
        SCRIPT(s, "\xa1\x00\x00");
        s.before = "login: \xff";
        s.wrong_sequence = wrong;
        ASSERT_OK(link_client_abort(&s.client, &err), err);
        ASSERT_OK(link_client_abort(&s.client, &err), err);
        ck_assert_uint_eq(s.writes, 2);
        buf_done(&s.out);
    }
}
END_TEST

START_TEST(the_client_repeats_a_request_and_then_gives_up)
{
    static struct script s;

    SCRIPT(s, "\xa1\x00\x00");
    s.silent = 2;
    ASSERT_OK(link_client_abort(&s.client, &err), err);
    ck_assert_uint_eq(s.writes, 3);
    s.silent = 3;
    s.writes = 0;
    ASSERT_FAILS(link_client_abort(&s.client, &err), ERR_TIMEOUT);
    ck_assert_uint_eq(s.writes, 3);
    ck_assert_ptr_nonnull(strstr(err.text, "/dev/ttyX: ABORT: no answer within 200 ms"));
    buf_done(&s.out);
}
END_TEST

START_TEST(noise_alone_is_told_from_silence)
{
    static struct script s;

    SCRIPT(s, "\xa1\x00\x00");
    s.noise_only = "U-Boot> ";
    ASSERT_FAILS(link_client_abort(&s.client, &err), ERR_PROTOCOL);
    ck_assert_uint_eq(s.writes, 3);
    ck_assert_ptr_nonnull(strstr(err.text, "24 bytes came that are no answer"));
    s.noise_only = NULL;
    s.silent = 3;
    ASSERT_FAILS(link_client_abort(&s.client, &err), ERR_TIMEOUT);
    buf_done(&s.out);
}
END_TEST

START_TEST(the_client_does_not_repeat_into_a_port_that_failed)
{
    static struct script s;
    static const int codes[] = {ERR_GONE, ERR_IO};

    for (size_t i = 0; i < 2; i++) {
        SCRIPT(s, "\xa1\x00\x00");
        s.write_fails = codes[i];
        ASSERT_FAILS(link_client_abort(&s.client, &err), codes[i]);
        ck_assert_uint_eq(s.writes, 1);
        buf_done(&s.out);
    }
}
END_TEST

START_TEST(a_status_is_told_in_words)
{
    static struct script s;

    SCRIPT(s, "\xa1\x00\x05");
    ASSERT_FAILS(link_client_abort(&s.client, &err), ERR_REFUSED);
    ck_assert_int_eq(err.native, IMPRINT_ERR_BUSY);
    ck_assert_str_eq(err.text,
                     "/dev/ttyX: ABORT: the device says that another transaction is open on it");
    buf_done(&s.out);
}
END_TEST

START_TEST(the_client_believes_no_impossible_sizes)
{
    static const uint8_t tx[16], bytes[64];
    struct link_object object = {.type = 1, .format = 1, .length = 16};
    struct link_begin begin = {
        .environment = "e", .serial = "s", .objects = &object, .object_count = 1};
    static struct script s;
    struct link_held held;
    struct buf out;

    SCRIPT(s, "\xa2\x00\x00\x01\x81\x11"); /* 17 of 16 bytes */
    ASSERT_FAILS(link_client_begin(&s.client, &begin, &held, &err), ERR_PROTOCOL);
    buf_done(&s.out);
    SCRIPT(s, "\xa2\x00\x00\x01\x82\x00\x00"); /* two objects of one */
    ASSERT_FAILS(link_client_begin(&s.client, &begin, &held, &err), ERR_PROTOCOL);
    buf_done(&s.out);
    SCRIPT(s, "\xa2\x00\x00\x01\x10"); /* 16 held where 64 were sent */
    ASSERT_FAILS(link_client_put_object(&s.client, tx, 1, bytes, 64, 0, &err), ERR_PROTOCOL);
    buf_done(&s.out);
    SCRIPT(s, "\xa2\x00\x00\x01\x18\x41"); /* 65 held where 64 were sent */
    ASSERT_FAILS(link_client_put_object(&s.client, tx, 1, bytes, 64, 0, &err), ERR_PROTOCOL);
    buf_done(&s.out);
    buf_init(&out, 100000);
    SCRIPT(s, "\xa3\x00\x00\x01\x03\x02\x40"); /* three bytes in all, and none now */
    ASSERT_FAILS(link_client_read(&s.client, &out, &err), ERR_PROTOCOL);
    ck_assert_uint_eq(s.writes, 1);
    buf_done(&s.out);
    SCRIPT(s, "\xa3\x00\x00\x01\x01\x02\x42hi"); /* two bytes of one */
    ASSERT_FAILS(link_client_read(&s.client, &out, &err), ERR_PROTOCOL);
    buf_done(&s.out);
    SCRIPT(s, "\xa3\x00\x00\x01\x1a\x00\x01\x00\x01\x02\x42hi"); /* 64 KiB and 1 byte */
    ASSERT_FAILS(link_client_read(&s.client, &out, &err), ERR_PROTOCOL);
    buf_done(&s.out);
    SCRIPT(s, "\xa3\x00\x00\x01\x00\x02\x40"); /* nothing at all */
    ASSERT_FAILS(link_client_read(&s.client, &out, &err), ERR_PROTOCOL);
    ck_assert_uint_eq(out.len, 0);
    buf_done(&s.out);
    buf_done(&out);
}
END_TEST

START_TEST(a_request_larger_than_the_device_takes_is_not_sent)
{
    static struct script s;
    static const uint8_t tx[16], bytes[1200];
    uint32_t held;

    SCRIPT(s, "\xa1\x00\x00");
    ASSERT_FAILS(link_client_put(&s.client, tx, 2, 0, bytes, 1200, &held, &err), ERR_REFUSED);
    ck_assert_uint_eq(s.writes, 0);
    buf_done(&s.out);
}
END_TEST

CHECK_MAIN("link_client", the_client_finds_its_answer_among_noise_echoes_and_old_answers,
           the_client_repeats_a_request_and_then_gives_up, noise_alone_is_told_from_silence,
           the_client_does_not_repeat_into_a_port_that_failed, a_status_is_told_in_words,
           the_client_believes_no_impossible_sizes,
           a_request_larger_than_the_device_takes_is_not_sent)
