/*
 * closed: which orders were closed on this station, as the token remembers it.
 *
 * A database that was restored from a backup has forgotten every closing since. With the order's storage
 * key its credentials are gone, but not its counts: added again, or amended, the same order would be made
 * once more. So the closing leaves a mark on the token (hsm/mark.h), before it destroys the storage key,
 * by which a restored station would know the order otherwise (vault/restore.h).
 */
#ifndef STATION_VAULT_CLOSED_H
#define STATION_VAULT_CLOSED_H

#include "station/vault/vault.h"

/* Lets the token remember that the vault's order is closed; on disk when this returns. Once is as good
 * as twice. Errors: those of the HSM and of files. */
MUST_USE int closed_remember(const struct vault *v, struct error *err);

/* Whether an order may be taken in; order is its first version. Errors: ERR_REFUSED when it was closed
 * and the database does not know it; those of the HSM. */
MUST_USE int closed_check_new(const struct vault *v, const struct order *order, struct error *err);

/* Whether anything may be made under, or changed of, an order that the database knows as open. Errors:
 * ERR_REFUSED when it was closed; those of the HSM. */
MUST_USE int closed_check_known(const struct vault *v, const struct order_history *h,
                                struct error *err);

#endif
