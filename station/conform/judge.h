/*
 * judge: runs cases, and counts their verdicts.
 */
#ifndef STATION_CONFORM_JUDGE_H
#define STATION_CONFORM_JUDGE_H

#include "station/conform/bench.h"
#include "station/conform/report.h"

struct judgement {
    unsigned passed, failed, skipped;
    unsigned
        withheld; /* of those that were skipped: for want of a key, or because the device has an
                          identity */
};

/* names: cases joined by commas, or "" for all. Errors: ERR_USAGE for a name that is none. */
MUST_USE int judge_check(const char *names, struct error *err);

/*
 * Runs the cases and reports each; then takes the identity away again that it gave, where the device has
 * DECOMMISSION. Errors: ERR_TIMEOUT when the device does not answer (any more); ERR_GONE and the others
 * that end a run (bench.h). A case that failed is no error here.
 */
MUST_USE int judge_run(struct bench *b, const char *names, const struct report *report,
                       struct judgement *j, struct error *err);

/* What the whole run ends with: ERR_PROTOCOL when a case failed, ERR_REFUSED when cases were withheld. */
MUST_USE int judge_verdict(const struct bench *b, const struct judgement *j, struct error *err);

#endif
