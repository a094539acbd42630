/*
 * job_label: what the labels of a job's units carry, and the serial of one that was scanned.
 *
 * Without a `label` in the job a code is taken as it is: plain text is the serial, and of a GS1 element
 * string (gs1/gs1.h) it is what stands behind (21). A GS1 code must name the product of the order.
 */
#ifndef STATION_JOB_LABEL_H
#define STATION_JOB_LABEL_H

#include "gs1/gs1.h"
#include "pki/serial_name.h"
#include "station/order.h"
#include "station/schema/schema.h"

struct job_label {
    char kind_name[6];          /* "any", "gs1" or "plain"; empty: any */
    char lot[GS1_TEXT_MAX + 1]; /* that each label must have behind (10); empty: whatever it says */
    bool check; /* a unit is whitelisted only once its label was compared with what was read back */
};

/* The members of `label` in a job, and the check of them all together. */
extern const struct schema_field job_label_fields[];
int job_label_check(const void *label, const char **member, struct error *err);

/*
 * The serial on the label that a scanner read. separator: as gs1_read. Errors: ERR_INPUT for a code that
 * cannot be read, is of another kind, or has no serial; ERR_REFUSED for one of another product or lot, or
 * of which neither can be told.
 */
MUST_USE int job_label_serial(const struct job_label *label, const struct order *order,
                              const char *code, size_t len, char separator,
                              char serial[SERIAL_TEXT_MAX + 1], struct error *err);

#endif
