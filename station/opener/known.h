/*
 * known: what the opener remembers of each port that was there: whether the line has it, and what became
 * of opening it.
 */
#ifndef STATION_OPENER_KNOWN_H
#define STATION_OPENER_KNOWN_H

#include "station/line/ports.h"

#define KNOWN_MAX PORT_NUMBERS

struct known_port {
    char name[PORT_NAME_MAX + 1];
    bool given;   /* the line has it */
    int told;     /* the error that the line knows of, 0 for none */
    int failures; /* in a row */
    int64_t due;  /* not tried before, in milliseconds of the monotonic clock */
};

struct known {
    struct known_port list[KNOWN_MAX];
    size_t count;
};

/* The port of this name, new or not; NULL when there were more than can be remembered. */
struct known_port *known_find(struct known *known, const char *name);

/* The number that offers call it by, and back; a number that was never given is ignored. */
uint16_t known_number(const struct known *known, const struct known_port *k);
void known_take_back(struct known *known, uint16_t number);

/* True when the line does not have it and it may be tried now. */
bool known_is_due(const struct known_port *k);

void known_give(struct known_port *k);

/*
 * Opening it failed: true when the line is to be told. A port that has just appeared may belong to
 * root, or to a program that tries it, for a moment: while watching only the second failure in a row
 * counts, and the same error is told once until the port opened.
 */
bool known_fail(struct known_port *k, int code, bool watching);

/*
 * A number that changes when a serial port or a USB device appears or goes: over names and links in
 * /sys/class/tty and names in /dev/bus/usb. Cheap enough for a few times a second; opens no device.
 */
uint64_t known_system(void);

#endif
