/*
 * text: UTF-8 (RFC 3629), and what of it may go to a terminal.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>

/* The length of the character at p, of which left bytes are there, or 0 when there is none. */
size_t text_character(const void *p, size_t left);

/* How many bytes of a text's first most are whole characters. */
size_t text_cut(const char *text, size_t most);

/*
 * A copy, cut at size, with nothing in it that a terminal could take for anything but letters: what is a
 * control, no UTF-8, or turns the direction of writing becomes '?'. Returns out.
 */
char *text_readable(const char *text, char *out, size_t size);

#endif
