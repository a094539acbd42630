/*
 * job_require: what a job requires a unit to say of itself in HELLO before anything is claimed for it, so
 * that one which the step before left out, or flashed with something else, costs nothing.
 *
 * What a job does not require is not looked at. Every unit is held against it each time it is put in, also
 * one that passed before. A genuine device says these facts in the transcript that it verifies, so that a
 * line process cannot exchange them (link/transcript.h); a device that lies about itself is found by
 * attestation, not here.
 */
#ifndef STATION_JOB_REQUIRE_H
#define STATION_JOB_REQUIRE_H

#include "agent/ids.h"
#include "station/schema/schema.h"

struct job_require {
    char firmware[IMPRINT_FIRMWARE_MAX + 1]; /* the version; empty: any */
    char image_hash[2 * IMPRINT_HASH_SIZE +
                    1]; /* SHA-256 of the image, lower-case hex; empty: any */
    char debug[7];      /* "closed"; empty: open as well */
    char lifecycle[8];  /* "factory" or "locked"; empty: either */
};

/* What a unit said of itself. */
struct job_unit {
    const char *firmware;
    const uint8_t *image_hash; /* IMPRINT_HASH_SIZE bytes, or NULL: it says none */
    bool debug;                /* its debug port is open, or it may run unsigned firmware */
    uint8_t lifecycle;         /* enum imprint_lifecycle */
};

/* The members of `require` in a job, and the check of them all together. */
extern const struct schema_field job_require_fields[];
int job_require_check(const void *require, const char **member, struct error *err);

/* Errors: ERR_REFUSED, with the first that differs, what the unit says and what is required; a person
 * then sends the unit back (NEXT_SEND_BACK). */
MUST_USE int job_require_unit(const struct job_require *require, const struct job_unit *unit,
                              struct error *err);

#endif
