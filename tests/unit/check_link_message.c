/* Replies of devices: only their one form is taken. */
#include "agent_rig.h"
#include "check_util.h"
#include "link_facts.h"

#include "link/cbor_map.h"
#include "link/cbor_write.h"

#include <string.h>

static struct error err;

/* ------ messages ------ */

/* The payload of a device's real reply to HELLO, with everything in it but a chain of chain_len 0. */
static void real_hello(struct buf *out, uint32_t chain_len)
{
    static const uint8_t chain[IMPRINT_CHAIN_MAX + 1];
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
    rig.platform.enrol_chain = chain_len ? chain : NULL;
    rig.platform.enrol_chain_len = chain_len;
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
    real_hello(&b, 0);
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

START_TEST(a_chain_is_as_long_as_an_order_allows_and_no_longer)
{
    struct link_hello h;
    struct buf b;

    buf_init(&b, 2000);
    real_hello(&b, IMPRINT_CHAIN_MAX);
    ASSERT_OK(link_hello_decode(b.data, b.len, &h, &err), err);
    ck_assert_uint_eq(h.chain_len, IMPRINT_CHAIN_MAX);
    buf_reset(&b);
    real_hello(&b, IMPRINT_CHAIN_MAX + 1);
    ASSERT_FAILS(link_hello_decode(b.data, b.len, &h, &err), ERR_PROTOCOL);
    buf_done(&b);
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

START_TEST(only_deterministic_maps_are_opened)
{
    static const struct reply_case cases[] = {
        CASE(0, "\xa0", 0),
        CASE(0, "\xa2\x00\x18\x18\x18\x18\x61x", 0),
        CASE(0, "\xa1\x00\xa1\x00\x81\x81\xf5", 0),
        CASE(0, "\xa1\x00\xa1\x00\x81\x81\x81\x00", ERR_FORMAT), /* too deep */
        CASE(0, "\xa2\x01\x00\x00\x00", ERR_FORMAT),             /* keys descend */
        CASE(0, "\xa2\x01\x00\x01\x00", ERR_FORMAT),             /* a key twice */
        CASE(0, "\xa1\x00\xa2\x01\x00\x01\x00", ERR_FORMAT),     /* ... further in */
        CASE(0, "\xa1\x41\x00\x00", ERR_FORMAT),                 /* a key of bytes */
        CASE(0, "\xa1\x00\xf6", ERR_FORMAT),                     /* null */
        CASE(0, "\xa1\x00\xf8\x14", ERR_FORMAT),                 /* false, two bytes long */
        CASE(0, "\xa1\x00\xfb\x00\x00\x00\x00\x00\x00\x00\x00", ERR_FORMAT),
        CASE(0, "\xa1\x00\x1c", ERR_FORMAT), /* a head that CBOR does not have */
        CASE(0, "\xa1\x00", ERR_FORMAT),
        CASE(0, "\x00", ERR_FORMAT),
        CASE(0, "", ERR_FORMAT),
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cbor_item_t *root = NULL;
        int rc = link_map_open((const uint8_t *)cases[i].bytes, cases[i].len, &root);

        ck_assert_msg(rc == cases[i].expected, "case %zu", i);
        ck_assert((root != NULL) == (rc == 0));
        if (rc == 0)
            link_map_close(root);
    }
}
END_TEST

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
    for (long status = IMPRINT_OK; status <= IMPRINT_ERR_SIGNATURE; status++) {
        ck_assert_ptr_nonnull(link_status_text(status));
        for (long other = IMPRINT_OK; other < status; other++)
            ck_assert_str_ne(link_status_text(status), link_status_text(other));
    }
    ck_assert_ptr_nonnull(strstr(link_status_text(IMPRINT_ERR_SIGNATURE + 1), "no name"));
    ck_assert_ptr_nonnull(strstr(link_status_text(-1), "no name"));
    ck_assert_str_eq(link_message_name(IMPRINT_MSG_COMMIT), "COMMIT");
    ck_assert_str_eq(link_message_name(0), "an unknown message");
    ck_assert_str_eq(link_message_name(0xff), "an unknown message");
}
END_TEST

CHECK_MAIN("link_message", a_hello_that_is_cut_or_longer_is_refused_and_any_other_is_taken_as_it_is,
           a_chain_is_as_long_as_an_order_allows_and_no_longer, only_deterministic_maps_are_opened,
           replies_are_taken_only_in_their_one_form,
           a_transaction_state_that_contradicts_itself_is_refused, every_status_has_words)
