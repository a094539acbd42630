/*
 * events: what the line tells a person or a machine while it runs.
 *
 * One event is one line on stdout: plain words, or with --json one object as docs/events.md specifies.
 * Slots speak from threads of their own; a line is never mixed with another. In words, on a terminal, a
 * line on stderr shows how many slots are in which state. Whatever a device may have written, nothing but
 * printable ASCII is printed.
 */
#ifndef STATION_LINE_EVENTS_H
#define STATION_LINE_EVENTS_H

#include "base/error.h"
#include "station/wire/wire.h"

#include <stdbool.h>
#include <stdint.h>

enum event_kind {
    /* The state of a slot. */
    EVENT_EMPTY,
    EVENT_HOLD, /* the slot's fixture keeps it from beginning */
    EVENT_WAIT,
    EVENT_HELLO,
    EVENT_KEYGEN,
    EVENT_DELIVER,
    EVENT_PROVE,
    EVENT_SCAN, /* somebody has to scan */
    EVENT_PASS,
    EVENT_FAIL,
    EVENT_DISABLED, /* nothing begins until somebody cared for the slot */
    EVENT_STATES,
    /* Steps on the way. */
    EVENT_PROGRESS = EVENT_STATES,
    EVENT_RETRY,
    EVENT_OUT,
    EVENT_SLOT_KINDS
};

/* Why a fixture holds a slot. */
enum event_hold {
    HOLD_NONE,
    HOLD_FIXTURE, /* the fixture does not answer */
    HOLD_LID,     /* its lid is open */
    HOLD_START,   /* it did not say START */
    HOLDS
};

/* What is said of a slot. Members that the kind does not have are not looked at. */
struct event {
    enum event_kind kind;
    enum event_kind from; /* a state: the one before, or EVENT_STATES for the first of a slot */
    const char *slot;
    const char *serial;      /* NULL or empty while unknown */
    bool again;              /* PASS: it was finished before, nothing was consumed */
    bool waits;              /* PASS: it is whitelisted only once another run locked it */
    const struct error *why; /* FAIL, RETRY, DISABLED: what happened and what to do */
    enum event_hold hold;    /* HOLD */
    bool worn_out;           /* DISABLED: its contacts; false: it failed several times in a row */
    bool label;              /* SCAN: its label; false: the slot and its unit's code */
    int64_t took_ms;         /* PASS, FAIL */
    const char
        *plant; /* PASS, FAIL: what the plant's system said that was no yes; or NULL, empty */
    uint32_t done, total;   /* PROGRESS, in bytes */
    unsigned attempt, most; /* RETRY: the attempt that begins, and how many there are at most */
};

/* output: "words", "quiet" (words without progress), "json", or "board", which is JSON. */
void events_init(const char *output);

void events_begin(bool once, const struct wire_counts *counts);
void events_emit(const struct event *event);

/* From now on seen is called with every event, before it is printed, by the thread that it is of. */
void events_observe(void (*seen)(void *context, const struct event *event), void *context);

/* FAIL: the name of what a person does next (docs/events.md). */
const char *events_action(const struct error *why);

/* After a result, from counts as the vault has them. */
void events_counts(const struct wire_counts *counts);

/* What a scanner said; kind NONE says nothing. */
void events_scanned(const struct wire_scan *scan);

enum event_state { STATE_RUNNING, STATE_PAUSED, STATE_QUITTING };
void events_state(enum event_state state);

/* text about no slot; command NULL, or the command that it answers. */
void events_notice(const char *text, const char *command, bool ok);

/* Why the line ends: "once", "quit", "done" or "lost". The last line: how many passed and failed. */
void events_end(const char *reason);

#endif
