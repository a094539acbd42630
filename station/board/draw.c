#include "station/board/draw.h"

#include "station/board/ink.h"
#include "station/board/layout.h"
#include "station/board/tile.h"
#include "station/board/words.h"

#include <stdio.h>
#include <string.h>

#define LINE_SIZE 600
#define DOTS      " ..."
#define HIGH_ROWS 30 /* from here on two rows more for the detail */

int draw_focus(const struct board *b, const struct view *v)
{
    int chosen = *v->chosen ? board_find(b, v->chosen) : -1;

    return chosen >= 0 ? chosen : board_last_failure(b);
}

/* What to do, the keys, and above them the detail: as many rows as there is room for. */
static int foot_rows(void)
{
    return DRAW_FOOT_ROWS + (LINES >= HIGH_ROWS ? 2 : 0);
}

static int tile_rows(void)
{
    return LINES - DRAW_HEAD_ROWS - foot_rows();
}

int draw_columns(const struct board *b)
{
    return layout_tiles(b->count, COLS, tile_rows()).columns;
}

/* One row in reverse from edge to edge; where both do not fit, left is cut. */
static void bar(int y, const char *left, const char *right)
{
    int room = COLS - (int)strlen(right);

    attrset(ink(INK_BAR));
    mvprintw(y, 0, "%-*.*s", COLS, room > 1 ? room - 1 : 0, left);
    if (room >= 0)
        mvaddstr(y, room, right);
    attrset(A_NORMAL);
}

static void draw_head(const struct board *b, int page, int pages)
{
    char left[LINE_SIZE], right[96], pages_text[48] = "";

    if (pages > 1)
        snprintf(pages_text, sizeof pages_text, "page %d of %d   ", page + 1, pages);
    snprintf(left, sizeof left, " imprint   order %s   product %s", b->order, b->product);
    snprintf(right, sizeof right, "%s%s ", pages_text, words_line(b));
    bar(0, left, right);
    attrset(ink(INK_STRONG));
    tile_text(1, 1, COLS - 2, words_counts(b, (size_t)COLS - 2, left, sizeof left));
    attrset(A_NORMAL);
}

/* A text that goes on after the last row ends with dots: the rest is printed when the line ends. */
static void draw_detail(int y, const char *text)
{
    char line[LINE_SIZE];
    int rows = foot_rows() - 2;
    size_t width = (size_t)(COLS - 2 < LINE_SIZE ? COLS - 2 : LINE_SIZE - 1);

    for (int row = 0; row < rows; row++) {
        bool cut = row == rows - 1 && strlen(text) > width;

        if (!words_wrap(&text, cut ? width - strlen(DOTS) : width, line))
            break;
        tile_text(y + row, 1, COLS - 2, line);
        if (cut)
            addstr(DOTS);
    }
}

/* Half a sentence may say the opposite. */
static const char *next_that_fits(const struct board *b, const struct board_slot *s)
{
    const char *next = words_next(b, s), *brief = words_next_short(s);

    return strlen(next) > (size_t)COLS - 2 && *brief ? brief : next;
}

static void draw_slot_detail(const struct board *b, const struct board_slot *s, int y)
{
    char text[LINE_SIZE * 2];

    snprintf(text, sizeof text, "%s %s %s%s%s", s->label, words_state(b, s), s->serial,
             *s->text && *s->serial ? "  " : "", s->text);
    draw_detail(y, text);
    attrset(ink(INK_STRONG));
    tile_text(LINES - 2, 1, COLS - 2, next_that_fits(b, s));
    attrset(A_NORMAL);
}

static const char *keys(const struct board *b, const struct view *v)
{
    if (b->line >= BOARD_QUITTING)
        return " What was begun is finished, then this ends.";
    if (v->asks_quit)
        return " End the line?  F4 or Ctrl-C once more: yes.  Anything else, or waiting: no.";
    if (b->line == BOARD_PAUSED)
        return " F2 go on   F3 try slot again   F4 end   Arrows choose a slot";
    return " F2 pause   F3 try slot again   F4 end   Arrows choose a slot";
}

static void draw_foot(const struct board *b, const struct view *v)
{
    int focus = draw_focus(b, v), y = LINES - foot_rows();

    if (focus >= 0)
        draw_slot_detail(b, &b->slots[focus], y);
    else
        draw_detail(y, b->notice);
    bar(LINES - 1, keys(b, v), "");
}

static void draw_tiles(const struct board *b, const struct view *v, const struct layout *l,
                       int page)
{
    int chosen = *v->chosen ? board_find(b, v->chosen) : -1, first = page * l->columns * l->rows;

    for (int i = 0; i < l->columns * l->rows && first + i < (int)b->count; i++)
        tile_draw(b, &b->slots[first + i],
                  (struct box){DRAW_HEAD_ROWS + i / l->columns * l->height,
                               i % l->columns * l->width, l->height, l->width},
                  first + i == chosen);
}

void draw_board(const struct board *b, const struct view *v)
{
    struct layout l = layout_tiles(b->count, COLS, tile_rows());
    int focus = draw_focus(b, v), page = focus > 0 ? focus / (l.columns * l.rows) : 0;

    erase();
    if (tile_rows() < LAYOUT_TILE_HEIGHT || COLS < 2 * LAYOUT_TILE_WIDTH) {
        tile_text(0, 0, COLS, "enlarge this window");
    } else {
        draw_head(b, page, l.pages);
        draw_tiles(b, v, &l, page);
        draw_foot(b, v);
    }
    refresh();
}
