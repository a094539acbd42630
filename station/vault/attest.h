/*
 * attest: asks the checker which key a silicon vendor's certificate chain attests.
 *
 * The vault never parses a chain: it passes the bytes on and takes a fixed-length answer.
 */
#ifndef STATION_VAULT_ATTEST_H
#define STATION_VAULT_ATTEST_H

#include "agent/ids.h"
#include "base/buf.h"
#include "station/job.h"

#include <sys/types.h>

struct attest {
    pid_t pid; /* 0: not started */
    int fd;
};

/*
 * Starts the checker at this path with the job's vendor roots. Call before the HSM module is loaded
 * and the PIN is read. Errors: those of spawn_start.
 */
MUST_USE int attest_start(struct attest *a, const char *program, const struct job *job,
                          struct error *err);

/*
 * The key that the chain attests. Errors: ERR_REFUSED, ERR_SIGNATURE and ERR_FORMAT are the device's;
 * ERR_INTERNAL when the checker ended, answered garbage, or took too long: it is killed then, and
 * nothing is attested any more.
 */
MUST_USE int attest_key(struct attest *a, const struct buf *chain,
                        uint8_t point[IMPRINT_P256_POINT_SIZE], struct error *err);

void attest_stop(struct attest *a);

#endif
