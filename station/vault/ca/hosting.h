/*
 * hosting: takes in the certificate of a CA that somebody else runs, which signs device certificates
 * themselves (vault/hosted/).
 *
 * The station has no key of it, signs nothing for it and makes no revocation list of it. It is an
 * issuing CA in all else: it has a number, its chain travels to devices and stands in manifests, and its
 * root is among those that importers pin. What makes the station accept its certificates is an order that
 * lists it as `hosted`.
 */
#ifndef STATION_VAULT_CA_HOSTING_H
#define STATION_VAULT_CA_HOSTING_H

#include "station/vault/ca/certified.h"

/*
 * The file has the CA's own certificate first and every one above it, up to the root, in any order. It is
 * judged as an issuing CA of the station is (pki/ca_chain.h). The same file again changes nothing. Errors:
 * ERR_REFUSED also for a key of a type that importers do not know; those of ca_chain_parse,
 * ca_chain_judge, certified_check, the HSM and the store.
 */
MUST_USE int hosting_run(const struct ca_place *p, const char *path, struct certified *out,
                         struct error *err);

#endif
