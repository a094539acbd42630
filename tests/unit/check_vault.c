/* One device on one channel: the whole way, and every message out of order. */
#include "played_device.h"

static const struct rig_order plain_order = {.lock = false}, lock_order = {.lock = true};

/* ---- the way ---- */

START_TEST(a_device_is_proven_locked_and_whitelisted)
{
    struct rig r;
    struct line l;
    struct device d;
    struct record record;
    uint8_t verdict = 0;

    rig_start(&r, &lock_order, 2);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    deliver(&l, &d);
    ck_assert_str_eq(l.plan.serial, "PUMP-000001");
    ck_assert_uint_eq(l.plan.object_count, 2);
    ASSERT_ANSWER(&l, prove(&l, &d, &verdict));
    ck_assert_int_eq(verdict, WIRE_LOCK_FIRST);
    ck_assert_int_eq(rig_records(&r), 0);
    d.lifecycle = IMPRINT_LIFE_LOCKED;
    ASSERT_ANSWER(&l, prove(&l, &d, &verdict));
    ck_assert_int_eq(verdict, WIRE_PASS);
    ck_assert_int_eq(rig_records(&r), 1);
    rig_record(&r, 0, &record);
    ck_assert_int_eq(record.t, RECORD_ADD);
    ck_assert_str_eq(record.sn, "PUMP-000001");
    ck_assert_str_eq(record.prod, RIG_PRODUCT);
    ck_assert_mem_eq(record.chip, d.chip, sizeof d.chip);
    ck_assert_mem_eq(record.tx, d.tx, sizeof d.tx);
    ck_assert_int_eq(record.auth, RECORD_AUTH_NONE);
    ck_assert(record.lock && !record.plain);
    ck_assert_str_eq(record.fw.version, "1.4.2");
    record_done(&record);
    ASSERT_ANSWER(&l, line_result(&l, 0, ""));
    ck_assert_int_eq(rig_attempts(&r), 1);
    ck_assert_int_eq(rig_int(&r, "SELECT code FROM attempts"), 0);
    ck_assert_int_eq(l.session.state, SESSION_IDLE);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(without_a_lock_in_the_order_one_proof_is_enough)
{
    struct rig r;
    struct device d;
    struct record record;

    rig_start(&r, &plain_order, 1);
    device_init(&d, 0xa1);
    provision(&r, &d);
    ck_assert_int_eq(d.lifecycle, IMPRINT_LIFE_FACTORY);
    rig_record(&r, 0, &record);
    ck_assert(!record.lock);
    record_done(&record);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(trust_anchors_are_delivered_as_the_order_names_them)
{
    const struct rig_order order = {.anchors = true};
    struct rig r;
    struct line l;
    struct device d;
    struct buf got;

    rig_start(&r, &order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    deliver(&l, &d);
    ck_assert_uint_eq(l.plan.object_count, 3);
    buf_init(&got, WIRE_OBJECT_MAX);
    ASSERT_ANSWER(&l, line_object(&l, 2, &got));
    ck_assert_uint_eq(got.len, r.job.trust_anchors.len);
    ck_assert_mem_eq(got.data, r.job.trust_anchors.data, got.len);
    pass(&l, &d);
    buf_done(&got);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(devices_take_credentials_in_order_on_channels_at_the_same_time)
{
    enum { COUNT = 5 };
    struct rig r;
    struct line l[COUNT];
    struct device d[COUNT];

    rig_start(&r, &lock_order, COUNT);
    for (uint8_t i = 0; i < COUNT; i++) {
        line_init(&l[i], &r);
        device_init(&d[i], i);
        ASSERT_ANSWER(&l[i], meet(&l[i], &d[i]));
    }
    for (uint8_t i = 0; i < COUNT; i++) {
        device_take(&d[i], &l[i]);
        device_commit(&d[i], &l[i]);
        ck_assert_int_eq(d[i].serial[10], '1' + i);
    }
    for (uint8_t i = COUNT; i > 0; i--) {
        pass(&l[i - 1], &d[i - 1]);
        line_done(&l[i - 1]);
        device_done(&d[i - 1]);
    }
    ck_assert_int_eq(rig_records(&r), COUNT);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_AVAILABLE), 0);
    rig_end(&r);
}
END_TEST

/* ---- order of messages ---- */

/* Brings a channel to a state; ENDING is after a proof that failed. */
static void reach(struct line *l, struct device *d, enum session_state state)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE], verdict;
    struct wire_proof p;

    if (state == SESSION_IDLE)
        return;
    if (state == SESSION_OPENED) {
        ASSERT_ANSWER(l, line_open(l));
        return;
    }
    deliver(l, d);
    if (state == SESSION_PLANNED)
        return;
    ASSERT_ANSWER(l, line_nonce(l, nonce));
    if (state == SESSION_NONCED)
        return;
    p = device_prove(d, nonce);
    p.sig[0] ^= 1;
    ASSERT_REFUSED(l, line_proof(l, &p, &verdict), ERR_PROOF, "did not prove");
}

static int send_kind(struct line *l, struct device *d, enum wire_op op)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE] = {0}, verdict;
    struct wire_hello h;
    struct wire_proof p;
    struct buf object;
    int rc;

    switch (op) {
    case WIRE_OPEN:
        return line_open(l);
    case WIRE_HELLO:
        h = device_hello(d, l->nonce);
        return line_hello(l, &h);
    case WIRE_OBJECT:
        buf_init(&object, WIRE_OBJECT_MAX);
        rc = line_object(l, 0, &object);
        buf_done(&object);
        return rc;
    case WIRE_NONCE:
        return line_nonce(l, nonce);
    case WIRE_PROOF:
        if (d->key)
            p = device_prove(d, nonce);
        else
            memset(&p, 0, sizeof p);
        return line_proof(l, &p, &verdict);
    default:
        return line_result(l, 0, "");
    }
}

/* What fits each state. A message that is not in its row must change nothing. */
static const struct {
    enum session_state state;
    unsigned allowed; /* bits of enum wire_op */
} fits[] = {
    {SESSION_IDLE, 1 << WIRE_OPEN},
    {SESSION_OPENED, 1 << WIRE_HELLO | 1 << WIRE_RESULT},
    {SESSION_PLANNED, 1 << WIRE_OBJECT | 1 << WIRE_NONCE | 1 << WIRE_RESULT},
    {SESSION_NONCED, 1 << WIRE_NONCE | 1 << WIRE_PROOF | 1 << WIRE_RESULT},
    {SESSION_ENDING, 1 << WIRE_RESULT},
};

START_TEST(a_message_that_does_not_fit_the_state_changes_nothing)
{
    enum session_state state = fits[_i].state;
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    reach(&l, &d, state);
    for (enum wire_op op = WIRE_OPEN; op <= WIRE_RESULT; op++) {
        int64_t changes = rig_changes(&r), attempts = rig_attempts(&r);

        if (fits[_i].allowed >> op & 1)
            continue;
        ASSERT_REFUSED(&l, send_kind(&l, &d, op), ERR_PROTOCOL, "out of order");
        ck_assert_int_eq(l.session.state, state);
        ck_assert_int_eq(rig_changes(&r), changes);
        ck_assert_int_eq(rig_attempts(&r), attempts);
    }
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_message_that_fits_the_state_is_answered)
{
    struct rig r;
    struct device d;

    for (enum wire_op op = WIRE_OPEN; op <= WIRE_RESULT; op++) {
        struct line l;
        int rc;

        if (!(fits[_i].allowed >> op & 1))
            continue;
        rig_start(&r, &plain_order, 1);
        line_init(&l, &r);
        device_init(&d, 0xa1);
        reach(&l, &d, fits[_i].state);
        rc = send_kind(&l, &d, op);
        ck_assert_msg(rc == 0 || (op == WIRE_PROOF && rc == ERR_PROOF), "message %d: %s", op,
                      l.said.text);
        line_done(&l);
        device_done(&d);
        rig_end(&r);
    }
}
END_TEST

/* After a pass only RESULT is left: nothing more is handed out or recorded. */
START_TEST(after_a_pass_nothing_but_the_result_is_taken)
{
    struct rig r;
    struct line l;
    struct device d;
    int64_t changes;

    rig_start(&r, &plain_order, 2);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    deliver(&l, &d);
    pass(&l, &d);
    changes = rig_changes(&r);
    for (enum wire_op op = WIRE_OPEN; op < WIRE_RESULT; op++)
        ASSERT_REFUSED(&l, send_kind(&l, &d, op), ERR_PROTOCOL, "out of order");
    ck_assert_int_eq(rig_changes(&r), changes);
    ASSERT_ANSWER(&l, line_result(&l, 0, ""));
    ASSERT_REFUSED(&l, line_result(&l, 0, ""), ERR_PROTOCOL, "out of order");
    ck_assert_int_eq(rig_attempts(&r), 1);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_handle_of_another_channel_is_refused_in_every_state)
{
    struct rig r;
    struct line l, other;
    struct device d;

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    line_init(&other, &r);
    device_init(&d, 0xa1);
    ASSERT_ANSWER(&other, line_open(&other));
    reach(&l, &d, fits[_i].state);
    ck_assert_mem_ne(l.handle, other.handle, sizeof l.handle);
    for (enum wire_op op = WIRE_HELLO; op <= WIRE_RESULT; op++) {
        uint8_t mine[WIRE_HANDLE_SIZE];
        int64_t changes = rig_changes(&r);

        if (!(fits[_i].allowed >> op & 1))
            continue;
        memcpy(mine, l.handle, sizeof mine);
        memcpy(l.handle, other.handle, sizeof mine);
        ASSERT_REFUSED(&l, send_kind(&l, &d, op), ERR_PROTOCOL, "handle");
        memset(l.handle, 0, sizeof mine);
        ASSERT_REFUSED(&l, send_kind(&l, &d, op), ERR_PROTOCOL, "handle");
        memcpy(l.handle, mine, sizeof mine);
        ck_assert_int_eq(l.session.state, fits[_i].state);
        ck_assert_int_eq(rig_changes(&r), changes);
    }
    line_done(&l);
    line_done(&other);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_handle_is_dead_once_its_session_ended)
{
    struct rig r;
    struct line l;
    struct device d;
    struct buf object;
    uint8_t old[WIRE_HANDLE_SIZE];

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    buf_init(&object, WIRE_OBJECT_MAX);
    deliver(&l, &d);
    memcpy(old, l.handle, sizeof old);
    ASSERT_ANSWER(&l, line_result(&l, 18, "no answer"));
    ASSERT_REFUSED(&l, line_object(&l, 0, &object), ERR_PROTOCOL, "out of order");
    ASSERT_ANSWER(&l, meet(&l, &d));
    memcpy(l.handle, old, sizeof old);
    ASSERT_REFUSED(&l, line_object(&l, 0, &object), ERR_PROTOCOL, "handle");
    buf_done(&object);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* Requests that are no message at all. */
START_TEST(bytes_that_are_no_message_are_refused_in_every_state)
{
    struct rig r;
    struct line l;
    struct device d;
    struct reader reader;
    int64_t changes;

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    reach(&l, &d, fits[_i].state);
    changes = rig_changes(&r);
    ASSERT_REFUSED(&l, line_ask(&l, &reader), ERR_PROTOCOL, "out of order");
    for (int op = 0; op < 256; op++) {
        if (op != WIRE_COUNTS && op != WIRE_SCANS) { /* whole like this, and always allowed */
            buf_put_u8(&l.request, (uint8_t)op);     /* cut behind the operation */
            ASSERT_REFUSED(&l, line_ask(&l, &reader), ERR_PROTOCOL, "out of order");
        }
        buf_put_u8(&l.request, (uint8_t)op);
        memset(buf_grow(&l.request, WIRE_MAX - 1), 0, WIRE_MAX - 1);
        ASSERT_REFUSED(&l, line_ask(&l, &reader), ERR_PROTOCOL, "out of order");
        ck_assert_int_eq(l.session.state, fits[_i].state);
    }
    ck_assert_int_eq(rig_changes(&r), changes);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_second_hello_is_refused_and_the_plan_stands)
{
    struct rig r;
    struct line l;
    struct device d, other;
    struct wire_hello h;

    rig_start(&r, &plain_order, 2);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    device_init(&other, 0xb2);
    ASSERT_ANSWER(&l, meet(&l, &d));
    h = device_hello(&other, l.nonce);
    ASSERT_REFUSED(&l, line_hello(&l, &h), ERR_PROTOCOL, "out of order");
    ck_assert_int_eq(rig_claims(&r), 1);
    device_take(&d, &l);
    device_commit(&d, &l);
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

START_TEST(an_object_before_the_plan_or_beyond_the_bundle_is_refused)
{
    struct rig r;
    struct line l;
    struct device d;
    struct buf object;

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    buf_init(&object, WIRE_OBJECT_MAX);
    ASSERT_ANSWER(&l, line_open(&l));
    ASSERT_REFUSED(&l, line_object(&l, 0, &object), ERR_PROTOCOL, "out of order");
    line_done(&l);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    for (unsigned i = l.plan.object_count; i < 256; i++)
        ASSERT_REFUSED(&l, line_object(&l, (uint8_t)i, &object), ERR_PROTOCOL, "no object");
    device_take(&d, &l);
    buf_done(&object);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- what the line says of the end ---- */

START_TEST(a_result_that_claims_success_proves_nothing)
{
    enum session_state state = fits[_i].state;
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    if (state == SESSION_IDLE)
        ASSERT_REFUSED(&l, line_result(&l, 0, "fine"), ERR_PROTOCOL, "out of order");
    reach(&l, &d, state);
    if (state != SESSION_IDLE) {
        ASSERT_ANSWER(&l, line_result(&l, 0, "fine"));
        ck_assert_int_eq(rig_attempts(&r), 1);
        ck_assert_int_ne(rig_int(&r, "SELECT code FROM attempts"), 0);
    }
    ck_assert_int_eq(rig_records(&r), 0);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_PROVEN), 0);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_result_of_failure_after_a_pass_changes_nothing)
{
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    deliver(&l, &d);
    pass(&l, &d);
    ASSERT_ANSWER(&l, line_result(&l, 23, "it failed"));
    ck_assert_int_eq(rig_attempts(&r), 1);
    ck_assert_int_eq(rig_int(&r, "SELECT code FROM attempts"), 0);
    ck_assert_int_eq(rig_records(&r), 1);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_channel_that_closes_early_leaves_a_failed_attempt)
{
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 1);
    line_init(&l, &r);
    device_init(&d, 0xa1);
    reach(&l, &d, fits[_i].state);
    line_done(&l);
    /* A slot in which no device said HELLO is no attempt. */
    ck_assert_int_eq(rig_attempts(&r), fits[_i].state > SESSION_OPENED);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM attempts WHERE code = 0"), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

RIG_MAIN("vault", ONCE(a_device_is_proven_locked_and_whitelisted),
         ONCE(without_a_lock_in_the_order_one_proof_is_enough),
         ONCE(trust_anchors_are_delivered_as_the_order_names_them),
         ONCE(devices_take_credentials_in_order_on_channels_at_the_same_time),
         EACH_ROW(a_message_that_does_not_fit_the_state_changes_nothing, fits),
         EACH_ROW(a_message_that_fits_the_state_is_answered, fits),
         ONCE(after_a_pass_nothing_but_the_result_is_taken),
         EACH_ROW(a_handle_of_another_channel_is_refused_in_every_state, fits),
         ONCE(a_handle_is_dead_once_its_session_ended),
         EACH_ROW(bytes_that_are_no_message_are_refused_in_every_state, fits),
         ONCE(a_second_hello_is_refused_and_the_plan_stands),
         ONCE(an_object_before_the_plan_or_beyond_the_bundle_is_refused),
         EACH_ROW(a_result_that_claims_success_proves_nothing, fits),
         ONCE(a_result_of_failure_after_a_pass_changes_nothing),
         EACH_ROW(a_channel_that_closes_early_leaves_a_failed_attempt, fits))
