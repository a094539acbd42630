/* The agent, driven by the real client: how a device gets, keeps and loses an identity. */
#include "agent_fixture.h"

#include <openssl/ec.h>
#include <string.h>

START_TEST(a_device_is_provisioned_with_each_suite_and_each_form_of_key)
{
    for (int form = 0; form < 2; form++) {
        for (uint16_t suite = IMPRINT_SUITE_ECB; suite <= IMPRINT_SUITE_X963; suite++) {
            begin_test();
            if (form == 1)
                rig_plain_softhsm(&station);
            ASSERT_OK(rig_provision(&rig, &station, suite, &err), err);
            ck_assert(rig_holds(&rig, &station));
            end_test();
        }
    }
}
END_TEST

START_TEST(hello_reports_what_the_device_is)
{
    static const uint8_t hash[32] = "hash of the image";

    begin_test();
    rig.platform.image_hash = hash;
    rig.platform.debug = true;
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_uint_eq(hello.facts.suite_count, 2);
    ck_assert_uint_eq(hello.facts.modes,
                      IMPRINT_MODE_HSM | IMPRINT_MODE_DEVICE | IMPRINT_MODE_DERIVED);
    ck_assert_mem_eq(hello.facts.chip_id, "chip0001", 8);
    ck_assert_str_eq(hello.facts.firmware, "1.2.3");
    ck_assert(hello.facts.has_image_hash && hello.facts.debug && hello.facts.pinned);
    ck_assert_mem_eq(hello.facts.image_hash, hash, 32);
    ck_assert_uint_eq(hello.facts.lifecycle, IMPRINT_LIFE_FACTORY);
    ck_assert_uint_eq(hello.facts.frame_max, IMPRINT_AGENT_FRAME_MAX);
    ck_assert_int_eq(hello.state, IMPRINT_TX_NONE);
    ck_assert(!hello.attested);
    ck_assert_uint_eq(hello.commit_count, 0);
    end_test();
}
END_TEST

START_TEST(an_enrolled_device_attests_its_transport_key)
{
    struct buf message;
    uint8_t point[65], nonce[32] = "another nonce";

    begin_test();
    rig.enrolled = EVP_EC_gen("P-256");
    ck_assert_int_eq(ec_point(rig.enrolled, point, &err), 0);
    rig.platform.enrol_point = point;
    ASSERT_OK(link_client_hello(&rig.client, nonce, &hello, &err), err);
    ck_assert(hello.attested);
    ck_assert_mem_eq(hello.attest_key.bytes, point, 65);
    buf_init(&message, LINK_X_MAX);
    ASSERT_OK(link_attest_message(&hello.facts, nonce, &message, &err), err);
    ASSERT_OK(ec_verify(point, message.data, message.len, hello.attest_sig.bytes, &err), err);
    /* The nonce is part of it: last week's attestation is worth nothing. */
    buf_reset(&message);
    nonce[0] ^= 1;
    ASSERT_OK(link_attest_message(&hello.facts, nonce, &message, &err), err);
    ASSERT_FAILS(ec_verify(point, message.data, message.len, hello.attest_sig.bytes, &err),
                 ERR_SIGNATURE);
    buf_done(&message);
    end_test();
}
END_TEST

START_TEST(the_transport_key_lives_until_commit_or_abort_and_no_longer)
{
    struct link_hello again;

    prepared(IMPRINT_SUITE_X963);
    rig_restart(&rig);
    ASSERT_OK(rig_hello(&rig, &again, &err), err);
    ck_assert_mem_eq(again.facts.dev_pub.bytes, hello.facts.dev_pub.bytes, 65);
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_OK(rig_hello(&rig, &again, &err), err);
    ck_assert_mem_ne(again.facts.dev_pub.bytes, hello.facts.dev_pub.bytes, 65);
    ASSERT_OK(rig_provision(&rig, &station, IMPRINT_SUITE_X963, &err), err);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_mem_ne(again.facts.dev_pub.bytes, hello.facts.dev_pub.bytes, 65);
    ck_assert_int_eq(hello.state, IMPRINT_TX_COMMITTED);
    ck_assert_str_eq(hello.serial, "SN-0001");
    ck_assert_uint_eq(hello.commit_count, 1);
    end_test();
}
END_TEST

START_TEST(every_request_may_be_repeated_because_its_answer_was_lost)
{
    begin_test();
    rig.drop_replies = 2;
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare(&station, &hello, IMPRINT_SUITE_ECB);
    rig.drop_replies = 2;
    ASSERT_OK(rig_begin(&rig, &station, &err), err);
    rig.drop_replies = 1;
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    rig.drop_replies = 1;
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    rig.drop_replies = 1;
    ASSERT_OK(rig_commit(&rig, &station, &err), err);
    ASSERT_OK(rig_commit(&rig, &station, &err), err);
    rig.drop_replies = 1;
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    ASSERT_OK(rig_put_all(&rig, &station, &err), err); /* compared with what is there */
    rig.drop_replies = 1;
    ASSERT_OK(rig_lock(&rig, &station, &err), err);
    ASSERT_OK(rig_lock(&rig, &station, &err), err);
    ASSERT_OK(rig_commit(&rig, &station, &err), err);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_uint_eq(hello.commit_count, 1);
    end_test();
}
END_TEST

START_TEST(a_put_is_repeated_byte_for_byte_or_refused)
{
    uint8_t bytes[32];
    uint32_t held;
    const uint8_t *tx = station.begin.transaction;

    prepared(IMPRINT_SUITE_ECB);
    memcpy(bytes, station.certificates.data, 32);
    ASSERT_STATUS(link_client_put(&rig.client, tx, 2, 0, bytes, 32, &held, &err),
                  IMPRINT_ERR_TRANSACTION);
    ASSERT_OK(rig_begin(&rig, &station, &err), err);
    ASSERT_STATUS(link_client_put(&rig.client, tx, 2, 16, bytes, 16, &held, &err),
                  IMPRINT_ERR_STATE);
    ASSERT_STATUS(link_client_put(&rig.client, tx, 2, 0, bytes, 31, &held, &err), IMPRINT_ERR_SIZE);
    ASSERT_OK(link_client_put(&rig.client, tx, 2, 0, bytes, 32, &held, &err), err);
    ck_assert_uint_eq(held, 32);
    ASSERT_OK(link_client_put(&rig.client, tx, 2, 16, bytes + 16, 16, &held, &err), err);
    ck_assert_uint_eq(held, 32);
    bytes[20] ^= 1;
    ASSERT_STATUS(link_client_put(&rig.client, tx, 2, 0, bytes, 32, &held, &err),
                  IMPRINT_ERR_BUNDLE);
    ASSERT_STATUS(link_client_put(&rig.client, tx, 2, 0xfffffff0, bytes, 32, &held, &err),
                  IMPRINT_ERR_SIZE);
    ASSERT_STATUS(link_client_put(&rig.client, tx, 4, 0, bytes, 32, &held, &err),
                  IMPRINT_ERR_BUNDLE);
    ASSERT_STATUS(rig_commit(&rig, &station, &err), IMPRINT_ERR_STATE);
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_OK(rig_commit(&rig, &station, &err), err);
    end_test();
}
END_TEST

START_TEST(after_a_restart_begin_starts_the_objects_over)
{
    struct link_held held;
    uint8_t bytes[16] = {0};
    uint32_t n;

    prepared(IMPRINT_SUITE_X963);
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_OK(link_client_begin(&rig.client, &station.begin, &held, &err), err);
    ck_assert_uint_eq(held.bytes[1], station.certificates.len);
    rig_restart(&rig);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_int_eq(hello.state, IMPRINT_TX_OPEN);
    ck_assert_mem_eq(hello.transaction, station.begin.transaction, 16);
    ASSERT_STATUS(rig_commit(&rig, &station, &err), IMPRINT_ERR_STATE);
    ASSERT_STATUS(
        link_client_put(&rig.client, station.begin.transaction, 1, 0, bytes, 16, &n, &err),
        IMPRINT_ERR_STATE);
    ASSERT_OK(link_client_begin(&rig.client, &station.begin, &held, &err), err);
    ck_assert_uint_eq(held.bytes[0] + held.bytes[1] + held.bytes[2], 0);
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_OK(rig_commit(&rig, &station, &err), err);
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    end_test();
}
END_TEST

START_TEST(another_transaction_waits_until_the_open_one_is_aborted)
{
    prepared(IMPRINT_SUITE_X963);
    rig_prepare(&other, &hello, IMPRINT_SUITE_X963);
    ASSERT_OK(rig_begin(&rig, &station, &err), err);
    ASSERT_STATUS(rig_begin(&rig, &other, &err), IMPRINT_ERR_BUSY);
    rig_restart(&rig);
    ASSERT_STATUS(rig_begin(&rig, &other, &err), IMPRINT_ERR_BUSY);
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_STATUS(rig_begin(&rig, &other, &err), IMPRINT_ERR_STATE); /* HELLO comes first */
    ASSERT_OK(rig_provision(&rig, &other, IMPRINT_SUITE_X963, &err), err);
    ck_assert(rig_holds(&rig, &other));
    end_test();
}
END_TEST

START_TEST(a_begin_that_changed_under_its_name_is_refused)
{
    prepared(IMPRINT_SUITE_X963);
    ASSERT_OK(rig_begin(&rig, &station, &err), err);
    station.begin.order_hash[0] ^= 1;
    rig_sign(&station, &hello);
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_TRANSACTION);
    rig_restart(&rig);
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_TRANSACTION);
    end_test();
}
END_TEST

START_TEST(an_identity_is_replaced_until_it_is_locked)
{
    begin_test();
    ASSERT_OK(rig_provision(&rig, &station, IMPRINT_SUITE_ECB, &err), err);
    ASSERT_OK(rig_provision(&rig, &other, IMPRINT_SUITE_X963, &err), err);
    ck_assert(rig_holds(&rig, &other));
    ASSERT_STATUS(rig_prove(&rig, &station, &err), IMPRINT_ERR_TRANSACTION);
    ASSERT_STATUS(rig_lock(&rig, &station, &err), IMPRINT_ERR_TRANSACTION);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_uint_eq(hello.commit_count, 2);
    ASSERT_OK(rig_lock(&rig, &other, &err), err);
    rig_restart(&rig);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_uint_eq(hello.facts.lifecycle, IMPRINT_LIFE_LOCKED);
    ck_assert_uint_eq(hello.facts.dev_pub.alg, IMPRINT_ALG_NONE);
    ck_assert_uint_eq(hello.facts.dev_pub.len, 0);
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_LOCKED);
    ASSERT_STATUS(rig_begin(&rig, &other, &err), IMPRINT_ERR_LOCKED);
    ASSERT_STATUS(link_client_abort(&rig.client, &err), IMPRINT_ERR_LOCKED);
    ASSERT_OK(rig_prove(&rig, &other, &err), err);
    ck_assert(rig_holds(&rig, &other));
    end_test();
}
END_TEST

START_TEST(an_open_transaction_leaves_the_old_identity_in_force)
{
    begin_test();
    ASSERT_OK(rig_provision(&rig, &station, IMPRINT_SUITE_X963, &err), err);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare(&other, &hello, IMPRINT_SUITE_X963);
    ASSERT_OK(rig_put_all(&rig, &other, &err), err);
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    ASSERT_STATUS(rig_lock(&rig, &station, &err), IMPRINT_ERR_BUSY);
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert_int_eq(hello.state, IMPRINT_TX_OPEN);
    ck_assert_str_eq(hello.serial, "SN-0001");
    ASSERT_OK(link_client_abort(&rig.client, &err), err);
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    ASSERT_OK(rig_lock(&rig, &station, &err), err);
    end_test();
}
END_TEST

START_TEST(a_device_without_identity_proves_and_locks_nothing)
{
    struct imprint_agent_identity identity;

    prepared(IMPRINT_SUITE_X963);
    ASSERT_STATUS(rig_prove(&rig, &station, &err), IMPRINT_ERR_STATE);
    ASSERT_STATUS(rig_lock(&rig, &station, &err), IMPRINT_ERR_STATE);
    ASSERT_STATUS(link_client_read(&rig.client, &station.x, &err), IMPRINT_ERR_STATE);
    ASSERT_STATUS(rig_commit(&rig, &station, &err), IMPRINT_ERR_TRANSACTION);
    ck_assert(!imprint_agent_identity(&rig.agent, &identity));
    end_test();
}
END_TEST

/* Constant bytes that READ gives in pieces, with and without an identity; nothing else reads them. */
START_TEST(the_chain_of_an_attested_device_is_read_whole)
{
    static uint8_t chain[IMPRINT_CHAIN_MAX];
    static const char two_members[] = "\xa2\x01\x00\x02\x02", cut[] = "\xa2\x01\x00";
    struct link_frame reply;
    struct buf out, request;

    begin_test();
    for (size_t i = 0; i < sizeof chain; i++)
        chain[i] = (uint8_t)(i * 7 + i / 256);
    buf_init(&out, 2 * sizeof chain);
    buf_init(&request, 16);
    ASSERT_STATUS(link_client_read_chain(&rig.client, &out, &err), IMPRINT_ERR_STATE);
    rig.platform.enrol_chain = chain;
    for (uint32_t len = 1; len <= sizeof chain; len += sizeof chain - 1) {
        rig.platform.enrol_chain_len = len;
        buf_reset(&out);
        ASSERT_OK(link_client_read_chain(&rig.client, &out, &err), err);
        ck_assert_uint_eq(out.len, len);
        ck_assert_mem_eq(out.data, chain, len);
    }
    ASSERT_STATUS(link_client_read(&rig.client, &out, &err), IMPRINT_ERR_STATE);
    for (int i = 0; i < 2; i++) {
        buf_reset(&request);
        buf_put(&request, i ? cut : two_members, i ? sizeof cut - 1 : sizeof two_members - 1);
        ASSERT_OK(link_client_request(&rig.client, IMPRINT_MSG_READ, &request, &reply, &err), err);
        ck_assert_mem_eq(reply.payload, "\xa1\x00\x03", 3); /* FORMAT */
    }
    buf_done(&out);
    buf_done(&request);
    end_test();
}
END_TEST

CHECK_MAIN("agent", a_device_is_provisioned_with_each_suite_and_each_form_of_key,
           hello_reports_what_the_device_is, an_enrolled_device_attests_its_transport_key,
           the_transport_key_lives_until_commit_or_abort_and_no_longer,
           every_request_may_be_repeated_because_its_answer_was_lost,
           a_put_is_repeated_byte_for_byte_or_refused,
           after_a_restart_begin_starts_the_objects_over,
           another_transaction_waits_until_the_open_one_is_aborted,
           a_begin_that_changed_under_its_name_is_refused,
           an_identity_is_replaced_until_it_is_locked,
           an_open_transaction_leaves_the_old_identity_in_force,
           a_device_without_identity_proves_and_locks_nothing,
           the_chain_of_an_attested_device_is_read_whole)
