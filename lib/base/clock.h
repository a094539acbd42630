/*
 * clock: the two clocks that the project uses, and the one way it writes a time.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/error.h"

#include <stdint.h>

#define CLOCK_TEXT_SIZE 21 /* "2026-01-31T23:59:59Z" and its NUL */

/* Milliseconds that only ever grow; for deadlines and durations. */
int64_t clock_mono_ms(void);

/* Seconds since 1970-01-01 UTC; for what is recorded. */
int64_t clock_utc(void);

/*
 * When the sources of this program were committed, or what its packager set as SOURCE_DATE_EPOCH: no
 * right clock is before it. 0 when neither was known.
 */
int64_t clock_build(void);

/* RFC 3339 in UTC, whole seconds. */
void clock_text(int64_t utc, char out[CLOCK_TEXT_SIZE]);

/*
 * Exactly what clock_text writes, for the years 1970 to 9999: a real date, no fractions, no other
 * zone, no leap second. Errors: ERR_FORMAT.
 */
MUST_USE int clock_parse(const char *text, int64_t *utc);

#endif
