/*
 * model: what the operator's screen knows, made of nothing but the events of a line (docs/events.md).
 *
 * Invariants
 *  1. Pure: no clock, no terminal, no file. The same lines give the same board.
 *  2. Nothing that came in is trusted. Every text here is printable ASCII of a bounded length: whatever
 *     a line, or a device through it, sends, a terminal is given no control character.
 *  3. Slots are in the order of their labels, numbers in them as numbers: S2 before S10.
 */
#ifndef STATION_BOARD_MODEL_H
#define STATION_BOARD_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_SLOTS_MAX 256
#define BOARD_LABEL_MAX 32
#define BOARD_NAME_MAX  64
#define BOARD_TEXT_MAX  511

/* The names of events that are the state of a slot, in the order of docs/events.md. */
enum board_state {
    BOARD_EMPTY,
    BOARD_HOLD,
    BOARD_WAIT,
    BOARD_HELLO,
    BOARD_KEYGEN,
    BOARD_DELIVER,
    BOARD_PROVE,
    BOARD_SCAN,
    BOARD_PASS,
    BOARD_FAIL,
    BOARD_DISABLED,
    BOARD_STATES
};

struct board_slot {
    char label[BOARD_LABEL_MAX + 1];
    enum board_state state;
    char serial[BOARD_NAME_MAX + 1]; /* "" while unknown */
    char text[BOARD_TEXT_MAX + 1];   /* FAIL, DISABLED, or of the last retry: what happened */
    char action[BOARD_NAME_MAX + 1]; /* FAIL: a name of docs/events.md */
    bool again;                      /* PASS: it had passed before */
    bool armed;                      /* WAIT: a unit was scanned for it */
    char hold[BOARD_NAME_MAX + 1];   /* HOLD: a name of docs/events.md */
    bool wants_label;                /* SCAN: its label; false: the slot and the unit */
    bool worn_out;                   /* DISABLED: its contacts; false: it failed too often */
    bool waits;                      /* PASS: it counts once another run locked it */
    int64_t done, total;             /* bytes delivered; total 0 while unknown */
    int64_t attempt, limit;          /* of a retry; attempt 0 in the first */
    unsigned failed_at;              /* FAIL, DISABLED: higher is later */
};

enum board_line { BOARD_STARTING, BOARD_RUNNING, BOARD_PAUSED, BOARD_QUITTING, BOARD_ENDED };

struct board {
    char order[BOARD_NAME_MAX + 1], product[BOARD_NAME_MAX + 1];
    char notice[BOARD_TEXT_MAX + 1]; /* the last one that still holds, "" when none */
    bool notice_answers;             /* it is the answer to a command */
    char reason[BOARD_NAME_MAX + 1]; /* ENDED: why */
    enum board_line line;
    int64_t passed, again, failed, good, remaining;
    int64_t pace; /* devices an hour, -1 while unknown */
    struct board_slot slots[BOARD_SLOTS_MAX];
    size_t count;
    unsigned failures; /* how many were taken in */
};

/* Zero-initialise a board, then call this. */
void board_init(struct board *b);

/*
 * Takes one line in, without its end. An event or member that is not known changes nothing; a line that
 * is no event becomes the notice.
 */
void board_take(struct board *b, const char *line, size_t len);

/* A text that belongs to no event, such as what a program wrote on stderr. It stands until a port comes. */
void board_notice(struct board *b, const char *text, size_t len);

/* The place of the slot with this label, or -1. */
int board_find(const struct board *b, const char *label);

/* The slot that failed last of those that show FAIL or are disabled now, or -1. */
int board_last_failure(const struct board *b);

/* Of a hundred results of this run how many are a PASS, rounded down, without those that had passed
 * before; -1 without any. */
int board_yield(const struct board *b);

/* How much of a delivery arrived, 0 to 100. */
int board_percent(const struct board_slot *s);

#endif
