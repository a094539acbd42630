/*
 * claims: which device has which credential, and how far it came (P2, P3, P4).
 *
 * A claim binds one credential to one device transport key for ever: both columns are unique in the
 * database itself. It is stored before the first byte leaves and holds everything a retry replays.
 *
 * A row carries a MAC from the HSM over what records are made of, verified whenever it is read:
 * "imprint claim v1\0" ‖ tx ‖ u64 credential ‖ lp(slot) ‖ lp(chip) ‖ dev_pub ‖ station_pub ‖ u16
 * suite ‖ station_nonce ‖ lp(x) ‖ station_sig ‖ lp(fw_version) ‖ lp(fw_hash) ‖ u8 fw_debug ‖
 * lp(attestation) ‖ u64 created, and lp(kcv) where a symmetric key was delivered. Not part of it are
 * state, nonce, which change, and the wrapped keys, which the device verifies.
 */
#ifndef STATION_STORE_CLAIMS_H
#define STATION_STORE_CLAIMS_H

#include "agent/ids.h"
#include "base/buf.h"
#include "station/store/store.h"

#define CLAIM_X_MAX           2048
#define CLAIM_ATTESTATION_MAX (256 + IMPRINT_CHAIN_MAX)
#define CLAIM_SLOT_MAX        32

enum claim_state {
    CLAIM_OPEN = 0,
    CLAIM_PROVEN = 1,
    CLAIM_BURNED = 2, /* it was released and the device lost its transport key */
    CLAIM_REVOKED = 3 /* it was proven and is dead now */
};

struct claim {
    uint8_t tx[IMPRINT_TX_SIZE];
    int64_t credential;
    int state;
    char slot[CLAIM_SLOT_MAX + 1];
    uint8_t chip[IMPRINT_CHIP_ID_MAX];
    size_t chip_len;
    uint8_t dev_pub[IMPRINT_P256_POINT_SIZE];
    uint8_t station_pub[IMPRINT_P256_POINT_SIZE];
    uint16_t suite;
    uint8_t station_nonce[IMPRINT_NONCE_SIZE];
    struct buf x;
    uint8_t station_sig[IMPRINT_P256_SIG_SIZE];
    struct buf wrapped; /* empty once no longer open */
    char fw_version[IMPRINT_FIRMWARE_MAX + 1];
    struct buf fw_hash; /* 32 bytes, or empty when the device reports none */
    bool fw_debug;
    struct buf attestation; /* u16 algorithm ‖ lp(key) ‖ lp(signature) [‖ lp(chain)], or empty */
    bool has_prove_nonce;
    uint8_t prove_nonce[IMPRINT_NONCE_SIZE];
    int64_t created;
    bool has_kcv;         /* a symmetric key was delivered, alone or beside the private one */
    uint8_t kcv[32];      /* its check value */
    struct buf symmetric; /* it, wrapped; empty once no longer open */
};

void claim_init(struct claim *c);
void claim_done(struct claim *c);

/*
 * Whether each credential that a device has or is getting has its claim: without it the device's chip
 * would be a new one. Errors: ERR_INTEGRITY.
 */
MUST_USE int claims_check_complete(struct store *store, struct error *err);

/*
 * Stores a new open claim. Errors: ERR_DUPLICATE when the chip has a live claim or the transport
 * key was seen before: the caller has looked for both, so this is the database's own last word.
 */
MUST_USE int claim_add(struct store *store, const struct claim *c, struct error *err);

/* Each finds at most one claim; *found tells whether. ERR_INTEGRITY when its row was changed. That
 * of a chip, and of an enrolled key, is its open or proven one. */
MUST_USE int claim_by_tx(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE], struct claim *c,
                         bool *found, struct error *err);
MUST_USE int claim_by_dev_pub(struct store *store, const uint8_t dev_pub[IMPRINT_P256_POINT_SIZE],
                              struct claim *c, bool *found, struct error *err);
MUST_USE int claim_by_chip(struct store *store, const uint8_t *chip, size_t len, struct claim *c,
                           bool *found, struct error *err);

MUST_USE int claim_by_enrolment(struct store *store, const uint8_t key[IMPRINT_P256_POINT_SIZE],
                                struct claim *c, bool *found, struct error *err);

MUST_USE int claim_by_credential(struct store *store, int64_t credential, struct claim *c,
                                 bool *found, struct error *err);

#define UNRESOLVED_WHY_MAX 400

/* A credential that was given to a device which neither proved nor lost it, as far as anybody knows. */
struct unresolved {
    char serial[65];
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1]; /* hexadecimal */
    char slot[CLAIM_SLOT_MAX + 1];
    uint8_t tx[IMPRINT_TX_SIZE];
    int64_t since;                    /* seconds since 1970 UTC */
    int64_t failures;                 /* attempts that failed */
    char why[UNRESOLVED_WHY_MAX + 1]; /* the last of them; empty: none was told */
};

/* Calls each of an order, the oldest first, without verifying MACs: for people to read. */
MUST_USE int claim_each_unresolved(struct store *store, int64_t order_id,
                                   int (*each)(void *context, const struct unresolved *u,
                                               struct error *err),
                                   void *context, struct error *err);

/* Whether the claim's device attested itself with this key. */
bool claim_is_enrolled_as(const struct claim *c, const uint8_t key[IMPRINT_P256_POINT_SIZE]);

/* Sets the state; the device's wrapped keys and the nonce are deleted when it is no longer open. */
MUST_USE int claim_set_state(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE],
                             enum claim_state state, struct error *err);

/* Journals a nonce that was drawn, or forgets it (NULL) once used. */
MUST_USE int claim_set_nonce(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE],
                             const uint8_t *nonce, struct error *err);

/* One line of the log of attempts. chip and tx may be NULL, serial and text empty. */
struct attempt {
    const char *slot;
    const uint8_t *chip;
    size_t chip_len;
    const uint8_t *tx;
    const char *serial;
    int code; /* 0 for a pass, otherwise one of base/error.h */
    const char *text;
    enum error_next next; /* of a refusal, what the vault told a person to do */
};
MUST_USE int attempt_add(struct store *store, const struct attempt *attempt, struct error *err);
/* How many attempts of a transaction failed. */
MUST_USE int attempt_failures(struct store *store, const uint8_t tx[IMPRINT_TX_SIZE],
                              int64_t *failures, struct error *err);
/* A unit that was refused for what it is and sent back (NEXT_SEND_BACK), and has no identity. */
struct sent_back {
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1]; /* hexadecimal */
    char slot[33];
    int64_t at; /* of the last refusal; seconds since 1970 UTC */
    char why[UNRESOLVED_WHY_MAX + 1];
};

/* Calls each, by chip ids: for people to read. */
MUST_USE int attempt_each_sent_back(struct store *store,
                                    int (*each)(void *context, const struct sent_back *u,
                                                struct error *err),
                                    void *context, struct error *err);
MUST_USE int attempt_count(struct store *store, int64_t *passed, int64_t *failed,
                           struct error *err);

#endif
