/* Frames and transcripts of the device link, as the station makes them. */
#include "agent_rig.h"
#include "check_util.h"
#include "link_facts.h"

#include <string.h>

static struct error err;

/* ------ frames ------ */

START_TEST(the_checksum_is_that_of_ieee_802_3)
{
    ck_assert_uint_eq(link_crc32("123456789", 9), 0xcbf43926);
    ck_assert_uint_eq(link_crc32("", 0), 0);
}
END_TEST

static bool feed_all(struct link_frame_reader *r, const uint8_t *bytes, size_t len,
                     struct link_frame *frame)
{
    bool whole = false;

    for (size_t i = 0; i < len; i++)
        whole = link_frame_feed(r, bytes[i], frame) || whole;
    return whole;
}

START_TEST(a_frame_is_what_the_specification_shows)
{
    /* ABORT with an empty map, sequence 7: the example of docs/device-link.md. */
    static const uint8_t expected[] = {0x00, 0x03, 0x01, 0x09, 0x07, 0x07,
                                       0xa0, 0x1f, 0xdd, 0xa4, 0x08, 0x00};
    struct buf b;

    buf_init(&b, 100);
    link_frame_encode(&b, IMPRINT_MSG_ABORT, 7, (const uint8_t *)"\xa0", 1);
    ck_assert_uint_eq(b.len, sizeof expected);
    ck_assert_mem_eq(b.data, expected, sizeof expected);
    buf_done(&b);
}
END_TEST

START_TEST(a_frame_of_any_length_and_content_comes_back)
{
    static uint8_t payload[1200];
    struct link_frame_reader r;
    struct link_frame frame;
    struct buf b;

    link_frame_reader_init(&r);
    buf_init(&b, 5000);
    for (int pattern = 0; pattern < 4; pattern++) {
        for (size_t len = 0; len <= sizeof payload; len += len < 520 ? 1 : 37) {
            for (size_t i = 0; i < len; i++)
                payload[i] = (uint8_t)(pattern == 0     ? 0
                                       : pattern == 1   ? 0xff
                                       : pattern == 2   ? i
                                       : i % 254 == 253 ? 0
                                                        : 1);
            buf_reset(&b);
            link_frame_encode(&b, 0x85, (uint16_t)len, payload, len);
            ck_assert(!buf_failed(&b));
            ck_assert_uint_le(b.len, LINK_FRAME_WIRE(len + IMPRINT_FRAME_OVERHEAD));
            ck_assert_ptr_null(memchr(b.data + 1, 0, b.len - 2));
            ck_assert(feed_all(&r, b.data, b.len, &frame));
            ck_assert_uint_eq(frame.message, 0x85);
            ck_assert_uint_eq(frame.sequence, len);
            ck_assert_uint_eq(frame.len, len);
            ck_assert(len == 0 || memcmp(frame.payload, payload, len) == 0);
        }
    }
    buf_done(&b);
}
END_TEST

START_TEST(a_frame_is_found_after_noise_and_lost_when_it_is_changed_or_cut)
{
    struct link_frame_reader r;
    struct link_frame frame;
    struct buf b;

    link_frame_reader_init(&r);
    buf_init(&b, 100);
    link_frame_encode(&b, 0x81, 0x0100, (const uint8_t *)"payload", 7);
    ck_assert(!feed_all(&r, (const uint8_t *)"boot\xff\x05", 6, &frame));
    ck_assert(feed_all(&r, b.data, b.len, &frame));
    for (size_t i = 1; i + 1 < b.len; i++) {
        b.data[i] ^= 0x10;
        ck_assert_msg(!feed_all(&r, b.data, b.len, &frame), "byte %zu", i);
        b.data[i] ^= 0x10;
        ck_assert(!feed_all(&r, b.data, i, &frame));
        ck_assert(feed_all(&r, b.data, b.len, &frame));
    }
    buf_done(&b);
}
END_TEST

START_TEST(a_frame_of_another_version_is_noise)
{
    /* Version 2, a reply to ABORT, sequence 0x0101, an empty map; one COBS block. */
    uint8_t wire[] = {0, 10, 2, 0x89, 1, 1, 0xa0, 0, 0, 0, 0, 0};
    struct link_frame_reader r;
    struct link_frame frame;

    link_frame_reader_init(&r);
    for (uint8_t version = 1; version <= 2; version++) {
        uint32_t crc;

        wire[2] = version;
        crc = link_crc32(wire + 2, 5);
        for (int i = 0; i < 4; i++) {
            wire[7 + i] = (uint8_t)(crc >> (24 - 8 * i));
            ck_assert_uint_ne(wire[7 + i], 0);
        }
        ck_assert_int_eq(feed_all(&r, wire, sizeof wire, &frame), version == IMPRINT_LINK_VERSION);
    }
}
END_TEST

START_TEST(a_frame_that_is_too_long_is_neither_written_nor_read)
{
    static uint8_t payload[IMPRINT_FRAME_MAX];
    static struct link_frame_reader r;
    struct link_frame frame;
    struct buf b;

    buf_init(&b, 10000);
    link_frame_encode(&b, 1, 1, payload, IMPRINT_FRAME_MAX - IMPRINT_FRAME_OVERHEAD);
    ck_assert(!buf_failed(&b));
    buf_reset(&b);
    link_frame_encode(&b, 1, 1, payload, IMPRINT_FRAME_MAX - IMPRINT_FRAME_OVERHEAD + 1);
    ck_assert(buf_failed(&b));
    link_frame_reader_init(&r);
    ck_assert(!link_frame_feed(&r, 0, &frame));
    for (size_t i = 0; i < 20000; i++)
        ck_assert(!link_frame_feed(&r, 1, &frame));
    ck_assert(!link_frame_feed(&r, 0, &frame));
    buf_done(&b);
}
END_TEST

/* ------ transcripts ------ */

static void facts_without_suites(struct link_facts *f)
{
    f->suite_count = 0;
}

static void facts_with_many_suites(struct link_facts *f)
{
    f->suite_count = IMPRINT_SUITES_MAX + 1;
}

static void facts_without_chip(struct link_facts *f)
{
    f->chip_id_len = 0;
}

static void facts_with_long_chip(struct link_facts *f)
{
    f->chip_id_len = IMPRINT_CHIP_ID_MAX + 1;
}

static void facts_without_firmware(struct link_facts *f)
{
    f->firmware[0] = 0;
}

static void facts_with_escape(struct link_facts *f)
{
    f->firmware[0] = 0x1b; /* would reach the operator's terminal */
}

static void facts_of_no_life(struct link_facts *f)
{
    f->lifecycle = 3;
}

static void facts_of_small_frames(struct link_facts *f)
{
    f->frame_max = IMPRINT_FRAME_MIN - 1;
}

static void facts_of_large_frames(struct link_facts *f)
{
    f->frame_max = IMPRINT_FRAME_MAX + 1;
}

static void facts_with_nameless_key(struct link_facts *f)
{
    f->dev_pub.alg = IMPRINT_ALG_NONE;
}

static void facts_with_empty_key(struct link_facts *f)
{
    f->dev_pub.len = 0;
}

static void facts_with_huge_key(struct link_facts *f)
{
    f->dev_pub.len = LINK_KEY_MAX + 1;
}

START_TEST(facts_outside_of_the_link_are_refused)
{
    static void (*const spoil[])(struct link_facts *) = {
        facts_without_suites,    facts_with_many_suites, facts_without_chip,
        facts_with_long_chip,    facts_without_firmware, facts_with_escape,
        facts_of_no_life,        facts_of_small_frames,  facts_of_large_frames,
        facts_with_nameless_key, facts_with_empty_key,   facts_with_huge_key};
    uint8_t hash[32];
    struct link_facts f = good_facts();

    ASSERT_OK(link_facts_hash(&f, hash, &err), err);
    for (size_t i = 0; i < sizeof spoil / sizeof *spoil; i++) {
        f = good_facts();
        spoil[i](&f);
        ck_assert_msg(link_facts_hash(&f, hash, &err) == ERR_FORMAT, "case %zu", i);
    }
}
END_TEST

START_TEST(a_bundle_is_in_order_of_type_and_has_1_to_8_objects)
{
    struct link_object o[9];
    uint8_t hash[32];

    for (uint16_t i = 0; i < 9; i++)
        o[i] = (struct link_object){.type = (uint16_t)(i + 1), .format = 1, .length = 1};
    ASSERT_OK(link_bundle_hash(o, 8, hash, &err), err);
    ASSERT_FAILS(link_bundle_hash(o, 0, hash, &err), ERR_FORMAT);
    ASSERT_FAILS(link_bundle_hash(o, 9, hash, &err), ERR_FORMAT);
    o[1].type = 1;
    ASSERT_FAILS(link_bundle_hash(o, 2, hash, &err), ERR_FORMAT);
    o[1].type = 0;
    ASSERT_FAILS(link_bundle_hash(o, 2, hash, &err), ERR_FORMAT);
}
END_TEST

START_TEST(every_field_of_a_transcript_changes_it)
{
    struct link_transcript t = {.suite = 2,
                                .environment = "test",
                                .serial = "SN-1",
                                .chip_id = (const uint8_t *)"chip",
                                .chip_id_len = 4};
    struct link_transcript changed[11];
    struct buf x, y;

    t.dev_pub.len = t.station_pub.len = 65;
    for (size_t i = 0; i < 11; i++)
        changed[i] = t;
    changed[0].suite = 1;
    changed[1].environment = "tes";
    changed[2].order_hash[31] = 1;
    changed[3].transaction[15] = 1;
    changed[4].station_nonce[0] = 1;
    changed[5].serial = "tSN-1";
    changed[6].chip_id_len = 3;
    changed[7].dev_pub.bytes[64] = 1;
    changed[8].station_pub.alg = 1;
    changed[9].facts_hash[0] = 1;
    changed[10].bundle_hash[0] = 1;
    buf_init(&x, LINK_X_MAX);
    buf_init(&y, LINK_X_MAX);
    ASSERT_OK(link_transcript_encode(&t, &x, &err), err);
    for (size_t i = 0; i < 11; i++) {
        buf_reset(&y);
        ASSERT_OK(link_transcript_encode(&changed[i], &y, &err), err);
        ck_assert_msg(x.len != y.len || memcmp(x.data, y.data, x.len) != 0, "field %zu", i);
    }
    t.serial = "";
    ASSERT_FAILS(link_transcript_encode(&t, &x, &err), ERR_FORMAT);
    t.serial = "a\tb";
    ASSERT_FAILS(link_transcript_encode(&t, &x, &err), ERR_FORMAT);
    t.serial = "SN-1";
    t.environment = "an environment with a long name";
    ASSERT_FAILS(link_transcript_encode(&t, &x, &err), ERR_FORMAT);
    t.environment = "test";
    t.chip_id_len = 33;
    ASSERT_FAILS(link_transcript_encode(&t, &x, &err), ERR_FORMAT);
    buf_done(&x);
    buf_done(&y);
}
END_TEST

START_TEST(a_station_certificate_that_is_changed_anywhere_is_refused)
{
    static struct rig_station s;
    struct link_station_cert cert;
    struct link_key authority;
    struct buf again;

    rig_station_init(&s, "SN-1");
    authority = link_key_p256(s.authority_point);
    ASSERT_OK(link_station_cert_parse(s.cert.data, s.cert.len, &cert, &err), err);
    ck_assert_str_eq(cert.station, "line-1");
    ck_assert_str_eq(cert.environment, "test");
    ck_assert_uint_eq(cert.generation, 7);
    ASSERT_OK(link_station_cert_verify(&cert, &authority, &err), err);
    buf_init(&again, 512);
    ASSERT_OK(link_station_cert_encode(&cert, &again, &err), err);
    ck_assert_uint_eq(again.len, s.cert.len);
    ck_assert_mem_eq(again.data, s.cert.data, again.len);
    for (size_t i = 0; i < s.cert.len; i++) {
        s.cert.data[i] ^= 0x01;
        ck_assert_msg(link_station_cert_parse(s.cert.data, s.cert.len, &cert, &err) ||
                          link_station_cert_verify(&cert, &authority, &err),
                      "byte %zu", i);
        s.cert.data[i] ^= 0x01;
        ASSERT_FAILS(link_station_cert_parse(s.cert.data, i, &cert, &err), ERR_FORMAT);
    }
    buf_put_u8(&s.cert, 0);
    ASSERT_FAILS(link_station_cert_parse(s.cert.data, s.cert.len, &cert, &err), ERR_FORMAT);
    authority.alg = IMPRINT_ALG_P384;
    ASSERT_FAILS(link_station_cert_verify(&cert, &authority, &err), ERR_SIGNATURE);
    buf_done(&again);
    rig_station_done(&s);
}
END_TEST

CHECK_MAIN("link", the_checksum_is_that_of_ieee_802_3, a_frame_is_what_the_specification_shows,
           a_frame_of_any_length_and_content_comes_back,
           a_frame_is_found_after_noise_and_lost_when_it_is_changed_or_cut,
           a_frame_of_another_version_is_noise,
           a_frame_that_is_too_long_is_neither_written_nor_read,
           facts_outside_of_the_link_are_refused,
           a_bundle_is_in_order_of_type_and_has_1_to_8_objects,
           every_field_of_a_transcript_changes_it,
           a_station_certificate_that_is_changed_anywhere_is_refused)
