/*
 * spawn: starts the station's other programs, and sees that they end.
 *
 * Invariants
 *  1. A program that is started inherits stderr and the descriptors it is given, from 3 on; stdin,
 *     stdout and the terminal's session only when it has the screen; and none of the three where
 *     others stand for them. Start them before the HSM module is loaded and the PIN is read.
 *  2. It ends when this process does, however that ends, at the latest when its sockets are closed.
 */
#ifndef STATION_VAULT_SPAWN_H
#define STATION_VAULT_SPAWN_H

#include "base/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SPAWN_FIRST_FD 3
#define SPAWN_FDS_MAX  3
#define SPAWN_GRACE_MS 3000 /* for a program that was told to end */

struct spawn {
    const char *const *argv; /* argv[0]: path of the program; ends with NULL */
    int fds[SPAWN_FDS_MAX];
    size_t fd_count;
    bool screen;         /* keeps stdin and stdout */
    const int *standard; /* three descriptors that become stdin, stdout and stderr, or NULL */
    bool outlives;       /* not ended with this process: it ends by itself, when its sockets do */
};

/* The path of one of the station's programs: beside this one, as in a build folder, or where it was
 * installed. Errors: ERR_MISSING. */
MUST_USE int spawn_find(const char *name, char out[PATH_MAX], struct error *err);

/* Errors: those of error_set_errno. The descriptors stay open here: close them. */
MUST_USE int spawn_start(const struct spawn *s, pid_t *pid, struct error *err);

/*
 * Waits until the program ended; kills it when it takes longer than SPAWN_GRACE_MS. Returns what
 * waitpid says of it; *killed tells whether it had to be.
 */
int spawn_end(pid_t pid, bool *killed);

#endif
