/*
 * function: the USB function of the link, as descriptors for FunctionFS, and the thread that keeps its
 * endpoint 0.
 */
#ifndef LINUX_BOARD_FUNCTION_H
#define LINUX_BOARD_FUNCTION_H

#include "base/error.h"

/*
 * Writes descriptors and strings, opens the endpoints and starts the thread, which lives as long as the
 * process. The descriptors are the caller's, -1 for what was not opened. Errors: those of error_set_errno.
 */
MUST_USE int function_open(const char *folder, int *control, int *in, int *out, struct error *err);

#endif
