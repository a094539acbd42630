/*
 * wiring: which GPIO line of a chip is what of a slot, and their levels, over libgpiod (version 1).
 */
#ifndef STATION_GPIO_WIRING_H
#define STATION_GPIO_WIRING_H

#include "station/fixture/served.h"

/* What a line is for. Those before WIRE_POWER are read, the others are driven. */
enum wire {
    WIRE_LID, /* on: closed */
    WIRE_START,
    WIRE_ABORT,
    WIRE_POWER,
    WIRE_WHITE,
    WIRE_YELLOW,
    WIRE_BLUE,
    WIRE_GREEN,
    WIRE_RED,
    WIRE_BUZZER,
    WIRES
};

struct gpiod_chip;
struct gpiod_line;

/* Of one slot; NULL where there is no such line. */
struct wiring {
    struct gpiod_line *lines[WIRES];
};

/*
 * Reads "SLOT:ROLE=[!]LINE,..." and takes those lines of the chip, the driven ones off; ! says that a low level
 * is on. label receives the slot. Errors: ERR_USAGE for what is no such text; ERR_BUSY, ERR_MISSING and ERR_IO
 * when a line cannot be had.
 */
MUST_USE int wiring_take(struct wiring *w, struct gpiod_chip *chip, const char *text,
                         char label[FIXTURE_SLOT_MAX + 1], struct error *err);

/* 0 or 1; what cannot be read, or is not there, is 0. */
int wiring_read(const struct wiring *w, enum wire wire);

/* What cannot be set was unplugged: nobody can be told. */
void wiring_set(const struct wiring *w, enum wire wire, bool on);

#endif
