#include "station/line/gate.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLICE_MS      1000 /* of a wait whose end is far away */
#define POWER_ECHO_MS 1000 /* how long a fixture may take to say that the power is off */

void gate_init(struct gate *g, const char *slot, const struct gate_rules *rules)
{
    pthread_condattr_t monotonic;

    memset(g, 0, sizeof *g);
    strncpy(g->slot, slot, sizeof g->slot - 1);
    g->rules = *rules;
    g->view = (struct gate_view){.result = FIXTURE_IDLE, .tone = -1};
    pthread_mutex_init(&g->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&g->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void gate_done(struct gate *g)
{
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
}

/* ---- holding; all with the lock ---- */

static bool needs_fixture(const struct gate *g)
{
    return g->rules.lid || g->rules.start || g->rules.power_ms;
}

/* What keeps anybody from talking to the device. */
static enum event_hold closed_by(const struct gate *g)
{
    if (!g->there && needs_fixture(g))
        return HOLD_FIXTURE;
    return g->rules.lid && !g->closed ? HOLD_LID : HOLD_NONE;
}

static enum event_hold held_by(const struct gate *g)
{
    enum event_hold by = closed_by(g);

    return by == HOLD_NONE && g->rules.start && !g->started ? HOLD_START : by;
}

/* Waits for a change until then, and no longer than a slice. */
static void wait_until(struct gate *g, int64_t until_ms)
{
    int64_t now = clock_mono_ms();
    int64_t end = until_ms - now > SLICE_MS ? now + SLICE_MS : until_ms;
    struct timespec t = {.tv_sec = (time_t)(end / 1000), .tv_nsec = (long)(end % 1000) * 1000000L};

    (void)pthread_cond_timedwait(&g->changed, &g->lock, &t);
}

static void changed(struct gate *g)
{
    pthread_cond_broadcast(&g->changed);
}

static void break_it(struct gate *g, enum event_hold why)
{
    if (atomic_load(&g->broken) == HOLD_NONE)
        atomic_store(&g->broken, (int)why);
}

/* ---- the slot's thread ---- */

enum event_hold gate_enter(struct gate *g, enum event_hold told, const volatile bool *stop,
                           int64_t until_ms)
{
    enum event_hold by;

    if (!g)
        return HOLD_NONE;
    pthread_mutex_lock(&g->lock);
    while ((by = held_by(g)) != HOLD_NONE && by == told && !*stop && clock_mono_ms() < until_ms)
        wait_until(g, until_ms);
    if (by == HOLD_NONE) {
        g->started = false;
        g->running = true;
        atomic_store(&g->broken, HOLD_NONE);
    }
    pthread_mutex_unlock(&g->lock);
    return by;
}

void gate_leave(struct gate *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    g->running = false;
    pthread_mutex_unlock(&g->lock);
}

bool gate_is_broken(const struct gate *g)
{
    return g && atomic_load(&g->broken) != HOLD_NONE;
}

bool gate_reach(struct gate *g, bool *opened)
{
    bool open;
    int why;

    if (!g)
        return true;
    pthread_mutex_lock(&g->lock);
    why = atomic_load(&g->broken);
    open = closed_by(g) == HOLD_NONE;
    *opened |= !open || why == HOLD_LID || why == HOLD_FIXTURE;
    if (open)
        atomic_store(&g->broken, HOLD_NONE);
    pthread_mutex_unlock(&g->lock);
    return open;
}

bool gate_wants(struct gate *g)
{
    bool wants;

    if (!g)
        return false;
    pthread_mutex_lock(&g->lock);
    wants = g->started;
    pthread_mutex_unlock(&g->lock);
    return wants;
}

bool gate_starts(const struct gate *g)
{
    return g && g->rules.start;
}

/* Sets what the power shall be; then waits, at most ms, while still() and the gate is whole. */
static void switch_power(struct gate *g, bool off, void (*wake)(void *context), void *context)
{
    pthread_mutex_lock(&g->lock);
    g->off = off;
    pthread_mutex_unlock(&g->lock);
    wake(context);
}

static void stay_off(struct gate *g, int64_t ms, bool until_said)
{
    int64_t until = clock_mono_ms() + ms;

    pthread_mutex_lock(&g->lock);
    while (clock_mono_ms() < until && !gate_is_broken(g) && !(until_said && g->is_off))
        wait_until(g, until);
    pthread_mutex_unlock(&g->lock);
}

void gate_cycle_power(struct gate *g, void (*wake)(void *context), void *context)
{
    if (!g || !g->rules.power_ms)
        return;
    switch_power(g, true, wake, context);
    stay_off(g, POWER_ECHO_MS, true);
    stay_off(g, g->rules.power_ms, false);
    switch_power(g, false, wake, context);
}

/* ---- the transport ---- */

struct gated {
    struct transport transport;
    struct transport *inner;
    const struct gate *gate;
};

static int check_gate(const struct gate *g, struct error *err)
{
    static const char *const texts[HOLDS] = {
        [HOLD_FIXTURE] =
            N_("the fixture does not answer: call the engineer; the unit goes on where it "
               "was"),
        [HOLD_LID] = N_("the lid was opened: close it, and the unit goes on where it was"),
        [HOLD_START] =
            N_("the fixture ended this unit: start it again, and it goes on where it was")};
    static const enum error_next next[HOLDS] = {
        [HOLD_FIXTURE] = NEXT_CALL, [HOLD_LID] = NEXT_RESEAT};
    int why = atomic_load(&g->broken);

    if (why == HOLD_NONE)
        return 0;
    return error_next(err, next[why], error_set_plain(err, ERR_INTERRUPTED, texts[why]));
}

static int gated_write(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                       struct error *err)
{
    struct gated *gated = (struct gated *)t;
    int rc = check_gate(gated->gate, err);

    return rc ? rc : transport_write(gated->inner, bytes, len, timeout_ms, err);
}

/* In slices, so that an open lid is seen while a device says nothing. */
static int gated_read(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                      struct error *err)
{
    struct gated *gated = (struct gated *)t;
    int64_t until = clock_mono_ms() + timeout_ms;

    for (;;) {
        int64_t left = until - clock_mono_ms();
        int slice = left > GATE_LOOK_MS ? GATE_LOOK_MS : left > 0 ? (int)left : 0;
        int rc = check_gate(gated->gate, err);

        if (rc == 0)
            rc = transport_read(gated->inner, out, max, got, slice, err);
        if (rc != ERR_TIMEOUT || left <= GATE_LOOK_MS)
            return rc;
    }
}

static void gated_close(struct transport *t)
{
    struct gated *gated = (struct gated *)t;

    transport_close(gated->inner);
    free(gated);
}

struct transport *gate_transport(struct gate *g, struct transport *inner)
{
    static const struct transport_ops ops = {gated_write, gated_read, gated_close};
    struct gated *gated;

    if (!g || !inner)
        return inner;
    gated = calloc(1, sizeof *gated);
    if (!gated) {
        transport_close(inner);
        return NULL;
    }
    *gated = (struct gated){.transport = {&ops, inner->name}, .inner = inner, .gate = g};
    return &gated->transport;
}

/* ---- what is shown ---- */

/* A word of the protocol: what is no word becomes one. */
static void copy_word(char out[FIXTURE_TEXT_MAX + 1], const char *text)
{
    size_t n = 0;

    for (; text && text[n] && n < FIXTURE_TEXT_MAX; n++)
        out[n] = text[n] <= 0x20 || text[n] > 0x7e ? '?' : text[n];
    if (n == 0)
        out[n++] = '-';
    out[n] = 0;
}

static const struct {
    enum fixture_verb result;
    enum fixture_lamp lamp;
    int tone;
} looks[EVENT_STATES] = {
    [EVENT_EMPTY] = {FIXTURE_IDLE, LAMP_OFF, -1},
    [EVENT_HOLD] = {FIXTURE_IDLE, LAMP_OFF, -1},
    [EVENT_WAIT] = {FIXTURE_IDLE, LAMP_WHITE, -1},
    [EVENT_HELLO] = {FIXTURE_BUSY, LAMP_YELLOW, -1},
    [EVENT_KEYGEN] = {FIXTURE_BUSY, LAMP_YELLOW, -1},
    [EVENT_DELIVER] = {FIXTURE_BUSY, LAMP_YELLOW, -1},
    [EVENT_PROVE] = {FIXTURE_BUSY, LAMP_YELLOW, -1},
    [EVENT_SCAN] = {FIXTURE_BUSY, LAMP_BLUE, TONE_CALL},
    [EVENT_PASS] = {FIXTURE_OK, LAMP_GREEN, TONE_GOOD},
    [EVENT_FAIL] = {FIXTURE_NG, LAMP_RED, TONE_BAD},
    [EVENT_DISABLED] = {FIXTURE_NG, LAMP_RED, -1},
};

static void look_like(const struct gate *g, const struct event *e, struct gate_view *v)
{
    v->number++;
    v->result = looks[e->kind].result;
    v->lamp = looks[e->kind].lamp;
    v->tone = looks[e->kind].tone;
    v->has_port = e->kind != EVENT_EMPTY;
    if (e->kind == EVENT_WAIT && g->rules.start)
        v->result = FIXTURE_BUSY; /* what was started is in work */
    if (e->kind == EVENT_HOLD && e->hold == HOLD_LID)
        v->lamp = LAMP_BLUE;
    if (e->kind == EVENT_PASS)
        copy_word(v->text[0], e->serial);
    v->how = e->again ? FIXTURE_AGAIN : e->waits ? FIXTURE_WAITS : FIXTURE_NEW;
    if (e->kind == EVENT_FAIL) {
        copy_word(v->text[0], error_name(e->why->code));
        copy_word(v->text[1], events_action(e->why));
    }
}

void gate_show(struct gate *g, const struct event *event)
{
    if (event->kind >= EVENT_STATES)
        return;
    pthread_mutex_lock(&g->lock);
    look_like(g, event, &g->view);
    if (event->kind == EVENT_PASS || event->kind == EVENT_FAIL)
        g->running = false; /* who is told the result may start the next at once */
    pthread_mutex_unlock(&g->lock);
}

/* ---- the fixture's connection ---- */

void gate_found(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->there = true;
    g->closed = g->started = g->is_off = false;
    changed(g);
    pthread_mutex_unlock(&g->lock);
}

void gate_lost(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->there = g->closed = g->started = false;
    if (g->rules.lid)
        break_it(g, HOLD_FIXTURE);
    changed(g);
    pthread_mutex_unlock(&g->lock);
}

void gate_lid(struct gate *g, bool closed)
{
    pthread_mutex_lock(&g->lock);
    g->closed = closed;
    if (!closed && g->rules.lid) {
        g->started = false;
        break_it(g, HOLD_LID);
    }
    changed(g);
    pthread_mutex_unlock(&g->lock);
}

void gate_power(struct gate *g, bool on)
{
    pthread_mutex_lock(&g->lock);
    g->is_off = !on;
    changed(g);
    pthread_mutex_unlock(&g->lock);
}

int gate_start(struct gate *g, enum fixture_reason *why)
{
    int rc = -1;

    pthread_mutex_lock(&g->lock);
    if (g->running || g->started)
        *why = REASON_BUSY;
    else if (closed_by(g) == HOLD_LID)
        *why = REASON_LID;
    else if (!g->view.has_port)
        *why = REASON_PORT;
    else
        rc = 0;
    if (rc == 0)
        g->started = true;
    changed(g);
    pthread_mutex_unlock(&g->lock);
    return rc;
}

int gate_abort(struct gate *g, enum fixture_reason *why)
{
    int rc = 0;

    pthread_mutex_lock(&g->lock);
    if (g->running) {
        break_it(g, HOLD_START);
    } else if (g->started) {
        g->started = false;
    } else {
        *why = REASON_IDLE;
        rc = -1;
    }
    changed(g);
    pthread_mutex_unlock(&g->lock);
    return rc;
}

void gate_view(struct gate *g, struct gate_view *view)
{
    pthread_mutex_lock(&g->lock);
    *view = g->view;
    pthread_mutex_unlock(&g->lock);
}

bool gate_wants_power(struct gate *g)
{
    bool on;

    pthread_mutex_lock(&g->lock);
    on = closed_by(g) == HOLD_NONE && !g->off;
    pthread_mutex_unlock(&g->lock);
    return on;
}

void gate_wake(struct gate *g)
{
    if (!g)
        return;
    pthread_mutex_lock(&g->lock);
    changed(g);
    pthread_mutex_unlock(&g->lock);
}
