/*
 * scan: the labels that somebody scanned or typed before the devices are provisioned: a slot and
 * the serial of the unit that is in it.
 *
 * Lines are read by the vault itself, so that the line process cannot choose a serial: it says which
 * slot a device is in, and each slot has at most one label. A line is the slot's label, a blank, and
 * the serial or the whole code of the label (job_label.h): "S1 PUMP-0000001". The last blank divides
 * them; blanks and a carriage return at the end are dropped. An empty line, or the end of the input,
 * ends the scanning.
 *
 * A label is for one unit: once a device in the slot passed, the next one there needs a label of its own.
 */
#ifndef STATION_VAULT_SCAN_H
#define STATION_VAULT_SCAN_H

#include "pki/serial_name.h"
#include "station/vault/vault.h"

#include <stdio.h>

#define SCANS_MAX     1024
#define SCAN_LINE_MAX 127 /* bytes without line end */

struct scan {
    char slot[33];
    char serial[SERIAL_TEXT_MAX + 1];
    bool used; /* its unit passed */
};

/* Starts as zero. */
struct scans {
    struct scan at[SCANS_MAX];
    size_t count;
};

/*
 * Adds the label of one line. Errors: ERR_INPUT for what is no such line, or a slot that the job does
 * not have; ERR_REFUSED for a serial that is not this station's or was revoked for good;
 * ERR_DUPLICATE for a slot or serial that was scanned already.
 */
MUST_USE int scans_add(struct scans *scans, const struct vault *v, const char *line,
                       struct error *err);

/*
 * Reads lines to the end. With ask, words on stderr ask for them, a bad one is asked for again, another
 * label of a slot takes the place of the one before, and the slot alone takes its label back. Without it
 * a bad line, such as a second one of a slot, is an error whose text names source and line number. No label at all is
 * fine: devices that have an identity need none. Errors: as scans_add, ERR_IO.
 */
MUST_USE int scans_read(struct scans *scans, const struct vault *v, FILE *in, const char *source,
                        bool ask, struct error *err);

/* Whether the job has a slot of this label. Errors: ERR_INPUT, with one that it has. */
MUST_USE int scan_check_slot(const struct job *job, const char *slot, struct error *err);

/* The label scanned for a slot, or NULL. scans may be NULL. */
const struct scan *scans_find(const struct scans *scans, const char *slot);

/* The device in this slot passed: its label, if it has one, is used. scans may be NULL. */
void scans_use(struct scans *scans, const char *slot);

#endif
