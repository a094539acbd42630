/*
 * stock: has the token begin the rewraps of the credentials that come next (hsm/ahead.h).
 */
#ifndef STATION_VAULT_STOCK_H
#define STATION_VAULT_STOCK_H

#include "station/vault/vault.h"

/*
 * Fills up what is begun ahead, where the job has its credentials from the inventory. Nothing fails here:
 * the claim reads and verifies its row again, and begins its rewrap itself unless exactly that row's was
 * begun.
 */
void stock_ahead(struct vault *v);

#endif
