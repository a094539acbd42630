/*
 * terminal: settings of a serial port whose driver knows no modem lines. The generic driver of USB serial
 * devices is one; libserialport 0.1.1 reads the lines first of all and opens no such port.
 */
#ifndef STATION_LINE_TERMINAL_H
#define STATION_LINE_TERMINAL_H

#include "base/error.h"

/* Opens it without waiting for a carrier; -1 with errno. */
int terminal_open(const char *path);

/*
 * 8 data bits, no parity, 1 stop bit, no flow control, binary, reads that never wait; baud: bits a second,
 * any number. What lay in the buffers is dropped. Returns 0, or -1 with errno.
 */
int terminal_configure(int fd, int baud);

#endif
