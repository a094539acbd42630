/* KEYGEN: the device makes its own key, once for a transaction, and asks for a certificate. */
#include "agent_fixture.h"

#include <openssl/ec.h>

#include <string.h>

/* A device that said hello, and KEYGEN for it. */
static void keygen_prepared(void)
{
    begin_test();
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare_keygen(&station, &hello);
}

/* A device that made its key. */
static void made(void)
{
    keygen_prepared();
    ASSERT_OK(rig_keygen(&rig, &station, &err), err);
}

START_TEST(a_device_is_provisioned_with_a_key_that_it_made)
{
    static struct rig_station third;

    begin_test();
    ASSERT_OK(rig_provision_made(&rig, &station, &err), err);
    ck_assert(rig_holds(&rig, &station));
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_int_eq(hello.state, IMPRINT_TX_COMMITTED);
    /* Before LOCK another one replaces it, whose key is another. */
    ASSERT_OK(rig_provision_made(&rig, &other, &err), err);
    ck_assert(rig_holds(&rig, &other));
    ck_assert_mem_ne(station.device_point, other.device_point, 65);
    rig_station_next(&third, &station, "SN-0003");
    ASSERT_OK(rig_provision(&rig, &third, IMPRINT_SUITE_X963, &err), err);
    ck_assert(rig_holds(&rig, &third));
    rig_station_done(&third);
    end_test();
}
END_TEST

START_TEST(the_same_keygen_asks_for_the_same_key_through_restarts_and_a_bundle)
{
    uint8_t first[65];

    made();
    memcpy(first, station.device_point, 65);
    rig.drop_replies = 1;
    ASSERT_OK(rig_keygen(&rig, &station, &err), err);
    ck_assert_mem_eq(station.device_point, first, 65);
    rig_restart(&rig);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_int_eq(hello.state, IMPRINT_TX_OPEN);
    ck_assert_mem_eq(hello.transaction, station.keygen.transaction, 16);
    ASSERT_OK(rig_keygen(&rig, &station, &err), err);
    ck_assert_mem_eq(station.device_point, first, 65);
    rig_prepare_made(&station, &hello);
    ASSERT_OK(rig_begin(&rig, &station, &err), err);
    ASSERT_OK(link_client_keygen(&rig.client, &station.keygen, &(struct link_request){0}, &err),
              err);
    rig_restart(&rig);
    ASSERT_OK(rig_keygen(&rig, &station, &err), err);
    ck_assert_mem_eq(station.device_point, first, 65);
    end_test();
}
END_TEST

START_TEST(a_transaction_has_one_keygen_and_abort_ends_it)
{
    static const uint8_t another[19] = {0x30, 0x11, 0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04,
                                        0x03, 0x0c, 0x06, 'D',  'e',  'v',  'i',  'c',  'e'};
    uint8_t first[65];

    made();
    memcpy(first, station.device_point, 65);
    station.keygen.subject = another;
    ASSERT_STATUS(rig_keygen(&rig, &station, &err), IMPRINT_ERR_TRANSACTION);
    rig_prepare_keygen(&other, &hello);
    ASSERT_STATUS(rig_keygen(&rig, &other, &err), IMPRINT_ERR_BUSY);
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_int_eq(hello.state, IMPRINT_TX_NONE);
    rig_prepare_keygen(&station, &hello);
    ASSERT_OK(rig_keygen(&rig, &station, &err), err);
    ck_assert_mem_ne(station.device_point, first, 65);
    end_test();
}
END_TEST

START_TEST(a_bundle_must_be_for_the_key_that_was_made)
{
    begin_test();
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare_made(&station, &hello);
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_STATE); /* KEYGEN comes first */
    rig_prepare_keygen(&station, &hello);
    ASSERT_OK(rig_keygen(&rig, &station, &err), err);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_TRANSACTION);
    rig_prepare_made(&other, &hello);
    ASSERT_STATUS(rig_begin(&rig, &other, &err), IMPRINT_ERR_BUSY);
    rig_prepare(&other, &hello, IMPRINT_SUITE_X963);
    ASSERT_STATUS(rig_begin(&rig, &other, &err), IMPRINT_ERR_BUSY);
    rig_prepare_made(&station, &hello);
    station.objects[0].format = IMPRINT_FMT_PKCS8_RFC5649;
    rig_sign(&station, &hello);
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_FORMAT); /* without bytes */
    station.objects[0].length = 80;
    rig_sign(&station, &hello);
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_BUNDLE);
    end_test();
}
END_TEST

START_TEST(a_certificate_for_another_key_is_not_committed)
{
    uint8_t own[65];

    made();
    memcpy(own, station.device_point, 65);
    memcpy(station.device_point, other.device_point, 65);
    buf_reset(&station.certificates);
    buf_put(&station.certificates, other.certificates.data, other.certificates.len);
    rig_prepare_made(&station, &hello);
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_STATUS(rig_commit(&rig, &station, &err), IMPRINT_ERR_KEY);
    ck_assert(!rig_holds(&rig, &station));
    end_test();
}
END_TEST

static void keygen_label(void)
{
    rig_prepare_made(&station, &hello); /* the signature of BEGIN, over BEGIN's X */
    station.keygen.sig = station.begin.sig;
}

static void keygen_signature(void)
{
    station.keygen.sig.bytes[0] ^= 1;
}

static void keygen_serial(void)
{
    station.keygen.serial = "SN-0003";
}

static void keygen_order(void)
{
    station.keygen.order_hash[0] ^= 1;
}

static void keygen_transaction(void)
{
    station.keygen.transaction[0] ^= 1;
}

static void keygen_certificate(void)
{
    station.cert.data[station.cert.len - 1] ^= 1;
}

static void keygen_algorithm(void)
{
    station.keygen.key_alg = IMPRINT_ALG_P384;
}

static void keygen_signature_algorithm(void)
{
    station.keygen.sig.alg = IMPRINT_ALG_HMAC_SHA256;
}

static void subject_is_no_sequence(void)
{
    station.keygen.subject = rig_subject + 2; /* a SET */
    station.keygen.subject_len = sizeof rig_subject - 2;
}

static void subject_is_longer_than_it_says(void)
{
    static const uint8_t bytes[] = {0x30, 0x00, 0x00};

    station.keygen.subject = bytes;
    station.keygen.subject_len = sizeof bytes;
}

static void subject_length_is_not_der(void)
{
    static const uint8_t bytes[] = {0x30, 0x81, 0x01, 0x00};

    station.keygen.subject = bytes;
    station.keygen.subject_len = sizeof bytes;
}

static void subject_is_too_long(void)
{
    static uint8_t bytes[IMPRINT_SUBJECT_MAX + 1] = {0x30, 0x82, 0x01, 0x8d};

    station.keygen.subject = bytes;
    station.keygen.subject_len = sizeof bytes;
}

START_TEST(nothing_is_made_for_a_station_that_is_not_believed)
{
    static const struct {
        void (*change)(void);
        enum imprint_status status;
    } refused[] = {
        {keygen_label, IMPRINT_ERR_STATION},
        {keygen_signature, IMPRINT_ERR_STATION},
        {keygen_serial, IMPRINT_ERR_STATION},
        {keygen_order, IMPRINT_ERR_STATION},
        {keygen_transaction, IMPRINT_ERR_STATION},
        {keygen_certificate, IMPRINT_ERR_STATION},
        {keygen_algorithm, IMPRINT_ERR_SUITE},
        {keygen_signature_algorithm, IMPRINT_ERR_SUITE},
        {subject_is_no_sequence, IMPRINT_ERR_FORMAT},
        {subject_is_longer_than_it_says, IMPRINT_ERR_FORMAT},
        {subject_length_is_not_der, IMPRINT_ERR_FORMAT},
        {subject_is_too_long, IMPRINT_ERR_FORMAT},
    };

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        keygen_prepared();
        rig.flash.operations = 0;
        refused[i].change();
        ASSERT_STATUS(rig_keygen(&rig, &station, &err), (long)refused[i].status);
        ck_assert_uint_eq(rig.flash.operations, 0);
        ASSERT_OK(rig_hello(&rig, &hello, &err), err);
        ck_assert_int_eq(hello.state, IMPRINT_TX_NONE);
        end_test();
    }
}
END_TEST

START_TEST(keygen_has_its_place_among_the_messages)
{
    begin_test();
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare_keygen(&station, &hello);
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_STATUS(rig_keygen(&rig, &station, &err), IMPRINT_ERR_STATE); /* HELLO comes first */
    ASSERT_OK(rig_provision_made(&rig, &station, &err), err);
    ASSERT_STATUS(rig_keygen(&rig, &station, &err), IMPRINT_ERR_STATE); /* its key is in force */
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare_keygen(&other, &hello);
    ASSERT_OK(rig_keygen(&rig, &other, &err), err);
    ASSERT_STATUS(rig_lock(&rig, &station, &err), IMPRINT_ERR_BUSY);
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_OK(rig_lock(&rig, &station, &err), err);
    ASSERT_STATUS(rig_keygen(&rig, &other, &err), IMPRINT_ERR_LOCKED);
    end_test();
}
END_TEST

START_TEST(an_enrolled_device_attests_the_key_that_it_made)
{
    struct public_key enrolled, others;
    struct buf message;
    uint8_t point[65];

    begin_test();
    rig.enrolled = EVP_EC_gen("P-256");
    ck_assert_int_eq(ec_point(rig.enrolled, point, &err), 0);
    rig.platform.enrol_point = point;
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare_keygen(&station, &hello);
    ASSERT_OK(rig_keygen(&rig, &station, &err), err);
    enrolled = key_p256(station.device_point);
    others = key_p256(other.device_point);
    buf_init(&message, LINK_X_MAX);
    ASSERT_OK(link_attest_key_message(&hello.facts, rig_hello_nonce, &enrolled, &message, &err),
              err);
    ASSERT_OK(ec_verify(point, message.data, message.len, station.attest_key_sig.bytes, &err), err);
    buf_reset(&message);
    ASSERT_OK(link_attest_key_message(&hello.facts, rig_hello_nonce, &others, &message, &err), err);
    ASSERT_FAILS(ec_verify(point, message.data, message.len, station.attest_key_sig.bytes, &err),
                 ERR_SIGNATURE);
    buf_done(&message);
    end_test();
}
END_TEST

START_TEST(torn_keys_are_skipped_until_the_journal_is_full_and_abort_makes_room)
{
    const unsigned places = (IMPRINT_AGENT_JOURNAL_SIZE - 64) / 96;

    keygen_prepared();
    rig.client.tries = 1;
    for (unsigned i = 0; i < places; i++) {
        rig.flash.operations = 0;
        rig.flash.cut_at = 1;
        rig.flash.torn = 2;
        ASSERT_FAILS(rig_keygen(&rig, &station, &err), ERR_GONE);
        rig.flash.cut_at = 0;
        rig_restart(&rig);
        ASSERT_OK(rig_hello(&rig, &hello, &err), err);
        ck_assert_int_eq(hello.state, IMPRINT_TX_NONE);
    }
    ASSERT_STATUS(rig_keygen(&rig, &station, &err), IMPRINT_ERR_STORE);
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_OK(rig_provision_made(&rig, &station, &err), err);
    ck_assert(rig_holds(&rig, &station));
    end_test();
}
END_TEST

CHECK_MAIN("agent_keygen", a_device_is_provisioned_with_a_key_that_it_made,
           the_same_keygen_asks_for_the_same_key_through_restarts_and_a_bundle,
           a_transaction_has_one_keygen_and_abort_ends_it,
           a_bundle_must_be_for_the_key_that_was_made,
           a_certificate_for_another_key_is_not_committed,
           nothing_is_made_for_a_station_that_is_not_believed,
           keygen_has_its_place_among_the_messages, an_enrolled_device_attests_the_key_that_it_made,
           torn_keys_are_skipped_until_the_journal_is_full_and_abort_makes_room)
