/*
 * voiding: a person ends a credential that the line did not, or no longer, ends by itself.
 *
 *   the credential is   what it takes          it becomes
 *   ------------------- ---------------------- --------------------------------------------------
 *   available           -                      scrapped: its place in max_issued returns
 *   claimed             lost                   burned: it may live for ever, and so counts; beyond
 *                                              `spoilage` it goes on counting against `good` too
 *   proven              -                      revoked: its place in good returns
 *   void already        -                      what it is: nothing changes
 */
#ifndef STATION_VAULT_VOIDING_H
#define STATION_VAULT_VOIDING_H

#include "manifests/record.h"
#include "station/vault/vault.h"

struct voiding {
    const char *name;          /* a serial, or a transaction in hexadecimal digits */
    const char *product;       /* NULL: any */
    bool lost;                 /* a supervisor says that the device will not come back */
    enum record_reason reason; /* of a revocation */
};

struct voided {
    char serial[65], product[65];
    char order[65]; /* its id */
    int state;      /* enum credential_state, now */
    bool before;    /* it was in that state already */
};

/*
 * v was opened without a job; it is bound to the credential's order. Errors: ERR_MISSING,
 * ERR_DUPLICATE (several products have the serial), ERR_REFUSED (claimed and not lost, or the order
 * is not open), ERR_INTEGRITY.
 */
MUST_USE int voiding_run(struct vault *v, const struct voiding *what, struct voided *out,
                         struct error *err);

/* The credential that is named; v is bound to its order, which must be open. c is initialised. */
MUST_USE int voiding_find(struct vault *v, const struct voiding *what, struct credential *c,
                          struct error *err);

/* Inside a transaction: burns a credential that was claimed, revokes one that was proven, whatever
 * what->lost says. */
MUST_USE int voiding_end(struct vault *v, const struct voiding *what, struct credential *c,
                         struct error *err);

/* The reasons that a revocation can have, by their RFC 5280 names; 0 for no such name. */
enum record_reason voiding_reason(const char *name);

#endif
