/*
 * serial_source: the serials that generation takes, in their order, from a pattern or a list.
 *
 * All that can be refused is refused before a key is made: numbers beyond the station's range, a
 * list with fewer serials left than are wanted, a serial of it that exists in another order.
 */
#ifndef STATION_VAULT_SERIAL_SOURCE_H
#define STATION_VAULT_SERIAL_SOURCE_H

#include "pki/serial_name.h"
#include "station/vault/vault.h"

struct serial_source {
    const struct vault *v;
    int64_t first;  /* number of a pattern */
    uint32_t *left; /* of a list: places of the serials that do not exist yet */
    size_t left_count;
};

/* Whether count serials are there to be taken; serial_source_done in any case. Errors: ERR_REFUSED,
 * ERR_DUPLICATE, those of the store. */
MUST_USE int serial_source_open(struct serial_source *s, const struct vault *v, int64_t count,
                                struct error *err);
void serial_source_done(struct serial_source *s);

/* Serial number i of those that are taken, from 0. Errors: ERR_INPUT when it has no name. */
MUST_USE int serial_source_text(const struct serial_source *s, int64_t i,
                                char serial[SERIAL_TEXT_MAX + 1], struct error *err);

/* Inside the transaction that stores serials up to number i (from 0, itself not): they are not
 * given out again. */
MUST_USE int serial_source_taken(const struct serial_source *s, int64_t i, struct error *err);

#endif
