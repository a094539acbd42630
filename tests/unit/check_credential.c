/* Device keys on a real token, from their making to a device that OpenSSL plays here. */
#include "credential_bench.h"
#include "p256_util.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

static const uint8_t context[HSM_CONTEXT_SIZE] = "a context of thirty-two bytes..";

/* ---- What the device finds: PKCS#8, d·G. ---- */

/* PKCS#8 up to the scalar: SoftHSM leaves the public key out and appends zeros to a multiple of
 * eight, NSS puts it in. */
#define P256_IDS                                                                                   \
    0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,      \
        0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04
static const uint8_t short_head[] = {0x30, 0x41, P256_IDS, 0x27, 0x30, 0x25,
                                     0x02, 0x01, 0x01,     0x04, 0x20};
static const uint8_t long_head[] = {0x30, 0x81, 0x87, P256_IDS, 0x6d, 0x30,
                                    0x6b, 0x02, 0x01, 0x01,     0x04, 0x20};

/* Parses the bytes by hand, as firmware does, and compares d·G with the credential's point. */
static void device_confirm(const uint8_t *payload, int len, const uint8_t point[EC_POINT_SIZE])
{
    const uint8_t *head = softhsm_is_nss() ? long_head : short_head;
    size_t head_len = softhsm_is_nss() ? sizeof long_head : sizeof short_head;
    int pkcs8_len = head[1] & 0x80 ? 3 + head[2] : 2 + head[1];
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *product = EC_POINT_new(group);
    BIGNUM *d = BN_bin2bn(payload + head_len, 32, NULL);
    uint8_t made[EC_POINT_SIZE];

    ck_assert_int_ge(len, pkcs8_len);
    ck_assert_int_le(len, pkcs8_len + 7);
    ck_assert_mem_eq(payload, head, head_len);
    for (int i = pkcs8_len; i < len; i++)
        ck_assert_uint_eq(payload[i], 0);
    ck_assert_int_eq(EC_POINT_mul(group, product, d, NULL, NULL, NULL), 1);
    ck_assert_uint_eq(
        EC_POINT_point2oct(group, product, POINT_CONVERSION_UNCOMPRESSED, made, sizeof made, NULL),
        sizeof made);
    ck_assert_mem_eq(made, point, sizeof made);
    BN_free(d);
    EC_POINT_free(product);
    EC_GROUP_free(group);
}

/* One credential to one device, and what the device makes of it. */
static void deliver_by(struct bench *b, unsigned suite)
{
    struct device d;
    struct hsm_rewrap *r;
    struct buf blob;
    uint8_t station_pub[EC_POINT_SIZE], kek[IMPRINT_KEK_SIZE], payload[BLOB_MAX];
    int len;

    device_init(&d);
    buf_init(&blob, BLOB_MAX);
    ASSERT_OK(begin(b, &r, station_pub), b->err);
    ASSERT_OK(hsm_credential_rewrap_finish(r, suite, d.pub, context, &blob, &b->err), b->err);
    ck_assert_uint_eq(blob.len, hsm_rewrap_length(b->h, b->wrapped.len));
    device_kek(&d, suite, station_pub, context, kek);
    len = device_unwrap(kek, &blob, payload);
    device_confirm(payload, len, b->point);
    buf_done(&blob);
    EVP_PKEY_free(d.key);
}

/* By every suite that the token has. */
static void deliver(struct bench *b)
{
    static const unsigned suites[] = {IMPRINT_SUITE_ECB, IMPRINT_SUITE_X963};

    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (hsm_suites(b->h) & 1u << suites[i])
            deliver_by(b, suites[i]);
}

START_TEST(each_credential_is_a_key_of_its_own_and_leaves_nothing_behind)
{
    struct bench b;
    struct buf second;
    uint8_t point[EC_POINT_SIZE];
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session;

    bench_init(&b);
    buf_init(&second, BLOB_MAX);
    ASSERT_OK(make_p256(b.h, b.storage, point, &second, &b.err), b.err);
    ck_assert_mem_ne(point, b.point, sizeof point);
    ck_assert_uint_eq(second.len, b.wrapped.len);
    ck_assert_uint_le(second.len, IMPRINT_WRAPPED_KEY_MAX);
    ck_assert_mem_ne(second.data, b.wrapped.data, second.len);
    session = softhsm_session(p11);
    ck_assert_uint_eq(softhsm_session_objects(p11, session), 0);
    buf_done(&second);
    bench_done(&b);
}
END_TEST

START_TEST(a_device_opens_what_was_rewrapped_for_it_and_finds_its_key)
{
    struct bench b;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session;

    bench_init(&b);
    for (int i = 0; i < 5; i++)
        deliver(&b);
    session = softhsm_session(p11);
    ck_assert_uint_eq(softhsm_session_objects(p11, session), 0);
    bench_done(&b);
}
END_TEST

START_TEST(another_device_or_another_context_cannot_open_it)
{
    struct bench b;
    struct device d, thief;
    struct hsm_rewrap *r;
    struct buf blob;
    uint8_t station_pub[EC_POINT_SIZE], kek[IMPRINT_KEK_SIZE], payload[BLOB_MAX];
    uint8_t other[HSM_CONTEXT_SIZE];

    bench_init(&b);
    device_init(&d);
    device_init(&thief);
    buf_init(&blob, BLOB_MAX);
    ASSERT_OK(begin(&b, &r, station_pub), b.err);
    ASSERT_OK(hsm_credential_rewrap_finish(r, IMPRINT_SUITE_ECB, d.pub, context, &blob, &b.err),
              b.err);
    device_kek(&thief, IMPRINT_SUITE_ECB, station_pub, context, kek);
    ck_assert_int_eq(device_unwrap(kek, &blob, payload), -1);
    memcpy(other, context, sizeof other);
    other[31] ^= 1;
    device_kek(&d, IMPRINT_SUITE_ECB, station_pub, other, kek);
    ck_assert_int_eq(device_unwrap(kek, &blob, payload), -1);
    buf_done(&blob);
    EVP_PKEY_free(d.key);
    EVP_PKEY_free(thief.key);
    bench_done(&b);
}
END_TEST

START_TEST(the_station_key_is_fresh_for_each_rewrap)
{
    struct bench b;
    struct hsm_rewrap *r;
    uint8_t first[EC_POINT_SIZE], second[EC_POINT_SIZE];

    bench_init(&b);
    ASSERT_OK(begin(&b, &r, first), b.err);
    hsm_credential_rewrap_abort(r);
    ASSERT_OK(begin(&b, &r, second), b.err);
    hsm_credential_rewrap_abort(r);
    hsm_credential_rewrap_abort(NULL);
    ck_assert_mem_ne(first, second, sizeof first);
    bench_done(&b);
}
END_TEST

START_TEST(a_stored_blob_with_any_bit_changed_does_not_unwrap)
{
    struct bench b;
    struct hsm_rewrap *r = NULL;
    uint8_t station_pub[EC_POINT_SIZE];

    bench_init(&b);
    for (size_t i = 0; i < b.wrapped.len; i++) {
        b.wrapped.data[i] ^= (uint8_t)(1u << (i % 8));
        ASSERT_FAILS(begin(&b, &r, station_pub), ERR_INTEGRITY);
        b.wrapped.data[i] ^= (uint8_t)(1u << (i % 8));
    }
    for (size_t len = 0; len < b.wrapped.len; len += 8)
        ASSERT_FAILS(rewrap_begin_p256(b.h, b.storage, b.wrapped.data, len, b.point, &r,
                                       station_pub, &b.err),
                     ERR_INTEGRITY);
    ck_assert_ptr_null(r);
    deliver(&b);
    bench_done(&b);
}
END_TEST

START_TEST(a_row_with_the_public_key_of_another_is_refused)
{
    struct bench b;
    struct hsm_rewrap *r = NULL;
    struct buf other;
    uint8_t station_pub[EC_POINT_SIZE], own[EC_POINT_SIZE];
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session;

    bench_init(&b);
    memcpy(own, b.point, sizeof own);
    buf_init(&other, BLOB_MAX);
    ASSERT_OK(make_p256(b.h, b.storage, b.point, &other, &b.err), b.err);
    ASSERT_FAILS(begin(&b, &r, station_pub), ERR_INTEGRITY);
    memcpy(b.point, own, sizeof own);
    b.point[64] ^= 1; /* not a point any more */
    ASSERT_FAILS(begin(&b, &r, station_pub), ERR_INTEGRITY);
    ck_assert_ptr_null(r);
    session = softhsm_session(p11);
    ck_assert_uint_eq(softhsm_session_objects(p11, session), 0);
    buf_done(&other);
    bench_done(&b);
}
END_TEST

START_TEST(a_transport_key_that_is_no_point_of_the_curve_is_refused)
{
    struct bench b;
    struct device d;
    uint8_t bad[4][EC_POINT_SIZE];

    bench_init(&b);
    device_init(&d);
    for (size_t i = 0; i < 4; i++)
        memcpy(bad[i], d.pub, EC_POINT_SIZE);
    bad[0][64] ^= 1;              /* off the curve */
    bad[1][0] = 0x02;             /* says that it is compressed */
    memset(bad[2], 0, 65);        /* the point at infinity, padded */
    memset(bad[3] + 1, 0xff, 64); /* coordinates over the prime */
    for (size_t i = 0; i < 4; i++) {
        struct hsm_rewrap *r;
        struct buf blob;
        uint8_t station_pub[EC_POINT_SIZE];

        buf_init(&blob, BLOB_MAX);
        ASSERT_OK(begin(&b, &r, station_pub), b.err);
        ASSERT_FAILS(
            hsm_credential_rewrap_finish(r, IMPRINT_SUITE_ECB, bad[i], context, &blob, &b.err),
            ERR_PROTOCOL);
        ck_assert_uint_eq(blob.len, 0);
        buf_done(&blob);
    }
    EVP_PKEY_free(d.key);
    bench_done(&b);
}
END_TEST

START_TEST(a_suite_that_the_token_does_not_have_is_refused)
{
    static const unsigned suites[] = {0, IMPRINT_SUITE_X963, IMPRINT_SUITE_HYBRID, 31, 32, 4096};
    struct bench b;
    struct device d;

    bench_init(&b);
    device_init(&d);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        struct hsm_rewrap *r;
        struct buf blob;
        uint8_t station_pub[EC_POINT_SIZE];

        if (suites[i] == IMPRINT_SUITE_X963 && softhsm_is_nss())
            continue;
        buf_init(&blob, BLOB_MAX);
        ASSERT_OK(begin(&b, &r, station_pub), b.err);
        ASSERT_FAILS(hsm_credential_rewrap_finish(r, suites[i], d.pub, context, &blob, &b.err),
                     ERR_REFUSED);
        buf_done(&blob);
    }
    EVP_PKEY_free(d.key);
    bench_done(&b);
}
END_TEST

START_TEST(a_full_output_buffer_fails_and_ends_the_rewrap)
{
    struct bench b;
    struct device d;
    struct hsm_rewrap *r;
    struct buf small;
    uint8_t station_pub[EC_POINT_SIZE], point[EC_POINT_SIZE] = {0};

    bench_init(&b);
    device_init(&d);
    buf_init(&small, 40);
    ASSERT_FAILS(make_p256(b.h, b.storage, point, &small, &b.err), ERR_INTERNAL);
    ck_assert_uint_eq(point[0], 0);
    buf_reset(&small);
    ASSERT_OK(begin(&b, &r, station_pub), b.err);
    ASSERT_FAILS(hsm_credential_rewrap_finish(r, IMPRINT_SUITE_ECB, d.pub, context, &small, &b.err),
                 ERR_INTERNAL);
    ASSERT_OK(hsm_recycle(b.h, &b.err), b.err);
    buf_done(&small);
    EVP_PKEY_free(d.key);
    bench_done(&b);
}
END_TEST

START_TEST(the_module_is_recycled_while_credentials_are_made_and_delivered)
{
    struct bench b;

    bench_init(&b);
    hsm_set_leak_limit(b.h, 4000);
    for (int i = 0; i < 20; i++) {
        buf_reset(&b.wrapped);
        ASSERT_OK(make_p256(b.h, b.storage, b.point, &b.wrapped, &b.err), b.err);
        deliver(&b);
    }
    ck_assert_uint_ge(hsm_recycle_count(b.h), 5);
    ck_assert_uint_le(hsm_recycle_count(b.h), 20);
    bench_done(&b);
}
END_TEST

START_TEST(an_open_rewrap_puts_the_recycle_off)
{
    struct bench b;
    struct hsm_rewrap *r;
    uint8_t station_pub[EC_POINT_SIZE], out[8];

    bench_init(&b);
    ASSERT_OK(begin(&b, &r, station_pub), b.err);
    ASSERT_FAILS(hsm_recycle(b.h, &b.err), ERR_BUSY);
    hsm_set_leak_limit(b.h, 0);
    ASSERT_OK(hsm_random(b.h, out, sizeof out, &b.err), b.err);
    ck_assert_uint_eq(hsm_recycle_count(b.h), 0);
    hsm_credential_rewrap_abort(r);
    ASSERT_OK(hsm_random(b.h, out, sizeof out, &b.err), b.err);
    ck_assert_uint_eq(hsm_recycle_count(b.h), 1);
    bench_done(&b);
}
END_TEST

START_TEST(a_session_lost_in_the_middle_ends_the_rewrap_and_the_next_one_works)
{
    struct bench b;
    struct device d;
    struct hsm_rewrap *r, *second;
    struct buf blob;
    uint8_t station_pub[EC_POINT_SIZE];
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();

    bench_init(&b);
    device_init(&d);
    buf_init(&blob, BLOB_MAX);
    for (int reused = 0; reused < 2; reused++) {
        ASSERT_OK(hsm_recycle(b.h, &b.err), b.err); /* the module counts handles from 1 again */
        ASSERT_OK(begin(&b, &r, station_pub), b.err);
        ck_assert_uint_eq(p11->C_CloseAllSessions(softhsm_slot(p11, TEST_TOKEN)), CKR_OK);
        /* The module gives the handles of the first rewrap to the second. */
        if (reused)
            ASSERT_OK(begin(&b, &second, station_pub), b.err);
        ASSERT_FAILS(
            hsm_credential_rewrap_finish(r, IMPRINT_SUITE_ECB, d.pub, context, &blob, &b.err),
            ERR_HSM);
        ck_assert_uint_eq(blob.len, 0);
        if (reused)
            ASSERT_OK(hsm_credential_rewrap_finish(second, IMPRINT_SUITE_ECB, d.pub, context, &blob,
                                                   &b.err),
                      b.err);
        deliver(&b);
    }
    buf_done(&blob);
    EVP_PKEY_free(d.key);
    bench_done(&b);
}
END_TEST

TOKEN_MAIN("credential",
           ON_ANY(each_credential_is_a_key_of_its_own_and_leaves_nothing_behind,
                  a_device_opens_what_was_rewrapped_for_it_and_finds_its_key,
                  another_device_or_another_context_cannot_open_it,
                  the_station_key_is_fresh_for_each_rewrap,
                  a_stored_blob_with_any_bit_changed_does_not_unwrap,
                  a_row_with_the_public_key_of_another_is_refused,
                  a_transport_key_that_is_no_point_of_the_curve_is_refused,
                  a_suite_that_the_token_does_not_have_is_refused,
                  a_full_output_buffer_fails_and_ends_the_rewrap,
                  the_module_is_recycled_while_credentials_are_made_and_delivered,
                  an_open_rewrap_puts_the_recycle_off,
                  a_session_lost_in_the_middle_ends_the_rewrap_and_the_next_one_works),
           ON_SOFTHSM(NULL))
