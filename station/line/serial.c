#include "station/line/serial.h"
int serial_open(const char *name, int baud, struct transport **out, struct error *err)
{ (void)name; (void)baud; (void)out; return error_set(err, ERR_IO, "no serial"); }
int serial_list(int (*each)(void *context, const struct serial_info *info), void *context, struct error *err)
{ (void)each; (void)context; (void)err; return 0; }
