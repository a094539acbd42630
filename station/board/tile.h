/*
 * tile: one slot on the terminal.
 */
#ifndef STATION_BOARD_TILE_H
#define STATION_BOARD_TILE_H

#include "station/board/model.h"

struct box {
    int y, x, height, width;
};

/* chosen: the slot that the operator chose. From four rows on the tile has an edge on all sides. */
void tile_draw(const struct board *b, const struct board_slot *s, struct box box, bool chosen);

/* Writes a text at a place, cut at width. */
void tile_text(int y, int x, int width, const char *text);

#endif
