/*
 * job_serials: where the serials of a job's devices come from.
 *
 *   assigned   the station takes the next of a pattern; certificates are made ahead
 *   listed     the next of a file; certificates are made ahead
 *   scanned    somebody reads the label of the unit in a slot (vault/scan.h); keys are made ahead,
 *              the certificate is signed at the claim
 *   device     the prefix and the device's chip id in upper-case hexadecimal digits; as scanned
 *
 * Whatever the source, the serial is one of those that the order gives this station.
 */
#ifndef STATION_JOB_SERIALS_H
#define STATION_JOB_SERIALS_H

#include "station/order.h"
#include "station/schema/schema.h"
#include "station/serial_list.h"

#include <limits.h>

enum job_source { SOURCE_ASSIGNED, SOURCE_LISTED, SOURCE_SCANNED, SOURCE_DEVICE };

struct job_serials {
    char prefix[41];
    int64_t digits;
    int64_t first;
    char source_name[16];
    char file[PATH_MAX];    /* the list: of `listed`, and, if given, all that may be scanned */
    char input[PATH_MAX];   /* of `scanned`: where labels come from; empty: standard input */
    enum job_source source; /* what source_name says */
    struct serial_list list;
};

/* The members of `serials` in a job, and the check of them all together. */
extern const struct schema_field job_serials_fields[];
int job_serials_check(const void *serials, const char **member, struct error *err);

/* Sets source, and reads the list, whose path the caller has completed. Errors: ERR_INPUT with
 * file:line:column, those of files. */
MUST_USE int job_serials_read(struct job_serials *s, struct error *err);
void job_serials_done(struct job_serials *s);

/* Whether certificates are made ahead, and not while the device waits. */
bool job_serials_ahead(const struct job_serials *s);

/*
 * Whether the serials are those that the order gives this station: the pattern is within its range,
 * or the list is the one that it names and has no serial of another station's numbers or prefix, or each
 * line of the list is one that it gives; and none of the list's breaks a rule of a platform that the order
 * exports to. range is a member of order. path is for the message. Errors: ERR_REFUSED.
 */
MUST_USE int job_serials_bind(const struct job_serials *s, const struct order_serials *range,
                              const char *path, const struct order *order, struct error *err);

/* Whether this serial may be a device's: the station's by the order, and fit for the platforms that the
 * order exports to. Errors: ERR_REFUSED, ERR_INPUT when it is no serial. */
MUST_USE int job_serials_allow(const struct job_serials *s, const struct order_serials *range,
                               const struct order *order, const char *serial, struct error *err);

/* The text of serial number n of the pattern. Errors: ERR_INPUT when n needs more digits than the
 * pattern has. */
MUST_USE int job_serial_text(const struct job_serials *serials, int64_t n, char *out, size_t size,
                             struct error *err);

#endif
