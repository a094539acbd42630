#include "station/board/layout.h"

/* Three dots wide, five high; one row is an octal digit. */
static const struct {
    char letter;
    unsigned rows;
} letters_table[] = {
    {'P', 075744}, {'A', 075755}, {'S', 074717}, {'F', 074744}, {'I', 072227}, {'L', 044447},
};

int layout_dot(char c, int column, int row)
{
    for (unsigned i = 0; i < sizeof letters_table / sizeof *letters_table; i++)
        if (letters_table[i].letter == c)
            return (int)(letters_table[i].rows >> (3 * (LAYOUT_LETTER_HEIGHT - 1 - row)) >>
                         (LAYOUT_LETTER_WIDTH - 1 - column)) &
                   1;
    return 0;
}

int layout_word_width(int letters, int wide)
{
    return (letters * (LAYOUT_LETTER_WIDTH + 1) - 1) * wide;
}

struct letters layout_letters(int letters, int width, int height)
{
    struct letters l = {width / layout_word_width(letters, 1), height / LAYOUT_LETTER_HEIGHT};

    if (l.wide < 1 || l.high < 1)
        return (struct letters){0, 0};
    /* Dots stay about square: a letter that is stretched is read from less far. */
    if (l.wide > 2 * l.high)
        l.wide = 2 * l.high;
    if (l.high > l.wide)
        l.high = l.wide;
    return l;
}

/* How good tiles of this size are: by the largest PASS, then by how near to their best shape. */
static int worth(int width, int height)
{
    struct letters l = layout_letters(4, width - 2, height - 3);
    int by_width = width * 100 / 16, by_height = height * 100 / 6;

    return l.wide * l.high * 10000 + (by_width < by_height ? by_width : by_height);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static int at_least_one(int n)
{
    return n > 0 ? n : 1;
}

struct layout layout_tiles(size_t count, int width, int height)
{
    int n = count > 0 ? (int)count : 1, best = -1;
    int most_columns = at_least_one(width / LAYOUT_TILE_WIDTH);
    int most_rows = at_least_one(height / LAYOUT_TILE_HEIGHT);
    struct layout l = {most_columns, most_rows, width / most_columns, height / most_rows, 1};

    for (int columns = 1; columns <= least(n, most_columns); columns++) {
        int rows = (n + columns - 1) / columns;

        if (rows > most_rows || worth(width / columns, height / rows) <= best)
            continue;
        best = worth(width / columns, height / rows);
        l = (struct layout){columns, rows, width / columns, height / rows, 1};
    }
    l.pages = (n + l.columns * l.rows - 1) / (l.columns * l.rows);
    return l;
}
