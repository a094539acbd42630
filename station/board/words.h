/*
 * words: what the screen says, in plain words. Texts are static, printable ASCII.
 */
#ifndef STATION_BOARD_WORDS_H
#define STATION_BOARD_WORDS_H

#include "station/board/model.h"

/* One word for a slot's state, at most 8 letters: "PASS", "FAIL", "READY". */
const char *words_state(const struct board *b, const struct board_slot *s);

/* What a person does next there: a sentence; and the same in at most 9 letters, for the smallest tiles.
 * "" when there is nothing to do but to wait. */
const char *words_next(const struct board *b, const struct board_slot *s);
const char *words_next_short(const struct board_slot *s);

/* What the whole line does, at most 12 letters. */
const char *words_line(const struct board *b);

/*
 * "passed 12  failed 1  yield 92 %  pace 120/h  left 87 of 100", cut at size. What does not fit into width
 * is left out whole, and never what passed, failed or is left. Returns out.
 */
char *words_counts(const struct board *b, size_t width, char *out, size_t size);

/*
 * The next line of a text that is broken at spaces: at most width bytes into out, which holds width + 1;
 * *text moves on. A word that is longer than a line is cut. False when nothing is left.
 */
bool words_wrap(const char **text, size_t width, char *out);

#endif
