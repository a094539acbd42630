/*
 * fixtures: the station's fixtures, each over a connection that the line's main thread reads and writes.
 *
 * Invariants
 *  1. What a fixture sends is hostile: bounded lines, a strict parser (fixture/talk.h), a limit of lines a
 *     second. A fixture that breaks the protocol or falls silent is hung up on, its slots are held, and
 *     no other slot notices.
 *  2. Nothing here waits. A fixture that does not read is hung up on.
 *  3. What slots show reaches a fixture in its newest form; before any line of a fixture is obeyed, it was
 *     told what its slots show.
 */
#ifndef STATION_LINE_FIXTURES_H
#define STATION_LINE_FIXTURES_H

#include "station/fixture/talk.h"
#include "station/line/gate.h"
#include "station/wire/offer.h"

#include <poll.h>

#define FIXTURES_MAX        8
#define FIXTURES_SLOTS_MAX  64 /* of all fixtures */
#define FIXTURES_TICK_MS    250
#define FIXTURES_PING_MS    1000
#define FIXTURES_SILENT_MS  3000 /* one that answers nothing for so long is hung up on */
#define FIXTURES_LINES_MOST 200  /* in a second; one that says more is hung up on */

/* Why a fixture was hung up on, told once each until it was ready again. */
struct fixture {
    char name[33];
    size_t first, count; /* its slots, among gates */
    struct talk talk;    /* talk.fd -1: there is no connection */
    bool serial;
    int source; /* whom to ask for the connection again, */
    uint16_t port;
    bool has_address; /* port is the connector's number of it */
    bool ready;       /* it said who it is */
    int told;         /* the error that was told last */
    int64_t asked_ms; /* the first question since it said anything; 0: none */
    int64_t pinged_ms, second_ms;
    unsigned lines; /* in the second since second_ms */
};

/* What was told to a fixture about one slot. */
struct fixture_told {
    unsigned number;
    enum fixture_verb result;
    enum fixture_lamp lamp;
    bool power, any;
};

struct fixtures {
    struct fixture list[FIXTURES_MAX];
    size_t count;
    struct gate gates[FIXTURES_SLOTS_MAX];
    struct fixture_told told[FIXTURES_SLOTS_MAX];
    size_t gate_count;
    void (*woken)(void *context, const char *slot); /* something changed there */
    void *context;
    int wake;    /* a byte is written here when a slot shows something new */
    bool ending; /* no unit is started */
};

/*
 * Adds the fixtures that arguments name, before any thread starts and after woken and context are set:
 * NAME FLAGS POWER_MS SLOTS of each; FLAGS: "lid" and "start", joined by a comma; SLOTS: labels joined by
 * spaces. From then on they see every event. Errors: ERR_USAGE.
 */
MUST_USE int fixtures_read(struct fixtures *f, char **arguments, int count, struct error *err);

/* The gate of a slot, or NULL for one without a fixture. From any thread. */
struct gate *fixtures_gate(struct fixtures *f, const char *slot);

/*
 * What opener or connector, which is source, offers for a fixture: a connection, why there is none, or from
 * the opener the number by which the connector is asked for one. fixtures_has: the connector's offers of this
 * number are a fixture's.
 */
void fixtures_take(struct fixtures *f, const struct offer *offer, int source, int fd);
bool fixtures_has(const struct fixtures *f, uint16_t port);

/* Fills an entry for each fixture; then takes what came, says what is new, and keeps the time: at least
 * every FIXTURES_TICK_MS. */
void fixtures_poll(const struct fixtures *f, struct pollfd polled[FIXTURES_MAX]);
void fixtures_work(struct fixtures *f, const struct pollfd polled[FIXTURES_MAX]);

/* Lamps and power off, and the end of every connection. */
void fixtures_end(struct fixtures *f);

#endif
