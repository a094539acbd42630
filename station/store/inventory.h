/*
 * inventory: the credentials made under orders, from generation to their end (P2, P3, P6).
 *
 * A credential is available, then claimed (bound to one device's transport key), then exactly one
 * of proven or burned; one that nothing was released of can be scrapped, a proven one revoked. Its row carries a MAC from the HSM over what must not be exchanged, for as
 * long as the row is there: "imprint row v1\0" ‖ u64 id ‖ order hash ‖ lp(product) ‖ lp(serial) ‖
 * public key (key_stored of pki/key.h, of P-256 the point) ‖ lp(storage) ‖ lp(format) ‖
 * SHA-256(wrapped) ‖ SHA-256(certificate). The state is not part of it: an old state would have a good MAC for ever. What happened to a credential is in the
 * ledger (ledger_expect).
 */
#ifndef STATION_STORE_INVENTORY_H
#define STATION_STORE_INVENTORY_H

#include "base/buf.h"
#include "pki/key.h"
#include "station/store/store.h"

#define INVENTORY_FORMAT      "pkcs8/rfc5649"
#define INVENTORY_STORAGE_MAX 64
#define INVENTORY_CERT_MAX    4096
#define INVENTORY_WRAPPED_MAX 2048 /* an RSA key of 3072 bits takes 1,800 */

enum credential_state {
    CREDENTIAL_AVAILABLE = 0,
    CREDENTIAL_CLAIMED = 1,
    CREDENTIAL_PROVEN = 2,
    CREDENTIAL_BURNED = 3,   /* released, perhaps live for ever, and nobody's */
    CREDENTIAL_SCRAPPED = 4, /* nothing was ever released of it */
    CREDENTIAL_REVOKED = 5,  /* it was proven and is dead now */
    CREDENTIAL_STATES
};

struct credential {
    int64_t id; /* from 1; fits 48 bits */
    int64_t order_id;
    int state;
    char product[65];
    char serial[65];
    struct public_key key; /* len 0 where a symmetric key is all */
    struct buf cert;       /* empty where a symmetric key is all: credential_is_derived */
    struct buf wrapped;    /* empty once it came to an end */
    uint8_t wrapped_hash[32];
    char storage[INVENTORY_STORAGE_MAX +
                 1]; /* empty: no key is stored, the device made it or it is derived */
    int64_t mechanism;
    uint8_t mac[32];
};

/* Its key is symmetric, derived when it is needed: there is no certificate. */
static inline bool credential_is_derived(const struct credential *c)
{
    return c->cert.len == 0;
}

void credential_init(struct credential *c);
void credential_done(struct credential *c);

/* The next number of a pattern of serials: the stored one, or first if that is larger. */
MUST_USE int counter_next(struct store *store, const char *product, const char *prefix,
                          int64_t digits, int64_t first, int64_t *next, struct error *err);
MUST_USE int counter_set(struct store *store, const char *product, const char *prefix,
                         int64_t digits, int64_t next, struct error *err);

/* The id that the next credential gets. */
MUST_USE int credential_next_id(struct store *store, int64_t *id, struct error *err);

/* Computes wrapped_hash and mac of a credential that is otherwise complete. Needs no store: it may
 * run in any thread that mac is good for. Errors: those of mac. */
MUST_USE int credential_seal(struct credential *c, const uint8_t order_hash[32], store_mac_fn mac,
                             void *context, struct error *err);

/*
 * Adds an available credential that was sealed with the hash of c->order_id. Errors: ERR_DUPLICATE
 * when (product, serial) is in the inventory already, the case of letters left out of account.
 * credential_add_again: of a serial whose earlier credentials all came to an end; who calls it has
 * decided that the device may have another identity (vault/naming.h).
 */
MUST_USE int credential_add(struct store *store, const struct credential *c, struct error *err);
MUST_USE int credential_add_again(struct store *store, const struct credential *c,
                                  struct error *err);

/* Whether the inventory has no serial from first to last, as text whose letters have no case: then each
 * of many that lie between them may be added with credential_add_again. */
MUST_USE int credential_none_between(struct store *store, const char *product, const char *first,
                                     const char *last, bool *none, struct error *err);

/*
 * The oldest available credential of an order, its MAC verified; credential_pick_type: the oldest that
 * has a key of this type. Errors: ERR_EXHAUSTED when there is none, ERR_INTEGRITY when the row was
 * changed.
 */
MUST_USE int credential_pick(struct store *store, int64_t order_id, struct credential *c,
                             struct error *err);
MUST_USE int credential_pick_type(struct store *store, int64_t order_id, enum key_type type,
                                  struct credential *c, struct error *err);
/*
 * The key of the oldest available credential of an order and a type after the one with this id: id, key,
 * wrapped and storage alone, which nobody verified. c->id is 0 when there is none.
 */
MUST_USE int credential_peek(struct store *store, int64_t order_id, enum key_type type,
                             int64_t after, struct credential *c, struct error *err);
/* Any credential, its MAC verified as well. */
MUST_USE int credential_get(struct store *store, int64_t id, struct credential *c,
                            struct error *err);

/* The newest credential of a serial; product NULL: any. Errors: ERR_MISSING; ERR_DUPLICATE when
 * several products have the serial; as credential_get. */
MUST_USE int credential_by_serial(struct store *store, const char *serial, const char *product,
                                  struct credential *c, struct error *err);

/* Calls each credential of a serial, the newest first, MACs verified, the case of letters left out of
 * account, until each returns something else than 0; 1 ends the walk well. */
MUST_USE int credential_each_of_serial(struct store *store, const char *product, const char *serial,
                                       int (*each)(void *context, const struct credential *c,
                                                   struct error *err),
                                       void *context, struct error *err);

/* Calls the certificate (DER) of each credential that is available or claimed, nothing verified. A
 * negative return ends the walk. */
MUST_USE int credential_each_unfinished(struct store *store,
                                        int (*each)(void *context, const struct buf *der,
                                                    struct error *err),
                                        void *context, struct error *err);

/* The order of the newest credential of a serial, the case of letters left out of account; 0 when it
 * has none. Nothing is verified. */
MUST_USE int credential_order_of_serial(struct store *store, const char *product,
                                        const char *serial, int64_t *order_id, struct error *err);

/* Sets the state; the wrapped key is deleted with every one but available and claimed. */
MUST_USE int credential_set_state(struct store *store, int64_t id, enum credential_state state,
                                  struct error *err);

/* How many credentials of an order are in each state, by enum credential_state. ERR_INTEGRITY when
 * one is in no such state. */
struct inventory_counts {
    int64_t by_state[CREDENTIAL_STATES];
    int64_t spares;   /* unused keys, which have no certificate (spares.h) */
    int64_t requests; /* keys that wait for a hosted CA's certificate (requests.h) */
};
MUST_USE int inventory_count(struct store *store, int64_t order_id, struct inventory_counts *counts,
                             struct error *err);

#endif
