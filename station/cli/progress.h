/*
 * progress: one line on stderr that says how far long work is, how fast, and how long it will take.
 *
 * On a terminal it is rewritten in place ten times a second at most; elsewhere nothing is printed,
 * so that logs stay readable.
 */
#ifndef STATION_CLI_PROGRESS_H
#define STATION_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* such as "credentials" */
    int64_t total;
    int64_t started_ms;
    int64_t shown_ms;
    bool on;
};

/* quiet turns it off. */
void progress_start(struct progress *p, const char *what, int64_t total, bool quiet);
void progress_show(struct progress *p, int64_t done);
void progress_end(struct progress *p); /* clears the line */

#endif
