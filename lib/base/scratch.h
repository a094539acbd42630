/*
 * scratch: a temporary file without a name, for what is too much for memory.
 *
 * Invariants
 *  1. Nobody else can open it, and it is gone when it is closed or the process ends.
 *  2. It lies in $TMPDIR, or /tmp. Error texts name that folder.
 *
 * Not for secrets: the bytes stay on the disk until something else is written there.
 */
#ifndef BASE_SCRATCH_H
#define BASE_SCRATCH_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Opens one; close(*file). Errors: those of error_set_errno. */
MUST_USE int scratch_open(int *file, struct error *err);

/* Writes or reads exactly so many bytes at a place. Errors: those of error_set_errno; ERR_IO (cut). */
MUST_USE int scratch_put(int file, const void *bytes, size_t len, uint64_t at, struct error *err);
MUST_USE int scratch_get(int file, void *bytes, size_t len, uint64_t at, struct error *err);

#endif
