/*
 * history: what happened to units, for people to read: which devices got identities under which circumstances,
 * and every try in every slot.
 *
 * Read-only, and without verifying MACs: report/ says what was verified, and does it where a token is there.
 * Tries bear no MAC at all.
 */
#ifndef STATION_STORE_HISTORY_H
#define STATION_STORE_HISTORY_H

#include "agent/ids.h"
#include "base/buf.h"
#include "station/store/claims.h"

enum history_kind {
    HISTORY_SERIAL, /* name is a unit's serial */
    HISTORY_ORDER,  /* name is an order's id */
    HISTORY_LOT,    /* name is the lot in the records of proven units (UDI) */
    HISTORY_TIME /* units that were tried from `from` until before `to`, seconds since 1970 UTC */
};

struct history_filter {
    enum history_kind kind;
    const char *name;    /* NULL for HISTORY_TIME */
    const char *product; /* of a serial; NULL: any */
    int64_t from, to;
};

/* An identity that was given to a device. The texts are valid during the call. */
struct history_unit {
    int64_t credential;
    uint8_t tx[IMPRINT_TX_SIZE];
    const char *serial, *product, *order;
    const char *chip; /* hexadecimal */
    const char *slot;
    const char *firmware;   /* its version */
    const char *image_hash; /* hexadecimal, or empty */
    bool debug;
    const uint8_t *cert; /* DER; cert_len 0: a symmetric key alone */
    size_t cert_len;
    const char *event;  /* of the newest ledger entry about it: "claim", "proven", "burned", ... */
    const char *claim;  /* body of the ledger entry of its claim; NULL: there is none */
    const char *proven; /* and of its proof; NULL: it did not prove itself */
    int64_t manifest;   /* that its record is in; 0: not sealed, or no record */
};

struct history_try {
    int64_t at; /* seconds since 1970 UTC */
    const char *slot, *serial, *text;
    const char *chip; /* hexadecimal, or empty */
    bool has_tx;
    uint8_t tx[IMPRINT_TX_SIZE];
    int code; /* 0 for a pass, otherwise one of base/error.h */
};

/* All that is read between the two is of one committed state, whatever others write meanwhile. */
MUST_USE int history_hold(struct store *store, struct error *err);
void history_release(struct store *store);

/* The oldest first; a negative return ends the walk. */
MUST_USE int history_units(struct store *store, const struct history_filter *filter,
                           int (*each)(void *context, const struct history_unit *unit,
                                       struct error *err),
                           void *context, struct error *err);

/* The tries of those units, and of HISTORY_TIME every other in that time, also of devices that got nothing. */
MUST_USE int history_tries(struct store *store, const struct history_filter *filter,
                           int (*each)(void *context, const struct history_try *tried,
                                       struct error *err),
                           void *context, struct error *err);

#endif
