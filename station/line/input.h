/*
 * input: opens a keyboard of the kernel's (evdev) for itself alone, as a scanner that types is one.
 *
 * A rule names it as "input:" and the path of its device, such as
 * input:/dev/input/by-id/usb-ACME_Scanner-event-kbd.
 */
#ifndef STATION_LINE_INPUT_H
#define STATION_LINE_INPUT_H

#include "base/error.h"

#include <stdbool.h>

#define RULE_INPUT "input:"

/* Whether a rule's pattern, or a port's name, is one of these. */
bool input_is(const char *name);

/*
 * Opens and grabs it: while the descriptor is open, here or wherever it was handed to, nobody else gets
 * what is typed. *fd never blocks and gives struct input_event. name: with its prefix. Errors: ERR_MISSING;
 * ERR_BUSY another program has grabbed it; ERR_IO anything else.
 */
MUST_USE int input_open(const char *name, int *fd, struct error *err);

#endif
