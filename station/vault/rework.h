/*
 * rework: a supervisor allows that a unit gets another identity under the same serial, because its
 * board was exchanged or repaired.
 *
 * The old identity is revoked at once, if it is not already: whatever becomes of the unit, its old
 * board is nobody's. The unit then gets a new key and certificate at the next run, by a label scanned
 * for its slot, and its record is `replace`, naming the old one (vault/naming.h). At most one identity
 * of a serial lives at any time. Each permission draws on the order's `rework`.
 */
#ifndef STATION_VAULT_REWORK_H
#define STATION_VAULT_REWORK_H

#include "station/vault/voiding.h"

struct reworked {
    char serial[65], product[65];
    char order[65];        /* its id */
    bool before;           /* it was allowed already; nothing changed */
    int64_t used, allowed; /* permissions of this station's share */
};

/*
 * v was opened without a job; it is bound to the credential's order. what->lost is not used. Errors:
 * ERR_MISSING, ERR_DUPLICATE (several products have the serial), ERR_REFUSED (the identity was never
 * proven, the order's `rework` is used up, or the order is not open or not this station's),
 * ERR_INTEGRITY.
 */
MUST_USE int rework_run(struct vault *v, const struct voiding *what, struct reworked *out,
                        struct error *err);

#endif
