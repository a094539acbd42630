#include "station/line/step.h"

#include "base/clock.h"

#define LOOK_EVERY_MS 1000 /* while somebody is to scan: whether the device is still there */
#define SILENT_MOST   2    /* questions without an answer: it was taken out */

static int no_scan(const struct slot *s, struct error *err)
{
    return error_set(err, ERR_REFUSED,
                     "no label was scanned for slot '%s' in time: run again and scan it", s->label);
}

/* Nothing is wrong with the device: what is on it is not lost. */
static int stop_scan(const struct slot *s, bool passed, struct error *err)
{
    if (!passed)
        return step_check_stop(s, err);
    return error_next(
        err, NEXT_SCAN,
        error_set(err, ERR_INTERRUPTED,
                  "'%s' is installed and its label was not scanned yet: run again and "
                  "scan its label",
                  s->plan.serial));
}

static enum step_awaited device_left(struct slot *s, enum slot_presence how, unsigned *silent,
                                     struct error *err)
{
    if (how == SLOT_GONE) {
        (void)error_set(err, ERR_GONE, "%s: the device disappeared", s->transport->name);
        return SCAN_FAILED;
    }
    *silent = how == SLOT_SILENT ? *silent + 1 : 0;
    return how == SLOT_OTHER || *silent >= SILENT_MOST ? SCAN_DEVICE_LEFT : SCAN_CAME;
}

/* Until a scanner said something about this slot. passed: the device has its certificate; of one that has
 * not, nothing begins while it is paused. */
enum step_awaited step_await_scan(struct slot *s, bool passed, struct error *err)
{
    int64_t began = clock_mono_ms(), look = began + LOOK_EVERY_MS;
    unsigned silent = 0;

    while ((!passed && *s->paused) || !atomic_exchange(&s->scanned, false)) {
        int64_t now = clock_mono_ms();
        enum step_awaited left = SCAN_CAME;

        if (*s->stop || (s->limits->scan_ms && now - began >= s->limits->scan_ms)) {
            (void)(*s->stop ? stop_scan(s, passed, err) : no_scan(s, err));
            return SCAN_FAILED;
        }
        if (now >= look) {
            left = device_left(s, slot_look(s, passed), &silent, err);
            look = clock_mono_ms() + LOOK_EVERY_MS;
        }
        if (left != SCAN_CAME)
            return left;
        step_rest();
    }
    return SCAN_CAME;
}

void step_tell_scan(struct slot *s, bool label)
{
    struct event e = {.kind = EVENT_SCAN,
                      .from = s->state,
                      .slot = s->label,
                      .serial = label ? s->plan.serial : NULL,
                      .label = label};

    s->state = EVENT_SCAN;
    events_emit(&e);
}
