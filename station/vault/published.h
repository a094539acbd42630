/*
 * published: whether a backup knows what has left the station. One that does not would let the
 * station publish another history under the same numbers: a fork, which no owner accepts.
 */
#ifndef STATION_VAULT_PUBLISHED_H
#define STATION_VAULT_PUBLISHED_H

#include "station/config.h"
#include "station/store/store.h"
#include "station/vault/ticket.h"

/*
 * The last manifest in the station's folder must be in store, byte for byte. Errors: ERR_ROLLBACK;
 * those of files and the store.
 */
MUST_USE int published_check_folders(const struct config *config, struct store *store,
                                     struct error *err);

/*
 * What the ticket says that the owner accepted last, if it does, must be the end of a manifest in
 * store, with records that give that root. Errors: ERR_ROLLBACK; ERR_REFUSED for another log's.
 */
MUST_USE int published_check_after(const struct config *config, struct store *store,
                                   const struct ticket *ticket, struct error *err);

#endif
