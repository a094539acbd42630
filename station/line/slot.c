#include "station/line/slot.h"

#include "base/clock.h"
#include "station/line/step.h"

#include <string.h>

#define PROGRESS_MS 200 /* from one word on progress to the next */

void slot_emit(struct slot *s, enum event_kind state, const struct error *err)
{
    struct event e = {.kind = state,
                      .from = s->state,
                      .slot = s->label,
                      .serial = s->plan.serial,
                      .again = s->plan.again,
                      .waits = s->waits,
                      .why = err,
                      .plant = s->noted.plant,
                      .worn_out = s->condition.state == WIRE_SLOT_WORN_OUT,
                      .took_ms = clock_mono_ms() - s->started_ms};

    s->state = state;
    events_emit(&e);
}

static void on_progress(void *context, uint32_t bytes)
{
    struct slot *s = context;
    struct event e = {.kind = EVENT_PROGRESS, .slot = s->label, .serial = s->plan.serial};
    int64_t now = clock_mono_ms();

    s->done += bytes;
    if (now - s->progress_ms < PROGRESS_MS)
        return;
    s->progress_ms = now;
    e.done = s->done;
    e.total = s->total;
    events_emit(&e);
}

int slot_attempt(struct slot *s, int wait_ms, struct error *err)
{
    int rc;

    memset(&s->plan, 0, sizeof s->plan);
    s->answered = false;
    s->waits = false;
    s->tail_total = 0;
    s->chip_len = 0;
    s->started_ms = clock_mono_ms();
    link_client_init(&s->client, s->transport);
    s->client.progress = on_progress;
    s->client.progress_context = s;
    rc = step_plan(s, wait_ms, err);
    if (rc == 0 && s->plan.action == WIRE_FAREWELL)
        return step_farewell(s, err);
    if (rc == 0 && s->plan.action == WIRE_KEYGEN) {
        slot_emit(s, EVENT_KEYGEN, NULL);
        rc = step_keygen(s, err);
    }
    if (rc == 0 && s->plan.action == WIRE_DELIVER) {
        slot_emit(s, EVENT_DELIVER, NULL);
        rc = step_deliver(s, err);
    }
    if (rc == 0) {
        slot_emit(s, EVENT_PROVE, NULL);
        rc = step_prove(s, err);
    }
    return rc;
}

/* What a person does about a class of failure that its own text does not say. */
static const char *advice(int code)
{
    switch (code) {
    case ERR_TIMEOUT:
        return N_("; check power, cable and firmware, then run again");
    case ERR_GONE:
        return N_("; plug it in again and run again: it goes on where it was");
    case ERR_PROTOCOL:
        return N_("; check that this is the right device and firmware, then run again");
    case ERR_BUSY:
        return N_("; close the other program, then run again");
    default:
        return "";
    }
}

static void add_advice(const struct slot *s, int code, struct error *err)
{
    if (!s->desk.lost)
        error_append(err, advice(code));
}

bool slot_is_closed(const struct slot *s)
{
    return desk_is_closed(&s->condition);
}

/* Once: it stays so for days. */
static void warn_worn(struct slot *s)
{
    if (s->condition.state == WIRE_SLOT_WORN && !s->warned)
        events_notice(s->condition.text, NULL, false);
    s->warned = s->condition.state == WIRE_SLOT_WORN;
}

static int refuse_closed(const struct slot *s, struct error *err)
{
    bool failing = s->condition.state == WIRE_SLOT_FAILING;

    return error_next(err, failing ? NEXT_ACKNOWLEDGE : NEXT_CALL,
                      error_set(err, ERR_REFUSED, "%s", s->condition.text));
}

int slot_open(struct slot *s, struct desk_begun *begun, struct error *err)
{
    int rc = desk_begin(&s->desk, s->label, begun, &s->condition, err);

    if (rc)
        return rc;
    warn_worn(s);
    return slot_is_closed(s) ? refuse_closed(s, err) : 0;
}

int slot_report(struct slot *s, int rc, bool goes_on, struct error *err)
{
    struct desk_end end = {.code = rc, .text = "", .goes_on = goes_on};
    struct error said = ERROR_INIT;
    int noted;

    if (rc) {
        add_advice(s, rc, err);
        end.text = err->text;
        end.next = err->next;
    }
    memset(&s->noted, 0, sizeof s->noted);
    noted = desk_result(&s->desk, &end, &s->noted, &said);
    if (noted == 0) {
        s->condition = s->noted.condition;
        warn_worn(s);
    }
    if (rc || noted == 0)
        return rc;
    if (noted != ERR_REFUSED)
        return error_next(err, NEXT_RESTART,
                          error_set(err, ERR_GONE, "the vault ended; what was proven is recorded"));
    *err = said;
    return noted;
}
