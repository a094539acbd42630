/*
 * requests: keys whose certificate a hosted CA was asked for (vault/hosted/).
 *
 * A request is a spare key (spares.h) in state SPARE_REQUESTED, with the serial that its certificate is to
 * have and the PKCS#10 that says so. When the certificate is here the wrapped key moves to a credential
 * and the row stays: it tells a second certificate of the same key from a first. What is left when an
 * order closes is destroyed. A row's MAC covers "imprint request v1\0" ‖ u64 id of the key ‖ order hash ‖
 * lp(product) ‖ lp(serial) ‖ u64 made ‖ SHA-256(public key) ‖ SHA-256(PKCS#10); lot and credential
 * are not part of it: the ledger says which keys have their certificate, each once.
 *
 * Invariants
 *  1. A serial of a product has one request, ever, and none that a credential has.
 *  2. No two certificates of one CA that were taken have one serial number.
 */
#ifndef STATION_STORE_REQUESTS_H
#define STATION_STORE_REQUESTS_H

#include "station/store/inventory.h"

#define REQUEST_LOT_MAX    64
#define REQUEST_DER_MAX    4096
#define REQUEST_NUMBER_MAX 20 /* octets of a certificate's serial number */

struct request {
    int64_t key; /* id of the spare key */
    int64_t order_id;
    char lot[REQUEST_LOT_MAX + 1]; /* that it was exported with */
    char product[65];
    char serial[65];
    uint8_t spki[32];   /* SHA-256 of the public key as key_stored has it */
    int64_t made;       /* seconds since 1970 UTC */
    int64_t credential; /* that it became; 0: none yet */
    struct buf der;     /* PKCS#10; empty once it came to an end */
    uint8_t mac[32];
};

void request_init(struct request *r);
void request_done(struct request *r);

/* Computes spki and mac; may run in any thread that mac is good for. Errors: those of mac. */
MUST_USE int request_seal(struct request *r, const struct public_key *key,
                          const uint8_t order_hash[32], store_mac_fn mac, void *context,
                          struct error *err);

/* Adds it beside its spare key. Errors: ERR_DUPLICATE when the serial has a request or a credential,
 * the case of letters left out of account. */
MUST_USE int request_add(struct store *store, const struct request *r, struct error *err);

/* The request of a public key, by its SHA-256; *found tells whether there is one. The MAC of one that has
 * no certificate yet is verified. Errors: ERR_INTEGRITY. */
MUST_USE int request_find(struct store *store, const uint8_t spki[32], struct request *r,
                          bool *found, struct error *err);

/* Its certificate is here: it became this credential, under CA number issuer with this serial number.
 * Errors: ERR_DUPLICATE when another certificate of the CA has the number. */
MUST_USE int request_answer(struct store *store, int64_t key, int64_t credential, unsigned issuer,
                            const void *number, size_t number_len, struct error *err);

/* Whether a certificate of this CA with this serial number was taken. */
MUST_USE int request_knows_number(struct store *store, unsigned issuer, const void *number,
                                  size_t number_len, bool *known, struct error *err);

/* The order that has asked for a certificate with this serial; 0: none. */
MUST_USE int request_order_of_serial(struct store *store, const char *product, const char *serial,
                                     int64_t *order_id, struct error *err);

/* How many there are of an order and a lot, NULL for all lots. */
struct request_counts {
    int64_t made, waiting;
};
MUST_USE int request_count(struct store *store, int64_t order_id, const char *lot,
                           struct request_counts *counts, struct error *err);

/* Calls each that waits for its certificate, in the order in which they were made, MACs verified; lot NULL:
 * of all lots. Something else than 0 ends the walk; 1 ends it well. */
MUST_USE int request_each_waiting(struct store *store, int64_t order_id, const char *lot,
                                  int (*each)(void *context, const struct request *r,
                                              struct error *err),
                                  void *context, struct error *err);

/* The request for a serial of a product, the case of letters left out of account; as request_find. */
MUST_USE int request_of_serial(struct store *store, const char *product, const char *serial,
                               struct request *r, bool *found, struct error *err);

/*
 * Destroys the key of one request that waits, or of all of a lot that do, and says so in the ledger with
 * the serial or the lot. MACs are verified before. Inside a transaction. *count is how many, 0 for a lot
 * of which none waits: nothing is written then. Errors: ERR_INTEGRITY.
 */
MUST_USE int request_drop(struct store *store, const struct request *r,
                          const uint8_t order_hash[32], struct error *err);
MUST_USE int request_drop_lot(struct store *store, int64_t order_id, const uint8_t order_hash[32],
                              const char *lot, int64_t *count, struct error *err);

/* Destroys the keys of all that wait, and says how many and which in the ledger; without one nothing is
 * written. Inside a transaction. */
MUST_USE int requests_destroy(struct store *store, int64_t order_id, const uint8_t order_hash[32],
                              struct error *err);

#endif
