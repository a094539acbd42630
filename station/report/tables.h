/*
 * tables: the tables of a report's page.
 */
#ifndef STATION_REPORT_TABLES_H
#define STATION_REPORT_TABLES_H

#include "station/report/page.h"

void table_slots(struct buf *out, const struct figures *figures);
void table_reasons(struct buf *out, const struct figures *figures);
void table_units(struct buf *out, const struct report *report);      /* a line for each */
void table_identities(struct buf *out, const struct report *report); /* all of each */
void table_attempts(struct buf *out, const struct report *report);
void table_entries(struct buf *out, const struct page_entry *entries, size_t count);

/* "97.4 %", or "–" for none. */
void table_percent(int64_t tenths, char *out, size_t size);

/* "2026-01-31 06:00:00"; a column says that it is UTC. Empty for 0. */
void table_time(int64_t utc, char out[CLOCK_TEXT_SIZE]);

#endif
