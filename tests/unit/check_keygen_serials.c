/* Key mode `device`: which serial a device that makes its own key is promised and gets, first and again. */
#include "played_request.h"

#include "station/vault/claim.h"
#include "station/vault/rework.h"
#include "station/vault/scan.h"

static const struct rig_order device_order = {.device_keys = true};

/* ---- serials from labels and chips ---- */

static const struct rig_order scanned = {.device_keys = true,
                                         .source = SOURCE_SCANNED,
                                         .serials = "{\"prefix\":\"\"}",
                                         .rework = 1,
                                         .good = 5,
                                         .max_issued = 10};

static void scan(struct rig *r, const char *line)
{
    static struct scans labels;
    struct error err = ERROR_INIT;

    memset(&labels, 0, sizeof labels);
    r->v.scans = &labels;
    ASSERT_OK(scans_add(&labels, &r->v, line, &err), err);
}

static void assert_promised(struct rig *r, struct device *d, const char *serial)
{
    struct wire_plan plan;
    struct error said;

    ck_assert_int_eq(meet_once(r, d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_KEYGEN);
    ck_assert_str_eq(plan.serial, serial);
}

static void assert_aborted(struct rig *r, struct device *d)
{
    struct wire_plan plan;
    struct error said;

    ck_assert_int_eq(meet_once(r, d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_ABORT);
    device_new_transport(d);
}

/* Nothing is issued with a promise, so a label that was wrong is corrected by scanning again, and goes
 * to the unit that has it; with a certificate it is another device's for good. */
START_TEST(a_label_is_the_serial_that_a_device_is_promised)
{
    struct device d, other;
    struct rig r;

    rig_start(&r, &scanned, 0);
    device_init_making(&d, 0xa1);
    device_init_making(&other, 0xa2);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "no label was scanned for slot 'S1'");
    scan(&r, "S1 UNIT-2");
    assert_promised(&r, &d, "UNIT-2");
    assert_promised(&r, &other, "UNIT-2");
    assert_aborted(&r, &d); /* its promise is the other's now */
    scan(&r, "S1 UNIT-1");
    assert_promised(&r, &d, "UNIT-1");
    assert_aborted(&r, &other); /* another label in its slot */
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, "UNIT-1");
    ASSERT_MEET_REFUSED(&r, &other, ERR_REFUSED, "was that of the unit before");
    scan(&r, "S1 UNIT-1");
    ASSERT_MEET_REFUSED(&r, &other, ERR_DUPLICATE, "another device has the serial 'UNIT-1'");
    scan(&r, "S1 UNIT-2");
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "the device in it is 'UNIT-1'");
    provision_made(&r, &other);
    ck_assert_str_eq(other.serial, "UNIT-2");
    rig_seal_and_verify(&r);
    device_done(&other);
    device_done(&d);
    rig_end(&r);
}
END_TEST

static void allow_rework(struct rig *r, const char *serial)
{
    const struct voiding what = {.name = serial, .reason = RECORD_SUPERSEDED};
    struct error err = ERROR_INIT;
    struct reworked reworked;
    struct vault v;

    ASSERT_OK(vault_init(&v, &r->config, NULL, r->store, r->hsm, &err), err);
    ASSERT_OK(rework_run(&v, &what, &reworked, &err), err);
    vault_done(&v);
    rig_restart(r);
}

static void take_back(struct rig *r, const char *serial, bool lost)
{
    const struct voiding what = {.name = serial, .reason = RECORD_KEY_COMPROMISE, .lost = lost};
    struct error err = ERROR_INIT;
    struct voided voided;
    struct vault v;

    ASSERT_OK(vault_init(&v, &r->config, NULL, r->store, r->hsm, &err), err);
    ASSERT_OK(voiding_run(&v, &what, &voided, &err), err);
    vault_done(&v);
    rig_restart(r);
}

/* How an identity ended that the device still has, and may replace because it is not locked. */
static const struct {
    bool proven, rework;
    const char *then; /* the serial that it gets */
} ends[] = {
    {true, false, "PUMP-000002"}, {false, false, "PUMP-000002"}, {true, true, "PUMP-000001"}};

START_TEST(a_device_whose_identity_was_taken_back_makes_another_key)
{
    const struct rig_order order = {.device_keys = true, .rework = 1, .good = 5, .max_issued = 10};
    struct device d;
    struct line l;
    struct rig r;

    rig_start(&r, &order, 0);
    device_init_making(&d, 0xa1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    device_take(&d, &l);
    device_commit(&d, &l);
    if (ends[_i].proven)
        pass(&l, &d);
    line_done(&l);
    if (ends[_i].rework) {
        allow_rework(&r, "PUMP-000001");
        scan(&r, "S1 PUMP-000001");
    } else {
        take_back(&r, "PUMP-000001", !ends[_i].proven);
    }
    EVP_PKEY_free(d.made);
    d.made = NULL;
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, ends[_i].then);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_PROVEN), 1);
    ck_assert_int_eq(rig_state(&r, ends[_i].proven ? CREDENTIAL_REVOKED : CREDENTIAL_BURNED), 1);
    rig_restart(&r); /* the ledger tells what the tables say */
    rig_seal_and_verify(&r);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(what_came_to_its_end_is_not_burned)
{
    struct error err = ERROR_INIT;
    struct claim claim;
    struct device d;
    struct rig r;
    bool found;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    provision_made(&r, &d);
    take_back(&r, "PUMP-000001", false);
    claim_init(&claim);
    ASSERT_OK(claim_by_tx(r.store, d.tx, &claim, &found, &err), err);
    ASSERT_OK(store_begin(r.store, &err), err);
    ASSERT_FAILS(claim_burn(&r.v, &claim, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "'PUMP-000001' came to its end already"));
    store_rollback(r.store);
    claim_done(&claim);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_replacement_makes_its_own_key_as_well)
{
    struct record record;
    struct device d;
    struct rig r;

    rig_start(&r, &scanned, 0);
    scan(&r, "S1 UNIT-1");
    device_init_making(&d, 0xa1);
    provision_made(&r, &d);
    device_done(&d);
    allow_rework(&r, "UNIT-1");
    scan(&r, "S1 UNIT-1");
    device_init_making(&d, 0xa3);
    provision_made(&r, &d);
    rig_record(&r, 2, &record);
    ck_assert_int_eq(record.t, RECORD_REPLACE);
    ck_assert_uint_eq(record.ref, 0);
    ck_assert_str_eq(record.sn, "UNIT-1");
    ck_assert_int_eq(record.mode, RECORD_MODE_DEVICE);
    record_done(&record);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- an amendment that gives the station other serials ---- */

static const struct rig_order first_share = {.device_keys = true, .first = 1, .last = 9000};

/* The next version; the one before stays valid for what was certified under it. */
static void amend(struct rig *r)
{
    struct rig_order next = {.device_keys = true, .first = 10000, .last = 99999};
    char hash[65];

    hex_encode(r->v.order->hash, 32, hash);
    next.amends = hash;
    rig_use_order(r, &next);
}

START_TEST(a_promise_of_a_serial_that_was_taken_away_is_dropped)
{
    struct device d;
    struct rig r;

    rig_start(&r, &first_share, 0);
    device_init_making(&d, 0xa1);
    assert_promised(&r, &d, "PUMP-000001");
    amend(&r);
    assert_aborted(&r, &d);
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-010000");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_serial_that_was_taken_away_is_not_promised_again)
{
    struct device d;
    struct rig r;

    rig_start(&r, &first_share, 0);
    device_init_making(&d, 0xa1);
    assert_promised(&r, &d, "PUMP-000001");
    amend(&r);
    device_new_transport(&d);
    assert_promised(&r, &d, "PUMP-010000");
    device_new_transport(&d);
    assert_promised(&r, &d, "PUMP-010000"); /* which is free, and of the share */
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(no_certificate_is_signed_for_a_serial_that_was_taken_away)
{
    struct device d;
    struct line l;
    struct rig r;

    rig_start(&r, &first_share, 0);
    device_init_making(&d, 0xa1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    amend(&r); /* while the device makes its key */
    ASSERT_REFUSED(&l, request(&l, &d, NULL), ERR_REFUSED, "none that the order gives");
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 0);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_list_of_serials_is_for_keys_of_the_hsm)
{
    struct error err = ERROR_INIT;
    enum imprint_mode mode;
    struct rig r;

    rig_start(&r, &device_order, 0);
    r.job.serials.source = SOURCE_LISTED;
    ASSERT_FAILS(job_mode(&r.job, r.v.order, &mode, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "a list of serials is for keys from the HSM"));
    r.job.serials.source = SOURCE_DEVICE;
    ASSERT_OK(job_mode(&r.job, r.v.order, &mode, &err), err);
    r.job.serials.source = SOURCE_ASSIGNED;
    rig_end(&r);
}
END_TEST

RIG_MAIN("keygen_serials", ONCE(a_label_is_the_serial_that_a_device_is_promised),
         EACH_ROW(a_device_whose_identity_was_taken_back_makes_another_key, ends),
         ONCE(what_came_to_its_end_is_not_burned), ONCE(a_replacement_makes_its_own_key_as_well),
         ONCE(a_promise_of_a_serial_that_was_taken_away_is_dropped),
         ONCE(a_serial_that_was_taken_away_is_not_promised_again),
         ONCE(no_certificate_is_signed_for_a_serial_that_was_taken_away),
         ONCE(a_list_of_serials_is_for_keys_of_the_hsm))
