/*
 * bench_players: devices that are provisioned at the same time, unpaced, in a process of their own.
 *
 * Each asks as the line asks for it, from OPEN to RESULT, on a channel of its own, and goes on as soon as
 * it is answered. Chip ids and transport keys are made before the clock starts; what else a device
 * computes is done beside the vault, on the same processors.
 */
#ifndef BENCH_PLAYERS_H
#define BENCH_PLAYERS_H

#include "base/error.h"

#include <sys/types.h>

#define BENCH_PLAYERS_MAX 64

struct bench_players {
    pid_t pid;
    int control; /* the vault's end: serve it until the players have closed theirs */
    int report;
};

/* Starts a process that provisions so many devices, so many of them at a time. */
MUST_USE int bench_players_start(struct bench_players *p, long devices, unsigned at_once,
                                 struct error *err);

/* Waits for its end. seconds: from the first request to the last answer. Errors: ERR_INTERNAL when a
 * device did not pass; the process has said why. */
MUST_USE int bench_players_end(struct bench_players *p, double *seconds, struct error *err);

#endif
