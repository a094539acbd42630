/*
 * revocations: the direct revocation list of the station's issuing CA (RFC 5280), in
 * "crl/issuing-ca.crl", DER.
 *
 * It lists every certificate whose end the ledger tells of as burned, lost or revoked; what was only
 * scrapped never left the station. The ledger is believed, not the tables: each end has an entry
 * whose chain was verified when the store was attached, and the certificate is the one under the
 * row's MAC. The number of the list is that of its own ledger entry, so it grows over a restore as
 * well. Memory does not grow with the number of revocations.
 */
#ifndef STATION_VAULT_REVOCATIONS_H
#define STATION_VAULT_REVOCATIONS_H

#include "hsm/token.h"
#include "station/config.h"
#include "station/store/store.h"

#define REVOCATIONS_FILE     "crl/issuing-ca.crl"
#define REVOCATIONS_DAYS     30
#define REVOCATIONS_DAYS_MAX 3650

struct revocations {
    int64_t number, made, next;
    uint64_t entries;
    char path[PATH_MAX];
};

/*
 * Makes the list anew, with so many days until the next is due. Errors: those of the store, the HSM
 * and crl.h; ERR_CLOCK while the clock is in doubt; ERR_INTEGRITY when the issuing CA's certificate
 * is not that of the HSM's key, or the tables are not what the ledger tells.
 */
MUST_USE int revocations_write(const struct config *config, struct store *store, struct hsm *hsm,
                               int64_t days, struct revocations *out, struct error *err);

/*
 * The same after something may have been revoked, if the station has a list; *made tells. The next
 * one is due after as many days as those of the list that is there.
 */
MUST_USE int revocations_keep(const struct config *config, struct store *store, struct hsm *hsm,
                              bool *made, struct revocations *out, struct error *err);

#endif
