/*
 * vault: the process that holds the PIN, the HSM and the database, and decides (P10).
 *
 * Invariants
 *  1. The line is exec'ed before the module is loaded and the PIN is read (vault/server.h).
 *  2. What leaves was committed first: a claim with everything that a retry replays is in the
 *     database before one byte of it is handed out (P2).
 *  3. The vault believes the line nothing that it can check: duplicates, quotas, proofs and nonces
 *     are decided here, and every signed or derived byte is built here.
 */
#ifndef STATION_VAULT_H
#define STATION_VAULT_H

#include "base/buf.h"
#include "hsm/keys.h"
#include "hsm/token.h"
#include "station/config.h"
#include "station/job.h"
#include "station/store/inventory.h"
#include "station/store/store.h"

/* Opens the station's database. Errors: those of store_open. */
MUST_USE int vault_open_store(const struct config *config, enum store_mode mode,
                              struct store **store, struct error *err);

/*
 * Finds the PIN (vault/pin.h) and opens the token. Errors: those of pin_read and hsm_open.
 */
MUST_USE int vault_open_hsm(const struct config *config, struct hsm **hsm, struct error *err);

/* As vault_open_hsm, for a look at a token whose keys are not what they should be (hsm/audit.h). */
MUST_USE int vault_open_hsm_unchecked(const struct config *config, struct hsm **hsm,
                                      struct error *err);

/*
 * Whether a file of the station is the one whose SHA-256 stands in the ledger's first entry, as this
 * member: whoever can write a file of the station still cannot exchange it. The store needs its MACs.
 * Errors: ERR_INTEGRITY, those of file_read and ledger_first.
 */
MUST_USE int vault_check_pinned(const struct config *config, struct store *store, const char *file,
                                const char *member, struct error *err);

/* What anchors the store's commits; must outlive the store. */
struct anchoring {
    const struct config *config;
    struct hsm *hsm;
};

/*
 * Lets a store that is open for writing use the HSM: for its MACs, and for the anchor, which is
 * compared first. Errors: ERR_ROLLBACK when the database is older than, or another than, the one
 * that the token remembers; ERR_INTEGRITY.
 */
MUST_USE int vault_attach_store(struct anchoring *a, struct store *store, struct error *err);

/* As vault_attach_store for a store that is only read: MACs can be verified. */
void vault_attach_reader(struct hsm *hsm, struct store *store);

/* What is needed to issue and deliver under one job. The pointers are borrowed. */
struct vault {
    const struct config *config;
    const struct job *job;
    struct store *store;
    struct hsm *hsm;
    int64_t order_id;               /* 0 while nothing was generated under the order */
    struct inventory_counts counts; /* of the order: vault/quota.h */
    struct buf issuer;              /* certificate of the issuing CA, DER */
    uint8_t issuer_hash[32];        /* its SHA-256 */
    struct buf station_cert; /* compact certificate that devices verify; vault_load_certificate */
};

/*
 * Checks that the job's order belongs to this station's environment and reads the issuing CA.
 * Errors: ERR_REFUSED for another environment, ERR_INTEGRITY when the issuing CA's certificate is
 * not that of the HSM's key, ERR_MISSING and ERR_FORMAT for files; those of the store and the HSM.
 * vault_done in any case.
 */
MUST_USE int vault_init(struct vault *v, const struct config *config, const struct job *job,
                        struct store *store, struct hsm *hsm, struct error *err);
void vault_done(struct vault *v);

/*
 * Reads station.cert and checks that it certifies this station's name, environment and key. Errors:
 * ERR_MISSING that says how to get one, ERR_SIGNATURE when it is for another station.
 */
MUST_USE int vault_load_certificate(struct vault *v, struct error *err);

#endif
