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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * For every process of the station, first thing: no core dumps, and no other process of the same
 * user may read its memory or trace it (root may, always).
 */
MUST_USE int confine_memory(struct error *err);

/*
 * For the vault, before it holds a PIN: no page of it, now or later, goes to swap. False where the
 * limit (RLIMIT_MEMLOCK) does not allow it; then only what base/secret.h holds is locked.
 */
bool confine_lock_memory(void);

/* Whether confine_lock_memory would lock all, for who tells it. */
bool confine_may_lock_memory(void);

/*
 * For the line, before any thread starts: no file can be opened (by an empty file system of its own, by
 * Landlock and by the system-call filter), no program started, no network seen, no socket made but
 * pairs, no process signalled or traced. What is open already, or handed to it, works with the few ioctl
 * requests of serial ports and the screen and no fcntl: nothing can be typed into a terminal from here,
 * and no descriptor signals anybody. The signal at the parent's death stays. missing, of size bytes,
 * receives what this kernel cannot do, or "". Errors: ERR_INTERNAL when not even the system-call filter
 * loads; ERR_GONE when the parent ended meanwhile.
 */
MUST_USE int confine_line(char *missing, size_t size, struct error *err);

/*
 * For the opener: as the line, but files below /dev can be opened, and those below /sys and /proc
 * read (by Landlock; without it, what the user may open anyway), ports configured, and local sockets
 * made: it sees no network.
 */
MUST_USE int confine_opener(struct error *err);

/*
 * For the checker: as the line, and no thread, descriptor, signal handler or terminal either: it
 * reads and writes what is open, takes memory, and ends. What is missing the line says.
 */
MUST_USE int confine_checker(struct error *err);

/*
 * For the board, once ncurses has read what it knows of the terminal: as the checker, but signals can be
 * caught and the terminal's settings and size read and set. Nothing can be typed into the terminal and
 * it cannot be taken.
 */
MUST_USE int confine_board(struct error *err);

/*
 * For the connector, once it knows every address: as the checker, but stream sockets can be made and
 * connected, over TCP to these ports alone (from Landlock's ABI 4 on), and descriptors sent.
 */
MUST_USE int confine_connector(const uint16_t *ports, size_t count, struct error *err);

#endif
