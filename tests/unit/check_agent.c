/* The agent, driven by the real client: what a device accepts, and what it refuses. */
#include "agent_rig.h"
#include "check_util.h"

#include "link/cbor_write.h"

#include <openssl/ec.h>
#include <string.h>

static struct rig rig;
static struct rig_station station, other;
static struct link_hello hello;
static struct error err;

/* A new device, and a station with two credentials. */
static void begin_test(void)
{
    err = (struct error)ERROR_INIT;
    rig_station_init(&station, "SN-0001");
    rig_station_next(&other, &station, "SN-0002");
    rig_init(&rig, station.authority_point);
}

static void end_test(void)
{
    rig_done(&rig);
    rig_station_done(&station);
    rig_station_done(&other);
}

/* A device that said hello, and a bundle for it. */
static void prepared(uint16_t suite)
{
    begin_test();
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    rig_prepare(&station, &hello, suite);
}

#define ASSERT_STATUS(call, status)                                                                \
    do {                                                                                           \
        int refused_rc = (call);                                                                   \
        ck_assert_msg(refused_rc == ERR_REFUSED && err.native == (status), "%s: %s (%ld): %s",     \
                      #call, error_name(refused_rc), err.native, err.text);                        \
    } while (0)

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
    ck_assert_uint_eq(hello.facts.modes, IMPRINT_MODE_HSM);
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

/* ------ what BEGIN refuses ------ */

static void change_suite(void)
{
    station.begin.suite = IMPRINT_SUITE_ECB; /* the signature is over suite 2 */
}

static void change_serial(void)
{
    station.begin.serial = "SN-0003";
}

static void change_order(void)
{
    station.begin.order_hash[31] ^= 1;
}

static void change_nonce(void)
{
    station.begin.station_nonce[0] ^= 1;
}

static void change_object(void)
{
    station.objects[2].hash[0] ^= 1;
}

static void change_length(void)
{
    station.objects[1].length++;
}

static void change_signature(void)
{
    station.begin.sig.bytes[63] ^= 1;
}

static void change_environment(void)
{
    station.begin.environment = "prod"; /* the certificate says "test" */
    rig_sign(&station, &hello);
}

static void change_certificate(void)
{
    station.cert.data[station.cert.len - 1] ^= 1; /* the authority's signature */
}

static void change_certificate_key(void)
{
    station.cert.data[10] ^= 1;
}

static void change_certificate_length(void)
{
    station.begin.cert_len--;
}

static void change_dev_pub(void)
{
    hello.facts.dev_pub.bytes[1] ^= 1;
    rig_sign(&station, &hello);
}

static void change_chip_id(void)
{
    hello.facts.chip_id[0] ^= 1;
    rig_sign(&station, &hello);
}

static void change_facts(void)
{
    hello.facts.suite_count = 1; /* as if the device had offered suite 1 alone */
    rig_sign(&station, &hello);
}

static void take_strangers_certificate(void)
{
    struct rig_station stranger;

    rig_station_init(&stranger, "SN-0001");
    buf_reset(&station.cert);
    buf_put(&station.cert, stranger.cert.data, stranger.cert.len);
    EVP_PKEY_free(station.auth);
    station.auth = stranger.auth;
    stranger.auth = NULL;
    rig_sign(&station, &hello);
    rig_station_done(&stranger);
}

START_TEST(a_begin_that_the_station_did_not_sign_is_refused_before_any_write)
{
    static void (*const changes[])(void) = {change_suite,
                                            change_serial,
                                            change_order,
                                            change_nonce,
                                            change_object,
                                            change_length,
                                            change_signature,
                                            change_environment,
                                            change_certificate,
                                            change_certificate_key,
                                            change_certificate_length,
                                            change_dev_pub,
                                            change_chip_id,
                                            change_facts,
                                            take_strangers_certificate};

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        unsigned before;
        int rc;

        prepared(IMPRINT_SUITE_X963);
        before = rig.flash.operations;
        changes[i]();
        rc = rig_begin(&rig, &station, &err);
        ck_assert_msg(rc == ERR_REFUSED && err.native == IMPRINT_ERR_STATION, "change %zu: %d %s",
                      i, rc, err.text);
        ck_assert_uint_eq(rig.flash.operations, before);
        end_test();
    }
}
END_TEST

START_TEST(an_unpinned_device_still_needs_the_signature_of_the_certificate_key)
{
    prepared(IMPRINT_SUITE_X963);
    rig.platform.authority = NULL;
    ASSERT_OK(rig_hello(&rig, &hello, &err), err);
    ck_assert(!hello.facts.pinned);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
    station.begin.sig.bytes[0] ^= 1;
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_STATION);
    station.begin.sig.bytes[0] ^= 1;
    take_strangers_certificate();
    station.begin.cert = station.cert.data;
    ASSERT_OK(rig_begin(&rig, &station, &err), err);
    end_test();
}
END_TEST

static void suite_unknown(void)
{
    station.begin.suite = IMPRINT_SUITE_HYBRID;
}

static void key_algorithm_unknown(void)
{
    station.begin.station_pub.alg = IMPRINT_ALG_P384;
}

static void signature_algorithm_unknown(void)
{
    station.begin.sig.alg = IMPRINT_ALG_LMS;
}

static void object_type_reserved(void)
{
    station.objects[2].type = IMPRINT_OBJ_FIRMWARE_KEY;
}

static void object_format_wrong(void)
{
    station.objects[0].format = IMPRINT_FMT_X509_DER;
}

static void key_too_large(void)
{
    station.objects[0].length = IMPRINT_WRAPPED_KEY_MAX + 8;
}

static void objects_too_large(void)
{
    station.objects[1].length = 5000;
    station.objects[2].length = 5000;
}

static void object_huge(void)
{
    station.objects[1].length = 0xfffffff8;
    station.objects[2].length = 0x20;
}

static void objects_out_of_order(void)
{
    station.objects[2].type = IMPRINT_OBJ_CERTIFICATES;
}

static void object_empty(void)
{
    station.objects[2].length = 0;
}

static void key_missing(void)
{
    station.begin.objects++;
    station.begin.object_count = 2;
}

static void certificates_missing(void)
{
    station.begin.object_count = 1;
}

static void serial_too_long(void)
{
    station.begin.serial = "12345678901234567890123456789012345678901234567890123456789012345";
}

static void serial_with_newline(void)
{
    station.begin.serial = "SN\n1";
}

static void serial_empty(void)
{
    station.begin.serial = "";
}

START_TEST(a_begin_that_this_device_cannot_do_says_why)
{
    static const struct {
        void (*change)(void);
        enum imprint_status status;
    } cases[] = {
        {suite_unknown, IMPRINT_ERR_SUITE},
        {key_algorithm_unknown, IMPRINT_ERR_SUITE},
        {signature_algorithm_unknown, IMPRINT_ERR_SUITE},
        {object_type_reserved, IMPRINT_ERR_SUITE},
        {object_format_wrong, IMPRINT_ERR_SUITE},
        {key_too_large, IMPRINT_ERR_SIZE},
        {objects_too_large, IMPRINT_ERR_SIZE},
        {object_huge, IMPRINT_ERR_SIZE},
        {objects_out_of_order, IMPRINT_ERR_FORMAT},
        {object_empty, IMPRINT_ERR_FORMAT},
        {key_missing, IMPRINT_ERR_BUNDLE},
        {certificates_missing, IMPRINT_ERR_BUNDLE},
        {serial_too_long, IMPRINT_ERR_FORMAT},
        {serial_with_newline, IMPRINT_ERR_FORMAT},
        {serial_empty, IMPRINT_ERR_FORMAT},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc;

        prepared(IMPRINT_SUITE_X963);
        cases[i].change();
        rc = rig_begin(&rig, &station, &err);
        ck_assert_msg(rc == ERR_REFUSED && err.native == (long)cases[i].status, "case %zu: %ld %s",
                      i, err.native, err.text);
        end_test();
    }
}
END_TEST

/* ------ what COMMIT refuses ------ */

static void object_changed(void)
{
    station.anchors.data[20] ^= 1;
}

static void certificates_changed(void)
{
    station.certificates.data[station.certificates.len - 1] ^= 1;
}

static void blob_changed(void)
{
    station.wrapped.data[9] ^= 1;
}

static void prepare_other_certificate(void)
{
    buf_reset(&station.certificates);
    buf_put(&station.certificates, other.certificates.data, other.certificates.len);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
}

static void prepare_other_key(void)
{
    buf_reset(&station.plain);
    buf_put(&station.plain, other.plain.data, other.plain.len);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
}

static void announce_other_key(void)
{
    station.objects[0].hash[0] ^= 1;
    rig_sign(&station, &hello);
}

static void certificate_not_der(void)
{
    station.certificates.data[0] = 0x31;
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
}

static void certificate_cut(void)
{
    station.certificates.len = 60;
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
}

/* Wraps another plain text under the right key. */
static void rewrap_plain(size_t at, uint8_t xor_with, size_t tail)
{
    rig_plain_softhsm(&station);
    station.plain.data[at] ^= xor_with;
    station.plain.len = 67;
    buf_put(&station.plain, "\0\0\0\0\0\0\0\0\0", tail);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
}

static void version_one(void)
{
    rewrap_plain(4, 1, 5);
}

static void other_curve(void)
{
    rewrap_plain(25, 1, 5);
}

static void scalar_short(void)
{
    rewrap_plain(34, 0x20 ^ 0x1f, 5);
}

static void tail_not_zero(void)
{
    rewrap_plain(0, 0, 5);
    station.plain.data[71] = 1;
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
}

static void tail_too_long(void)
{
    rewrap_plain(0, 0, 8);
}

static void set_scalar(const uint8_t scalar[32])
{
    rig_plain_softhsm(&station);
    memcpy(station.plain.data + 35, scalar, 32);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
}

static void scalar_zero(void)
{
    static const uint8_t zero[32] = {0};

    set_scalar(zero);
}

static void scalar_order(void)
{
    static const uint8_t n[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                  0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

    set_scalar(n);
}

START_TEST(a_commit_of_anything_but_what_was_announced_is_refused)
{
    static const struct {
        void (*change)(void);
        enum imprint_status status;
    } cases[] = {
        {object_changed, IMPRINT_ERR_BUNDLE},   {certificates_changed, IMPRINT_ERR_BUNDLE},
        {blob_changed, IMPRINT_ERR_KEY},        {prepare_other_certificate, IMPRINT_ERR_KEY},
        {prepare_other_key, IMPRINT_ERR_KEY},   {announce_other_key, IMPRINT_ERR_KEY},
        {certificate_not_der, IMPRINT_ERR_KEY}, {certificate_cut, IMPRINT_ERR_KEY},
        {version_one, IMPRINT_ERR_KEY},         {other_curve, IMPRINT_ERR_KEY},
        {scalar_short, IMPRINT_ERR_KEY},        {tail_not_zero, IMPRINT_ERR_KEY},
        {tail_too_long, IMPRINT_ERR_KEY},       {scalar_zero, IMPRINT_ERR_KEY},
        {scalar_order, IMPRINT_ERR_KEY},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct imprint_agent_identity identity;
        int rc;

        prepared(IMPRINT_SUITE_X963);
        cases[i].change();
        ASSERT_OK(rig_put_all(&rig, &station, &err), err);
        rc = rig_commit(&rig, &station, &err);
        ck_assert_msg(rc == ERR_REFUSED && err.native == (long)cases[i].status, "case %zu: %ld %s",
                      i, err.native, err.text);
        ck_assert(!imprint_agent_identity(&rig.agent, &identity));
        end_test();
    }
}
END_TEST

START_TEST(a_commit_that_announces_another_key_than_the_certificate_has_is_refused)
{
    /* Key and certificate agree, but the signed hash is of another key. */
    prepared(IMPRINT_SUITE_X963);
    memcpy(station.device_point, other.device_point, 65);
    rig_prepare(&station, &hello, IMPRINT_SUITE_X963);
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_STATUS(rig_commit(&rig, &station, &err), IMPRINT_ERR_BUNDLE);
    end_test();
}
END_TEST

START_TEST(a_failed_commit_starts_over_with_begin)
{
    prepared(IMPRINT_SUITE_X963);
    blob_changed();
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_STATUS(rig_commit(&rig, &station, &err), IMPRINT_ERR_KEY);
    blob_changed();
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_OK(rig_commit(&rig, &station, &err), err);
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    end_test();
}
END_TEST

START_TEST(a_bundle_for_one_device_does_not_open_on_another)
{
    static struct rig second;
    struct link_hello its;

    prepared(IMPRINT_SUITE_X963);
    rig_init(&second, station.authority_point);
    ASSERT_OK(rig_hello(&second, &its, &err), err);
    ASSERT_STATUS(rig_begin(&second, &station, &err), IMPRINT_ERR_STATION);
    rig_done(&second);
    end_test();
}
END_TEST

START_TEST(a_store_that_fails_is_reported_and_nothing_is_believed)
{
    prepared(IMPRINT_SUITE_X963);
    rig.flash.failing = true;
    ASSERT_STATUS(rig_begin(&rig, &station, &err), IMPRINT_ERR_STORE);
    rig.flash.failing = false;
    ASSERT_OK(rig_begin(&rig, &station, &err), err);
    rig.flash.failing = true;
    ASSERT_STATUS(rig_put_all(&rig, &station, &err), IMPRINT_ERR_STORE);
    rig.flash.failing = false;
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    rig.flash.failing = true;
    ASSERT_STATUS(rig_commit(&rig, &station, &err), IMPRINT_ERR_STORE);
    rig.flash.failing = false;
    ASSERT_OK(rig_put_all(&rig, &station, &err), err);
    ASSERT_OK(rig_commit(&rig, &station, &err), err);
    rig.flash.failing = true;
    ASSERT_STATUS(rig_lock(&rig, &station, &err), IMPRINT_ERR_STORE);
    rig.flash.failing = false;
    ASSERT_OK(rig_prove(&rig, &station, &err), err);
    end_test();
}
END_TEST

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

START_TEST(messages_that_this_build_does_not_have_are_answered_so)
{
    static const uint8_t messages[] = {
        0x00, IMPRINT_MSG_KEYGEN, IMPRINT_MSG_DECOMMISSION, IMPRINT_MSG_FDO_HMAC, 0x0c, 0x7f};

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
           a_begin_that_the_station_did_not_sign_is_refused_before_any_write,
           an_unpinned_device_still_needs_the_signature_of_the_certificate_key,
           a_begin_that_this_device_cannot_do_says_why,
           a_commit_of_anything_but_what_was_announced_is_refused,
           a_commit_that_announces_another_key_than_the_certificate_has_is_refused,
           a_failed_commit_starts_over_with_begin, a_bundle_for_one_device_does_not_open_on_another,
           a_store_that_fails_is_reported_and_nothing_is_believed,
           malformed_requests_are_answered_with_format,
           messages_that_this_build_does_not_have_are_answered_so,
           noise_wrong_checksums_and_echoes_are_not_answered,
           another_link_version_is_answered_with_version, random_requests_never_break_a_device)
