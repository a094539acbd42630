/*
 * report: what a run says on standard output, in words or as JSON, one object a line.
 *
 * Texts of the device are printable by the time they are here (link/message.h); bytes are hexadecimal.
 */
#ifndef STATION_CONFORM_REPORT_H
#define STATION_CONFORM_REPORT_H

#include "station/conform/case.h"
#include "station/conform/recorder.h"

#include <stdbool.h>

struct bench;
struct judgement;

struct report {
    bool json;
    bool hex; /* words: the bytes of every case, not only of those that failed */
};

/* What HELLO said, before the first case. */
void report_device(const struct report *r, const struct bench *b);

/* verdict: as of a case. found: why it failed or was skipped. */
void report_case(const struct report *r, const struct conform_case *c, int verdict,
                 const char *found, const struct exchange *exchanges, size_t count);

void report_end(const struct report *r, const struct bench *b, const struct judgement *j);

/* Why there is no verdict, or which one: words on standard error, as every command has them. */
void report_error(const struct report *r, const struct error *err);

/* The table of all cases, without a device. */
void report_list(const struct report *r);

#endif
