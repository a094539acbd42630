/* What the agent refuses: stations, bundles and keys that are not what they should be. */
#include "agent_fixture.h"

#include <string.h>

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

static void extend_environment(void)
{
    station.begin.environment = "test2"; /* begins as the certificate's */
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
    static void (*const changes[])(void) = {
        change_suite,       change_serial,      change_order,           change_nonce,
        change_object,      change_length,      change_signature,       change_environment,
        extend_environment, change_certificate, change_certificate_key, change_certificate_length,
        change_dev_pub,     change_chip_id,     change_facts,           take_strangers_certificate};

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

static void object_type_unknown(void)
{
    station.objects[2].type = IMPRINT_OBJ_DECOMMISSION_KEY + 1;
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
        {object_type_unknown, IMPRINT_ERR_SUITE},
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

CHECK_MAIN("agent_refusal", a_begin_that_the_station_did_not_sign_is_refused_before_any_write,
           an_unpinned_device_still_needs_the_signature_of_the_certificate_key,
           a_begin_that_this_device_cannot_do_says_why,
           a_commit_of_anything_but_what_was_announced_is_refused,
           a_commit_that_announces_another_key_than_the_certificate_has_is_refused,
           a_failed_commit_starts_over_with_begin, a_bundle_for_one_device_does_not_open_on_another,
           a_store_that_fails_is_reported_and_nothing_is_believed)
