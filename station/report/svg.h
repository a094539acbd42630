/*
 * svg: a picture inside an HTML page, drawn with few shapes. Coordinates and sizes are in units of the picture.
 *
 * Classes name what a shape is, and the page's style gives it colours: "pass", "fail", "grid", "axis".
 * Tooltips are titles, which every viewer shows without a script.
 */
#ifndef STATION_REPORT_SVG_H
#define STATION_REPORT_SVG_H

#include "base/buf.h"

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

/* As wide as its place on the page. about: what it shows, for who cannot see it. */
void svg_begin(struct buf *out, double width, double height, const char *about);
void svg_end(struct buf *out);

/* tip: what it stands for, or NULL. */
void svg_rect(struct buf *out, const char *class, double x, double y, double width, double height,
              const char *tip);
void svg_line(struct buf *out, const char *class, double x1, double y1, double x2, double y2);
void svg_text(struct buf *out, const char *class, enum svg_anchor anchor, double x, double y,
              const char *text);

#endif
