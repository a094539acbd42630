#include "station/vault/outgoing.h"

#include "base/clock.h"
#include "station/store/outbox.h"

#include <stdio.h>
#include <string.h>

void outgoing_init(struct outgoing *o, struct store *store, struct hooks *hooks)
{
    memset(o, 0, sizeof *o);
    o->store = store;
    o->hooks = hooks_has(hooks, HOOK_OUTBOX) ? hooks : NULL;
}

void outgoing_done(struct outgoing *o)
{
    if (o->hooks)
        hooks_forget(o->hooks, &o->ticket);
    o->hooks = NULL;
}

void outgoing_wake(struct outgoing *o)
{
    o->empty = false;
}

static void pause_longer(struct outgoing *o)
{
    o->pause_ms = o->pause_ms ? 2 * o->pause_ms : OUTGOING_PAUSE_MS;
    if (o->pause_ms > OUTGOING_PAUSE_MAX_MS)
        o->pause_ms = OUTGOING_PAUSE_MAX_MS;
    o->not_before = clock_mono_ms() + o->pause_ms;
}

static int take_answer(struct outgoing *o, struct error *err)
{
    const struct hook_answer *a = &o->ticket.answer;
    char text[OUTBOX_TEXT_MAX + 1];
    int rc;

    if (a->verdict == HOOK_YES) {
        o->pause_ms = 0;
        rc = outbox_taken(o->store, o->number, err);
    } else {
        snprintf(text, sizeof text, "%s%.180s", a->verdict == HOOK_NO ? "not taken: " : "",
                 *a->text ? a->text : "no reason was given");
        pause_longer(o);
        rc = outbox_refused(o->store, text, err);
    }
    hooks_forget(o->hooks, &o->ticket);
    return rc;
}

static int send_first(struct outgoing *o, struct error *err)
{
    struct buf body;
    int rc;

    buf_init(&body, OUTBOX_BODY_MAX);
    rc = outbox_first(o->store, &o->number, &body, err);
    if (rc == 0 && o->number == 0)
        o->empty = true;
    else if (rc == 0)
        hooks_ask(o->hooks, HOOK_OUTBOX, &body, &o->ticket);
    buf_done(&body);
    return rc;
}

int outgoing_work(struct outgoing *o, struct error *err)
{
    int rc = 0;

    if (!o->hooks)
        return 0;
    if (o->ticket.state == TICKET_ANSWERED)
        rc = take_answer(o, err);
    if (rc == 0 && o->ticket.state == TICKET_NONE && !o->empty &&
        (o->pause_ms == 0 || clock_mono_ms() >= o->not_before))
        rc = send_first(o, err);
    return rc;
}

int outgoing_wait_ms(const struct outgoing *o)
{
    int64_t left = o->not_before - clock_mono_ms();

    if (!o->hooks || hooks_is_open(&o->ticket) || (o->empty && o->ticket.state == TICKET_NONE))
        return -1;
    return o->pause_ms == 0 || o->ticket.state == TICKET_ANSWERED || left < 0 ? 0 : (int)left;
}

int outgoing_finish(struct outgoing *o, int64_t most_ms, int64_t *left, struct error *err)
{
    int64_t until = clock_mono_ms() + most_ms, now;
    struct outbox_state state;
    int rc = 0;

    o->pause_ms = 0;
    while (rc == 0 && o->hooks && !o->empty && o->pause_ms == 0 &&
           (now = clock_mono_ms()) < until) {
        struct pollfd p = hooks_poll(o->hooks);

        rc = outgoing_work(o, err);
        hooks_work(o->hooks);
        if (rc == 0 && hooks_is_open(&o->ticket))
            (void)poll(&p, 1, (int)(until - now));
        hooks_work(o->hooks);
    }
    if (rc == 0)
        rc = outbox_state(o->store, &state, err);
    if (rc == 0)
        *left = state.depth;
    return rc;
}
