/*
 * keeper: runs one program of the plant, and sees that it and all that it started end.
 *
 * Invariants
 *  1. The program has an environment of its own (PATH, LANG), the root folder, three pipes and nothing
 *     else that was open here; a session of its own, without a terminal; and no way to new privileges.
 *  2. When keeper_run returns, no process of it runs any more: it is ended at the deadline, when it wrote
 *     too much, when the vault is gone, and when it ended itself and left others behind.
 *  3. At most ANSWER_MAX bytes of what it says are kept, and one line of what it complains about.
 *
 * keeper_run belongs into a process that has no other children: whatever is orphaned below it becomes its
 * child, and is ended as well. A program that starts processes faster than they are ended may outlive its
 * end by KEEPER_END_MS at most of these attempts; it is then left.
 */
#ifndef STATION_HOOK_KEEPER_H
#define STATION_HOOK_KEEPER_H

#include "station/hook/answer.h"

#define KEEPER_END_MS 1000 /* for ending what it started */

enum keeper_end {
    KEEPER_ENDED, /* by itself: status is what waitpid said */
    KEEPER_LATE,
    KEEPER_FLOODED,
    KEEPER_ABANDONED, /* the vault is gone */
    KEEPER_FAILED     /* the system could not start it: status is errno */
};

struct keeper {
    enum keeper_end how;
    int status;
    size_t len; /* of output */
    char output[ANSWER_MAX + 1];
    char complaint[HOOK_TEXT_MAX + 1]; /* the first line of stderr, printable */
};

/*
 * argv: the program's path and arguments, NULL at the end. input is written to its standard input, which is
 * closed then; a program that does not read it is none the worse. alive: a socket whose other end is the
 * vault's.
 */
void keeper_run(const char *const *argv, const void *input, size_t len, int timeout_ms, int alive,
                struct keeper *out);

/* What the run says: a verdict and its text. id: of the question. */
void keeper_judge(const struct keeper *k, int timeout_ms, const char *id, struct hook_answer *out);

#endif
