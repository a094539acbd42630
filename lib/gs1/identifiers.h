/*
 * identifiers: the application identifiers (AI) of the GS1 General Specifications, section 3.2, and what
 * follows each.
 *
 * An AI is 2 to 4 digits, and its own first two tell how many; so no AI is the beginning of another.
 */
#ifndef GS1_IDENTIFIERS_H
#define GS1_IDENTIFIERS_H

#include <stdbool.h>
#include <stddef.h>

struct gs1_identifier {
    const char *ai;       /* its digits; the last is 'n' where any digit may stand */
    unsigned char digits; /* the value begins with so many digits, */
    unsigned char least;  /* and goes on with at least */
    unsigned char most;   /* and at most so many characters */
    bool numeric;         /* which are digits as well */
    bool checked;         /* the last digit is a GS1 check digit */
};

/* The AI that a text of len bytes begins with, or NULL for none that is known. Its length is
 * strlen(found->ai). */
const struct gs1_identifier *gs1_identifier_find(const char *text, size_t len);

/*
 * Whether the value has one of the predefined lengths (figure 7.8.5-2), so that no separator follows it.
 * It is so for whole families of AIs, by their first two digits.
 */
bool gs1_identifier_is_predefined(const char *ai);

#endif
