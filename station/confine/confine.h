/*
 * confine: takes from a process of the station what it does not need (P10).
 *
 * Invariants
 *  1. What is taken never comes back, and children inherit it (no_new_privs).
 *  2. A kernel that lacks a mechanism gets what it has; what is missing is said in words, once, and
 *     is no error: a station must start on the kernel it has.
 */
#ifndef STATION_CONFINE_H
#define STATION_CONFINE_H

#include "base/error.h"

#include <stddef.h>

/*
 * For every process of the station, first thing: no core dumps, and no other process of the same
 * user may read its memory or trace it (root may, always).
 */
MUST_USE int confine_memory(struct error *err);

/*
 * For the line, once every port is open and before any thread starts: no file can be opened (by
 * Landlock and by the system-call filter), no program started, no socket made but pairs, no process
 * signalled or traced. What is open already keeps working. missing, of size bytes, receives what
 * this kernel cannot do, or "". Errors: ERR_INTERNAL when not even the system-call filter loads.
 */
MUST_USE int confine_line(char *missing, size_t size, struct error *err);

#endif
