#include "station/line/fixtures.h"

#include "base/clock.h"
#include "station/wire/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS     4 /* of each */
#define SECOND_MS     1000
#define LAST_WORDS_MS 200 /* for what a serial port still has to send */

/* ---- who they are ---- */

static int add_slot(struct fixtures *f, const char *slot, const struct gate_rules *rules,
                    struct error *err)
{
    if (f->gate_count == FIXTURES_SLOTS_MAX)
        return error_set(err, ERR_USAGE, "there are too many slots with fixtures");
    gate_init(&f->gates[f->gate_count++], slot, rules);
    return 0;
}

static int add(struct fixtures *f, const char *name, const char *flags, int power_ms,
               const char *slots, struct error *err)
{
    const struct gate_rules rules = {.lid = strstr(flags, "lid") != NULL,
                                     .start = strstr(flags, "start") != NULL,
                                     .power_ms = power_ms};
    struct fixture *x = &f->list[f->count];
    char *copy = strdup(slots), *rest = copy;
    int rc = 0;

    if (f->count == FIXTURES_MAX || !copy) {
        free(copy);
        return error_set(err, ERR_USAGE, "there are too many fixtures");
    }
    snprintf(x->name, sizeof x->name, "%s", name);
    x->talk.fd = -1;
    x->first = f->gate_count;
    for (const char *slot; rc == 0 && (slot = strsep(&rest, " "));)
        rc = add_slot(f, slot, &rules, err);
    x->count = f->gate_count - x->first;
    f->count++;
    free(copy);
    return rc;
}

struct gate *fixtures_gate(struct fixtures *f, const char *slot)
{
    for (size_t i = 0; i < f->gate_count; i++)
        if (strcmp(f->gates[i].slot, slot) == 0)
            return &f->gates[i];
    return NULL;
}

/* A slot shows something new. */
static void on_event(void *fixtures, const struct event *event)
{
    struct fixtures *f = fixtures;
    struct gate *g = fixtures_gate(f, event->slot);

    if (!g)
        return;
    gate_show(g, event);
    (void)!write(f->wake, "", 1);
}

int fixtures_read(struct fixtures *f, char **arguments, int count, struct error *err)
{
    int rc = count % ARGUMENTS ? error_set(err, ERR_USAGE, "a fixture has four arguments") : 0;

    for (int i = 0; rc == 0 && i < count; i += ARGUMENTS)
        rc = add(f, arguments[i], arguments[i + 1], atoi(arguments[i + 2]), arguments[i + 3], err);
    if (f->count)
        events_observe(on_event, f);
    return rc;
}

/* The place of this slot among the gates of the fixture, or NULL. */
static struct gate *own_gate(struct fixtures *f, const struct fixture *x, const char *slot)
{
    struct gate *g = fixtures_gate(f, slot);

    return g && g >= f->gates + x->first && g < f->gates + x->first + x->count ? g : NULL;
}

/* ---- connections ---- */

/* Exclusive mode outlasts the descriptor where the other end stays open, and unsent octets would make
 * close wait. */
static void hang_up(struct fixture *x)
{
    if (x->serial) {
        (void)tcflush(x->talk.fd, TCIOFLUSH);
        (void)ioctl(x->talk.fd, TIOCNXCL);
    }
    close(x->talk.fd);
    x->talk.fd = -1;
}

static void tell(const struct fixture *x, const char *what)
{
    char text[600];

    snprintf(text, sizeof text, "fixture '%s': %s", x->name, what);
    events_notice(text, NULL, false);
}

static void tell_once(struct fixture *x, const struct error *why)
{
    if (x->told == why->code)
        return;
    x->told = why->code;
    tell(x, why->text);
}

static void lose(struct fixtures *f, struct fixture *x, const struct error *why)
{
    hang_up(x);
    x->ready = false;
    tell_once(x, why);
    for (size_t i = x->first; i < x->first + x->count; i++) {
        gate_lost(&f->gates[i]);
        f->woken(f->context, f->gates[i].slot);
    }
    (void)!offer_ask(x->source, ASK_PORT, x->port, NULL);
}

/* A fixture that does not take it is lost; then nothing more is said. */
static void say(struct fixtures *f, struct fixture *x, const struct fixture_message *message)
{
    struct error err = ERROR_INIT;

    if (x->talk.fd >= 0 && talk_say(&x->talk, message, &err))
        lose(f, x, &err);
}

static void say_about(struct fixtures *f, struct fixture *x, enum fixture_verb verb,
                      const char *slot, unsigned value)
{
    struct fixture_message message = {.verb = verb, .value = value};

    strcpy(message.slot, slot);
    say(f, x, &message);
}

static void connect_to(struct fixtures *f, struct fixture *x, int fd)
{
    x->ready = false;
    x->asked_ms = x->pinged_ms = x->second_ms = clock_mono_ms();
    x->lines = 0;
    talk_init(&x->talk, fd, FIXTURE_DEVICE);
    say(f, x, &(struct fixture_message){.verb = FIXTURE_HELLO});
}

/* The opener tries by itself what did not open; the connector is asked again. */
static void miss(struct fixture *x, const struct offer *offer)
{
    struct error why = ERROR_INIT;

    (void)offer_error(offer, &why);
    tell_once(x, &why);
    if (x->has_address)
        (void)!offer_ask(x->source, ASK_PORT, x->port, NULL);
}

static struct fixture *offered_to(struct fixtures *f, const struct offer *offer)
{
    size_t index = strtoul(offer->slot + 1, NULL, 10);

    if (offer->slot[0] == OFFER_FIXTURE)
        return index < f->count ? &f->list[index] : NULL;
    for (index = 0; index < f->count; index++)
        if (f->list[index].has_address && f->list[index].port == offer->port)
            return &f->list[index];
    return NULL;
}

bool fixtures_has(const struct fixtures *f, uint16_t port)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->list[i].has_address && f->list[i].port == port)
            return true;
    return false;
}

void fixtures_take(struct fixtures *f, const struct offer *offer, int source, int fd)
{
    struct fixture *x = offered_to(f, offer);

    if (!x || x->talk.fd >= 0 || f->ending) {
        if (fd >= 0)
            close(fd);
        return;
    }
    x->port = offer->port;
    x->serial = offer->kind == OFFER_SERIAL;
    if (source == CHANNEL_OPENER_FD && offer->kind == OFFER_ADDRESS) {
        x->has_address = true;
        x->source = CHANNEL_CONNECTOR_FD;
        (void)!offer_ask(x->source, ASK_PORT, x->port, NULL);
        return;
    }
    x->source = source;
    if (fd >= 0)
        connect_to(f, x, fd);
    else
        miss(x, offer);
}

/* ---- what it is told ---- */

static void say_result(struct fixtures *f, struct fixture *x, const char *slot,
                       const struct gate_view *v)
{
    struct fixture_message message = {.verb = v->result};

    strcpy(message.slot, slot);
    if (v->result == FIXTURE_OK)
        message.value = v->how;
    memcpy(message.text, v->text, sizeof message.text);
    say(f, x, &message);
}

static void say_power(struct fixtures *f, struct fixture *x, size_t i, struct fixture_told *told)
{
    struct gate *g = &f->gates[i];
    bool on = g->rules.power_ms && gate_wants_power(g);

    if (!g->rules.power_ms || (told->any && told->power == on))
        return;
    told->power = on;
    say_about(f, x, FIXTURE_POWER, g->slot, on ? FIXTURE_ON : FIXTURE_OFF);
}

static void say_new(struct fixtures *f, struct fixture *x, size_t i)
{
    struct fixture_told *told = &f->told[i], before = *told;
    const char *slot = f->gates[i].slot;
    struct gate_view v;

    gate_view(&f->gates[i], &v);
    say_power(f, x, i, told);
    told->any = true;
    told->number = v.number;
    told->result = v.result;
    told->lamp = v.lamp;
    if (before.any && before.number == v.number)
        return;
    if (!before.any || before.lamp != v.lamp)
        say_about(f, x, FIXTURE_LAMP, slot, v.lamp);
    if (before.any && v.tone >= 0)
        say_about(f, x, FIXTURE_BUZZER, slot, (unsigned)v.tone);
    if (!before.any || before.result != v.result || v.result == FIXTURE_OK ||
        v.result == FIXTURE_NG)
        say_result(f, x, slot, &v);
}

static void say_all(struct fixtures *f, struct fixture *x)
{
    for (size_t i = x->first; x->ready && i < x->first + x->count; i++)
        say_new(f, x, i);
}

/* ---- what it says ---- */

static void refuse(struct fixtures *f, struct fixture *x, const struct fixture_message *asked,
                   enum fixture_reason why)
{
    struct fixture_message message = {.verb = FIXTURE_NO, .value = why};

    strcpy(message.text[0], fixture_verb_name(asked->verb));
    strcpy(message.slot, asked->slot);
    say(f, x, &message);
}

static void obey(struct fixtures *f, struct fixture *x, struct gate *g,
                 const struct fixture_message *m)
{
    enum fixture_reason why = REASON_END;
    struct gate_view v;
    int rc = 0;

    switch (m->verb) {
    case FIXTURE_LID:
        gate_lid(g, m->value == FIXTURE_CLOSED);
        break;
    case FIXTURE_POWER:
        gate_power(g, m->value == FIXTURE_ON);
        break;
    case FIXTURE_START:
        rc = f->ending ? -1 : gate_start(g, &why);
        break;
    case FIXTURE_ABORT:
        rc = gate_abort(g, &why);
        break;
    default:
        gate_view(g, &v);
        say_result(f, x, m->slot, &v);
    }
    if (rc)
        refuse(f, x, m, why);
    f->woken(f->context, g->slot);
}

/* It said who it is: from now on its slots go on, and it is told what they show. */
static void become_ready(struct fixtures *f, struct fixture *x)
{
    if (x->ready)
        return;
    x->ready = true;
    x->told = 0;
    tell(x, "is ready");
    for (size_t i = x->first; i < x->first + x->count; i++) {
        f->told[i] = (struct fixture_told){.any = false};
        gate_found(&f->gates[i]);
        f->woken(f->context, f->gates[i].slot);
    }
    say_all(f, x);
}

static void take(struct fixtures *f, struct fixture *x, const struct fixture_message *m)
{
    struct gate *g = own_gate(f, x, m->slot);

    if (m->verb == FIXTURE_HELLO)
        become_ready(f, x);
    else if (m->verb == FIXTURE_PONG || !x->ready)
        return;
    else if (!g)
        refuse(f, x, m, REASON_SLOT);
    else
        obey(f, x, g, m);
}

static int count_line(struct fixture *x, int64_t now, struct error *err)
{
    if (now - x->second_ms >= SECOND_MS) {
        x->second_ms = now;
        x->lines = 0;
    }
    if (++x->lines > FIXTURES_LINES_MOST)
        return error_set(err, ERR_PROTOCOL, "it says more than %d lines a second",
                         FIXTURES_LINES_MOST);
    return 0;
}

/* Before it said who it is, what comes may be the rest of something: a line that is none is passed over. */
static void listen_to(struct fixtures *f, struct fixture *x)
{
    struct error err = ERROR_INIT;
    int64_t now = clock_mono_ms();
    int rc = talk_read(&x->talk, &err);

    while (rc == 0 && x->talk.fd >= 0) {
        struct fixture_message message;
        int got = talk_next(&x->talk, &message, &err);

        if (got == 0)
            return;
        rc = count_line(x, now, &err);
        if (rc == 0 && got < 0)
            rc = x->ready ? got : 0;
        if (rc == 0 && got > 0) {
            x->asked_ms = 0;
            take(f, x, &message);
        }
    }
    if (rc)
        lose(f, x, &err);
}

/* The time counts from a question: a station that was busy itself blames no fixture. */
static void keep_time(struct fixtures *f, struct fixture *x, int64_t now)
{
    struct error err = ERROR_INIT;

    if (x->asked_ms && now - x->asked_ms >= FIXTURES_SILENT_MS) {
        (void)error_set(&err, ERR_TIMEOUT, "it does not answer");
        lose(f, x, &err);
    } else if (x->ready && now - x->pinged_ms >= FIXTURES_PING_MS) {
        x->pinged_ms = now;
        x->asked_ms = x->asked_ms ? x->asked_ms : now;
        say(f, x, &(struct fixture_message){.verb = FIXTURE_PING});
    }
}

void fixtures_poll(const struct fixtures *f, struct pollfd polled[FIXTURES_MAX])
{
    for (size_t i = 0; i < FIXTURES_MAX; i++) {
        const struct fixture *x = &f->list[i];
        bool more = i < f->count && x->talk.fd >= 0 && talk_has_more(&x->talk);

        polled[i] = (struct pollfd){.fd = i < f->count ? x->talk.fd : -1,
                                    .events = (short)(POLLIN | (more ? POLLOUT : 0))};
    }
}

static void work(struct fixtures *f, struct fixture *x, const struct pollfd *polled)
{
    struct error err = ERROR_INIT;

    say_all(f, x);
    if (x->talk.fd >= 0 && polled->fd == x->talk.fd && (polled->revents & POLLOUT) &&
        talk_flush(&x->talk, &err))
        lose(f, x, &err);
    if (x->talk.fd >= 0 && polled->fd == x->talk.fd && (polled->revents & ~POLLOUT))
        listen_to(f, x);
    say_all(f, x);
    if (x->talk.fd >= 0)
        keep_time(f, x, clock_mono_ms());
}

void fixtures_work(struct fixtures *f, const struct pollfd polled[FIXTURES_MAX])
{
    for (size_t i = 0; i < f->count; i++)
        work(f, &f->list[i], &polled[i]);
}

static void say_goodbye(struct fixtures *f, struct fixture *x)
{
    for (size_t i = x->first; x->ready && i < x->first + x->count; i++) {
        const struct gate *g = &f->gates[i];

        say_new(f, x, i);
        say_about(f, x, FIXTURE_LAMP, g->slot, LAMP_OFF);
        if (g->rules.power_ms)
            say_about(f, x, FIXTURE_POWER, g->slot, FIXTURE_OFF);
    }
    say(f, x, &(struct fixture_message){.verb = FIXTURE_BYE});
}

static void rest(void)
{
    struct timespec t = {.tv_nsec = LAST_WORDS_MS * 1000000L};

    (void)nanosleep(&t, NULL);
}

void fixtures_end(struct fixtures *f)
{
    f->ending = true;
    for (size_t i = 0; i < f->count; i++) {
        struct fixture *x = &f->list[i];

        if (x->talk.fd >= 0 && x->ready)
            say_goodbye(f, x);
        if (x->talk.fd >= 0 && x->serial)
            rest(); /* what is dropped when a port is closed was not sent yet */
        if (x->talk.fd >= 0)
            hang_up(x);
    }
    for (size_t i = 0; i < f->gate_count; i++)
        gate_done(&f->gates[i]);
}
