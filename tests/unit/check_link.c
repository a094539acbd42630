/* The station's side of the device link: frames, transcripts, messages and the client. */
#include "agent_rig.h"
#include "check_util.h"

#include "link/cbor_write.h"

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

static struct link_facts good_facts(void)
{
    struct link_facts f = {.suites = {2, 1},
                           .suite_count = 2,
                           .modes = 1,
                           .chip_id = "chip",
                           .chip_id_len = 4,
                           .firmware = "1.0",
                           .lifecycle = IMPRINT_LIFE_FACTORY,
                           .frame_max = 1024};

    f.dev_pub.alg = IMPRINT_ALG_P256;
    f.dev_pub.len = 65;
    return f;
}

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

/* ------ messages ------ */

/* The payload of a device's real reply to HELLO, with everything in it. */
static void real_hello(struct buf *out)
{
    static const uint8_t hash[32] = "image";
    static struct rig rig;
    static struct rig_station s;
    struct link_frame reply;
    struct buf request;
    uint8_t point[65], nonce[32] = {0};

    rig_station_init(&s, "SN-1");
    rig_init(&rig, NULL);
    rig.platform.image_hash = hash;
    rig.enrolled = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    ck_assert_int_eq(ec_point(rig.enrolled, point, &err), 0);
    rig.platform.enrol_point = point;
    ASSERT_OK(rig_provision(&rig, &s, IMPRINT_SUITE_ECB, &err), err);
    buf_init(&request, 100);
    link_hello_encode(&request, nonce);
    ASSERT_OK(link_client_request(&rig.client, IMPRINT_MSG_HELLO, &request, &reply, &err), err);
    buf_put(out, reply.payload, reply.len);
    buf_done(&request);
    rig_done(&rig);
    rig_station_done(&s);
}

START_TEST(a_hello_that_is_cut_or_longer_is_refused_and_any_other_is_taken_as_it_is)
{
    struct link_hello h;
    struct buf b, again;
    unsigned taken = 0;

    buf_init(&b, 2000);
    buf_init(&again, 2000);
    real_hello(&b);
    ASSERT_OK(link_hello_decode(b.data, b.len, &h, &err), err);
    ck_assert(h.attested && h.facts.has_image_hash);
    ck_assert_str_eq(h.serial, "SN-1");
    for (size_t i = 0; i < b.len; i++) {
        ASSERT_FAILS(link_hello_decode(b.data, i, &h, &err), ERR_PROTOCOL);
        for (int change = 1; change < 256; change++) {
            int rc;

            b.data[i] ^= (uint8_t)change;
            rc = link_hello_decode(b.data, b.len, &h, &err);
            ck_assert(rc == 0 || rc == ERR_PROTOCOL || rc == ERR_REFUSED);
            if (rc == 0) {
                /* What the vault will hash is what came. */
                taken++;
                buf_reset(&again);
                ASSERT_OK(link_facts_encode(&h.facts, &again, &err), err);
                ck_assert_mem_eq(again.data, b.data + 4, again.len);
            }
            b.data[i] ^= (uint8_t)change;
        }
    }
    ck_assert_uint_gt(taken, 1000); /* keys, hashes and the like */
    buf_put_u8(&b, 0);
    ASSERT_FAILS(link_hello_decode(b.data, b.len, &h, &err), ERR_PROTOCOL);
    buf_done(&b);
    buf_done(&again);
}
END_TEST

/* Decoders by one name, for a table. */
static int decode(uint8_t message, const uint8_t *bytes, size_t len)
{
    struct link_hello hello;
    struct link_held held;
    struct link_proof proof;
    struct link_part part;
    uint32_t n;

    switch (message) {
    case IMPRINT_MSG_HELLO:
        return link_hello_decode(bytes, len, &hello, &err);
    case IMPRINT_MSG_BEGIN:
        return link_begin_decode(bytes, len, &held, &err);
    case IMPRINT_MSG_PUT:
        return link_put_decode(bytes, len, &n, &err);
    case IMPRINT_MSG_COMMIT:
        return link_commit_decode(bytes, len, &n, &err);
    case IMPRINT_MSG_PROVE:
        return link_prove_decode(bytes, len, &proof, &err);
    case IMPRINT_MSG_READ:
        return link_read_decode(bytes, len, &part, &err);
    default:
        return link_empty_decode(bytes, len, &err);
    }
}

struct reply_case {
    uint8_t message;
    const char *bytes;
    size_t len;
    int expected;
};

#define CASE(message, bytes, expected)                                                             \
    {                                                                                              \
        message, bytes, sizeof bytes - 1, expected                                                 \
    }

START_TEST(replies_are_taken_only_in_their_one_form)
{
    static const struct reply_case cases[] = {
        CASE(IMPRINT_MSG_ABORT, "\xa1\x00\x00", 0),
        CASE(IMPRINT_MSG_ABORT, "\xa1\x00\x05", ERR_REFUSED),
        CASE(IMPRINT_MSG_ABORT, "\xa1\x00\x19\x03\xe8", ERR_REFUSED), /* a status of later days */
        CASE(IMPRINT_MSG_PUT, "\xa2\x00\x00\x01\x10", 0),
        CASE(IMPRINT_MSG_COMMIT, "\xa2\x00\x00\x01\x1a\xff\xff\xff\xff", 0),
        CASE(IMPRINT_MSG_BEGIN, "\xa2\x00\x00\x01\x83\x00\x00\x00", 0),
        CASE(IMPRINT_MSG_READ, "\xa3\x00\x00\x01\x02\x02\x42hi", 0),
        CASE(IMPRINT_MSG_PROVE, "\xa5\x00\x00\x01\x19\x02\x01\x02\x41x\x03\x02\x04\x01", 0),
        /* none of a reply */
        CASE(IMPRINT_MSG_ABORT, "", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\xa0", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\x80", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\xa1\x01\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\xa1\x00\xf4", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\xa1\x00\x1a\x00\x01\x00\x00", ERR_PROTOCOL),
        /* not deterministic */
        CASE(IMPRINT_MSG_ABORT, "\xa1\x00\x18\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\xa1\x18\x00\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\xb8\x01\x00\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\xbf\x00\x00\xff", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_READ, "\xa3\x00\x00\x01\x02\x02\x58\x02hi", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_READ, "\xa3\x00\x00\x01\x02\x02\x5f\x42hi\xff", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PUT, "\xa2\x01\x10\x00\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PUT, "\xa3\x00\x00\x01\x10\x01\x10", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PUT, "\xa2\x00\x00\x01\x1b\x00\x00\x00\x00\x00\x00\x00\x10", ERR_PROTOCOL),
        /* trailing bytes, members too many or too few */
        CASE(IMPRINT_MSG_ABORT, "\xa1\x00\x00\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\xa2\x00\x00\x01\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_ABORT, "\xa2\x00\x05\x01\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PUT, "\xa1\x00\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PROVE, "\xa4\x00\x00\x01\x19\x02\x01\x02\x41x\x03\x02", ERR_PROTOCOL),
        /* of another type, or out of bounds */
        CASE(IMPRINT_MSG_PUT, "\xa2\x00\x00\x01\x41\x10", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PUT, "\xa2\x00\x00\x01\x20", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PUT, "\xa2\x00\x00\x01\xf9\x00\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PUT, "\xa2\x00\x00\x01\xf6", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PUT, "\xa2\x00\x00\x01\xc1\x01", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PUT, "\xa2\x00\x00\x01\x1b\x00\x00\x00\x01\x00\x00\x00\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_READ, "\xa3\x00\x00\x01\x02\x02\x62hi", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_BEGIN, "\xa2\x00\x00\x01\x89\x00\x00\x00\x00\x00\x00\x00\x00\x00",
             ERR_PROTOCOL),
        CASE(IMPRINT_MSG_BEGIN, "\xa2\x00\x00\x01\x81\x41\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PROVE, "\xa5\x00\x00\x01\x19\x02\x01\x02\x40\x03\x02\x04\x01",
             ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PROVE, "\xa5\x00\x00\x01\x19\x02\x01\x02\x41x\x03\x03\x04\x01",
             ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PROVE, "\xa5\x00\x00\x01\x19\x02\x01\x02\x41x\x03\x00\x04\x01",
             ERR_PROTOCOL),
        CASE(IMPRINT_MSG_PROVE, "\xa5\x00\x00\x01\x1a\x00\x01\x00\x00\x02\x41x\x03\x02\x04\x01",
             ERR_PROTOCOL),
        /* promises of what cannot be there: no memory is to be set aside for them */
        CASE(IMPRINT_MSG_BEGIN, "\xa2\x00\x00\x01\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
             ERR_PROTOCOL),
        CASE(IMPRINT_MSG_BEGIN, "\xa2\x00\x00\x01\x9a\x7f\xff\xff\xff", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_BEGIN, "\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_READ, "\xa3\x00\x00\x01\x02\x02\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
             ERR_PROTOCOL),
        CASE(IMPRINT_MSG_BEGIN, "\xa2\x00\x00\x01\x81\x81\x81\x81\x81\x81\x81\x81\x00",
             ERR_PROTOCOL),
        CASE(IMPRINT_MSG_HELLO, "\xa3\x00\x00\x01\xa0\x02\xa0", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_HELLO, "\xa3\x00\x00\x01\x00\x02\x00", ERR_PROTOCOL),
        CASE(IMPRINT_MSG_HELLO, "\xa1\x00\x0d", ERR_REFUSED),
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = decode(cases[i].message, (const uint8_t *)cases[i].bytes, cases[i].len);

        ck_assert_msg(rc == cases[i].expected, "case %zu: %s: %s", i, error_name(rc), err.text);
    }
}
END_TEST

/* HELLO replies whose transaction contradicts itself. */
START_TEST(a_transaction_state_that_contradicts_itself_is_refused)
{
    static const struct {
        uint8_t state;
        bool named, serial;
        uint8_t count;
        int expected;
    } cases[] = {
        {0, false, false, 0, 0},
        {1, true, false, 0, 0},
        {1, true, true, 3, 0},
        {2, true, true, 1, 0},
        {0, true, false, 0, ERR_PROTOCOL},
        {0, false, true, 1, ERR_PROTOCOL},
        {0, false, false, 1, ERR_PROTOCOL},
        {1, false, false, 0, ERR_PROTOCOL},
        {1, true, false, 1, ERR_PROTOCOL},
        {1, true, true, 0, ERR_PROTOCOL},
        {2, true, false, 0, ERR_PROTOCOL},
        {2, false, true, 1, ERR_PROTOCOL},
        {2, true, true, 0, ERR_PROTOCOL},
        {3, true, true, 1, ERR_PROTOCOL},
    };
    static const uint8_t transaction[16] = {1};
    struct link_facts f = good_facts();
    struct link_hello h;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;
        int rc;

        buf_init(&b, 1000);
        link_cbor_head(&b, LINK_CBOR_MAP, 3);
        link_cbor_uint(&b, 0, 0);
        link_cbor_head(&b, LINK_CBOR_UINT, 1);
        ASSERT_OK(link_facts_encode(&f, &b, &err), err);
        link_cbor_head(&b, LINK_CBOR_UINT, 2);
        link_cbor_head(&b, LINK_CBOR_MAP, 2u + cases[i].named + cases[i].serial);
        link_cbor_uint(&b, 1, cases[i].state);
        if (cases[i].named)
            link_cbor_bytes(&b, 2, transaction, 16);
        if (cases[i].serial)
            link_cbor_text(&b, 3, "SN-1");
        link_cbor_uint(&b, 4, cases[i].count);
        rc = link_hello_decode(b.data, b.len, &h, &err);
        ck_assert_msg(rc == cases[i].expected, "case %zu: %s", i, err.text);
        buf_done(&b);
    }
}
END_TEST

START_TEST(every_status_has_words)
{
    for (long status = IMPRINT_OK; status <= IMPRINT_ERR_SUITE; status++) {
        ck_assert_ptr_nonnull(link_status_text(status));
        for (long other = IMPRINT_OK; other < status; other++)
            ck_assert_str_ne(link_status_text(status), link_status_text(other));
    }
    ck_assert_ptr_nonnull(strstr(link_status_text(IMPRINT_ERR_SUITE + 1), "no name"));
    ck_assert_ptr_nonnull(strstr(link_status_text(-1), "no name"));
    ck_assert_str_eq(link_message_name(IMPRINT_MSG_COMMIT), "COMMIT");
    ck_assert_str_eq(link_message_name(0), "an unknown message");
    ck_assert_str_eq(link_message_name(0xff), "an unknown message");
}
END_TEST

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

CHECK_MAIN("link", the_checksum_is_that_of_ieee_802_3, a_frame_is_what_the_specification_shows,
           a_frame_of_any_length_and_content_comes_back,
           a_frame_is_found_after_noise_and_lost_when_it_is_changed_or_cut,
           a_frame_that_is_too_long_is_neither_written_nor_read,
           facts_outside_of_the_link_are_refused,
           a_bundle_is_in_order_of_type_and_has_1_to_8_objects,
           every_field_of_a_transcript_changes_it,
           a_station_certificate_that_is_changed_anywhere_is_refused,
           a_hello_that_is_cut_or_longer_is_refused_and_any_other_is_taken_as_it_is,
           replies_are_taken_only_in_their_one_form,
           a_transaction_state_that_contradicts_itself_is_refused, every_status_has_words,
           the_client_finds_its_answer_among_noise_echoes_and_old_answers,
           the_client_repeats_a_request_and_then_gives_up, noise_alone_is_told_from_silence,
           the_client_does_not_repeat_into_a_port_that_failed, a_status_is_told_in_words,
           the_client_believes_no_impossible_sizes,
           a_request_larger_than_the_device_takes_is_not_sent)
