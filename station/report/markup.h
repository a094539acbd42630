/*
 * markup: text inside HTML and SVG, and nothing but text: serials and what devices say are hostile.
 *
 * Invariant: what markup_text writes is neither markup nor a part of any, inside an element or a quoted attribute.
 * A byte that is not printable ASCII becomes U+FFFD.
 */
#ifndef STATION_REPORT_MARKUP_H
#define STATION_REPORT_MARKUP_H

#include "base/buf.h"

void markup_text(struct buf *out, const char *text);

/* As markup_text, of what the format makes, at most 1023 bytes of it. */
void markup_printf(struct buf *out, const char *format, ...) PRINTF_LIKE(2, 3);

/* "<td>text</td>" of any element; class NULL: none. */
void markup_element(struct buf *out, const char *element, const char *class, const char *text);

#endif
