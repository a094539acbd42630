/*
 * stream: an open descriptor as a transport: a serial port, a socket to a device, or the socket behind
 * which the opener moves the bytes of a USB device.
 *
 * Invariants
 *  1. A device that was unplugged is told from one that is silent, and at once: the descriptor hangs
 *     up.
 *  2. Nothing here opens or configures anything, so a confined process can use it.
 */
#ifndef STATION_LINE_STREAM_H
#define STATION_LINE_STREAM_H

#include "link/transport.h"

enum stream_kind { STREAM_SERIAL, STREAM_USB, STREAM_SOCKET };

/* Takes over fd, also when it fails. name: for messages. Errors: ERR_INTERNAL. */
MUST_USE int stream_open(int fd, enum stream_kind kind, const char *name, struct transport **out,
                         struct error *err);

#endif
