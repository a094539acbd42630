/*
 * screen: starts the operator's board where there is a terminal for it, and gives the terminal back.
 *
 * The board (station/board) alone has the terminal then: the line's events and commands are a pair of
 * sockets, and what line, opener and connector write on stderr goes through the board as well.
 */
#ifndef STATION_VAULT_SCREEN_H
#define STATION_VAULT_SCREEN_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

struct screen {
    pid_t board; /* 0: there is none */
    int line; /* becomes stdin and stdout of the line; -1 without a board, and once it was given */
    int errors; /* becomes stderr of the line and its helpers; likewise */
    int typed; /* what a scanner typed at the board comes here; -1 without a board, and once it was taken */
    bool keeps;
    struct termios before;
};

/*
 * Starts the board when stdin and stdout are the terminal in whose foreground this process is, and the
 * board can use that kind of terminal; otherwise screen->board is 0 and that is no error. Call it before
 * the HSM module is loaded and the PIN is read. Errors: ERR_MISSING when the program is not installed.
 */
MUST_USE int screen_start(struct screen *screen, struct error *err);

/* Closes line and errors here, once the line has them. */
void screen_handed_over(struct screen *screen);

/* Waits for the board, after the line ended, and leaves the terminal as it was. May be called twice. */
void screen_end(struct screen *screen);

#endif
