/* What the vault plans for a device: resume, burn, refuse. The table of vault/plan.h, row by row.
 */
#include "played_device.h"

static const struct rig_order plain_order = {.lock = false}, lock_order = {.lock = true};

/* OPEN, HELLO and whatever follows, on a channel of its own; the plan is what comes back. */
static int meet_once(struct rig *r, struct device *d, struct wire_plan *plan, struct error *said)
{
    struct line l;
    int rc;

    line_init(&l, r);
    rc = meet(&l, d);
    if (plan)
        *plan = l.plan;
    *said = l.said;
    ck_assert_int_eq(l.fatal, 0);
    line_done(&l);
    return rc;
}

#define ASSERT_MEET_REFUSED(r, d, code, part)                                                      \
    do {                                                                                           \
        struct error meet_said;                                                                    \
        int64_t meet_changes = rig_changes(r);                                                     \
        int meet_rc = meet_once(r, d, NULL, &meet_said);                                           \
        ck_assert_msg(meet_rc == (code), "%s instead of %s: %s", error_name(meet_rc),              \
                      error_name(code), meet_said.text);                                           \
        ck_assert_msg(strstr(meet_said.text, part) != NULL, "'%s' lacks '%s'", meet_said.text,     \
                      part);                                                                       \
        ck_assert_int_eq(rig_changes(r), meet_changes);                                            \
    } while (0)

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
    ck_assert_int_eq(rig_state(&r, 3), 1);
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
    ck_assert_int_eq(rig_state(&r, 3), 1);
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
    ck_assert_int_eq(rig_state(r, 3), 1);
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
    ck_assert_int_eq(rig_state(&r, 3), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- duplicates ---- */

START_TEST(a_copy_on_another_chip_is_refused)
{
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    deliver(&l, &d);
    d.chip[0] ^= 1;
    ASSERT_MEET_REFUSED(&r, &d, ERR_DUPLICATE, "PUMP-000001");
    d.tx_state = IMPRINT_TX_OPEN;
    ASSERT_MEET_REFUSED(&r, &d, ERR_DUPLICATE, "PUMP-000001");
    d.chip[0] ^= 1;
    d.tx_state = IMPRINT_TX_COMMITTED;
    pass(&l, &d);
    line_done(&l);
    d.chip[0] ^= 1;
    ASSERT_MEET_REFUSED(&r, &d, ERR_DUPLICATE, "a1a1a1a1a1a1a1a1");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_transport_key_of_another_chip_is_refused)
{
    struct rig r;
    struct device d;
    struct error said;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    d.chip[7] ^= 1;
    ASSERT_MEET_REFUSED(&r, &d, ERR_DUPLICATE, "PUMP-000001");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_known_chip_that_forgot_everything_is_refused)
{
    struct rig r;
    struct device d, erased;

    rig_start(&r, &lock_order, 2);
    device_init(&d, 0xa1);
    device_init(&erased, 0xa1);
    provision(&r, &d);
    ASSERT_MEET_REFUSED(&r, &erased, ERR_DUPLICATE, "provisioned before as 'PUMP-000001'");
    /* an old copy of the store: the transaction is still open in it */
    memcpy(erased.tx, d.tx, sizeof d.tx);
    erased.tx_state = IMPRINT_TX_OPEN;
    ASSERT_MEET_REFUSED(&r, &erased, ERR_DUPLICATE, "provisioned before");
    /* and the transport key of that time */
    erased.tx_state = IMPRINT_TX_NONE;
    memcpy(erased.dev_pub, d.dev_pub, sizeof d.dev_pub);
    ASSERT_MEET_REFUSED(&r, &erased, ERR_DUPLICATE, "provisioned before");
    device_done(&d);
    device_done(&erased);
    rig_end(&r);
}
END_TEST

START_TEST(a_transaction_of_another_station_is_refused_and_not_touched)
{
    struct rig r;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    memset(d.tx, 0x77, sizeof d.tx);
    for (uint8_t state = IMPRINT_TX_OPEN; state <= IMPRINT_TX_COMMITTED; state++) {
        d.tx_state = state;
        ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "did not make");
    }
    d.lifecycle = IMPRINT_LIFE_LOCKED;
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "did not make");
    d.tx_state = IMPRINT_TX_NONE;
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "somebody else");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_of_another_order_is_sent_to_its_job)
{
    const struct rig_order other = {.lock = false, .id = "TEST-2"};
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    deliver(&l, &d);
    line_done(&l);
    rig_use_order(&r, &other);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "another order, as 'PUMP-000001'");
    rig_generate(&r, 1); /* also once the other order has credentials of its own */
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "another order, as 'PUMP-000001'");
    rig_use_order(&r, &plain_order);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* An open claim of this chip under another order is not burned under this one. */
START_TEST(a_claim_of_another_order_is_not_burned)
{
    const struct rig_order other = {.lock = false, .id = "TEST-2"};
    struct rig r;
    struct device d;
    struct error said;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_new_transport(&d);
    rig_use_order(&r, &other);
    rig_generate(&r, 1);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "another order, as 'PUMP-000001'");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- nothing left ---- */

START_TEST(an_exhausted_inventory_claims_nothing)
{
    struct rig r;
    struct device d, e;

    rig_start(&r, &plain_order, 0);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    ASSERT_MEET_REFUSED(&r, &d, ERR_MISSING, "imprint generate");
    rig_generate(&r, 1);
    provision(&r, &d);
    ASSERT_MEET_REFUSED(&r, &e, ERR_EXHAUSTED, "imprint generate");
    rig_generate(&r, 1);
    provision(&r, &e);
    device_done(&d);
    device_done(&e);
    rig_end(&r);
}
END_TEST

RIG_MAIN("plan", EACH_ROW(a_device_that_comes_back_gets_the_same_bytes, resumed_as),
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
         ONCE(a_copy_on_another_chip_is_refused), ONCE(a_transport_key_of_another_chip_is_refused),
         ONCE(a_known_chip_that_forgot_everything_is_refused),
         ONCE(a_transaction_of_another_station_is_refused_and_not_touched),
         ONCE(a_device_of_another_order_is_sent_to_its_job),
         ONCE(a_claim_of_another_order_is_not_burned), ONCE(an_exhausted_inventory_claims_nothing))
