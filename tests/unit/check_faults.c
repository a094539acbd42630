/* A token that fails: each call of each operation in turn, and what the station does then. */
#include "swept_work.h"

#include "hsm/worker.h"

/* ---- opening a token ---- */

static unsigned good_suites, good_limits;

static int open_body(struct rig *r, struct error *err)
{
    struct hsm_config config = {
        .module = r->config.module, .token = TEST_TOKEN, .arguments = r->config.module_arguments};
    struct secret *pin = softhsm_secret(TEST_PIN);
    struct hsm *h = NULL;
    int rc = hsm_open(&config, pin, &h, err);

    ck_assert(rc == 0 ? h != NULL : h == NULL);
    /* A token that refuses an operation of the probe cannot do it; it has no more than it has. */
    if (h)
        ck_assert_uint_eq(hsm_suites(h) & ~good_suites, 0);
    hsm_close(h);
    secret_free(pin);
    return rc;
}

static void open_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    int again = vault_open_hsm(&r->config, &r->hsm, &err);

    (void)rc;
    ck_assert_msg(again == 0, "%s: then %s", after, err.text);
    ck_assert_uint_eq(hsm_suites(r->hsm), good_suites);
    ck_assert_uint_eq(hsm_unenforced(r->hsm), good_limits);
    assert_no_session_objects(r, after);
    hsm_close(r->hsm);
    r->hsm = NULL;
}

START_TEST(a_token_that_fails_while_it_is_opened_opens_the_next_time)
{
    static const struct sweep sweep = {
        .name = "hsm_open", .body = open_body, .verify = open_verify, .stride = 20};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    good_suites = hsm_suites(r.hsm);
    good_limits = hsm_unenforced(r.hsm);
    ck_assert_uint_ne(good_suites, 0);
    hsm_close(r.hsm);
    r.hsm = NULL;
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    rig_drop(&r);
}
END_TEST

/* ---- a batch ---- */

/* An order of its own each time, so that its storage key is made, too. */
static void keyed_batch_prepare(struct rig *r)
{
    uint8_t *hash = r->v.history.row.hash;

    hash[0]++;
    if (hash[0] == 0)
        hash[1]++;
    batch_prepare(r);
}

static void keyed_batch_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;

    batch_verify(r, rc, after);
    ASSERT_OK(hsm_storage_destroy(r->hsm, r->v.history.row.hash, &err), err);
}

START_TEST(a_batch_that_fails_is_there_whole_or_not_at_all)
{
    static const struct sweep sweep = {"generate", keyed_batch_prepare, batch_body,
                                       keyed_batch_verify, 4};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    rig_end(&r);
}
END_TEST

/* ---- a device ---- */

START_TEST(a_device_whose_session_fails_is_provisioned_the_next_time)
{
    static const struct sweep sweep = {"a device", device_prepare, device_body, device_verify, 4};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

/* The same where the certificate is signed at the claim: every other time over a key made ahead. */
static void chip_prepare(struct rig *r)
{
    static unsigned runs;

    if (runs++ % 2)
        rig_generate(r, 1);
    device_prepare(r);
}

static void chip_verify(struct rig *r, int rc, const char *after)
{
    device_verify(r, rc, after);
    /* No certificate is without its device, and no key was used twice or lost. */
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials"), rig_claims(r));
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM spare_keys WHERE state = 0"),
                     r->v.counts.spares);
    ck_assert_int_eq(rig_int(r, "SELECT count(DISTINCT point) FROM credentials"), rig_claims(r));
}

START_TEST(a_certificate_of_the_claim_fails_and_comes_with_it)
{
    static const struct sweep sweep = {"a device and its certificate", chip_prepare, device_body,
                                       chip_verify, 4};
    const struct rig_order order = {.source = SOURCE_DEVICE, .serials = "{\"prefix\":\"\"}"};
    struct rig r;

    faulty_start(&r, &order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

/* ---- sealing ---- */

START_TEST(a_sealing_that_fails_is_finished_with_the_same_bytes)
{
    static const struct sweep sweep = {"sealing", seal_prepare, seal_body, seal_verify, 10};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

/* ---- the ceremony ---- */

static struct ceremony founding;

static void ceremony_prepare(struct rig *r)
{
    static char signers[PATH_MAX];

    rig_path(r->dir, CONFIG_ORDER_SIGNERS, signers);
    founding = (struct ceremony){.config = r->config, .order_signers = signers, .own_token = true};
    rig_path(r->dir, "founded", founding.config.dir);
}

static int ceremony_body(struct rig *r, struct error *err)
{
    int rc;

    (void)r;
    founding.pin = softhsm_secret(TEST_PIN);
    founding.so_pin = softhsm_secret(TEST_SO_PIN);
    rc = ceremony_run(&founding, err);
    secret_free(founding.pin);
    secret_free(founding.so_pin);
    return rc;
}

/* A station that is there has all of its keys; one that failed left nothing, and is made anew. */
static void ceremony_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    char making[PATH_MAX + 8], pin[PATH_MAX];
    struct hsm *h;

    snprintf(making, sizeof making, "%s.making", founding.config.dir);
    ck_assert_msg(!file_exists(making), "%s: '%s' is left", after, making);
    ck_assert_msg(file_exists(founding.config.dir) == (rc == 0), "%s", after);
    if (rc)
        ASSERT_OK(ceremony_body(r, &err), err);
    rig_path(founding.config.dir, "pin", pin);
    ASSERT_OK(file_write(pin, TEST_PIN "\n", strlen(TEST_PIN "\n"), 0600, &err), err);
    ck_assert_msg(vault_open_hsm(&founding.config, &h, &err) == 0, "%s: then %s", after, err.text);
    for (enum hsm_key key = 0; key < HSM_KEYS_OF_CEREMONY; key++)
        ASSERT_OK(hsm_key_check(h, key, &err), err);
    hsm_close(h);
    ASSERT_OK(file_remove_tree(founding.config.dir, &err), err);
}

START_TEST(a_ceremony_that_fails_leaves_nothing_and_succeeds_the_next_time)
{
    static const struct sweep sweep = {"ceremony", ceremony_prepare, ceremony_body, ceremony_verify,
                                       150};
    struct rig r;

    if (softhsm_is_nss()) /* the token is not the station's own there */
        return;
    faulty_start(&r, &plain_order, 0);
    rig_close(&r);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    rig_open(&r);
    rig_end(&r);
}
END_TEST

/* ---- the anchor ---- */

static struct hsm_anchor before, next;

static void anchor_prepare(struct rig *r)
{
    struct error err = ERROR_INIT;

    ASSERT_OK(hsm_anchor_read(r->hsm, &before, &err), err);
    next.sequence = before.sequence + 1;
    memset(next.head, (int)next.sequence, sizeof next.head);
}

static int anchor_body(struct rig *r, struct error *err)
{
    struct hsm_anchor got;
    int rc = hsm_anchor_write(r->hsm, &next, err);

    if (rc == 0)
        rc = hsm_anchor_read(r->hsm, &got, err);
    if (rc == 0)
        ck_assert(got.sequence == next.sequence);
    return rc;
}

static void anchor_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    struct hsm_anchor got;

    ASSERT_OK(hsm_anchor_read(r->hsm, &got, &err), err);
    ck_assert_msg(got.sequence == next.sequence || (rc && got.sequence == before.sequence),
                  "%s: the anchor is at %lu", after, (unsigned long)got.sequence);
    ASSERT_OK(anchor_body(r, &err), err);
    assert_no_session_objects(r, after);
}

START_TEST(an_anchor_that_fails_is_the_old_one_or_the_new_one)
{
    static const struct sweep sweep = {"anchor", anchor_prepare, anchor_body, anchor_verify, 4};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    rig_drop(&r);
}
END_TEST

static unsigned long write_calls(struct rig *r)
{
    struct error err = ERROR_INIT;

    no_fault();
    next.sequence++;
    ASSERT_OK(hsm_anchor_write(r->hsm, &next, &err), err);
    return proxy_state().calls;
}

START_TEST(both_keys_are_checked_once_for_each_time_the_token_is_opened)
{
    enum { LOOK_AND_WRITE = 2 };
    struct error err = ERROR_INIT;
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    anchor_prepare(&r);
    ck_assert_uint_eq(write_calls(&r), LOOK_AND_WRITE);
    ck_assert_uint_eq(write_calls(&r), LOOK_AND_WRITE);
    ASSERT_OK(hsm_recycle(r.hsm, &err), err);
    ck_assert_uint_gt(write_calls(&r), 2 * LOOK_AND_WRITE);
    ck_assert_uint_eq(write_calls(&r), LOOK_AND_WRITE);
    rig_drop(&r);
}
END_TEST

/* While a worker is open nothing is opened anew that would make the station look again. */
START_TEST(an_anchor_whose_answer_was_lost_does_not_go_back)
{
    struct error err = ERROR_INIT;
    struct hsm *worker;
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    anchor_prepare(&r);
    ASSERT_OK(hsm_worker_open(r.hsm, &worker, &err), err);
    next.sequence++;
    proxy_set(&(struct p11proxy_fault){
        .function = "C_SetAttributeValue", .at = 1, .rv = CKR_GENERAL_ERROR, .how = P11PROXY_DONE});
    ASSERT_FAILS(hsm_anchor_write(r.hsm, &next, &err), ERR_HSM);
    no_fault();
    next.sequence--;
    ASSERT_FAILS(hsm_anchor_write(r.hsm, &next, &err), ERR_ROLLBACK);
    hsm_worker_close(worker);
    rig_drop(&r);
}
END_TEST

RIG_MAIN("faults", EACH_ROW(a_token_that_fails_while_it_is_opened_opens_the_next_time, fault_kinds),
         EACH_ROW(a_batch_that_fails_is_there_whole_or_not_at_all, fault_kinds),
         EACH_ROW(a_device_whose_session_fails_is_provisioned_the_next_time, fault_kinds),
         EACH_ROW(a_certificate_of_the_claim_fails_and_comes_with_it, fault_kinds),
         EACH_ROW(a_sealing_that_fails_is_finished_with_the_same_bytes, fault_kinds),
         EACH_ROW(a_ceremony_that_fails_leaves_nothing_and_succeeds_the_next_time, fault_kinds),
         EACH_ROW(an_anchor_that_fails_is_the_old_one_or_the_new_one, fault_kinds),
         ONCE(both_keys_are_checked_once_for_each_time_the_token_is_opened),
         ONCE(an_anchor_whose_answer_was_lost_does_not_go_back))
