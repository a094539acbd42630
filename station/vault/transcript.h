/*
 * transcript: what a key ceremony made, written down once and compared ever after.
 *
 * ceremony.json is canonical JSON (docs/ceremony.md lists its members): who ran the ceremony and
 * when, the token, every long-lived key with what identifies it and its attributes as read back, and
 * the hashes of the certificates. Nothing in it is secret. Its SHA-256 stands in the ledger's first
 * entry, which bears a MAC of the token. Custodians who watched sign the file with stock openssl,
 * each a detached signature in ceremony/NAME.p7s, by keys whose certificates were named at the
 * ceremony.
 */
#ifndef STATION_VAULT_TRANSCRIPT_H
#define STATION_VAULT_TRANSCRIPT_H

#include "hsm/audit.h"
#include "station/config.h"
#include "station/store/store.h"
#include "station/vault/counting.h"

/* What the ceremony knows and the station's files do not tell. */
struct transcript_facts {
    uint8_t order_signers[SHA256_SIZE];
    bool has_custodians;
    uint8_t custodians[SHA256_SIZE];
    bool has_counter;
    struct counting_made counter;
};

/* Writes ceremony.json of the station in config->dir, whose certificates are there; *hash is its
 * SHA-256. */
MUST_USE int transcript_write(const struct config *config, struct hsm *h,
                              const struct transcript_facts *facts, uint8_t hash[SHA256_SIZE],
                              struct error *err);

/* How what was found is told: a finding, and one custodian with the file that they signed, or NULL. */
struct transcript_listener {
    void (*finding)(void *context, enum hsm_finding_kind kind, const char *key, const char *text);
    void (*custodian)(void *context, const char *name, const char *file);
    void *context;
};

/*
 * Compares the transcript with the ledger, the live token's keys and the station's certificates, and
 * verifies the custodians' signatures. The store needs the token's MACs. What is wrong is a finding;
 * errors are those of memory and of the token.
 */
MUST_USE int transcript_check(const struct config *config, struct store *store, struct hsm *h,
                              const struct transcript_listener *listener, struct error *err);

/*
 * At each start: the token is of the class that the ledger's first entry says, and a finding tells
 * when it is not the one of the transcript, or that one is not there. Nothing here knows more of a
 * token than its module says. Errors: ERR_INTEGRITY for another class; those of ledger_first.
 */
MUST_USE int transcript_check_token(const struct config *config, struct store *store, struct hsm *h,
                                    const struct transcript_listener *listener, struct error *err);

#endif
