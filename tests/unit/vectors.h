/*
 * vectors: third-party test data in the folder that the environment variable IMPRINT_VECTORS names.
 *
 * Without it a test says that it is skipped, and why.
 */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include "base/buf.h"

#include <jansson.h>

/* True when there are vectors; otherwise says on stdout that the test is skipped. */
bool vectors_present(void);

/* Calls check with every .json file below a folder of the vectors. Returns how many there were. */
size_t vectors_each(const char *folder, void (*check)(const char *path, const json_t *vector));

/* Appends a file of the vectors to out; fails the test when it cannot. */
void vectors_read(const char *name, struct buf *out);

#endif
