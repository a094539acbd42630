/*
 * swept_work: what a station does all day, for sweeps of faults: a batch, a device, a sealing. Each has a
 * body, which may fail anywhere, and a verification that the station is none the worse for it and
 * finishes it the next time.
 *
 * A program that injects faults may say what there is to do around them.
 */
#ifndef TESTS_SWEPT_WORK_H
#define TESTS_SWEPT_WORK_H

#include "faulty_station.h"

#define BATCH 3

static const struct rig_order plain_order = {.lock = false};

struct work_hooks {
    void (*pause)(bool pause); /* around calls of the test itself within a body; NULL: nothing */
    /* After rc, before the work is done once more; NULL: nothing. */
    void (*recover)(struct rig *r, int rc);
    bool grouped; /* the line asks in groups */
};
static struct work_hooks work_hooks;

static inline void work_pause(bool pause)
{
    if (work_hooks.pause)
        work_hooks.pause(pause);
}

static inline void work_recover(struct rig *r, int rc)
{
    if (work_hooks.recover)
        work_hooks.recover(r, rc);
}

/* ---- a batch ---- */

static int64_t had, made;

static inline void batch_prepare(struct rig *r)
{
    had = rig_int(r, "SELECT count(*) FROM credentials");
}

static inline int batch_body(struct rig *r, struct error *err)
{
    return generate_credentials(&r->v, BATCH, RIG_THREADS, &rig_watch, &made, err);
}

static inline void batch_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    int64_t have;
    int again;

    ck_assert_msg(rc != 0 || made == BATCH, "%s", after);
    ck_assert_msg(rig_int(r, "SELECT count(*) FROM credentials") == had + made,
                  "%s: %d were said to be made", after, (int)made);
    work_recover(r, rc);
    have = rig_int(r, "SELECT count(*) FROM credentials");
    ck_assert_msg(have == had + made || (rc && have == had + BATCH), "%s: then %d", after,
                  (int)(have - had));
    again = have == had + BATCH ? 0
                                : generate_credentials(&r->v, had + BATCH - have, RIG_THREADS,
                                                       &rig_watch, &made, &err);
    ck_assert_msg(again == 0, "%s: then %s", after, err.text);
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials"), had + BATCH);
    ck_assert_int_eq(rig_int(r, "SELECT count(DISTINCT serial) FROM credentials"), had + BATCH);
    ck_assert_int_eq(rig_int(r, "SELECT count(DISTINCT point) FROM credentials"), had + BATCH);
    ck_assert_int_eq(rig_int(r, "SELECT next - 1 FROM counters"), had + BATCH);
    ASSERT_OK(store_settle(r->store, &err), err); /* as the next batch would */
    assert_anchored(r, after);
    assert_no_session_objects(r, after);
}

/* ---- a device ---- */

static struct device dut;
static bool dut_served; /* it was given the blob */

static inline void device_prepare(struct rig *r)
{
    static uint8_t number[2];

    if (++number[0] == 0)
        number[1]++;
    if (rig_state(r, CREDENTIAL_AVAILABLE) == 0 && r->job.serials.source == SOURCE_ASSIGNED)
        rig_generate(r, softhsm_is_nss() ? 20 : 200);
    device_done(&dut);
    device_init(&dut, 0xa1);
    memcpy(dut.chip, number, sizeof number);
    dut_served = false;
}

/* As deliver and pass of played_device.h, but it ends at the first refusal. */
static inline int device_body(struct rig *r, struct error *err)
{
    struct line l;
    uint8_t verdict = 0;
    int rc;

    line_init(&l, r);
    l.grouped = work_hooks.grouped;
    rc = meet(&l, &dut);
    if (rc == 0 && l.plan.action == WIRE_DELIVER) {
        work_pause(true);
        ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM claims WHERE state = 0"), 1);
        work_pause(false);
        rc = device_receive(&dut, &l);
    }
    if (rc == 0 && l.plan.action == WIRE_DELIVER) {
        device_commit(&dut, &l);
        dut_served = true;
    }
    if (rc == 0)
        rc = prove(&l, &dut, &verdict);
    if (rc)
        *err = l.said;
    if (rc == 0)
        rc = line_result(&l, 0, "");
    work_pause(true);
    if (rc == ERR_STORE || rc == ERR_BUSY)
        line_drop(&l);
    else
        line_done(&l);
    work_pause(false);
    return rc;
}

static inline void device_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    int64_t burned = rig_state(r, CREDENTIAL_BURNED);
    int again;

    if (dut_served)
        ck_assert_int_ge(dut.tx_state, IMPRINT_TX_OPEN);
    work_recover(r, rc);
    if (rc) {
        again = device_body(r, &err);
        ck_assert_msg(again == 0, "%s: then %s", after, err.text);
    }
    /* One device took one credential, and none was lost over it. */
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM claims WHERE state = 0"), 0);
    ck_assert_msg(burned == 0, "%s: a credential was burned", after);
    ck_assert_int_eq(rig_state(r, CREDENTIAL_PROVEN), rig_records(r));
    ck_assert_int_eq(rig_claims(r), rig_records(r));
    assert_anchored(r, after);
    assert_no_session_objects(r, after);
}

/* ---- sealing ---- */

static int64_t manifests;

static inline void seal_prepare(struct rig *r)
{
    device_prepare(r);
    provision(r, &dut);
    manifests = rig_int(r, "SELECT count(*) FROM manifests");
}

static inline int seal_body(struct rig *r, struct error *err)
{
    struct sealed sealed;

    return sealing_run(&r->config, r->store, r->hsm, NULL, &sealed, err);
}

static inline void seal_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    struct verify_policy policy;
    struct verify_report report;
    char paths[3][PATH_MAX], name[64], dir[PATH_MAX];
    int again;

    work_recover(r, rc);
    again = seal_body(r, &err);
    ck_assert_msg(again == 0, "%s: then %s", after, err.text);
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM manifests"), manifests + 1);
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM manifests WHERE published = 0"), 0);
    ck_assert_int_eq(rig_int(r, "SELECT sum(count) FROM manifests"), rig_records(r));
    snprintf(name, sizeof name, "manifests/%06d", (int)manifests + 1);
    rig_path(r->dir, name, dir);
    rig_pins(r, &policy, paths);
    ASSERT_OK(manifest_verify(dir, &policy, &report, &err), err);
    assert_anchored(r, after);
    assert_no_session_objects(r, after);
}

#endif
