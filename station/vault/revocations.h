/*
 * revocations: the direct revocation lists of the station's issuing CAs (RFC 5280), DER:
 * "crl/issuing-ca.crl", and of the second CA and those after it "crl/issuing-ca-2.crl" and so on.
 *
 * A list has every certificate of its CA whose end the ledger tells of as burned, lost or revoked; what was only
 * scrapped never left the station. The ledger is believed, not the tables: each end has an entry
 * whose chain was verified when the store was attached, and the certificate is the one under the
 * row's MAC. The number of the list is that of its own ledger entry, so it grows over a restore as
 * well. Memory does not grow with the number of revocations.
 */
#ifndef STATION_VAULT_REVOCATIONS_H
#define STATION_VAULT_REVOCATIONS_H

#include "hsm/token.h"
#include "station/vault/ca/issuers.h"

#define REVOCATIONS_DAYS     30
#define REVOCATIONS_DAYS_MAX 3650

struct revocations {
    int64_t number, made, next;
    uint64_t entries;
    unsigned issuer; /* number of the CA */
    char path[PATH_MAX];
};

/*
 * Makes the list of one active CA anew, with so many days until the next is due. Errors: those of the
 * store, the HSM and crl.h; ERR_REFUSED when the CA is not active; ERR_CLOCK while the clock is in
 * doubt; ERR_INTEGRITY when the tables are not what the ledger tells.
 */
MUST_USE int revocations_write(const struct config *config, struct store *store, struct hsm *hsm,
                               const struct issuers *issuers, const struct issuer *issuer,
                               int64_t days, struct revocations *out, struct error *err);

/* Calls each list that was made; a negative return ends. */
typedef int (*revocations_made)(void *context, const struct revocations *list, struct error *err);

/* As revocations_write, for each active CA. Errors: ERR_MISSING when there is none. */
MUST_USE int revocations_write_all(const struct config *config, struct store *store,
                                   struct hsm *hsm, int64_t days, revocations_made made,
                                   void *context, struct error *err);

/*
 * The same after something may have been revoked, for each active CA that has a list. The next
 * one is due after as many days as those of the list that is there.
 */
MUST_USE int revocations_keep(const struct config *config, struct store *store, struct hsm *hsm,
                              revocations_made made, void *context, struct error *err);

#endif
