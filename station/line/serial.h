/*
 * serial: finds, opens and configures serial ports, over libserialport. Bytes are stream.h's business.
 *
 * Invariants
 *  1. A port is held by one process: advisory lock and exclusive mode, until its descriptor is closed.
 *  2. A port is 8 data bits, no parity, 1 stop bit, no flow control, and binary.
 *  3. Nothing that lay in the port's buffers before it was opened is ever read.
 */
#ifndef STATION_LINE_SERIAL_H
#define STATION_LINE_SERIAL_H

#include "base/error.h"

/*
 * Opens a port. name: "/dev/ttyUSB0", or a symbolic link to it ("/dev/serial/by-path/..."), which
 * is followed. baud: bits a second. *fd, which never blocks, is the caller's. Errors: ERR_MISSING no
 * such port; ERR_BUSY another process holds it (the text names it where the system tells); ERR_IO
 * anything else, permission included.
 */
MUST_USE int serial_open(const char *name, int baud, int *fd, struct error *err);

/* A port that the system knows. Texts live during the callback; NULL for what is unknown. */
struct serial_info {
    const char *name; /* what serial_open takes */
    const char *description;
    const char *usb_serial;
    int usb_vid; /* -1 unless the port is a USB device */
    int usb_pid;
    int usb_bus; /* 0 unless the port is a USB device */
    int usb_address;
};

/*
 * Calls each for every port, in no order, until it returns non-zero, which is then returned.
 * Errors: ERR_IO when the system's list cannot be read.
 */
MUST_USE int serial_list(int (*each)(void *context, const struct serial_info *info), void *context,
                         struct error *err);

#endif
