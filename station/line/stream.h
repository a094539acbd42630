/*
 * stream: a connected stream socket, TCP or local, as a transport.
 */
#ifndef STATION_LINE_STREAM_H
#define STATION_LINE_STREAM_H

#include "link/transport.h"

/* Takes over fd, also when it fails. name: for messages. Errors: ERR_INTERNAL. */
MUST_USE int stream_open(int fd, const char *name, struct transport **out, struct error *err);

#endif
