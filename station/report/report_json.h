/*
 * report_json: a report as one JSON object, for programs (docs/man/imprint.1, "REPORTS").
 */
#ifndef STATION_REPORT_REPORT_JSON_H
#define STATION_REPORT_REPORT_JSON_H

#include "station/report/figures.h"

struct json_t;

/* A new reference; NULL without memory. */
struct json_t *report_json(const struct report *report, const struct figures *figures);

#endif
