#include "station/gpio/wiring.h"

#include <errno.h>
#include <gpiod.h>
#include <stdlib.h>
#include <string.h>

#define CONSUMER  "imprint"
#define TEXT_MAX  512
#define LINE_LAST 65535

static const char *const names[WIRES] = {
    [WIRE_LID] = "lid",      [WIRE_START] = "start", [WIRE_ABORT] = "abort",
    [WIRE_POWER] = "power",  [WIRE_WHITE] = "white", [WIRE_YELLOW] = "yellow",
    [WIRE_BLUE] = "blue",    [WIRE_GREEN] = "green", [WIRE_RED] = "red",
    [WIRE_BUZZER] = "buzzer"};

static int request(struct gpiod_line *line, enum wire wire, bool low, struct error *err)
{
    int flags = low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0;
    int rc = wire < WIRE_POWER ? gpiod_line_request_input_flags(line, CONSUMER, flags)
                               : gpiod_line_request_output_flags(line, CONSUMER, flags, 0);
    int saved = errno;

    if (rc == 0)
        return 0;
    return error_set_native(err, saved == EBUSY ? ERR_BUSY : ERR_IO, saved,
                            "cannot use line %u as '%s': %s", gpiod_line_offset(line), names[wire],
                            strerror(saved));
}

/* "ROLE=[!]LINE" */
static int take_one(struct wiring *w, struct gpiod_chip *chip, char *text, struct error *err)
{
    char *value = strchr(text, '='), *end;
    enum wire wire = WIRE_LID;
    unsigned long number;
    bool low;

    if (!value)
        return error_set(err, ERR_USAGE, "'%s' is not ROLE=LINE", text);
    *value++ = 0;
    while (wire < WIRES && strcmp(names[wire], text))
        wire++;
    low = *value == '!';
    value += low;
    number = strtoul(value, &end, 10);
    if (wire == WIRES || *value < '0' || *value > '9' || *end || number > LINE_LAST)
        return error_set(err, ERR_USAGE, "'%s=%s' is no role and the number of a line", text,
                         value);
    if (w->lines[wire])
        return error_set(err, ERR_USAGE, "'%s' is there twice", text);
    w->lines[wire] = gpiod_chip_get_line(chip, (unsigned)number);
    if (!w->lines[wire])
        return error_set_errno(err, errno, "the chip has no line %lu", number);
    return request(w->lines[wire], wire, low, err);
}

int wiring_take(struct wiring *w, struct gpiod_chip *chip, const char *text,
                char label[FIXTURE_SLOT_MAX + 1], struct error *err)
{
    char copy[TEXT_MAX], *rest = copy, *slot;
    int rc = 0;

    memset(w, 0, sizeof *w);
    if (strlen(text) >= sizeof copy)
        return error_set(err, ERR_USAGE, "'%.40s...' is too long", text);
    strcpy(copy, text);
    slot = strsep(&rest, ":");
    if (!rest || !fixture_is_word(slot, FIXTURE_SLOT_MAX))
        return error_set(err, ERR_USAGE, "'%s' is not SLOT:ROLE=LINE,...", text);
    strcpy(label, slot);
    for (char *one; rc == 0 && (one = strsep(&rest, ","));)
        rc = take_one(w, chip, one, err);
    return rc;
}

int wiring_read(const struct wiring *w, enum wire wire)
{
    return w->lines[wire] && gpiod_line_get_value(w->lines[wire]) == 1;
}

void wiring_set(const struct wiring *w, enum wire wire, bool on)
{
    if (w->lines[wire])
        (void)gpiod_line_set_value(w->lines[wire], on);
}
