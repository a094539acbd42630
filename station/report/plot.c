#include "station/report/plot.h"

#include "station/report/svg.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 860.0 /* between a screen's page and A4: letters are readable on both */

int64_t plot_step(int64_t most, int64_t steps)
{
    static const int64_t factors[] = {1, 2, 5};

    for (int64_t power = 1;; power *= 10)
        for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
            if (factors[i] * power * steps >= most)
                return factors[i] * power;
}

static int64_t most_of(const struct plot_value *values, size_t count)
{
    int64_t most = 1;

    for (size_t i = 0; i < count; i++)
        if (values[i].pass + values[i].fail > most)
            most = values[i].pass + values[i].fail;
    return most;
}

/* ---- columns ---- */

#define COLUMNS_HEIGHT 230.0
#define COLUMNS_LEFT   40.0
#define COLUMNS_TOP    10.0
#define COLUMNS_BOTTOM 204.0
#define COLUMN_WIDEST  48.0

static void draw_scale(struct buf *out, int64_t step, int64_t top)
{
    for (int64_t v = 0; v <= top; v += step) {
        double y = COLUMNS_BOTTOM - (COLUMNS_BOTTOM - COLUMNS_TOP) * (double)v / (double)top;
        char text[24];

        snprintf(text, sizeof text, "%" PRId64, v);
        svg_line(out, v ? "grid" : "axis", COLUMNS_LEFT, y, WIDTH, y);
        svg_text(out, "tick", SVG_END, COLUMNS_LEFT - 6, y + 4, text);
    }
}

static void draw_column(struct buf *out, const struct plot_value *v, double x, double width,
                        double unit)
{
    double pass = (double)v->pass * unit, fail = (double)v->fail * unit;

    if (v->pass)
        svg_rect(out, "pass", x, COLUMNS_BOTTOM - pass, width, pass, v->tip);
    if (v->fail)
        svg_rect(out, "fail", x, COLUMNS_BOTTOM - pass - fail, width, fail, v->tip);
}

void plot_columns(struct buf *out, const char *about, const struct plot_value *values, size_t count)
{
    int64_t most = most_of(values, count), step = plot_step(most, 5);
    int64_t top = (most + step - 1) / step * step;
    double each = (WIDTH - COLUMNS_LEFT) / (double)count;
    double width = each * 0.8 > COLUMN_WIDEST ? COLUMN_WIDEST : each * 0.8;

    svg_begin(out, WIDTH, COLUMNS_HEIGHT, about);
    draw_scale(out, step, top);
    for (size_t i = 0; i < count; i++) {
        double middle = COLUMNS_LEFT + ((double)i + 0.5) * each;

        draw_column(out, &values[i], middle - width / 2, width,
                    (COLUMNS_BOTTOM - COLUMNS_TOP) / (double)top);
        if (*values[i].label)
            svg_text(out, "tick", SVG_MIDDLE, middle, COLUMNS_BOTTOM + 18, values[i].label);
    }
    svg_end(out);
}

/* ---- bars ---- */

#define BAR_EACH   27.0
#define BAR_HEIGHT 16.0
#define BAR_NOTE   150.0 /* for what stands behind a bar */
#define LETTER     7.8   /* the width of a capital, or a little more */

/* Where bars begin: behind the longest label. */
static double left_of(const struct plot_value *values, size_t count)
{
    size_t longest = 3;

    for (size_t i = 0; i < count; i++)
        if (strlen(values[i].label) > longest)
            longest = strlen(values[i].label);
    return 16 + LETTER * (double)longest;
}

static void draw_bar(struct buf *out, const struct plot_value *v, double left, double y,
                     double unit)
{
    double pass = (double)v->pass * unit, fail = (double)v->fail * unit;

    svg_text(out, "name", SVG_END, left - 10, y + 13, v->label);
    if (v->pass)
        svg_rect(out, "pass", left, y, pass, BAR_HEIGHT, v->tip);
    if (v->fail)
        svg_rect(out, "fail", left + pass, y, fail, BAR_HEIGHT, v->tip);
    svg_text(out, "note", SVG_START, left + pass + fail + 8, y + 13, v->note);
}

void plot_bars(struct buf *out, const char *about, const struct plot_value *values, size_t count,
               int64_t least)
{
    int64_t most = most_of(values, count);
    double left = left_of(values, count);
    double unit = (WIDTH - left - BAR_NOTE) / (double)(most > least ? most : least);

    svg_begin(out, WIDTH, BAR_EACH * (double)count + 4, about);
    for (size_t i = 0; i < count; i++)
        draw_bar(out, &values[i], left, BAR_EACH * (double)i + 4, unit);
    svg_line(out, "axis", left, 0, left, BAR_EACH * (double)count + 4);
    svg_end(out);
}
