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
#include "pki/signed.h"
#include "station/config.h"
#include "station/job.h"
#include "station/store/inventory.h"
#include "station/store/store.h"
#include "station/vault/attest.h"
#include "station/vault/ca/issuers.h"
#include "station/vault/orders.h"
#include "station/wire/channel.h"

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
 * Appends a file of the station, which must be the one whose SHA-256 stands in the ledger's first
 * entry, as this member: whoever can write a file of the station still cannot exchange it. The bytes
 * are those that were compared. The store needs its MACs. Errors: ERR_INTEGRITY, those of
 * file_read_regular and ledger_first.
 */
MUST_USE int vault_read_pinned(const struct config *config, struct store *store, const char *file,
                               const char *member, struct buf *bytes, struct error *err);

/* The certificates of those who may sign orders, as pinned; signed_pins_free. */
MUST_USE int vault_read_signers(const struct config *config, struct store *store,
                                STACK_OF(X509) * *pins, struct error *err);

/* What anchors the store's commits, and counts them; must outlive the store. counting_end closes it. */
struct anchoring {
    const struct config *config;
    struct hsm *hsm;
    struct counter *counter; /* vault/counting.h; NULL: none */
};

/*
 * Lets a store that is open for writing use the HSM: for its MACs, and for the anchor, which is
 * compared first. Errors: ERR_ROLLBACK when the database is older than, or another than, the one
 * that the token remembers; ERR_INTEGRITY. Then, if the station has a counter, for that
 * (vault/counting.h). Errors: ERR_COUNTER.
 */
MUST_USE int vault_attach_store(struct anchoring *a, struct store *store, struct error *err);

/* As vault_attach_store, without the counter: for who makes another (vault/recover.h). */
MUST_USE int vault_attach_anchor(struct anchoring *a, struct store *store, struct error *err);

/* As vault_attach_store for a store that is only read: MACs can be verified. */
void vault_attach_reader(struct hsm *hsm, struct store *store);

struct certifier;
struct hooks;
struct scans;
struct scanning;
struct session;

/* Promises that a device which is asked now works on (vault/keygen.h). */
struct held_promises {
    struct {
        const struct session *by;
        uint8_t tx[IMPRINT_TX_SIZE];
    } of[CHANNELS_MAX];
    size_t count;
};

/* What is needed to issue and deliver under one job. The pointers are borrowed. */
struct vault {
    const struct config *config;
    const struct job *job;
    struct store *store;
    struct hsm *hsm;
    struct attest *attest;        /* the checker; NULL unless the order asks for attested devices */
    struct order_history history; /* of the job's order */
    const struct order *order;    /* the version in force */
    const struct order_share *share; /* what of it is this station's */
    struct cert_profile profile;     /* that the order fixes */
    enum imprint_mode mode;          /* how the job has keys made */
    enum key_type key;               /* and of which type */
    int64_t order_id;
    size_t listed; /* the serials of the job's list before this one are known (vault/naming.h) */
    const char
        *farewells; /* folder of the owner's statements: identities are taken away; or NULL */
    struct inventory_counts counts; /* of the order: vault/quota.h */
    STACK_OF(X509) * pins;          /* who may sign orders */
    uint8_t key_hash[32];           /* SHA-256 of the SubjectPublicKeyInfo of station-auth */
    struct issuers issuers;         /* all issuing CAs of the station */
    const struct issuer *issuer;    /* the one for new certificates of the job; NULL without one */
    struct hooks *hooks;            /* the plant's programs (vault/hooks.h); NULL: there is none */
    struct scans *scans;            /* labels of the units in the slots (vault/scan.h), or NULL */
    struct scanning *scanning;      /* what scanners say while the line runs; NULL: there is none */
    struct held_promises held;      /* of the channels that are open */
    int64_t stocked;                /* the newest credential of vault/stock.h */
    struct certifier *certifier;    /* vault/certifier.h; NULL until it is needed */
    bool remembered;                /* the token knows that credentials are made under the order */
    struct buf station_cert; /* compact certificate that devices verify; vault_load_certificate */
};

/*
 * Reads who may sign orders and the issuing CAs, opens the job's order, binds the job to the
 * version in force, and chooses the CA for its certificates, which must fit (vault/ca/fitting.h). job NULL: for who takes an order in; nothing can be issued then. Errors:
 * ERR_INTEGRITY when the issuing CA's certificate is not that of the HSM's key, or when pins or
 * order are not what the ledger tells; ERR_REFUSED when the order is closed, not for this station,
 * or not what the job says; those of order_history_open, of files, the store and the HSM.
 * vault_done in any case.
 */
MUST_USE int vault_init(struct vault *v, const struct config *config, const struct job *job,
                        struct store *store, struct hsm *hsm, struct error *err);
void vault_done(struct vault *v);

/*
 * Opens an order for who has no job, in whatever state it is: history, order, order_id and counts
 * are filled, not share. Errors: those of order_history_open, ERR_INTEGRITY.
 */
MUST_USE int vault_use_order(struct vault *v, const char *id, struct error *err);

/*
 * The version of the order under which a claim was made: its terms hold for this claim whatever
 * was amended since. Errors: ERR_INTEGRITY when there is none.
 */
MUST_USE int vault_claim_order(const struct vault *v, const struct buf *x,
                               const struct order **order, struct error *err);

/* The hash of this station's key as station.json says it, for who has no HSM at hand. */
MUST_USE int vault_station_key(const struct config *config, uint8_t key[32], struct error *err);

/* As vault_read_signers, compared with nothing: to show orders without the HSM, never to act. */
MUST_USE int vault_show_signers(const struct config *config, STACK_OF(X509) * *pins,
                                struct error *err);

/*
 * Reads station.cert and checks that it certifies this station's name, environment and key. Errors:
 * ERR_MISSING that says how to get one, ERR_SIGNATURE when it is for another station.
 */
MUST_USE int vault_load_certificate(struct vault *v, struct error *err);

#endif
