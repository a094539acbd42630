/*
 * slot: everything that happens to one device in one slot, from the first HELLO to its result, and how to
 * tell whether it is still there.
 *
 * Invariants
 *  1. The device never gets a byte that the vault did not hand out for it; what it answers decides
 *     nothing here, it is passed on (P10).
 *  2. Whatever goes wrong is told to the vault and to the operator, with what to do next. What was
 *     claimed stays claimed: the same device later goes on where it was (P9).
 *  3. Every wait has a deadline, or ends when *stop becomes true.
 */
#ifndef STATION_LINE_SLOT_H
#define STATION_LINE_SLOT_H

#include "agent/ids.h"
#include "link/client.h"
#include "station/line/desk.h"
#include "station/line/events.h"

#include <stdatomic.h>
#include <stdbool.h>

#define SLOT_FOR_EVER (-1)
#define SLOT_TAIL     32 /* bytes of a certificate by which a device is known again */

struct slot_limits {
    int hello_ms;   /* how long a device may stay silent, or say what is no answer */
    int request_ms; /* for one answer */
    int keygen_ms;  /* for making a key; 0: long for RSA, else as for every answer */
    int repeats;    /* of a request without an answer */
    int retries;    /* attempts after the first */
    int scan_ms;    /* how long somebody may take to scan; 0: for ever */
};

/* A slot with an open port. The first members are the caller's; zero the others. */
struct slot {
    const char *label;
    const struct slot_limits *limits;
    const volatile bool *stop;   /* ends what has not begun to deliver */
    const volatile bool *paused; /* begins nothing */
    bool is_device;        /* the port is there as long as the device: its silence is a failure */
    enum event_kind state; /* EVENT_STATES at first */

    struct desk desk;
    struct wire_condition condition; /* as the vault said last */
    bool warned;                     /* people know that it is worn */
    struct transport *transport;
    struct link_client client;
    struct wire_plan plan;
    int64_t started_ms;
    int answer_ms;           /* that the device took to answer HELLO */
    bool answered;           /* a device did, in this attempt */
    atomic_bool scanned;     /* a scanner said something about this slot */
    bool waits;              /* installed, to be locked in another run */
    struct wire_noted noted; /* what the vault said to the result */
    uint8_t chip[IMPRINT_CHIP_ID_MAX];
    size_t chip_len;
    uint32_t tail_total; /* 0: no certificate was read back */
    uint8_t tail[SLOT_TAIL];
    uint32_t done, total; /* bytes of the bundle */
    int64_t progress_ms;
};

/* Changes the state, and says so. err: of EVENT_FAIL why, otherwise NULL. */
void slot_emit(struct slot *s, enum event_kind state, const struct error *err);

/*
 * One attempt: waits wait_ms or SLOT_FOR_EVER, which is no more than hello_ms where the port is the
 * device, and provisions it. The vault is not told of
 * the end yet. Errors: ERR_REFUSED where the vault begins nothing in the slot (slot_is_closed); ERR_INTERRUPTED when *stop came before anything was delivered; ERR_GONE, also when
 * the vault ended (s->desk.lost); what vault and device say.
 */
MUST_USE int slot_attempt(struct slot *s, int wait_ms, struct error *err);

/* Asks the vault to begin an attempt. Errors: ERR_REFUSED where the slot is closed; ERR_GONE. */
MUST_USE int slot_open(struct slot *s, struct desk_begun *begun, struct error *err);

/* The vault begins nothing in the slot until somebody cared for it: s->condition has why. */
bool slot_is_closed(const struct slot *s);

/* Tells the vault how the attempt ended, and whether it goes on with another one; err gets what a person does
 * about it. Returns rc; of a pass ERR_GONE, or ERR_REFUSED where the plant's system has to take it first and
 * did not. */
MUST_USE int slot_report(struct slot *s, int rc, bool goes_on, struct error *err);

enum slot_presence { SLOT_SAME, SLOT_OTHER, SLOT_SILENT, SLOT_GONE };

/*
 * Asks once whether the device of the last attempt is still there: one that passed for the end of its
 * certificate, another one for its chip id. What is neither silent nor a sound answer counts as the same.
 */
enum slot_presence slot_look(struct slot *s, bool passed);

#endif
