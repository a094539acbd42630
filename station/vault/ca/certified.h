/*
 * certified: takes the certificate of an issuing CA into the station, and tells the owner.
 *
 * The files are written first, then the ledger says so, and from then on the CA counts. station.json
 * and trust/device-root.pem follow what the ledger tells: a command that was stopped between writes
 * them when it is repeated.
 */
#ifndef STATION_VAULT_CA_CERTIFIED_H
#define STATION_VAULT_CA_CERTIFIED_H

#include "station/vault/ca/issuers.h"

struct ca_place {
    const struct config *config;
    struct store *store;
    struct hsm *hsm;
};

/* The number, state and files of a CA that was taken in; plain data. */
struct certified {
    unsigned number;
    char name[CA_NAME_SIZE];
    uint8_t sha256[SHA256_SIZE];
    char path[PATH_MAX];
    bool before; /* it was taken in before; nothing changed */
};

/*
 * Whether a chain is of a name and a root of its own. Errors: ERR_EXISTS when another CA of the
 * station has the name; ERR_REFUSED when the root's key is that of the manifest root.
 */
MUST_USE int certified_check(const struct ca_place *p, const struct issuers *issuers,
                             unsigned number, const struct ca_chain *chain, struct error *err);

/* how: "import", "root", "self" or ISSUER_HOSTED. Errors: those of files and the store. */
MUST_USE int certified_take(const struct ca_place *p, unsigned number, const struct ca_chain *chain,
                            const char *how, struct certified *out, struct error *err);

/* Writes station.json and trust/device-root.pem anew: hashes of the active CAs that are not hosted, and every root that a
 * CA of the station has or had, each once. */
MUST_USE int certified_publish(const struct ca_place *p, struct error *err);

/* The hash of the station's key as station.json has it, and the whole file; issuers: hashes of
 * certificates, the newest last. */
MUST_USE int certified_station_json(const struct config *config, struct hsm *hsm,
                                    const uint8_t (*issuers)[SHA256_SIZE], size_t count,
                                    struct error *err);

#endif
