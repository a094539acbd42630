/*
 * page: a report as one HTML page that needs nothing else: no script, font, picture or station.
 *
 * Invariant: whatever a serial or a device says, it is text in the page (markup.h); and a browser that believes
 * the page's own content policy would load or run nothing, if that were wrong.
 */
#ifndef STATION_REPORT_PAGE_H
#define STATION_REPORT_PAGE_H

#include "station/report/figures.h"

/* A ledger entry about the unit; the rest of the page's memory is the caller's. */
struct page_entry {
    int64_t seq;
    char at[CLOCK_TEXT_SIZE];
    char event[32], who[65], why[257];
};

/* entries: of a report of one unit; otherwise none. A failure stays in out (buf_failed). */
void page_write(const struct report *report, const struct figures *figures,
                const struct page_entry *entries, size_t entry_count, struct buf *out);

/* "Shift 2026-01-31 06:00 to 14:00 UTC", "Lot ACME-1", "Unit PUMP-0000001". */
void page_title(const struct report *report, char *out, size_t size);

#endif
