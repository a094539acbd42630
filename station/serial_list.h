/*
 * serial_list: a file of serials, one a line.
 *
 * Lines end with LF; the last may lack it. Nothing is skipped or trimmed: a byte order mark, a
 * carriage return, an empty line, a blank, a character that no serial holds, a serial that is too
 * long or that stands twice (the case of letters left out of account) is refused with its line.
 */
#ifndef STATION_SERIAL_LIST_H
#define STATION_SERIAL_LIST_H

#include "base/buf.h"
#include "pki/digest.h"

#define SERIAL_LIST_MAX 10000000 /* serials of a file */

struct serial_list {
    struct buf text;
    const char **at; /* in the order of the file; number i is on line i + 1 */
    const char **sorted;
    size_t count;
    uint8_t hash[SHA256_SIZE]; /* of the file */
};

/* Zero first; serial_list_done in any case. Errors: ERR_INPUT as path:line:column, those of
 * file_read. */
MUST_USE int serial_list_read(const char *path, struct serial_list *list, struct error *err);
void serial_list_done(struct serial_list *list);

/* Whether a serial is in the list, exactly as it is written there. */
bool serial_list_has(const struct serial_list *list, const char *serial);

#endif
