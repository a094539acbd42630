/*
 * lost: burns credentials that may have been given out in ledger entries which nobody has any more.
 */
#ifndef STATION_VAULT_LOST_H
#define STATION_VAULT_LOST_H

#include "station/config.h"
#include "station/store/store.h"

/*
 * Burns the first count available credentials of each order, or all where there are fewer, inside
 * the open transaction: state, void record and the ledger entry `lost`. Keys without a certificate, spare
 * or waiting for a hosted CA's, are destroyed, for each may have got one since. With count 0 nothing is
 * lost, and nothing changes. Errors: those of the store and of the issuing CAs.
 */
MUST_USE int lost_burn(const struct config *config, struct store *store, int64_t count,
                       struct error *err);

#endif
