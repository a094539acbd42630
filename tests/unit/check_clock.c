/* A clock that cannot be right: nothing is released while it is in doubt, and the doubt lasts. */
#include "played_device.h"

#include "base/clock.h"
#include "station/vault/clock_stop.h"

#include <time.h>

static const struct rig_order plain_order = {.lock = false};
static time_t offset;

/* Takes the place of the system's: a clock that is off by so many seconds. */
time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec + offset;
    return now.tv_sec + offset;
}

static int64_t stops(struct rig *r)
{
    return rig_int(r, "SELECT count(*) FROM ledger"
                      " WHERE json_extract(body, '$.event') = 'clock_stopped'");
}

/* What a supervisor's ticket will have written. */
static void confirm(struct rig *r)
{
    struct error err = ERROR_INIT;
    struct buf data;

    buf_init(&data, 10);
    buf_put_str(&data, "{}");
    ASSERT_OK(store_begin(r->store, &err), err);
    ASSERT_OK(ledger_append(r->store, "clock_confirmed", &data, &err), err);
    ASSERT_OK(store_commit(r->store, &err), err);
    buf_done(&data);
}

static const struct {
    time_t offset;
    int code;
} clocks[] = {{0, 0},
              {-CLOCK_TOLERANCE + 10, 0},
              {-CLOCK_TOLERANCE - 10, ERR_CLOCK},
              {-86400, ERR_CLOCK},
              {-1700000000, ERR_CLOCK},
              {86400, 0}};

START_TEST(a_clock_may_be_behind_the_ledger_by_so_much)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, 1);
    offset = clocks[_i].offset;
    ck_assert_int_eq(clock_stop_check(r.store, &err), clocks[_i].code);
    ck_assert_int_eq(stops(&r), clocks[_i].code ? 1 : 0);
    offset = 0;
    ck_assert_int_eq(clock_stop_check(r.store, &err), clocks[_i].code);
    ck_assert_int_eq(stops(&r), clocks[_i].code ? 1 : 0); /* told once, and it lasts */
    rig_restart(&r);
    ck_assert_int_eq(clock_stop_check(r.store, &err), clocks[_i].code);
    confirm(&r);
    ASSERT_OK(clock_stop_check(r.store, &err), err);
    rig_end(&r);
}
END_TEST

START_TEST(a_clock_is_never_before_the_program)
{
    struct error err = ERROR_INIT;

    ck_assert_int_gt(clock_build(), 1700000000);
    ASSERT_OK(clock_stop_check_build(&err), err);
    offset = (time_t)(clock_build() - clock_utc()) - CLOCK_TOLERANCE - 10;
    ASSERT_FAILS(clock_stop_check_build(&err), ERR_CLOCK);
    offset += 20;
    ASSERT_OK(clock_stop_check_build(&err), err);
}
END_TEST

/* Says HELLO, and the vault ends the run. */
static void stopped_for(struct rig *r, struct device *d)
{
    struct line l;

    line_init(&l, r);
    ck_assert_int_eq(meet(&l, d), ERR_CLOCK);
    ck_assert_int_eq(l.fatal, ERR_CLOCK);
    line_done(&l);
}

START_TEST(no_device_gets_anything_from_a_stopped_station)
{
    struct rig r;
    struct device d, e;
    struct error said;

    rig_start(&r, &plain_order, 3);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    ck_assert_int_eq(meet_once(&r, &e, NULL, &said), 0); /* claimed: a replay is a release too */
    offset = -3600;
    stopped_for(&r, &d);
    offset = 0;
    stopped_for(&r, &e);
    ck_assert_int_eq(rig_claims(&r), 1);
    confirm(&r);
    provision(&r, &d);
    ck_assert_int_eq(meet_once(&r, &e, NULL, &said), 0);
    device_done(&d);
    device_done(&e);
    rig_end(&r);
}
END_TEST

START_TEST(a_proof_under_a_wrong_clock_is_asked_for_again)
{
    struct rig r;
    struct device d;
    struct line l;
    uint8_t verdict;

    rig_start(&r, &plain_order, 1);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    deliver(&l, &d);
    offset = -3600;
    ck_assert_int_eq(prove(&l, &d, &verdict), ERR_CLOCK);
    line_done(&l);
    offset = 0;
    ck_assert_int_eq(rig_records(&r), 0);
    confirm(&r);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_int_eq(l.plan.action, WIRE_PROVE);
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(nothing_is_generated_or_sealed_by_a_stopped_station)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;
    struct rig r;
    int64_t made;

    rig_start(&r, &plain_order, 1);
    offset = -3600;
    ASSERT_FAILS(generate_credentials(&r.v, 1, 1, &rig_watch, &made, &err), ERR_CLOCK);
    ck_assert_int_eq(made, 0);
    offset = 0;
    ASSERT_FAILS(sealing_run(&r.config, r.store, r.hsm, NULL, &sealed, &err), ERR_CLOCK);
    ASSERT_FAILS(generate_credentials(&r.v, 1, 1, &rig_watch, &made, &err), ERR_CLOCK);
    confirm(&r);
    rig_generate(&r, 1);
    rig_end(&r);
}
END_TEST

RIG_MAIN("clock", EACH_ROW(a_clock_may_be_behind_the_ledger_by_so_much, clocks),
         ONCE(a_clock_is_never_before_the_program),
         ONCE(no_device_gets_anything_from_a_stopped_station),
         ONCE(a_proof_under_a_wrong_clock_is_asked_for_again),
         ONCE(nothing_is_generated_or_sealed_by_a_stopped_station))
