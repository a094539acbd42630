/*
 * faulty_device: a device that a station of faulty_station.h provisions, in a body that a sweep can run.
 */
#ifndef TESTS_FAULTY_DEVICE_H
#define TESTS_FAULTY_DEVICE_H

#include "faulty_station.h"

static const struct rig_order plain_order = {.lock = false};

static struct device dut;
static bool dut_served; /* it was given the blob */

/* The next chip, and a credential for it. */
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
    rc = meet(&l, &dut);
    if (rc == 0 && l.plan.action == WIRE_DELIVER) {
        ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM claims WHERE state = 0"), 1);
        device_take(&dut, &l);
        device_commit(&dut, &l);
        dut_served = true;
    }
    if (rc == 0)
        rc = prove(&l, &dut, &verdict);
    if (rc)
        *err = l.said;
    if (rc == 0)
        rc = line_result(&l, 0, "");
    line_done(&l);
    return rc;
}

#endif
