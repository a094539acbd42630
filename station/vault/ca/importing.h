/*
 * importing: takes in the certificate that somebody made of an issuing CA's request.
 *
 * The file has the CA's certificate and every one above it, up to the root, in any order. It says
 * nothing about trust: orders name the CA by its hash, and importers pin its root.
 */
#ifndef STATION_VAULT_CA_IMPORTING_H
#define STATION_VAULT_CA_IMPORTING_H

#include "station/vault/ca/certified.h"

/*
 * Finds which requested CA the file is of, judges the chain (pki/ca_chain.h), and takes it in. The
 * same file again changes nothing. Errors: ERR_MISSING when no certificate is of a requested key;
 * those of ca_chain_parse, ca_chain_judge, certified_check, the HSM and the store.
 */
MUST_USE int importing_run(const struct ca_place *p, const char *path, struct certified *out,
                           struct error *err);

#endif
