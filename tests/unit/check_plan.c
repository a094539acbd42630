/* What the vault plans for a device: resume, burn, refuse. The table of vault/plan.h, row by row.
 */
#include "played_device.h"

static const struct rig_order plain_order = {.lock = false}, lock_order = {.lock = true};

static void assert_same_plan(const struct wire_plan *a, const struct wire_plan *b)
{
    struct buf x, y;

    buf_init(&x, WIRE_MAX);
    buf_init(&y, WIRE_MAX);
    wire_put_plan(&x, a);
    wire_put_plan(&y, b);
    ck_assert_uint_eq(x.len, y.len);
    ck_assert_mem_eq(x.data, y.data, x.len);
    buf_done(&x);
    buf_done(&y);
}

/* The wrapped key of the plan that l has. */
static void take_blob(struct line *l, struct buf *blob)
{
    buf_init(blob, WIRE_OBJECT_MAX);
    ASSERT_ANSWER(l, line_object(l, 0, blob));
    ck_assert_uint_gt(blob->len, 0);
}

/* ---- resume ---- */

/* How the device finds back: by its open transaction, or by the transport key that it kept. */
static const uint8_t resumed_as[] = {IMPRINT_TX_OPEN, IMPRINT_TX_NONE};

START_TEST(a_device_that_comes_back_gets_the_same_bytes)
{
    struct rig r;
    struct line l;
    struct device d;
    struct buf first, again;
    struct wire_plan plan;

    rig_start(&r, &lock_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    plan = l.plan;
    take_blob(&l, &first);
    line_done(&l);
    rig_restart(&r);
    d.tx_state = resumed_as[_i];
    if (d.tx_state == IMPRINT_TX_OPEN)
        memcpy(d.tx, plan.tx, sizeof d.tx);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    assert_same_plan(&plan, &l.plan);
    take_blob(&l, &again);
    ck_assert_uint_eq(first.len, again.len);
    ck_assert_mem_eq(first.data, again.data, first.len);
    device_take(&d, &l);
    device_commit(&d, &l);
    pass(&l, &d);
    ck_assert_int_eq(rig_claims(&r), 1);
    buf_done(&first);
    buf_done(&again);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_that_shows_another_serial_than_its_own_is_refused)
{
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    deliver(&l, &d);
    line_done(&l);
    for (int proven = 0; proven < 2; proven++) {
        line_init(&l, &r);
        d.serial[strlen(d.serial) - 1] ^= 1;
        ck_assert_int_eq(meet(&l, &d), ERR_REFUSED);
        ck_assert_msg(strstr(l.said.text, "another serial") != NULL, "%s", l.said.text);
        d.serial[strlen(d.serial) - 1] ^= 1;
        line_done(&l);
        line_init(&l, &r);
        ASSERT_ANSWER(&l, meet(&l, &d));
        pass(&l, &d);
        line_done(&l);
    }
    ck_assert_int_eq(rig_records(&r), 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_that_committed_goes_on_to_its_proof)
{
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &lock_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    deliver(&l, &d);
    line_done(&l);
    rig_restart(&r);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_int_eq(l.plan.action, WIRE_PROVE);
    ck_assert_int_eq(l.plan.again, 0);
    ck_assert_mem_eq(l.plan.tx, d.tx, sizeof d.tx);
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* The power went between LOCK and the second proof: the device has no transport key any more. */
START_TEST(a_device_that_is_locked_and_not_proven_can_still_prove)
{
    struct rig r;
    struct line l;
    struct device d;
    uint8_t verdict = 0;

    rig_start(&r, &lock_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    deliver(&l, &d);
    ASSERT_ANSWER(&l, prove(&l, &d, &verdict));
    ck_assert_int_eq(verdict, WIRE_LOCK_FIRST);
    d.lifecycle = IMPRINT_LIFE_LOCKED;
    line_done(&l);
    rig_restart(&r);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_int_eq(l.plan.action, WIRE_PROVE);
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_proven_device_proves_again_and_consumes_nothing)
{
    struct rig r;
    struct line l;
    struct device d;
    int64_t changes;

    rig_start(&r, &lock_order, 2);
    device_init(&d, 0xa1);
    provision(&r, &d);
    rig_restart(&r);
    changes = rig_changes(&r);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_int_eq(l.plan.action, WIRE_PROVE);
    ck_assert_int_eq(l.plan.again, 1);
    ck_assert_str_eq(l.plan.serial, "PUMP-000001");
    pass(&l, &d);
    ck_assert_int_eq(rig_changes(&r), changes);
    ck_assert_int_eq(rig_attempts(&r), 2);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_proven_device_that_cannot_prove_again_is_not_passed)
{
    struct rig r;
    struct line l;
    struct device d;
    uint8_t verdict = 0;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    provision(&r, &d);
    EVP_PKEY_free(d.key);
    d.key = EVP_EC_gen("P-256");
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_REFUSED(&l, prove(&l, &d, &verdict), ERR_PROOF, "did not prove");
    line_done(&l);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM attempts WHERE code = 0"), 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- burning ---- */

START_TEST(a_device_that_lost_its_transport_key_burns_and_gets_the_next)
{
    struct rig r;
    struct line l;
    struct device d;
    struct record record;

    rig_start(&r, &lock_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    line_done(&l);
    device_new_transport(&d);
    line_init(&l, &r);
    deliver(&l, &d);
    ck_assert_str_eq(l.plan.serial, "PUMP-000002");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    rig_record(&r, 0, &record);
    ck_assert_int_eq(record.t, RECORD_VOID);
    ck_assert_int_eq(record.reason, RECORD_BURNED);
    ck_assert_str_eq(record.sn, "PUMP-000001");
    record_done(&record);
    pass(&l, &d);
    rig_record(&r, 1, &record);
    ck_assert_int_eq(record.t, RECORD_ADD);
    ck_assert_str_eq(record.sn, "PUMP-000002");
    record_done(&record);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_burned_transaction_is_answered_with_abort)
{
    struct rig r;
    struct line l;
    struct device d, old;
    struct error said;

    rig_start(&r, &plain_order, 3);
    device_init(&d, 0xa1);
    device_init(&old, 0xa1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &old));
    memcpy(old.tx, l.plan.tx, sizeof old.tx);
    line_done(&l);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0); /* same chip, another transport key */
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    for (uint8_t state = IMPRINT_TX_NONE; state <= IMPRINT_TX_OPEN; state++) {
        old.tx_state = state; /* by its transport key, then by its transaction */
        line_init(&l, &r);
        ASSERT_ANSWER(&l, meet(&l, &old));
        ck_assert_int_eq(l.plan.action, WIRE_ABORT);
        ck_assert_int_eq(l.session.state, SESSION_IDLE); /* it starts over with OPEN */
        ck_assert_int_eq(rig_claims(&r), 2);
        line_done(&l);
    }
    device_done(&d);
    device_done(&old);
    rig_end(&r);
}
END_TEST

/* A device that committed what is burned by now. */
static void commit_then_burn(struct rig *r, struct device *d)
{
    struct device other;
    struct line l;
    struct error said;

    device_init(d, 0xa1);
    device_init(&other, 0xa1);
    line_init(&l, r);
    deliver(&l, d);
    line_done(&l);
    ck_assert_int_eq(meet_once(r, &other, NULL, &said), 0);
    ck_assert_int_eq(rig_state(r, CREDENTIAL_BURNED), 1);
    device_done(&other);
}

START_TEST(a_burned_identity_that_was_committed_is_replaced)
{
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 3);
    commit_then_burn(&r, &d);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_int_eq(l.plan.action, WIRE_DELIVER);
    ck_assert_str_eq(l.plan.serial, "PUMP-000003");
    device_take(&d, &l);
    device_commit(&d, &l);
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* The link broke after HELLO: the device still reports the burned transaction, and keeps its key.
 */
START_TEST(a_burned_identity_is_replaced_also_after_an_interruption)
{
    struct rig r;
    struct line l;
    struct device d;
    struct wire_plan plan;
    struct error said;

    rig_start(&r, &plain_order, 3);
    commit_then_burn(&r, &d);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    assert_same_plan(&plan, &l.plan);
    device_take(&d, &l);
    device_commit(&d, &l);
    pass(&l, &d);
    ck_assert_int_eq(rig_claims(&r), 3);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_burned_identity_that_is_locked_is_refused)
{
    struct rig r;
    struct device d;

    rig_start(&r, &plain_order, 3);
    commit_then_burn(&r, &d);
    d.lifecycle = IMPRINT_LIFE_LOCKED;
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "locked");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(nothing_is_burned_when_there_is_no_credential_left)
{
    struct rig r;
    struct device d;
    struct error said;

    rig_start(&r, &plain_order, 1);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_new_transport(&d);
    ASSERT_MEET_REFUSED(&r, &d, ERR_EXHAUSTED, "imprint generate");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- sizes ---- */

START_TEST(the_largest_trust_anchors_that_a_job_takes_are_delivered)
{
    const struct rig_order order = {.anchors = true};
    struct rig r;
    struct device d;
    size_t room;

    rig_start(&r, &order, 1);
    room = JOB_ANCHORS_MAX - r.job.trust_anchors.len;
    memset(buf_grow(&r.job.trust_anchors, room), 0x30, room);
    ck_assert(!buf_failed(&r.job.trust_anchors));
    device_init(&d, 0xa1);
    provision(&r, &d);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- whose failures are counted ---- */

/* What somebody else takes over from the device that has a claim. */
static const struct {
    bool tx, dev_pub, chip;
} strangers[] = {{true, false, false}, {false, true, false}, {true, false, true}};

START_TEST(nobody_else_uses_a_devices_attempts_up)
{
    static uint8_t keys[2][65];
    const struct rig_order order = {.keys = keys, .key_count = 2};
    struct error err = ERROR_INIT, said;
    struct device d, e;
    struct wire_plan plan;
    struct line l;
    struct rig r;
    int rc;

    device_init(&d, 0xa1);
    device_init(&e, strangers[_i].chip ? 0xa1 : 0xe1);
    d.enrolment = EVP_EC_gen("P-256");
    e.enrolment = EVP_EC_gen("P-256");
    ASSERT_OK(ec_point(d.enrolment, keys[0], &err), err);
    ASSERT_OK(ec_point(e.enrolment, keys[1], &err), err);
    rig_start(&r, &order, 3);
    r.job.link.attempts = 1;
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    plan = l.plan;
    device_new_transport(&e);
    if (strangers[_i].tx) {
        memcpy(e.tx, plan.tx, sizeof e.tx);
        e.tx_state = IMPRINT_TX_OPEN;
    }
    if (strangers[_i].dev_pub)
        memcpy(e.dev_pub, d.dev_pub, sizeof e.dev_pub);
    for (int i = 0; i < 2; i++) {
        rc = meet_once(&r, &e, NULL, &said);
        ck_assert_msg(rc == ERR_DUPLICATE, "%s: %s", error_name(rc), said.text);
    }
    ck_assert_int_eq(rig_attempts(&r), 2); /* told, but not of the claim */
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM attempts WHERE length(tx) > 0"), 0);
    device_take(&d, &l);
    ASSERT_ANSWER(&l, line_result(&l, 18, "no answer"));
    line_done(&l);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "failed in this device 1 time: set it aside");
    device_done(&d);
    device_done(&e);
    rig_end(&r);
}
END_TEST

RIG_MAIN("plan", EACH_ROW(nobody_else_uses_a_devices_attempts_up, strangers),
         EACH_ROW(a_device_that_comes_back_gets_the_same_bytes, resumed_as),
         ONCE(a_device_that_shows_another_serial_than_its_own_is_refused),
         ONCE(a_device_that_committed_goes_on_to_its_proof),
         ONCE(a_device_that_is_locked_and_not_proven_can_still_prove),
         ONCE(a_proven_device_proves_again_and_consumes_nothing),
         ONCE(a_proven_device_that_cannot_prove_again_is_not_passed),
         ONCE(a_device_that_lost_its_transport_key_burns_and_gets_the_next),
         ONCE(a_burned_transaction_is_answered_with_abort),
         ONCE(a_burned_identity_that_was_committed_is_replaced),
         ONCE(a_burned_identity_is_replaced_also_after_an_interruption),
         ONCE(a_burned_identity_that_is_locked_is_refused),
         ONCE(nothing_is_burned_when_there_is_no_credential_left),
         ONCE(the_largest_trust_anchors_that_a_job_takes_are_delivered))
