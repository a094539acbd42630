/*
 * case: one thing that docs/device-link.md requires of a device, and how it is tried.
 *
 * Invariants
 *  1. A case is a small function that talks to the device through the bench and returns a verdict. It
 *     begins in the state that its needs name, whatever the cases before it did, and leaves no
 *     transaction that the next one could not end with ABORT.
 *  2. A case that needs what the device does not claim, or what nobody allowed, is skipped, and the
 *     report says why.
 *  3. Names are lower-case words joined by '-', unique and for ever: scripts name cases.
 */
#ifndef STATION_CONFORM_CASE_H
#define STATION_CONFORM_CASE_H

#include "base/error.h"

#include <stddef.h>

struct bench;

/* What a case needs. Those of the first group are asked of device and command line, those of the
 * second are brought about before the case begins. */
enum case_need {
    NEED_HSM = 1 << 0,       /* the device takes wrapped keys */
    NEED_DEVICE = 1 << 1,    /* it makes its own key */
    NEED_NO_DEVICE = 1 << 2, /* it does not */
    NEED_DERIVED = 1 << 3,   /* it takes symmetric keys */
    NEED_SUITE_1 = 1 << 4,   /* it offers this suite */
    NEED_SUITE_2 = 1 << 5,
    NEED_PINNED = 1 << 6,        /* it pins an authority */
    NEED_BELIEF = 1 << 7,        /* it believes the judge's station */
    NEED_ATTESTATION = 1 << 8,   /* it has an enrolment key */
    NEED_CHAIN = 1 << 9,         /* and certificates of its vendor for it */
    NEED_DECOMMISSION = 1 << 10, /* it has DECOMMISSION */
    NEED_RESTART = 1 << 11,      /* --restart was given */
    NEED_LOCK = 1 << 12,         /* --lock was given */
    NEED_CHANGE = 1 << 13,       /* its state may change: it has no identity of somebody else's */

    NEED_READY = 1 << 16,    /* no transaction is open, and a new transport key; with NEED_CHANGE */
    NEED_BLANK = 1 << 17,    /* as ready, and no identity: skipped when it has one */
    NEED_IDENTITY = 1 << 18, /* as ready, over an identity that the judge gave it */
    NEED_LOCKED = 1 << 19    /* as it is when that identity may be locked already */
};

/* Verdicts; an error code is a failure, and err->text says what was found instead. */
#define CASE_PASS 0
#define CASE_SKIP 1 /* err->text says why */

typedef int case_fn(struct bench *b, struct error *err);

struct conform_case {
    const char *name;    /* NULL ends a table */
    const char *section; /* of docs/device-link.md */
    unsigned needs;
    const char *requires; /* a sentence: what a device has to do */
    case_fn *run;
};

/* The tables, one of each file of cases/. */
extern const struct conform_case cases_frame[], cases_cbor[], cases_hello[], cases_station[],
    cases_begin[], cases_keygen[], cases_put[], cases_commit[], cases_identity[], cases_resume[],
    cases_restart[], cases_lock[];

/* Case number i of all, in the order in which they run; NULL past the last. */
const struct conform_case *case_at(size_t i);

/* The case of this name; NULL when there is none. */
const struct conform_case *case_find(const char *name, size_t len);

#endif
