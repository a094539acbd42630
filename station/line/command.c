#include "station/line/command.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"pause", "resume", "quit", "ack"};

const char *command_name(enum command_kind kind)
{
    return names[kind];
}

static int set(struct command *command, const char *name, const char *slot, struct error *err)
{
    size_t kind = 0;

    if (strcmp(name, "q") == 0)
        name = "quit";
    while (kind < sizeof names / sizeof *names && strcmp(names[kind], name))
        kind++;
    if (kind == sizeof names / sizeof *names)
        return error_set(err, ERR_INPUT, "there is no such command: pause, resume, quit, ack SLOT");
    if ((kind == COMMAND_ACK) != (slot && *slot))
        return error_set(err, ERR_INPUT, "'ack' needs a slot, and no other command takes one");
    *command = (struct command){.kind = (enum command_kind)kind};
    if (slot && strlen(slot) >= sizeof command->slot)
        return error_set(err, ERR_INPUT, "there is no such slot");
    if (slot)
        strcpy(command->slot, slot);
    return 0;
}

static int parse_json(const char *line, struct command *command, struct error *err)
{
    const char *name = NULL, *slot = NULL;
    json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    int rc;

    if (!o || json_unpack(o, "{s:s, s?s}", "command", &name, "slot", &slot))
        rc = error_set(err, ERR_INPUT, "a command is an object such as {\"command\":\"pause\"}");
    else
        rc = set(command, name, slot, err);
    json_decref(o);
    return rc;
}

int command_parse(const char *line, bool json, struct command *command, struct error *err)
{
    char name[16] = "", slot[WIRE_SLOT_MAX + 2] = "";

    if (json)
        return parse_json(line, command, err);
    (void)sscanf(line, " %15s %33[^\r\n]", name, slot);
    return set(command, name, *slot ? slot : NULL, err);
}

void command_input_add(struct command_input *in, const char *bytes, size_t len, size_t *taken)
{
    size_t room = sizeof in->bytes - in->len;

    *taken = len < room ? len : room;
    memcpy(in->bytes + in->len, bytes, *taken);
    in->len += *taken;
}

bool command_input_line(struct command_input *in, char line[COMMAND_LINE_MAX])
{
    char *end = memchr(in->bytes, '\n', in->len);
    size_t len = end ? (size_t)(end - in->bytes) : in->len;
    bool dropped = in->too_long;

    if (!end && in->len < sizeof in->bytes)
        return false;
    in->too_long = !end;
    memcpy(line, in->bytes, dropped || !end ? 0 : len);
    line[dropped || !end ? 0 : len] = 0;
    in->len -= end ? len + 1 : len;
    memmove(in->bytes, in->bytes + (end ? len + 1 : len), in->len);
    return end != NULL;
}
