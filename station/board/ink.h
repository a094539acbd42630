/*
 * ink: how things look on this terminal. Nothing is told by colour alone: a word says it, and PASS and
 * FAIL also differ by shape. PASS is large letters on an empty tile, FAIL letters on a filled one.
 */
#ifndef STATION_BOARD_INK_H
#define STATION_BOARD_INK_H

#include <ncurses.h>

enum ink { INK_PLAIN, INK_STRONG, INK_BAR, INK_PASS, INK_FAIL, INK_BUSY };

/* Whether this kind of terminal can be drawn on. Touches nothing. */
int ink_terminal_is_usable(void);

/* After initscr. ascii: nothing but ASCII and the terminal's own lines. */
void ink_init(int ascii);
int ink(enum ink kind);

/* Draws one dot of a large letter: a block, or where there is none a character that is turned over. */
void ink_dot(int y, int x);

/* One character of a bar. */
const char *ink_bar(int full);

#endif
