/* The messages between vault and line: what one side writes, and whatever else may arrive. */
#include "wire_samples.h"

#include "station/wire/channel.h" /* WIRE_MAX */

#include <stddef.h>
#include <string.h>

#define RANDOM_CASES 200000

/* The sample without its operation, in a block of exactly its size so that a sanitizer sees more.
 */
static uint8_t *sample_bytes(const struct kind *k, size_t *len)
{
    struct buf m;
    uint8_t *copy;

    buf_init(&m, WIRE_MAX);
    k->sample(&m);
    ck_assert(!buf_failed(&m));
    *len = m.len - k->skip;
    copy = malloc(*len + 1);
    memcpy(copy, m.data + k->skip, *len);
    buf_done(&m);
    return copy;
}

static int decode(const struct kind *k, const uint8_t *bytes, size_t len, union any *out)
{
    struct reader r;

    reader_init(&r, bytes, len);
    return k->decode(&r, out);
}

/* Refused, and the output as it was. */
static void assert_refused(const struct kind *k, const uint8_t *bytes, size_t len, const char *why)
{
    union any out, before;

    memset(&before, 0xee, sizeof before);
    out = before;
    ck_assert_msg(decode(k, bytes, len, &out) == ERR_FORMAT, "%s of %zu bytes is taken: %s",
                  k->name, len, why);
    ck_assert_msg(memcmp(&out, &before, sizeof out) == 0, "%s of %zu bytes changed its output: %s",
                  k->name, len, why);
}

START_TEST(every_message_comes_back_as_it_was)
{
    const struct kind *k = &kinds[_i];
    struct buf again;
    union any out;
    size_t len;
    uint8_t *bytes = sample_bytes(k, &len);

    memset(&out, 0, sizeof out);
    ck_assert_int_eq(decode(k, bytes, len, &out), 0);
    buf_init(&again, WIRE_MAX);
    k->encode(&again, &out);
    ck_assert_uint_eq(again.len, len + k->skip);
    ck_assert_mem_eq(again.data + k->skip, bytes, len);
    buf_done(&again);
    free(bytes);
}
END_TEST

START_TEST(every_member_has_its_place)
{
    struct wire_hello hello = sample_hello();
    struct wire_plan plan = sample_plan();
    struct wire_proof proof = sample_proof();
    union any out;
    uint8_t *bytes;
    size_t len;

    bytes = sample_bytes(&kinds[1], &len);
    ck_assert_int_eq(decode(&kinds[1], bytes, len, &out), 0);
    ck_assert_mem_eq(&out.hello.handle, &hello.handle, sizeof hello.handle);
    ck_assert_uint_eq(out.hello.suites[0], 2);
    ck_assert_uint_eq(out.hello.suites[1], 1);
    ck_assert_uint_eq(out.hello.max_frame, 1024);
    ck_assert_mem_eq(out.hello.dev_pub, hello.dev_pub, sizeof hello.dev_pub);
    ck_assert_mem_eq(out.hello.attest_sig, hello.attest_sig, sizeof hello.attest_sig);
    ck_assert_str_eq(out.hello.firmware, hello.firmware);
    free(bytes);
    bytes = sample_bytes(&kinds[4], &len);
    ck_assert_int_eq(decode(&kinds[4], bytes, len, &out), 0);
    ck_assert_uint_eq(out.proof.commit_count, proof.commit_count);
    ck_assert_uint_eq(out.proof.lifecycle, proof.lifecycle);
    free(bytes);
    bytes = sample_bytes(&kinds[7], &len);
    ck_assert_int_eq(decode(&kinds[7], bytes, len, &out), 0);
    ck_assert_uint_eq(out.plan.objects[2].length, plan.objects[2].length);
    ck_assert_uint_eq(out.plan.station_cert_len, 9);
    free(bytes);
}
END_TEST

START_TEST(a_message_cut_anywhere_is_refused)
{
    const struct kind *k = &kinds[_i];
    size_t len;
    uint8_t *bytes = sample_bytes(k, &len);

    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *part = malloc(cut + 1);

        memcpy(part, bytes, cut);
        assert_refused(k, part, cut, "cut");
        free(part);
    }
    free(bytes);
}
END_TEST

START_TEST(bytes_after_a_message_are_refused)
{
    const struct kind *k = &kinds[_i];
    size_t len;
    uint8_t *bytes = sample_bytes(k, &len);

    bytes[len] = 0;
    assert_refused(k, bytes, len + 1, "a byte is left over");
    free(bytes);
}
END_TEST

/* Members of one byte, and the values that are out of range. */
static const struct {
    const char *kind;
    size_t offset;
    uint8_t value;
} out_of_range[] = {
    {"hello", offsetof(struct wire_hello, has_image_hash), 2},
    {"hello", offsetof(struct wire_hello, debug), 2},
    {"hello", offsetof(struct wire_hello, pinned), 255},
    {"hello", offsetof(struct wire_hello, has_dev_pub), 2},
    {"hello", offsetof(struct wire_hello, has_attestation), 128},
    {"hello", offsetof(struct wire_hello, suite_count), IMPRINT_SUITES_MAX + 1},
    {"hello", offsetof(struct wire_hello, suite_count), 255},
    {"hello", offsetof(struct wire_hello, chip_len), 0},
    {"hello", offsetof(struct wire_hello, chip_len), IMPRINT_CHIP_ID_MAX + 1},
    {"hello", offsetof(struct wire_hello, chip_len), 255},
    {"hello", offsetof(struct wire_hello, tx_state), IMPRINT_TX_COMMITTED + 1},
    {"plan", offsetof(struct wire_plan, action), 0},
    {"plan", offsetof(struct wire_plan, action), WIRE_SCAN + 1},
    {"plan", offsetof(struct wire_plan, again), 2},
    {"scan", offsetof(struct wire_scan, live), 2},
    {"scan", offsetof(struct wire_scan, kind), WIRE_SCAN_KINDS},
    {"result", offsetof(struct wire_result, goes_on), 2},
};

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    ck_abort_msg("no message '%s'", name);
}

START_TEST(a_flag_count_or_state_out_of_range_is_refused)
{
    const struct kind *k = kind_of(out_of_range[_i].kind);
    struct buf m;
    union any v;
    size_t len;
    uint8_t *bytes = sample_bytes(k, &len);

    ck_assert_int_eq(decode(k, bytes, len, &v), 0);
    v.bytes[out_of_range[_i].offset] = out_of_range[_i].value;
    buf_init(&m, WIRE_MAX);
    k->encode(&m, &v);
    assert_refused(k, m.data + 1, m.len - 1, "out of range");
    buf_done(&m);
    free(bytes);
}
END_TEST

START_TEST(a_suite_beyond_their_number_is_refused)
{
    const struct kind *k = kind_of("hello");
    size_t len, last = WIRE_HANDLE_SIZE + 1 + 2 * IMPRINT_SUITES_MAX - 1;
    uint8_t *bytes = sample_bytes(k, &len);

    ck_assert_uint_eq(bytes[last], 0);
    bytes[last] = 1;
    assert_refused(k, bytes, len, "a message with two forms");
    free(bytes);
}
END_TEST

START_TEST(a_plan_with_too_many_objects_is_refused)
{
    const struct kind *k = kind_of("plan");
    struct wire_plan v = sample_plan();
    struct buf m;

    v.object_count = IMPRINT_OBJECTS_MAX;
    buf_init(&m, WIRE_MAX);
    wire_put_plan(&m, &v);
    m.data[m.len - IMPRINT_OBJECTS_MAX * 40 - 1]++; /* the count */
    for (int i = 0; i < 40; i++)
        buf_put_u8(&m, 0);
    assert_refused(k, m.data + 1, m.len - 1, "nine objects");
    buf_done(&m);
}
END_TEST

/* Texts and byte strings with a length prefix, found in the sample by their value. */
static const struct {
    const char *kind, *value;
    size_t max;
    bool bytes; /* any byte is allowed */
} texts[] = {
    {"open", "slot-text", WIRE_SLOT_MAX, false},
    {"hello", "firmware-text", IMPRINT_FIRMWARE_MAX, false},
    {"hello", "serial-text", IMPRINT_SERIAL_MAX, false},
    {"result", "result-text", WIRE_TEXT_MAX, false},
    {"noted", "noted-text", WIRE_TEXT_MAX, false},
    {"hook_answer", "hook-text", HOOK_TEXT_MAX, false},
    {"plan", "serial-text", IMPRINT_SERIAL_MAX, false},
    {"plan", "environ-text", IMPRINT_ENVIRONMENT_MAX, false},
    {"plan", "cert-text", IMPRINT_STATION_CERT_MAX, true},
};

/* The sample with one text replaced. */
static void with_text(size_t row, const void *text, size_t len, struct buf *m)
{
    const struct kind *k = kind_of(texts[row].kind);
    size_t old = strlen(texts[row].value), size, at;
    uint8_t *bytes = sample_bytes(k, &size), *found = memmem(bytes, size, texts[row].value, old);

    ck_assert_ptr_nonnull(found);
    at = (size_t)(found - bytes);
    buf_init(m, WIRE_MAX);
    buf_put(m, bytes, at - 2);
    buf_put_lp(m, text, len);
    buf_put(m, bytes + at + old, size - at - old);
    free(bytes);
}

START_TEST(a_text_of_the_greatest_length_passes_and_one_more_does_not)
{
    const struct kind *k = kind_of(texts[_i].kind);
    char text[1024];
    struct buf m;
    union any out;

    memset(text, 'x', sizeof text);
    with_text((size_t)_i, text, texts[_i].max, &m);
    ck_assert_int_eq(decode(k, m.data, m.len, &out), 0);
    buf_done(&m);
    with_text((size_t)_i, text, 0, &m);
    ck_assert_int_eq(decode(k, m.data, m.len, &out), 0);
    buf_done(&m);
    with_text((size_t)_i, text, texts[_i].max + 1, &m);
    assert_refused(k, m.data, m.len, "a text is too long");
    buf_done(&m);
    with_text((size_t)_i, text, sizeof text, &m);
    assert_refused(k, m.data, m.len, "a text is much too long");
    buf_done(&m);
}
END_TEST

START_TEST(a_text_holds_only_printable_characters)
{
    static const char bad[] = {0, 1, '\t', '\n', '\r', 0x1b, 0x1f, 0x7f, (char)0x80, (char)0xff};
    const struct kind *k = kind_of(texts[_i].kind);
    struct buf m;
    union any out;

    for (size_t i = 0; i < sizeof bad; i++) {
        char text[4] = {'a', bad[i], 'b', 'c'};

        with_text((size_t)_i, text, sizeof text, &m);
        if (texts[_i].bytes)
            ck_assert_int_eq(decode(k, m.data, m.len, &out), 0);
        else
            assert_refused(k, m.data, m.len, "not printable");
        buf_done(&m);
    }
    with_text((size_t)_i, "~ !\"\\", 5, &m);
    ck_assert_int_eq(decode(k, m.data, m.len, &out), 0);
    buf_done(&m);
}
END_TEST

START_TEST(an_error_travels_with_its_code_and_text)
{
    struct error err = ERROR_INIT, put = ERROR_INIT;
    struct reader r;
    struct buf m;

    buf_init(&m, WIRE_MAX);
    buf_put_str(&m, "half of an answer");
    (void)error_next(&put, NEXT_SCAN, error_set(&put, ERR_REFUSED, "scan it"));
    wire_put_error(&m, ERR_DUPLICATE, &put);
    reader_init(&r, m.data, m.len);
    ck_assert_int_eq(wire_get_status(&r, &err), ERR_DUPLICATE);
    ck_assert_str_eq(err.text, "scan it");
    ck_assert_int_eq(err.next, NEXT_SCAN);
    m.data[1] = NEXT_COUNT; /* what a person is never told */
    reader_init(&r, m.data, m.len);
    ck_assert_int_eq(wire_get_status(&r, &err), ERR_INTERNAL);
    memset(put.text, 'x', sizeof put.text - 1);
    wire_put_error(&m, ERR_PROOF, &put);
    reader_init(&r, m.data, m.len);
    ck_assert_int_eq(wire_get_status(&r, &err), ERR_PROOF);
    ck_assert_uint_eq(strlen(err.text), WIRE_TEXT_MAX);
    for (size_t cut = 0; cut < m.len; cut++) {
        reader_init(&r, m.data, cut);
        ck_assert_int_eq(wire_get_status(&r, &err), ERR_INTERNAL);
    }
    buf_put_u8(&m, 0);
    reader_init(&r, m.data, m.len);
    ck_assert_int_eq(wire_get_status(&r, &err), ERR_INTERNAL);
    buf_reset(&m);
    wire_put_ok(&m);
    reader_init(&r, m.data, m.len);
    ck_assert_int_eq(wire_get_status(&r, &err), 0);
    ck_assert_int_eq(reader_end(&r), 0);
    buf_done(&m);
}
END_TEST

/* A small generator with a seed, so that a failure can be repeated. */
static uint64_t random_state;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

/* A valid message with some bytes changed, cut or longer; or nothing but noise. */
static uint8_t *random_message(const struct kind *k, size_t *len)
{
    uint8_t *bytes;
    uint32_t changes = next_random() % 4;

    if (next_random() % 4 == 0) {
        *len = next_random() % 1200;
        bytes = malloc(*len + 1);
        for (size_t i = 0; i < *len; i++)
            bytes[i] = (uint8_t)next_random();
        return bytes;
    }
    bytes = sample_bytes(k, len);
    for (uint32_t i = 0; i < changes; i++)
        bytes[next_random() % *len] = (uint8_t)next_random();
    if (next_random() % 8 == 0)
        *len -= next_random() % *len;
    return bytes;
}

/* What was accepted says the same when it is written and read again. */
static void assert_stable(const struct kind *k, const union any *v)
{
    struct buf once, twice;
    union any again;

    buf_init(&once, WIRE_MAX);
    buf_init(&twice, WIRE_MAX);
    k->encode(&once, v);
    ck_assert(!buf_failed(&once));
    memset(&again, 0, sizeof again);
    ck_assert_int_eq(decode(k, once.data + k->skip, once.len - k->skip, &again), 0);
    k->encode(&twice, &again);
    ck_assert_uint_eq(once.len, twice.len);
    ck_assert_mem_eq(once.data, twice.data, once.len);
    buf_done(&once);
    buf_done(&twice);
}

START_TEST(no_bytes_make_a_decoder_fail_otherwise_than_by_refusing)
{
    const struct kind *k = &kinds[_i];
    size_t accepted = 0;

    random_state = 0x9e3779b97f4a7c15u + (unsigned)_i;
    for (size_t i = 0; i < RANDOM_CASES / KINDS; i++) {
        size_t len;
        uint8_t *bytes = random_message(k, &len), *exact = malloc(len ? len : 1);
        union any out;
        int rc;

        memcpy(exact, bytes, len); /* not one readable byte behind it */
        rc = decode(k, exact, len, &out);
        ck_assert(rc == 0 || rc == ERR_FORMAT);
        if (rc == 0) {
            accepted++;
            assert_stable(k, &out);
        }
        free(exact);
        free(bytes);
    }
    ck_assert_uint_gt(accepted, 0);
    ck_assert_uint_lt(accepted, RANDOM_CASES / KINDS);
}
END_TEST

static const int each_kind[KINDS];

CHECK_ITEMS_MAIN("wire", EACH_ROW(every_message_comes_back_as_it_was, each_kind),
                 ONCE(every_member_has_its_place),
                 EACH_ROW(a_message_cut_anywhere_is_refused, each_kind),
                 EACH_ROW(bytes_after_a_message_are_refused, each_kind),
                 EACH_ROW(a_flag_count_or_state_out_of_range_is_refused, out_of_range),
                 ONCE(a_suite_beyond_their_number_is_refused),
                 ONCE(a_plan_with_too_many_objects_is_refused),
                 EACH_ROW(a_text_of_the_greatest_length_passes_and_one_more_does_not, texts),
                 EACH_ROW(a_text_holds_only_printable_characters, texts),
                 ONCE(an_error_travels_with_its_code_and_text),
                 EACH_ROW(no_bytes_make_a_decoder_fail_otherwise_than_by_refusing, each_kind))
