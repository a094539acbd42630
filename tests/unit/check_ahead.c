/* Rewraps that are begun before a device asks for them, on a real token. */
#include "credential_bench.h"

#include "hsm/ahead.h"

#include <time.h>

static const uint8_t context[HSM_CONTEXT_SIZE] = "a context of thirty-two bytes..";

/* A bench, and how many session objects one open rewrap is. */
struct ahead_bench {
    struct bench b;
    struct public_key key;
    CK_FUNCTION_LIST_PTR p11;
    CK_SESSION_HANDLE session; /* of the test */
    CK_ULONG each;
};

static CK_ULONG objects(const struct ahead_bench *t)
{
    return softhsm_session_objects(t->p11, t->session);
}

static void start(struct ahead_bench *t)
{
    uint8_t station_pub[EC_POINT_SIZE];
    struct hsm_rewrap *r;

    bench_init(&t->b);
    t->key = key_p256(t->b.point);
    t->p11 = softhsm_raw();
    t->session = softhsm_session(t->p11);
    ASSERT_OK(begin(&t->b, &r, station_pub), t->b.err);
    t->each = objects(t);
    hsm_credential_rewrap_abort(r);
    ck_assert_uint_gt(t->each, 0);
    ck_assert_uint_eq(objects(t), 0);
}

static void put(struct ahead_bench *t)
{
    hsm_ahead_put(t->b.h, t->b.storage, t->b.wrapped.data, t->b.wrapped.len, &t->key);
}

static void wait_for(const struct ahead_bench *t, CK_ULONG count)
{
    for (int i = 0; i < 3000 && objects(t) != count; i++)
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
    ck_assert_uint_eq(objects(t), count);
}

static void deliver(struct ahead_bench *t, struct hsm_rewrap *r,
                    const uint8_t station_pub[EC_POINT_SIZE])
{
    uint8_t kek[IMPRINT_KEK_SIZE], payload[BLOB_MAX];
    struct device d;
    struct buf blob;

    device_init(&d);
    buf_init(&blob, BLOB_MAX);
    ASSERT_OK(hsm_credential_rewrap_finish(r, IMPRINT_SUITE_ECB, d.pub, context, &blob, &t->b.err),
              t->b.err);
    device_kek(&d, IMPRINT_SUITE_ECB, station_pub, context, kek);
    ck_assert_int_gt(device_unwrap(kek, &blob, payload), 0);
    buf_done(&blob);
    EVP_PKEY_free(d.key);
}

START_TEST(what_was_begun_ahead_is_handed_out_once_and_a_device_opens_it)
{
    uint8_t first[EC_POINT_SIZE], second[EC_POINT_SIZE];
    struct hsm_rewrap *r, *again;
    struct ahead_bench t;

    start(&t);
    put(&t);
    wait_for(&t, t.each);
    ASSERT_OK(begin(&t.b, &r, first), t.b.err);
    ck_assert_uint_eq(objects(&t), t.each); /* nothing was begun for it */
    ASSERT_OK(begin(&t.b, &again, second), t.b.err);
    ck_assert_uint_eq(objects(&t), 2 * t.each);
    ck_assert_mem_ne(first, second, sizeof first);
    deliver(&t, r, first);
    deliver(&t, again, second);
    ck_assert_uint_eq(objects(&t), 0);
    bench_done(&t.b);
}
END_TEST

START_TEST(another_key_than_that_begun_ahead_has_a_rewrap_of_its_own)
{
    uint8_t other[EC_POINT_SIZE], station_pub[EC_POINT_SIZE];
    struct hsm_rewrap *r;
    struct ahead_bench t;
    struct buf wrapped;

    start(&t);
    buf_init(&wrapped, BLOB_MAX);
    ASSERT_OK(make_p256(t.b.h, t.b.storage, other, &wrapped, &t.b.err), t.b.err);
    put(&t);
    wait_for(&t, t.each);
    ASSERT_OK(rewrap_begin_p256(t.b.h, t.b.storage, wrapped.data, wrapped.len, other, &r,
                                station_pub, &t.b.err),
              t.b.err);
    ck_assert_uint_eq(objects(&t), 2 * t.each);
    hsm_credential_rewrap_abort(r);
    /* Nor has the row of one key with the blob of the other. */
    ASSERT_FAILS(rewrap_begin_p256(t.b.h, t.b.storage, t.b.wrapped.data, t.b.wrapped.len, other, &r,
                                   station_pub, &t.b.err),
                 ERR_INTEGRITY);
    buf_done(&wrapped);
    bench_done(&t.b);
}
END_TEST

START_TEST(no_more_is_begun_ahead_than_there_is_room_for_and_all_of_it_ends)
{
    struct ahead_bench t;
    int wanted = 0;

    start(&t);
    for (int i = 0; i < 2 * HSM_AHEAD_MAX; i++) {
        wanted += hsm_ahead_wants(t.b.h);
        put(&t);
    }
    ck_assert_int_eq(wanted, HSM_AHEAD_MAX);
    hsm_ahead_end(t.b.h);
    ck_assert_uint_eq(objects(&t), 0);
    ck_assert(hsm_ahead_wants(t.b.h));
    put(&t);
    wait_for(&t, t.each);
    bench_done(&t.b);
}
END_TEST

START_TEST(what_is_begun_ahead_ends_before_the_module_is_recycled)
{
    uint8_t station_pub[EC_POINT_SIZE], out[8];
    struct hsm_rewrap *r;
    struct ahead_bench t;

    start(&t);
    put(&t);
    wait_for(&t, t.each);
    hsm_set_leak_limit(t.b.h, 0);
    ASSERT_OK(hsm_random(t.b.h, out, sizeof out, &t.b.err), t.b.err);
    ck_assert_uint_eq(hsm_recycle_count(t.b.h), 1);
    hsm_set_leak_limit(t.b.h, HSM_LEAK_LIMIT);
    t.session = softhsm_session(t.p11);
    ck_assert_uint_eq(objects(&t), 0);
    put(&t);
    wait_for(&t, t.each);
    ASSERT_OK(begin(&t.b, &r, station_pub), t.b.err);
    ASSERT_FAILS(hsm_recycle(t.b.h, &t.b.err), ERR_BUSY); /* handed out, it is as any other */
    deliver(&t, r, station_pub);
    ASSERT_OK(hsm_recycle(t.b.h, &t.b.err), t.b.err);
    bench_done(&t.b);
}
END_TEST

START_TEST(a_row_that_was_changed_is_told_to_whoever_begins_it_and_nothing_is_begun_ahead_any_more)
{
    uint8_t station_pub[EC_POINT_SIZE];
    struct hsm_rewrap *r;
    struct ahead_bench t;

    start(&t);
    t.b.wrapped.data[12] ^= 1;
    put(&t);
    for (int i = 0; i < 3000 && hsm_ahead_wants(t.b.h); i++)
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
    ck_assert(!hsm_ahead_wants(t.b.h));
    ASSERT_FAILS(begin(&t.b, &r, station_pub), ERR_INTEGRITY);
    t.b.wrapped.data[12] ^= 1;
    put(&t);
    ASSERT_OK(begin(&t.b, &r, station_pub), t.b.err);
    deliver(&t, r, station_pub);
    bench_done(&t.b);
}
END_TEST

START_TEST(a_session_that_is_lost_takes_what_was_begun_ahead_along)
{
    uint8_t station_pub[EC_POINT_SIZE], mac[HSM_MAC_SIZE];
    struct hsm_rewrap *r;
    struct ahead_bench t;

    start(&t);
    ASSERT_OK(hsm_key_create(t.b.h, HSM_KEY_LEDGER_HMAC, &t.b.err), t.b.err);
    for (int i = 0; i < 3; i++)
        put(&t);
    wait_for(&t, 3 * t.each);
    ck_assert_uint_eq(t.p11->C_CloseAllSessions(softhsm_slot(t.p11, TEST_TOKEN)), CKR_OK);
    ASSERT_OK(hsm_hmac(t.b.h, "row", 3, mac, &t.b.err), t.b.err);
    ck_assert_uint_eq(hsm_recycle_count(t.b.h), 1);
    ASSERT_OK(begin(&t.b, &r, station_pub), t.b.err);
    deliver(&t, r, station_pub);
    bench_done(&t.b);
}
END_TEST

TOKEN_MAIN(
    "ahead",
    ON_ANY(what_was_begun_ahead_is_handed_out_once_and_a_device_opens_it,
           another_key_than_that_begun_ahead_has_a_rewrap_of_its_own,
           no_more_is_begun_ahead_than_there_is_room_for_and_all_of_it_ends,
           what_is_begun_ahead_ends_before_the_module_is_recycled,
           a_row_that_was_changed_is_told_to_whoever_begins_it_and_nothing_is_begun_ahead_any_more,
           a_session_that_is_lost_takes_what_was_begun_ahead_along),
    ON_SOFTHSM(NULL))
