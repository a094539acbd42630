/*
 * layout: where the tiles of a board lie, and how large its letters are. All sizes are in characters,
 * of which one is about twice as high as wide.
 */
#ifndef STATION_BOARD_LAYOUT_H
#define STATION_BOARD_LAYOUT_H

#include <stddef.h>

#define LAYOUT_LETTER_WIDTH  3
#define LAYOUT_LETTER_HEIGHT 5
#define LAYOUT_TILE_WIDTH    10 /* the least */
#define LAYOUT_TILE_HEIGHT   2

struct layout {
    int columns, rows; /* of tiles on a page; at least one each */
    int width, height; /* of a tile */
    int pages;         /* at least one */
};

/* count tiles, 0 as one, in width by height characters: as large as they can be, on one page if any
 * size allows it. */
struct layout layout_tiles(size_t count, int width, int height);

/* How many characters wide and high one dot of a letter becomes; wide is 0 when letters do not fit. */
struct letters {
    int wide, high;
};

/* For a word of this many letters. */
struct letters layout_letters(int letters, int width, int height);

/* How wide a word of large letters is, in characters. */
int layout_word_width(int letters, int wide);

/* Whether the large letter c has this dot. Letters that PASS and FAIL do not have are blank. */
int layout_dot(char c, int column, int row);

#endif
