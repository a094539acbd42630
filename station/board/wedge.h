/*
 * wedge: tells the scans of a scanner that types from what a person types at the board's terminal.
 *
 * Invariants
 *  1. A code is at least two characters with at most WEDGE_GAP_MS between one and the next, and a line end or
 *     a tab no later after them. Anything else is a person's, and means nothing.
 *  2. A key that is no character, within a code, spoils the code, and the vault refuses it. After two
 *     characters it is no command; a person may have hit one key before.
 *  3. Pure: no clock, no terminal.
 */
#ifndef STATION_BOARD_WEDGE_H
#define STATION_BOARD_WEDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEDGE_GAP_MS 100
#define WEDGE_MAX    512 /* longer than any code: what is cut is refused for its length */

/* Zero-initialise. */
struct wedge {
    char code[WEDGE_MAX];
    size_t len, characters; /* that were typed, without what spoils a code */
    int64_t last_ms;        /* when the last character came */
};

/* A key of the terminal at this time: true when it ended a code, which then is code and len until the next
 * key. */
bool wedge_take(struct wedge *w, int key, int64_t now_ms);

/* Whether a key that comes now belongs to a code, and to no person. */
bool wedge_is_typing(const struct wedge *w, int64_t now_ms);

#endif
