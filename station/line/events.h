/*
 * events: what the line tells a person or a machine while it runs.
 *
 * One event is one line on stdout: plain words, or with --json one object whose members are
 * documented in imprint(1). Slots speak from threads of their own; a line is never mixed with
 * another. In words, on a terminal, a line on stderr shows how many slots are at which step.
 */
#ifndef STATION_LINE_EVENTS_H
#define STATION_LINE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

/* How far a slot is. */
enum event_step {
    EVENT_WAIT,    /* the port is open, no device answered yet */
    EVENT_HELLO,   /* a device answered */
    EVENT_KEYGEN,  /* it makes its key and asks for a certificate */
    EVENT_DELIVER, /* its bundle is on the way */
    EVENT_PROVE,   /* it is asked for its proof */
    EVENT_PASS,
    EVENT_FAIL,
    EVENT_STEPS
};

struct event {
    const char *slot;
    enum event_step from; /* the step before, EVENT_WAIT at first */
    enum event_step step;
    const char *serial; /* NULL or empty while unknown */
    bool again;         /* EVENT_PASS: it was finished before, nothing was consumed */
    bool waits;         /* EVENT_PASS: it is whitelisted only once another run locked it */
    int code;           /* EVENT_FAIL: one of base/error.h */
    const char *text;   /* EVENT_FAIL: what happened and what to do */
    int64_t took_ms;    /* EVENT_PASS and EVENT_FAIL: since the slot started */
};

/* output: "words", "quiet" (words without progress) or "json"; slots: how many will speak. */
void events_init(const char *output, unsigned slots);

void events_emit(const struct event *event);

/* The last line: how many passed and failed. */
void events_summary(unsigned passed, unsigned failed);

#endif
