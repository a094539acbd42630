/*
 * figures: what a report's attempts and units add up to. Pure.
 */
#ifndef STATION_REPORT_FIGURES_H
#define STATION_REPORT_FIGURES_H

#include "station/report/report.h"

#define FIGURES_BINS_MAX    48
#define FIGURES_SLOTS_MAX   256
#define FIGURES_REASONS_MAX 64

struct figures_count {
    int64_t passed, again, failed;
};

struct figures_slot {
    char slot[CLAIM_SLOT_MAX + 1];
    struct figures_count count;
};

struct figures_reason {
    int code; /* one of base/error.h */
    int64_t count;
    const char *text; /* of the last attempt that failed so; lives as long as the report */
};

struct figures {
    int64_t proven, revoked, burned, open; /* units by state; open: neither proven nor ended */
    int64_t first_try;                     /* proven, and no attempt before failed */
    struct figures_count all;
    struct figures_slot slots[FIGURES_SLOTS_MAX]; /* by name, numbers in it by their value */
    size_t slot_count;
    struct figures_reason reasons[FIGURES_REASONS_MAX]; /* the most frequent first */
    size_t reason_count;
    int64_t bin_from, bin_seconds; /* of the first bin; of each */
    struct figures_count bins[FIGURES_BINS_MAX];
    size_t bin_count; /* 0: there was no attempt, and no time is given */
};

void figures_take(const struct report *report, struct figures *figures);

/* Passed of passed and failed in tenths of a percent, rounded; -1: there are none. */
int64_t figures_yield(const struct figures_count *count);

/* Passed devices an hour, in tenths; -1: no time passed. Between the first and the last attempt; of a shift,
 * its time, as far as it is over. */
int64_t figures_pace(const struct report *report, const struct figures *figures);

/* What an error class means, as the manual page says it. Never NULL. */
const char *figures_meaning(int code);

#endif
