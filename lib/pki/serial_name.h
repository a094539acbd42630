/*
 * serial_name: a device's serial, and how names carry it.
 *
 * A serial is what the label says: 1 to 63 of the 82 characters that a GS1 serial may hold (GS1
 * General Specifications, AI (21) and figure 7.11-1; a GS1 label holds at most 20 of them). Records,
 * labels and the link carry it as it is. A name, as in a certificate's subject or as a platform's
 * device id, holds letters, digits and '-' only: what a PrintableString, a DNS label and every
 * platform have in common. A serial that is such a text, begins and ends with a letter or digit and
 * has no two '-' in a row is its own name. Any other is escaped: letters and digits but Z and z
 * stand for themselves, every other character is 'Z' and its two hexadecimal digits in upper case,
 * and "--Z" follows at the end: "AB/12" becomes "ABZ2F12--Z".
 *
 * Invariants
 *  1. Two serials have two names, also where names are compared without regard to case, unless the
 *     serials themselves differ in nothing but case.
 *  2. A serial of 2 to 20 characters has a name of at most 63, for which serial_valid holds.
 */
#ifndef PKI_SERIAL_NAME_H
#define PKI_SERIAL_NAME_H

#include "base/error.h"

#include <stdbool.h>

#define SERIAL_TEXT_MAX 63
#define SERIAL_NAME_MAX 63
#define SERIAL_CHARACTERS                                                                          \
    "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"

/*
 * The name of a serial. Errors: ERR_INPUT with the first character that is wrong, or the length; a
 * serial of one letter or digit has no name.
 */
MUST_USE int serial_to_name(const char *serial, char name[SERIAL_NAME_MAX + 1], struct error *err);

/* Whether a text is a serial that has a name. Errors: as serial_to_name. */
MUST_USE int serial_check(const char *serial, struct error *err);

/* The serial of a name that serial_to_name wrote; false for any other text. */
bool serial_from_name(const char *name, char serial[SERIAL_TEXT_MAX + 1]);

#endif
