/*
 * gate: what a fixture says about one slot, and what it is to show of it: the place where the slot's
 * thread and the fixture's connection (fixtures.h) meet.
 *
 * Invariants
 *  1. While the gate is held, and once it broke, no byte goes to the device or comes from it: the slot
 *     talks through gate_transport alone.
 *  2. A gate that broke stays broken until the slot looks (gate_enter, gate_reach): a lid that was open for
 *     a moment was open.
 *  3. Nobody waits here for a fixture: every wait has a deadline or ends with *stop.
 *
 * Functions of the slot's thread take NULL for a slot without a fixture, whose gate is always free.
 */
#ifndef STATION_LINE_GATE_H
#define STATION_LINE_GATE_H

#include "link/transport.h"
#include "station/fixture/message.h"
#include "station/line/events.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GATE_FOR_EVER INT64_MAX

/* How the fixture is wired to this slot, as station.yaml says. */
struct gate_rules {
    bool lid;   /* it has a lid, which must be closed */
    bool start; /* a unit begins when the fixture says START */
    int power_ms; /* it switches the device's power, and off means so many milliseconds; 0: it does not */
};

/* What the fixture is to be told of the slot. number: another one is news. */
struct gate_view {
    unsigned number;
    enum fixture_verb result; /* IDLE, BUSY, OK or NG */
    enum fixture_how how;
    enum fixture_lamp lamp;
    int tone; /* enum fixture_tone; -1: none */
    char text[2][FIXTURE_TEXT_MAX + 1];
    bool has_port;
};

struct gate {
    char slot[FIXTURE_SLOT_MAX + 1];
    struct gate_rules rules;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool there, closed, started, running;
    bool off, is_off;  /* power: wanted off between attempts; the fixture says that it is */
    atomic_int broken; /* enum event_hold, or HOLD_NONE */
    struct gate_view view;
};

void gate_init(struct gate *g, const char *slot, const struct gate_rules *rules);
void gate_done(struct gate *g);

/* ---- the slot's thread ---- */

/*
 * What keeps the slot from beginning; HOLD_NONE: it begins, and the gate is whole. If that is still told,
 * waits until it is something else, *stop, or until_ms of the monotonic clock.
 */
enum event_hold gate_enter(struct gate *g, enum event_hold told, const volatile bool *stop,
                           int64_t until_ms);

/* The attempts of a unit are over. */
void gate_leave(struct gate *g);

bool gate_is_broken(const struct gate *g);

/* Whether a look at the device is allowed; *opened becomes true when somebody may have reached for it since the
 * last one. */
bool gate_reach(struct gate *g, bool *opened);

/* The fixture asked for another unit: the result that is shown is over. */
bool gate_wants(struct gate *g);

bool gate_starts(const struct gate *g);

/* Between attempts: the device's power off and on, where the fixture has it, through wake (fixtures.h). */
void gate_cycle_power(struct gate *g, void (*wake)(void *context), void *context);

/*
 * The transport of the slot's port, which the new one owns and closes. NULL: out of memory, and the inner
 * one is closed. Without a gate it is the inner one. When the gate breaks, reading and writing end with
 * ERR_INTERRUPTED that says why, within GATE_LOOK_MS.
 */
#define GATE_LOOK_MS 50
struct transport *gate_transport(struct gate *g, struct transport *inner);

/* What the slot shows from now on. With a result the unit is over. */
void gate_show(struct gate *g, const struct event *event);

/* ---- the fixture's connection ---- */

void gate_found(struct gate *g);
void gate_lost(struct gate *g);
void gate_lid(struct gate *g, bool closed);
void gate_power(struct gate *g, bool on);

/* 0, or -1 with why it is refused. */
int gate_start(struct gate *g, enum fixture_reason *why);
int gate_abort(struct gate *g, enum fixture_reason *why);

void gate_view(struct gate *g, struct gate_view *view);
bool gate_wants_power(struct gate *g);

/* After *stop changed. */
void gate_wake(struct gate *g);

#endif
