#include "station/board/tile.h"

#include "station/board/ink.h"
#include "station/board/layout.h"
#include "station/board/words.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_WIDTH 400
#define NARROW         16 /* below this width there is no room for sentences */
#define FRAMED_HEIGHT  5  /* from this height on a tile has a frame */

void tile_text(int y, int x, int width, const char *text)
{
    if (width > 0)
        mvaddnstr(y, x, text, width);
}

static void centre(int y, const struct box *in, const char *text)
{
    int len = (int)strlen(text);

    if (y < in->y + in->height)
        tile_text(y, in->x + (len < in->width ? (in->width - len) / 2 : 0), in->width, text);
}

static enum ink ink_of(enum board_state state)
{
    switch (state) {
    case BOARD_PASS:
        return INK_PASS;
    case BOARD_FAIL:
    case BOARD_DISABLED:
        return INK_FAIL;
    case BOARD_HELLO:
    case BOARD_KEYGEN:
    case BOARD_DELIVER:
    case BOARD_PROVE:
    case BOARD_SCAN:
        return INK_BUSY;
    default:
        return INK_PLAIN;
    }
}

/* A tile that nobody is to overlook, with the reason in it. */
static bool is_bad(const struct board_slot *s)
{
    return s->state == BOARD_FAIL || s->state == BOARD_DISABLED;
}

/* Spaces in the current attributes. */
static void fill(const struct box *in)
{
    for (int row = 0; row < in->height; row++)
        mvprintw(in->y + row, in->x, "%*s", in->width, "");
}

static void frame(const struct box *box)
{
    int bottom = box->y + box->height - 1, right = box->x + box->width - 1;

    mvhline(box->y, box->x, ACS_HLINE, box->width);
    if (box->height < FRAMED_HEIGHT)
        return;
    mvhline(bottom, box->x, ACS_HLINE, box->width);
    mvvline(box->y, box->x, ACS_VLINE, box->height);
    mvvline(box->y, right, ACS_VLINE, box->height);
    mvaddch(box->y, box->x, ACS_ULCORNER);
    mvaddch(box->y, right, ACS_URCORNER);
    mvaddch(bottom, box->x, ACS_LLCORNER);
    mvaddch(bottom, right, ACS_LRCORNER);
}

static void title(const struct board_slot *s, const struct box *box, bool chosen)
{
    char text[BOARD_LABEL_MAX + 4];

    snprintf(text, sizeof text, chosen ? ">%s<" : " %s ", s->label);
    attrset(chosen ? ink(INK_BAR) : ink(INK_STRONG));
    tile_text(box->y, box->x + 1, box->width - 2, text);
    attrset(A_NORMAL);
}

/* ---- large letters ---- */

static void dot(int y, int x, struct letters size)
{
    for (int i = 0; i < size.high; i++)
        for (int j = 0; j < size.wide; j++)
            ink_dot(y + i, x + j);
}

static void large_word(const char *word, int y, const struct box *in, struct letters size)
{
    int width = layout_word_width((int)strlen(word), size.wide);
    int x = in->x + (in->width - width) / 2;

    for (; *word; word++, x += (LAYOUT_LETTER_WIDTH + 1) * size.wide)
        for (int row = 0; row < LAYOUT_LETTER_HEIGHT; row++)
            for (int column = 0; column < LAYOUT_LETTER_WIDTH; column++)
                if (layout_dot(*word, column, row))
                    dot(y + row * size.high, x + column * size.wide, size);
}

/* ---- the parts of a tile, each of which returns the row after it ---- */

static int draw_state(const struct board *b, const struct board_slot *s, const struct box *in)
{
    const char *word = words_state(b, s);
    bool result = s->state == BOARD_PASS || s->state == BOARD_FAIL;
    int reserve = s->state == BOARD_FAIL && in->height > 9 ? 5 : in->height > 6 ? 2 : 1;
    struct letters size = {0, 0};

    if (result)
        size = layout_letters(4, in->width, in->height - reserve);
    if (size.wide) {
        int spare = in->height - reserve - LAYOUT_LETTER_HEIGHT * size.high;
        int y = in->y + (spare > 0 ? 1 : 0);

        large_word(word, y, in, size);
        return y + LAYOUT_LETTER_HEIGHT * size.high + (in->height > 9);
    }
    if (s->state == BOARD_PASS)
        attron(A_REVERSE);
    centre(in->y + (in->height > 4 ? (in->height - 3) / 2 : 0), in,
           s->state == BOARD_PASS ? "  PASS  " : word);
    return in->y + (in->height > 4 ? (in->height - 3) / 2 : 0) + 1;
}

static int draw_progress(const struct board_slot *s, int y, const struct box *in)
{
    char text[24];
    int bar = in->width - 7, full;

    if (s->state != BOARD_DELIVER || y >= in->y + in->height)
        return y;
    snprintf(text, sizeof text, "%3d %%", board_percent(s));
    if (bar < 6) {
        centre(y, in, text);
        return y + 1;
    }
    full = bar * board_percent(s) / 100;
    move(y, in->x + 1);
    for (int i = 0; i < bar; i++)
        addstr(ink_bar(i < full));
    tile_text(y, in->x + 1 + bar, 5, text);
    return y + 1;
}

static int draw_retry(const struct board_slot *s, int y, const struct box *in)
{
    char text[64];

    if (s->attempt < 2 || s->state == BOARD_PASS || is_bad(s))
        return y;
    snprintf(text, sizeof text, in->width < 16 ? "try %d/%d" : "attempt %d of %d", (int)s->attempt,
             (int)s->limit);
    centre(y, in, text);
    return y + 1;
}

/* The end of a serial is what tells devices apart. */
static int draw_serial(const struct board_slot *s, int y, const struct box *in)
{
    size_t len = strlen(s->serial), width = (size_t)(in->width > 0 ? in->width : 0);

    if (len == 0 || y >= in->y + in->height)
        return y;
    centre(y, in, s->serial + (len > width ? len - width : 0));
    return y + 1;
}

/* Of lines of text: a column stays free on both sides. */
static size_t text_width(const struct box *in)
{
    int width = in->width - 2 < LINE_MAX_WIDTH ? in->width - 2 : LINE_MAX_WIDTH;

    return width > 0 ? (size_t)width : 0;
}

static int draw_lines(const char *text, int y, int most, const struct box *in)
{
    char line[LINE_MAX_WIDTH + 1];

    for (; most > 0 && y < in->y + in->height && words_wrap(&text, text_width(in), line); most--)
        centre(y++, in, line);
    return y;
}

/* How many lines a text takes in a tile. */
static int count_lines(const char *text, const struct box *in)
{
    char line[LINE_MAX_WIDTH + 1];
    int n = 0;

    while (words_wrap(&text, text_width(in), line))
        n++;
    return n;
}

/* What to do next in as many words as there is room for, and the reason above it where that leaves room:
 * neither is ever cut, for the rest of a sentence may matter. */
static void draw_advice(const struct board *b, const struct board_slot *s, int y,
                        const struct box *in)
{
    const char *next = words_next(b, s);
    int left = in->y + in->height - y;

    if (in->width < NARROW || count_lines(next, in) > left)
        next = words_next_short(s);
    if (in->width < NARROW && left > 0) {
        centre(y, in, next);
        return;
    }
    if (is_bad(s) && count_lines(s->text, in) + count_lines(next, in) <= left)
        y = draw_lines(s->text, y, left, in);
    draw_lines(next, y, left, in);
}

void tile_draw(const struct board *b, const struct board_slot *s, struct box box, bool chosen)
{
    bool framed = box.height >= FRAMED_HEIGHT;
    struct box in = {box.y + 1, box.x + framed, box.height - 1 - framed, box.width - 2 * framed};
    int y;

    /* A column between tiles without a frame. */
    box.width -= !framed;
    in.width -= !framed;
    frame(&box);
    title(s, &box, chosen);
    attrset(ink(ink_of(s->state)));
    if (is_bad(s))
        fill(&in);
    y = draw_state(b, s, &in);
    if (!is_bad(s))
        attrset(A_NORMAL);
    y = draw_progress(s, y, &in);
    y = draw_serial(s, y, &in);
    y = draw_retry(s, y, &in);
    draw_advice(b, s, y, &in);
    attrset(A_NORMAL);
}
