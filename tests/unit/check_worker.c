/* Several threads on one token: sessions of their own, and what a recycle or a lost session means. */
#include "credential_bench.h"
#include "p256_util.h"

#include "hsm/worker.h"

#include <pthread.h>
#include <stdlib.h>

static const char *worker_storage;

/* NULL, or the error. */
static void *make_in_thread(void *w)
{
    struct error *err = calloc(1, sizeof *err);
    uint8_t point[EC_POINT_SIZE];
    struct buf wrapped;
    int rc = 0;

    buf_init(&wrapped, BLOB_MAX);
    for (int i = 0; rc == 0 && i < 20; i++) {
        buf_reset(&wrapped);
        rc = make_p256(w, worker_storage, point, &wrapped, err);
    }
    buf_done(&wrapped);
    if (rc == 0) {
        free(err);
        err = NULL;
    }
    return err;
}

START_TEST(workers_make_credentials_at_the_same_time_as_their_main)
{
    struct bench b;
    struct hsm *workers[3];
    pthread_t threads[3];
    void *failed;
    uint8_t out[8];

    bench_init(&b);
    worker_storage = b.storage;
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(hsm_worker_open(b.h, &workers[i], &b.err), b.err);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, make_in_thread, workers[i]), 0);
    }
    for (int i = 0; i < 100; i++)
        ASSERT_OK(hsm_random(b.h, out, sizeof out, &b.err), b.err);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_msg(!failed, "%s", failed ? ((struct error *)failed)->text : "");
        hsm_worker_close(workers[i]);
    }
    bench_done(&b);
}
END_TEST

START_TEST(an_open_worker_puts_the_recycle_off_and_its_leak_counts)
{
    struct bench b;
    struct hsm *w;
    struct buf wrapped;
    uint8_t point[EC_POINT_SIZE], out[8];
    size_t budget;

    bench_init(&b);
    buf_init(&wrapped, BLOB_MAX);
    ASSERT_OK(hsm_worker_open(b.h, &w, &b.err), b.err);
    ASSERT_FAILS(hsm_recycle(b.h, &b.err), ERR_BUSY);
    budget = hsm_worker_budget(b.h);
    ASSERT_OK(make_p256(w, b.storage, point, &wrapped, &b.err), b.err);
    hsm_worker_close(w);
    ck_assert_uint_eq(hsm_worker_budget(b.h), budget - 1);
    ASSERT_OK(hsm_worker_open(b.h, &w, &b.err), b.err);
    hsm_set_leak_limit(b.h, 0);
    ck_assert_uint_eq(hsm_worker_budget(b.h), 0);
    ASSERT_OK(hsm_random(b.h, out, sizeof out, &b.err), b.err);
    ck_assert_uint_eq(hsm_recycle_count(b.h), 0);
    hsm_worker_close(w);
    ASSERT_OK(hsm_random(b.h, out, sizeof out, &b.err), b.err);
    ck_assert_uint_eq(hsm_recycle_count(b.h), 1);
    buf_done(&wrapped);
    bench_done(&b);
}
END_TEST

START_TEST(a_worker_does_not_survive_its_session_and_its_main_does)
{
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    struct bench b;
    struct hsm *w;
    uint8_t out[8];

    bench_init(&b);
    ASSERT_OK(hsm_worker_open(b.h, &w, &b.err), b.err);
    ck_assert_uint_eq(p11->C_CloseAllSessions(softhsm_slot(p11, TEST_TOKEN)), CKR_OK);
    ASSERT_FAILS(hsm_random(w, out, sizeof out, &b.err), ERR_HSM);
    ASSERT_FAILS(hsm_random(w, out, sizeof out, &b.err), ERR_HSM);
    ck_assert_ptr_nonnull(strstr(b.err.text, "failed in this thread before"));
    ASSERT_FAILS(hsm_random(b.h, out, sizeof out, &b.err), ERR_HSM); /* other threads use it */
    ck_assert(hsm_is_lost(b.h));
    hsm_worker_close(w);
    ASSERT_OK(hsm_random(b.h, out, sizeof out, &b.err), b.err);
    ck_assert(!hsm_is_lost(b.h));
    bench_done(&b);
}
END_TEST

SOFTHSM_MAIN("worker", workers_make_credentials_at_the_same_time_as_their_main,
             an_open_worker_puts_the_recycle_off_and_its_leak_counts,
             a_worker_does_not_survive_its_session_and_its_main_does)
