/*
 * draw: a board on the terminal, by ncurses. It reads the model and changes nothing in it.
 */
#ifndef STATION_BOARD_DRAW_H
#define STATION_BOARD_DRAW_H

#include "station/board/model.h"

#define DRAW_HEAD_ROWS 2 /* above the tiles */
#define DRAW_FOOT_ROWS 4 /* below */

/* What the operator looks at. */
struct view {
    char chosen[BOARD_LABEL_MAX + 1]; /* a slot chosen with the arrow keys, or "" */
    bool asks_quit;                   /* the question is shown */
};

/* The slot that the lines below the tiles are about, and that is tried again: the chosen one, or the
 * one that failed last; -1 when there is none. */
int draw_focus(const struct board *b, const struct view *v);

void draw_board(const struct board *b, const struct view *v);

/* How many tiles an arrow up or down moves on this terminal now. */
int draw_columns(const struct board *b);

#endif
