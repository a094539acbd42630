/*
 * command: what an operator or a program says to a running line: docs/events.md, "Commands".
 */
#ifndef STATION_LINE_COMMAND_H
#define STATION_LINE_COMMAND_H

#include "base/error.h"
#include "station/wire/wire.h"

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_LINE_MAX 512

enum command_kind { COMMAND_PAUSE, COMMAND_RESUME, COMMAND_QUIT, COMMAND_ACK };

struct command {
    enum command_kind kind;
    char slot[WIRE_SLOT_MAX + 1]; /* COMMAND_ACK */
};

const char *command_name(enum command_kind kind);

/*
 * Reads one line: a JSON object, or words. Errors: ERR_INPUT with what is wrong.
 */
MUST_USE int command_parse(const char *line, bool json, struct command *command, struct error *err);

/* Bytes until they are lines. Zero-initialise. */
struct command_input {
    char bytes[COMMAND_LINE_MAX];
    size_t len;
    bool too_long; /* the rest of a line is passed over */
};

/*
 * Takes the next whole line out of what command_input_add gave: true with a text, which is empty for a
 * line that was too long, valid until the next call.
 */
void command_input_add(struct command_input *in, const char *bytes, size_t len, size_t *taken);
bool command_input_line(struct command_input *in, char line[COMMAND_LINE_MAX]);

#endif
