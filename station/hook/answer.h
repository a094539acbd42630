/*
 * answer: what a program of the plant writes on standard output, read with limits.
 *
 * One JSON object (docs/hooks.md): "id" is that of the question, "accept" true or false, "reason" a text
 * that may be missing. Other members are ignored. A name that is there twice, a second value, or an answer
 * to another question is none.
 */
#ifndef STATION_HOOK_ANSWER_H
#define STATION_HOOK_ANSWER_H

#include "station/wire/hook.h"

#define ANSWER_MAX 4096 /* bytes that a program may write */

/*
 * Fills verdict and text: HOOK_YES and HOOK_NO with the reason, of which anything but printable ASCII
 * becomes '?', one for each character, and which is cut at HOOK_TEXT_MAX; HOOK_FAILED with what is wrong
 * with the answer. id: 32 hexadecimal digits.
 */
void answer_read(const void *bytes, size_t len, const char *id, struct hook_answer *out);

/* The id that a question bears; empty where it has none. out has 2 * HOOK_ID_SIZE + 1 bytes. */
void answer_id_of(const void *question, size_t len, char *out);

/* A text of somebody else as answer_read keeps it. */
void answer_plain(const char *text, size_t len, char out[HOOK_TEXT_MAX + 1]);

#endif
