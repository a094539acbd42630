/*
 * pace: how many devices an hour a line finishes, over the last ten minutes.
 */
#ifndef STATION_LINE_PACE_H
#define STATION_LINE_PACE_H

#include <stddef.h>
#include <stdint.h>

#define PACE_WINDOW_MS (10 * 60 * 1000)
#define PACE_MAX       4096 /* devices remembered: a faster line is measured over less */

/* Zero-initialise. */
struct pace {
    int64_t at[PACE_MAX];
    size_t first, count;
};

/* A device was finished at this time, in milliseconds of the monotonic clock. */
void pace_add(struct pace *p, int64_t now);

/*
 * From the first device within the window to now: those after the first, an hour. -1 with fewer than two
 * of them.
 */
int64_t pace_per_hour(struct pace *p, int64_t now);

#endif
