#include "station/line/place.h"

#include "base/clock.h"
#include "station/line/step.h"
#include "station/line/stream.h"

#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY_S 1 /* from one question whether a device is still there to the next */
#define SILENT_MOST  2 /* questions without an answer: it was taken out */

/* Why a slot stops showing a result; STANDING: its port went, and it does not. */
enum leave { LEAVE_OUT, LEAVE_ACKNOWLEDGED, LEAVE_GONE, LEAVE_STOP, LEAVE_STANDING };

static void tell_main(const struct line *line)
{
    (void)!write(line->wake, "", 1);
}

/* ---- results ---- */

/* The order is fulfilled by this device: the line ends by itself. */
static void check_done(struct place *p, const struct wire_counts *c)
{
    if (p->line->once || c->proven < c->good)
        return;
    p->line->done = true;
    p->line->stop = true;
    tell_main(p->line);
}

static void tell_counts(struct place *p, bool finished_one)
{
    struct error unsaid = ERROR_INIT;
    struct wire_counts counts;

    if (desk_counts(&p->slot.desk, &counts, &unsaid))
        return;
    events_counts(&counts);
    if (finished_one)
        check_done(p, &counts);
}

static void await_acknowledgement(struct place *p, bool wanted)
{
    pthread_mutex_lock(&p->lock);
    p->failed = wanted;
    p->acknowledged = false;
    pthread_mutex_unlock(&p->lock);
}

static void tell_disabled(struct place *p)
{
    struct error why = ERROR_INIT;

    (void)error_set(&why, ERR_REFUSED, "%s", p->slot.condition.text);
    await_acknowledgement(p, true);
    slot_emit(&p->slot, EVENT_DISABLED, &why);
    p->stands = true;
}

/* A failure that closed the slot says so at once: nobody is to wait for the next unit. */
static int finish(struct place *p, int rc, struct error *err)
{
    rc = slot_report(&p->slot, rc, false, err);
    await_acknowledgement(p, rc != 0);
    slot_emit(&p->slot, rc ? EVENT_FAIL : EVENT_PASS, rc ? err : NULL);
    tell_counts(p, rc == 0 && !p->slot.plan.again);
    return rc;
}

static bool is_transient(int code)
{
    return code == ERR_TIMEOUT || code == ERR_PROTOCOL;
}

static void tell_retry(struct place *p, unsigned attempt, unsigned most, const struct error *err)
{
    struct event e = {.kind = EVENT_RETRY,
                      .slot = p->label,
                      .serial = p->slot.plan.serial,
                      .why = err,
                      .attempt = attempt,
                      .most = most};

    events_emit(&e);
}

/* Nobody was there when it ended, or might be: nothing to be told of a device. */
static bool nobody_came(const struct place *p, int rc)
{
    if (rc && slot_is_closed(&p->slot))
        return true;
    return !p->slot.answered && (rc == ERR_GONE || rc == ERR_INTERRUPTED) && !p->slot.desk.lost;
}

/* ---- fixtures ---- */

static void wake_main(void *line)
{
    tell_main(line);
}

static void tell_hold(struct place *p, enum event_hold why)
{
    struct event e = {.kind = EVENT_HOLD, .from = p->slot.state, .slot = p->label, .hold = why};

    p->slot.state = EVENT_HOLD;
    events_emit(&e);
}

/* Waits until the slot's fixture lets it begin; false when the line stops, or until_ms is over. */
static bool pass_gate(struct place *p, int64_t until_ms)
{
    enum event_hold why = gate_enter(p->gate, HOLD_NONE, &p->line->stop, until_ms);

    while (why != HOLD_NONE && !p->line->stop && clock_mono_ms() < until_ms) {
        tell_hold(p, why);
        why = gate_enter(p->gate, why, &p->line->stop, until_ms);
    }
    return why == HOLD_NONE;
}

/* A device that the fixture started is there, or the attempt failed. */
static int first_wait_ms(const struct place *p)
{
    return gate_starts(p->gate) ? p->line->limits.hello_ms : SLOT_FOR_EVER;
}

/*
 * Waits for a device and provisions it, again where that may help. *finished: a result is in sight.
 */
static int provision(struct place *p, bool *finished, struct error *err)
{
    struct slot *s = &p->slot;
    unsigned most = (unsigned)s->limits->retries + 1;
    int rc;

    *finished = false;
    for (unsigned n = 1;; n++) {
        rc = slot_attempt(s, n == 1 ? first_wait_ms(p) : s->limits->hello_ms, err);
        if (n == 1 && nobody_came(p, rc))
            return rc;
        if (!is_transient(rc) || n == most || p->line->stop)
            break;
        (void)!slot_report(s, rc, true, err);
        tell_retry(p, n + 1, most, err);
        *err = (struct error)ERROR_INIT;
        gate_cycle_power(p->gate, wake_main, p->line);
    }
    *finished = true;
    return finish(p, rc, err);
}

/* ---- presence ---- */

/* Sleeps for a second, or until somebody wants something; true for the latter. */
static bool wants(struct place *p, enum leave *why)
{
    struct timespec until;
    bool wanted;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LOOK_EVERY_S;
    pthread_mutex_lock(&p->lock);
    while (!p->line->stop && !p->acknowledged && !gate_wants(p->gate) &&
           pthread_cond_timedwait(&p->changed, &p->lock, &until) == 0)
        continue;
    wanted = p->line->stop || p->acknowledged || gate_wants(p->gate);
    *why = p->line->stop ? LEAVE_STOP : LEAVE_ACKNOWLEDGED;
    p->acknowledged = false;
    pthread_mutex_unlock(&p->lock);
    return wanted;
}

/*
 * Shows the result until the device was taken out. One that failed by falling silent may still lie
 * there: it counts as taken out when a device answers again. While a fixture is open nothing is asked;
 * whatever failed begins again when it was closed.
 */
static enum leave stay(struct place *p, int result)
{
    enum leave why;
    unsigned silent = 0;
    bool opened = false;

    while (!wants(p, &why)) {
        enum slot_presence presence;

        if (!gate_reach(p->gate, &opened))
            continue;
        if (opened && result)
            return LEAVE_OUT; /* it was reached for */
        presence = slot_look(&p->slot, result == 0);
        if (gate_is_broken(p->gate))
            continue;
        switch (presence) {
        case SLOT_GONE:
            return LEAVE_GONE;
        case SLOT_OTHER:
            return LEAVE_OUT;
        case SLOT_SAME:
            if (silent > 0 && result == ERR_TIMEOUT)
                return LEAVE_OUT;
            silent = 0;
            break;
        case SLOT_SILENT:
            if (++silent >= SILENT_MOST && result != ERR_TIMEOUT)
                return LEAVE_OUT;
        }
    }
    return why;
}

/* Nothing is asked of a device in a slot that is closed, until somebody cared for the slot. */
static enum leave stay_closed(struct place *p)
{
    struct error unsaid = ERROR_INIT;
    enum leave why;

    tell_disabled(p);
    while (!wants(p, &why))
        if (step_idle(&p->slot, &unsaid))
            return LEAVE_STANDING;
    return why;
}

static enum leave stand(struct place *p, bool finished, int rc)
{
    if (rc && slot_is_closed(&p->slot) && !p->slot.desk.lost)
        return stay_closed(p);
    if (!finished || rc == ERR_GONE || rc == ERR_IO)
        return LEAVE_STANDING;
    return stay(p, rc);
}

static void tell_out(const struct place *p)
{
    struct event e = {.kind = EVENT_OUT, .slot = p->label};

    events_emit(&e);
}

/* What was opened at the vault for a device that never came is over. */
static bool renew_desk(struct place *p)
{
    struct error unsaid = ERROR_INIT;

    desk_close(&p->slot.desk);
    return desk_open(&p->slot.desk, p->line->control, &unsaid) == 0;
}

/* ---- ports ---- */

/* Devices come and go on an open port, until it is gone or the line stops. */
static void serve_devices(struct place *p)
{
    for (;;) {
        struct error err = ERROR_INIT;
        enum leave why;
        bool finished;
        int rc;

        memset(&p->slot.plan, 0, sizeof p->slot.plan);
        if (!pass_gate(p, GATE_FOR_EVER))
            return;
        slot_emit(&p->slot, EVENT_WAIT, NULL);
        rc = provision(p, &finished, &err);
        gate_leave(p->gate);
        p->stands = finished && rc;
        if (!finished && gate_is_broken(p->gate) && !p->line->stop && renew_desk(p))
            continue; /* nobody was there when the fixture was opened */
        why = stand(p, finished, rc);
        if (why == LEAVE_STOP || why == LEAVE_STANDING)
            return;
        p->stands = false;
        if (why != LEAVE_ACKNOWLEDGED)
            tell_out(p);
        if (why == LEAVE_GONE)
            return;
    }
}

static int serve_once(struct place *p)
{
    struct error err = ERROR_INIT;
    int rc = 0;

    if (!pass_gate(p, clock_mono_ms() + p->line->limits.scan_ms))
        rc = error_set(&err, ERR_INTERRUPTED,
                       "its fixture did not let it begin: close the lid, or "
                       "start it at the fixture, and run again");
    if (rc == 0) {
        slot_emit(&p->slot, EVENT_WAIT, NULL);
        rc = slot_attempt(&p->slot, p->line->limits.hello_ms, &err);
    }
    rc = finish(p, rc, &err);
    gate_leave(p->gate);
    return rc;
}

/* A port that did not open is an attempt as well: the vault records it. */
static int report_unopened(struct place *p, const struct place_port *port)
{
    struct desk_begun begun;
    struct error err = ERROR_INIT;

    p->slot.started_ms = clock_mono_ms();
    memset(&p->slot.plan, 0, sizeof p->slot.plan);
    if (slot_open(&p->slot, &begun, &err) == 0)
        err = port->failure;
    p->told = port->failure.code;
    p->stands = true;
    return finish(p, err.code, &err);
}

static int serve_open(struct place *p, const struct place_port *port)
{
    enum stream_kind kind = port->kind == OFFER_SERIAL ? STREAM_SERIAL
                            : port->kind == OFFER_USB  ? STREAM_USB
                                                       : STREAM_SOCKET;
    struct error err = ERROR_INIT;
    int rc = stream_open(port->fd, kind, port->name, &p->slot.transport, &err);

    if (rc == 0 && !(p->slot.transport = gate_transport(p->gate, p->slot.transport)))
        rc = error_set(&err, ERR_INTERNAL, "out of memory");
    p->told = 0;
    p->slot.is_device = port->kind == OFFER_USB;
    if (rc)
        return finish(p, rc, &err);
    if (p->line->once)
        rc = serve_once(p);
    else
        serve_devices(p);
    transport_close(p->slot.transport);
    return rc;
}

static int serve_port(struct place *p, const struct place_port *port)
{
    struct error err = ERROR_INIT;
    int rc = desk_open(&p->slot.desk, p->line->control, &err);

    if (rc && port->fd >= 0)
        close(port->fd);
    if (rc == 0)
        rc = port->fd >= 0 ? serve_open(p, port) : report_unopened(p, port);
    desk_close(&p->slot.desk);
    return rc;
}

/* The opener tries by itself what did not open, the connector is asked again. */
static void give_back(const struct place_port *port)
{
    if (port->fd >= 0 || port->kind == OFFER_ADDRESS)
        (void)!offer_ask(port->source, ASK_PORT, port->number, NULL);
}

/* Waits for the next port, the first of which is on its way; false when the line stops. */
static bool take_port(struct place *p, struct place_port *port)
{
    bool taken;

    pthread_mutex_lock(&p->lock);
    if (!p->has_port && !p->stands && !p->line->stop && p->slot.state < EVENT_STATES) {
        memset(&p->slot.plan, 0, sizeof p->slot.plan);
        slot_emit(&p->slot, EVENT_EMPTY, NULL);
    }
    while (!p->has_port && !p->line->stop) {
        pthread_cond_wait(&p->changed, &p->lock);
        if (p->acknowledged && p->slot.state == EVENT_DISABLED && !p->has_port) {
            p->acknowledged = p->stands = false;
            slot_emit(&p->slot, EVENT_EMPTY, NULL);
        }
    }
    taken = p->has_port && (!p->line->stop || p->line->once);
    if (taken) {
        *port = p->inbox;
        p->has_port = false;
    }
    pthread_mutex_unlock(&p->lock);
    return taken;
}

static void *live(void *context)
{
    struct place *p = context;
    struct place_port port;

    while (take_port(p, &port)) {
        bool known = port.fd < 0 && port.failure.code == p->told;

        if (!known)
            p->result = serve_port(p, &port);
        if (p->line->once)
            break;
        give_back(&port);
    }
    p->ended = true;
    tell_main(p->line);
    return NULL;
}

int place_start(struct place *p, struct line *line, const char *label, struct gate *gate,
                struct error *err)
{
    pthread_condattr_t monotonic;

    memset(p, 0, sizeof *p);
    p->line = line;
    p->gate = gate;
    strncpy(p->label, label, sizeof p->label - 1);
    p->slot = (struct slot){.label = p->label,
                            .limits = &line->limits,
                            .stop = &line->stop,
                            .paused = &line->paused,
                            .state = EVENT_STATES};
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&p->thread, NULL, live, p))
        return error_set(err, ERR_INTERNAL, "cannot start a thread for slot '%s'", label);
    return 0;
}

void place_join(struct place *p)
{
    pthread_join(p->thread, NULL);
    if (p->has_port && p->inbox.fd >= 0)
        close(p->inbox.fd);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
}

void place_give(struct place *p, const struct place_port *port)
{
    pthread_mutex_lock(&p->lock);
    if (p->has_port && p->inbox.fd >= 0)
        close(p->inbox.fd);
    p->inbox = *port;
    p->has_port = true;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

bool place_acknowledge(struct place *p)
{
    bool can;

    pthread_mutex_lock(&p->lock);
    can = p->failed;
    p->acknowledged = can;
    p->failed = false;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    return can;
}

void place_scanned(struct place *p)
{
    atomic_store(&p->slot.scanned, true);
}

void place_wake(struct place *p)
{
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    gate_wake(p->gate);
}
