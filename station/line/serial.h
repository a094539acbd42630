/* temporary until the device branch lands */
#ifndef STATION_LINE_SERIAL_H
#define STATION_LINE_SERIAL_H
#include "link/transport.h"
struct serial_info { const char *name, *description; };
MUST_USE int serial_open(const char *name, int baud, struct transport **out, struct error *err);
MUST_USE int serial_list(int (*each)(void *context, const struct serial_info *info), void *context, struct error *err);
#endif
