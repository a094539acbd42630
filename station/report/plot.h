/*
 * plot: the two kinds of plots that a report has, as SVG: what passed and failed over time, and by name.
 */
#ifndef STATION_REPORT_PLOT_H
#define STATION_REPORT_PLOT_H

#include "base/buf.h"

/* One column or bar: what passed, and what failed beyond it. */
struct plot_value {
    char label[64]; /* below the column; empty: none */
    char tip[128];  /* what it stands for, in full */
    char note[64];  /* of a bar: behind it */
    int64_t pass, fail;
};

/* Columns side by side, over a scale from 0 to a round number. count: 1 or more. */
void plot_columns(struct buf *out, const char *about, const struct plot_value *values,
                  size_t count);

/* Bars one below the other. least: the smallest full length, so that a share is drawn of 100. */
void plot_bars(struct buf *out, const char *about, const struct plot_value *values, size_t count,
               int64_t least);

/* The smallest of 1, 2, 5, 10, 20, 50 ... with which `most` needs no more than `steps` steps. */
int64_t plot_step(int64_t most, int64_t steps);

#endif
