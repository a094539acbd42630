/*
 * keygens: devices that were asked to make their own key (KEYGEN), before a certificate is signed.
 *
 * A row is a promise of a serial to one device's transport key, stored before KEYGEN leaves: a device
 * that reports its transaction is known again, and gets the same KEYGEN, byte for byte. Nothing is
 * issued yet: a row that is dropped costs nothing. When the request came, a claim of the same
 * transaction holds the certificate (claims.h), and the row stays for repeats.
 *
 * A row carries a MAC from the HSM over all but its state: "imprint keygen row v1\0" ‖ tx ‖
 * u64 order ‖ lp(serial) ‖ lp(slot) ‖ lp(chip) ‖ dev_pub ‖ station_nonce ‖ lp(x) ‖ station_sig ‖
 * lp(subject) ‖ u64 created, and ‖ lp(attestation) when there is one.
 */
#ifndef STATION_STORE_KEYGENS_H
#define STATION_STORE_KEYGENS_H

#include "station/store/claims.h"

enum keygen_state {
    KEYGEN_OPEN = 0,    /* the device was asked, or is about to be */
    KEYGEN_CLAIMED = 1, /* a claim of this transaction exists */
    KEYGEN_DROPPED = 2  /* the device lost its transport key, made a second key, or stayed away */
};

#define KEYGEN_ATTESTATION_MAX 256

struct keygen {
    uint8_t tx[IMPRINT_TX_SIZE];
    int64_t order_id;
    int state;
    char serial[IMPRINT_SERIAL_MAX + 1];
    char slot[CLAIM_SLOT_MAX + 1];
    uint8_t chip[IMPRINT_CHIP_ID_MAX];
    size_t chip_len;
    uint8_t dev_pub[IMPRINT_P256_POINT_SIZE];
    uint8_t station_nonce[IMPRINT_NONCE_SIZE];
    struct buf x; /* of KEYGEN: without a bundle */
    uint8_t station_sig[IMPRINT_P256_SIG_SIZE];
    struct buf subject; /* DER Name */
    struct buf
        attestation; /* the HELLO's, over station_nonce (hello_statement); empty: none was asked for */
    int64_t created;
};

void keygen_init(struct keygen *k);
void keygen_done(struct keygen *k);

/* Stores an open row. Errors: ERR_DUPLICATE when the chip has an open one, or the transport key was
 * seen before. */
MUST_USE int keygen_add(struct store *store, const struct keygen *k, struct error *err);

/* Each finds at most one row; *found tells whether. That of a chip is its open one. Errors:
 * ERR_INTEGRITY when it was changed. */
MUST_USE int keygen_by_tx(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE], struct keygen *k,
                          bool *found, struct error *err);
MUST_USE int keygen_by_dev_pub(struct store *store, const uint8_t dev_pub[IMPRINT_P256_POINT_SIZE],
                               struct keygen *k, bool *found, struct error *err);
MUST_USE int keygen_by_chip(struct store *store, const uint8_t *chip, size_t len, struct keygen *k,
                            bool *found, struct error *err);

/* The oldest serial that an order promised to a device, dropped, and never put into a certificate, of those
 * that fits says true of: since then the order may have been amended. */
typedef bool (*keygen_fits_fn)(const void *context, const char *serial);
MUST_USE int keygen_free_serial(struct store *store, int64_t order_id, keygen_fits_fn fits,
                                const void *context, char serial[IMPRINT_SERIAL_MAX + 1],
                                bool *found, struct error *err);

/* Drops what an order promised of this serial: who calls it has decided that another device may have
 * it (vault/naming.h), so no row of it has a live certificate. */
MUST_USE int keygen_drop_serial(struct store *store, int64_t order_id, const char *serial,
                                struct error *err);

/* Drops the open rows of an order but the newest, this many, and those that held says true of. With a slot
 * only those of devices that were in it; NULL: of all. */
typedef bool (*keygen_held_fn)(const void *context, const uint8_t tx[IMPRINT_TX_SIZE]);
MUST_USE int keygen_drop_oldest(struct store *store, int64_t order_id, const char *slot,
                                int64_t keep, keygen_held_fn held, const void *context,
                                struct error *err);

/* Whether a device with this row's chip id was promised something after it. */
MUST_USE int keygen_chip_came_since(struct store *store, const struct keygen *k, bool *came,
                                    struct error *err);

MUST_USE int keygen_set_state(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE],
                              enum keygen_state state, struct error *err);

#endif
