/*
 * gs1: what a barcode scanner sent, taken apart.
 *
 * A scanner may say first of what kind a code is, in three characters (AIM identifier, ISO/IEC 15424):
 *
 *   ]C1  ]d2  ]Q3  ]J1  ]e0 ]e1 ]e2      a GS1 element string
 *   ]E0 ... ]E7, ]X0, ]I1                the number of a product (EAN, UPC, ITF-14), without a serial
 *   any other                            plain text
 *
 * A GS1 element string (GS1 General Specifications, sections 3 and 7.8) is one value after the other,
 * each behind its application identifier. Values of other than a predefined length end with a
 * separator: the FNC1 of the barcode, which scanners send as the byte GS (0x1d) or as what they were
 * set up for. The same in brackets, as people read it: "(01)09506000134352(21)AB/12". A text without
 * AIM identifier is an element string when it begins with a bracket or the separator, or has the
 * separator in it; or when the reader wants nothing else.
 *
 * Invariants
 *  1. Pure: no file, no clock, no memory of its own. The same bytes give the same code.
 *  2. Nothing is guessed: what is neither is refused, and so is a plain text that could be an element
 *     string whose AIM identifier was switched off.
 *  3. Every value has the length, the characters (the 82 of figure 7.11-1), the check digit or the date
 *     that its identifier asks for, also one of no interest here.
 */
#ifndef GS1_GS1_H
#define GS1_GS1_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define GS1_SEPARATOR '\x1d'
#define GS1_CODE_MAX  400 /* bytes of what one scan sends */
#define GS1_PLAIN_MAX 63
#define GS1_GTIN_SIZE 14
#define GS1_TEXT_MAX  20 /* characters of a serial or lot */
#define GS1_DATE_SIZE 10

/* What a reader takes. */
enum gs1_kind {
    GS1_ANY,   /* element strings and plain text */
    GS1_ONLY,  /* element strings; also without AIM identifier */
    GS1_PLAIN, /* plain text */
};

/* What the code says; empty texts: it does not say. */
struct gs1_code {
    bool is_gs1;
    char plain[GS1_PLAIN_MAX +
               1]; /* of plain text, the whole of it: 1 or more printable characters */
    char gtin[GS1_GTIN_SIZE + 1];  /* AI 01, always 14 digits */
    char serial[GS1_TEXT_MAX + 1]; /* AI 21 */
    char lot[GS1_TEXT_MAX + 1];    /* AI 10 */
    char made[GS1_DATE_SIZE + 1];  /* AI 11, "2026-11-22", or "2026-11" where no day is said */
    char best_before[GS1_DATE_SIZE + 1]; /* AI 15; without a day (00), the last of the month */
    char expires[GS1_DATE_SIZE + 1];     /* AI 17, likewise */
};

/*
 * Takes apart what a scanner sent, without line end. separator: besides GS, what stands for FNC1 (0:
 * nothing does). year: the current one, by which the century of a date is found (section 7.12). *code
 * is set on success only. Errors: ERR_INPUT, with a text of its own for each: nothing, too long, a wrong
 * kind of code, an unknown identifier, a value that is too short or too long, that has a character it
 * may not have, or lacks its separator, a wrong check digit, a date that does not exist, brackets that
 * do not match, an identifier that stands twice with different values.
 */
MUST_USE int gs1_read(const char *bytes, size_t len, enum gs1_kind kind, char separator, int year,
                      struct gs1_code *code, struct error *err);

/*
 * A GTIN of 8, 12, 13 or 14 digits as 14. Errors: ERR_INPUT: another number of digits, something that is
 * no digit, a wrong check digit.
 */
MUST_USE int gs1_gtin(const char *text, char gtin[GS1_GTIN_SIZE + 1], struct error *err);

#endif
