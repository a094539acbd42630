#include "station/line/step.h"

#define ABORTS_MAX 2 /* of void transactions that one device may report */

/* A new device waits for its code; one that is taken out meanwhile was never there. */
static int find_scanned(struct slot *s, int wait_ms, struct error *err)
{
    int rc = 0;

    step_tell_scan(s, false);
    while (rc == 0 && s->plan.action == WIRE_SCAN) {
        switch (step_await_scan(s, false, err)) {
        case SCAN_CAME:
            step_restore_limits(s);
            rc = step_hello(s, s->limits->hello_ms, err);
            break;
        case SCAN_DEVICE_LEFT:
            slot_emit(s, EVENT_WAIT, NULL);
            s->answered = false;
            step_restore_limits(s);
            rc = step_hello(s, wait_ms, err);
            break;
        case SCAN_FAILED:
            s->answered = s->answered && err->code != ERR_GONE && err->code != ERR_INTERRUPTED;
            return err->code;
        }
        if (rc == 0 && s->plan.action == WIRE_SCAN)
            step_tell_scan(s, false);
    }
    return rc;
}

/* Until there is something to do: what is void on the device is aborted first. */
int step_plan(struct slot *s, int wait_ms, struct error *err)
{
    int rc = step_hello(s, wait_ms, err);

    if (rc == 0 && s->plan.action == WIRE_SCAN)
        rc = find_scanned(s, wait_ms, err);
    for (int i = 0; rc == 0 && s->plan.action == WIRE_ABORT; i++) {
        if (i == ABORTS_MAX)
            return error_next(
                err, NEXT_SET_ASIDE,
                error_set(err, ERR_PROTOCOL,
                          "the device keeps a transaction that was aborted: set it aside"));
        rc = link_client_abort(&s->client, err);
        if (rc == 0)
            rc = step_hello(s, s->limits->hello_ms, err);
        if (rc == 0 && s->plan.action == WIRE_SCAN)
            rc = find_scanned(s, wait_ms, err);
    }
    return rc;
}
