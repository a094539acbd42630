/*
 * plural: "1 device", "2 devices".
 */
#ifndef BASE_PLURAL_H
#define BASE_PLURAL_H

/* The end of a regular English noun after a number of any integer type: "" or "s". */
#define PLURAL(n) ((n) == 1 ? "" : "s")

#endif
