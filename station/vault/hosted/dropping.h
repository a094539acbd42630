/*
 * dropping: requests that a hosted CA will never answer are given up.
 *
 * The key is destroyed, so that no certificate for it is good for anything any more: one that comes all
 * the same is told as foreign. The place in max_issued comes back. The serial is used up, as that of a
 * scrapped credential is, for the CA may have signed it; only a lost request is worth exporting again.
 *
 * Invariant: a command drops all that it names, in one transaction, or nothing.
 */
#ifndef STATION_VAULT_HOSTED_DROPPING_H
#define STATION_VAULT_HOSTED_DROPPING_H

#include "station/vault/vault.h"

struct dropped {
    int64_t now;     /* keys that were destroyed */
    int64_t before;  /* named, and destroyed earlier */
    int64_t waiting; /* requests of the order that are left */
};

/*
 * Drops the named serials of the vault's order, or, where count is 0, all of a lot that wait. Errors:
 * ERR_MISSING when a serial has no request, or nothing of the lot waits; ERR_REFUSED when one is of another
 * order or has its certificate already; those of the store.
 */
MUST_USE int dropping_run(struct vault *v, const char *lot, char *const *serials, size_t count,
                          struct dropped *out, struct error *err);

#endif
