/*
 * orders: the owner's orders as they were received, every version of each.
 *
 * A row proves nothing: whoever opens an order verifies the signed bytes again and compares the
 * versions with what the ledger tells (station/vault/orders.h).
 */
#ifndef STATION_STORE_ORDERS_H
#define STATION_STORE_ORDERS_H

#include "base/buf.h"
#include "station/store/store.h"

#define ORDERS_SIGNED_MAX (2 * 1024 * 1024)

enum order_state {
    ORDER_OPEN = 0,
    ORDER_CLOSING = 1, /* nothing is made or delivered any more; what is unused is being scrapped */
    ORDER_CLOSED = 2
};

struct order_row {
    int64_t id;
    uint8_t hash[32]; /* of the first version: names the order in records, ledger and token */
    char name[65];    /* the owner's id */
    char product[65];
    int state; /* enum order_state */
};

/* The order of this name; *found tells whether there is one. */
MUST_USE int order_find(struct store *store, const char *name, struct order_row *row, bool *found,
                        struct error *err);
MUST_USE int order_hash(struct store *store, int64_t id, uint8_t hash[32], struct error *err);

/* Adds an order without a version; row->id receives its id. */
MUST_USE int order_add(struct store *store, struct order_row *row, struct error *err);

/* Adds the version with the next number. Errors: ERR_DUPLICATE when its hash is known. */
MUST_USE int order_add_version(struct store *store, int64_t id, const uint8_t hash[32],
                               const struct buf *bytes, struct error *err);

MUST_USE int order_set_state(struct store *store, int64_t id, enum order_state state,
                             struct error *err);

/* The row of an order. Errors: ERR_STORE when there is none. */
MUST_USE int order_get(struct store *store, int64_t id, struct order_row *row, struct error *err);

/* Closes an order with the statement that is to be signed; order_statement reads it again, empty
 * before. */
MUST_USE int order_close(struct store *store, int64_t id, const struct buf *statement,
                         struct error *err);
MUST_USE int order_statement(struct store *store, int64_t id, struct buf *statement,
                             struct error *err);

/* Calls each order; a negative return ends the walk. */
MUST_USE int order_each(struct store *store,
                        int (*each)(void *context, const struct order_row *row, struct error *err),
                        void *context, struct error *err);

/* Calls each version of an order, from the first to the one in force. */
MUST_USE int order_each_version(struct store *store, int64_t id,
                                int (*each)(void *context, const uint8_t hash[32],
                                            const struct buf *bytes, struct error *err),
                                void *context, struct error *err);

#endif
