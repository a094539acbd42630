#include "station/report/svg.h"

#include "station/report/markup.h"

#include <math.h>

/* Tenths are enough, and no locale has a say in how a number is written. */
static void put_number(struct buf *out, double value)
{
    long tenths = lround(value * 10);

    if (tenths < 0) {
        buf_put_u8(out, '-');
        tenths = -tenths;
    }
    buf_printf(out, "%ld", tenths / 10);
    if (tenths % 10)
        buf_printf(out, ".%ld", tenths % 10);
}

static void put_attribute(struct buf *out, const char *name, double value)
{
    buf_printf(out, " %s=\"", name);
    put_number(out, value);
    buf_put_u8(out, '"');
}

void svg_begin(struct buf *out, double width, double height, const char *about)
{
    buf_put_str(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 ");
    put_number(out, width);
    buf_put_u8(out, ' ');
    put_number(out, height);
    buf_put_str(out, "\" aria-label=\"");
    markup_text(out, about);
    buf_put_str(out, "\">\n");
}

void svg_end(struct buf *out)
{
    buf_put_str(out, "</svg>\n");
}

void svg_rect(struct buf *out, const char *class, double x, double y, double width, double height,
              const char *tip)
{
    buf_printf(out, "<rect class=\"%s\"", class);
    put_attribute(out, "x", x);
    put_attribute(out, "y", y);
    put_attribute(out, "width", width);
    put_attribute(out, "height", height);
    if (!tip) {
        buf_put_str(out, "/>\n");
        return;
    }
    buf_put_u8(out, '>');
    markup_element(out, "title", NULL, tip);
    buf_put_str(out, "</rect>\n");
}

void svg_line(struct buf *out, const char *class, double x1, double y1, double x2, double y2)
{
    buf_printf(out, "<line class=\"%s\"", class);
    put_attribute(out, "x1", x1);
    put_attribute(out, "y1", y1);
    put_attribute(out, "x2", x2);
    put_attribute(out, "y2", y2);
    buf_put_str(out, "/>\n");
}

void svg_text(struct buf *out, const char *class, enum svg_anchor anchor, double x, double y,
              const char *text)
{
    static const char *const anchors[] = {"start", "middle", "end"};

    buf_printf(out, "<text class=\"%s\" text-anchor=\"%s\"", class, anchors[anchor]);
    put_attribute(out, "x", x);
    put_attribute(out, "y", y);
    buf_put_u8(out, '>');
    markup_text(out, text);
    buf_put_str(out, "</text>\n");
}
