/*
 * sorter: sorts elements of one size, more of them than memory holds.
 *
 * Elements are collected in a block of memory; each full block is sorted and written to a temporary
 * file, and in the end all are merged. A few elements never touch the disk.
 *
 * Invariants
 *  1. Memory: at most twice SORTER_BYTES for each sorter, whatever it sorts.
 *  2. The file has no name, is readable by nobody else, and is gone when the process ends. It lies in
 *     $TMPDIR, or /tmp, and takes as many bytes as the elements.
 *
 * Not for secrets: what was sorted stays on the disk until it is overwritten.
 */
#ifndef MANIFESTS_SORTER_H
#define MANIFESTS_SORTER_H

#include "base/error.h"

#include <stddef.h>

#define SORTER_BYTES (4 << 20)

struct sorter;

/* order: as for qsort. size: bytes of an element, small against SORTER_BYTES. NULL without memory. */
struct sorter *sorter_new(size_t size, int (*order)(const void *, const void *));
void sorter_free(struct sorter *s); /* NULL is fine */

/* Adds a copy of an element. Errors: ERR_FULL, ERR_READONLY, ERR_IO (the file). */
MUST_USE int sorter_add(struct sorter *s, const void *element, struct error *err);

/* Ends the adding. Errors: as sorter_add. */
MUST_USE int sorter_sort(struct sorter *s, struct error *err);

/* The next element in order, copied out: 1, or 0 at the end. Only after sorter_sort. Errors: ERR_IO. */
MUST_USE int sorter_next(struct sorter *s, void *element, struct error *err);

#endif
