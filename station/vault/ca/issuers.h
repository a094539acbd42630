/*
 * issuers: the issuing CAs of a station, which sign device certificates.
 *
 * A station has one from its ceremony, unless its root is the company's; others are requested
 * (ca/requesting.h) and certified elsewhere (ca/importing.h), or certified by the station's own root,
 * or by themselves (ca/creating.h). Each has a number, from 1; its key is that generation of
 * HSM_KEY_ISSUING_CA on the token, but for a hosted CA, whose key is somebody else's. Which there are, and with which certificate, the ledger tells:
 *
 *   ca_requested  {"number", "profile" (or not there), "sha256" (of the SubjectPublicKeyInfo)}
 *   ca            {"chain" (of the CAs above, nearest first), "how", "number", "sha256"}: hashes of
 *                 the certificates, DER
 *   ca_destroyed  {"number", "sha256"}
 *
 * Invariants
 *  1. A certificate counts only when its hash, and that of each above it, is the one in the ledger;
 *     those of the ceremony are in ceremony.json, whose hash is in the ledger's first entry.
 *  2. No two have one name: the issuer's name in a device certificate says which CA it is of.
 *  3. A number is never used again, and a certificate never exchanged: what is renewed is another CA.
 */
#ifndef STATION_VAULT_CA_ISSUERS_H
#define STATION_VAULT_CA_ISSUERS_H

#include "hsm/keys.h"
#include "pki/ca_chain.h"
#include "pki/cert_profile.h"
#include "pki/digest.h"
#include "station/config.h"
#include "station/store/store.h"

#define ISSUERS_MAX   32
#define ISSUER_HOSTED "hosted" /* "how" of a CA that somebody else runs */

enum issuer_state {
    ISSUER_REQUESTED, /* it has a key and no certificate yet */
    ISSUER_ACTIVE,
    ISSUER_DESTROYED /* its key is gone; what it signed goes on */
};

struct issuer {
    unsigned number;
    enum issuer_state state;
    char name[CA_NAME_SIZE];            /* of its certificate; empty while it is requested */
    char profile[PROFILE_NAME_MAX + 1]; /* that it was requested with, or empty */
    struct ca_chain chain;              /* empty while it is requested */
    struct buf der;                     /* its certificate */
    uint8_t sha256[SHA256_SIZE];        /* of der */
    bool hosted;      /* somebody else's: it never has a key here (ca/hosting.h) */
    bool without_key; /* issuers_check_keys: the token does not have its key */
    enum sig_scheme
        scheme; /* how its key signs, of a hosted one how it may; issuers_check_keys sets it */
};

struct issuers {
    struct issuer of[ISSUERS_MAX]; /* by number, ascending */
    size_t count;
    bool company_root; /* the station has no root of its own */
    bool root_destroyed;
};

/*
 * Reads ledger and files. issuers_done in any case. Errors: ERR_INTEGRITY when a certificate is not
 * the one that the ledger tells of; those of the store and files.
 */
MUST_USE int issuers_load(const struct config *config, struct store *store, struct issuers *out,
                          struct error *err);
void issuers_done(struct issuers *issuers);

/*
 * Whether the certificate of each active CA is of the token's key; and how that signs, which only the
 * token tells. One whose key is gone is marked without_key and the others go on: a backup from before
 * a CA was destroyed tells of it as active, and its key never comes back. Errors: ERR_INTEGRITY when a key is another one; those of the HSM.
 */
MUST_USE int issuers_check_keys(struct issuers *issuers, struct hsm *hsm, struct error *err);

/* Whether a CA is active and, as far as was looked, has its key on the token. */
bool issuer_can_sign(const struct issuer *issuer);

/* From here on hsm signs with the key of this CA where it signs with HSM_KEY_ISSUING_CA. */
void issuer_use(const struct issuer *issuer, struct hsm *hsm);

/* The same, and who signs for it, as long as hsm uses its key. Errors: those of hsm_ca_signer. */
MUST_USE int issuer_signer(const struct issuer *issuer, struct hsm *hsm, struct ca_signer *signer,
                           struct error *err);

/* NULL for none. of_number also finds one that is requested; of_certificate: the one whose name the
 * certificate bears as its issuer's. */
const struct issuer *issuers_of_number(const struct issuers *issuers, unsigned number);
const struct issuer *issuers_of_hash(const struct issuers *issuers,
                                     const uint8_t sha256[SHA256_SIZE]);
const struct issuer *issuers_of_name(const struct issuers *issuers, const char *name);
const struct issuer *issuers_of_certificate(const struct issuers *issuers, X509 *cert);

/* The same for the DER of a certificate. Errors: ERR_INTEGRITY when no CA of the station issued it. */
MUST_USE int issuers_of_der(const struct issuers *issuers, const struct buf *der,
                            const struct issuer **out, struct error *err);

/* How a hosted CA with this certificate may sign, RSA as most do (rsa-pkcs1-sha256); false when its key is
 * of no type that certificates of devices are verified with. */
bool issuer_hosted_scheme(X509 *cert, enum sig_scheme *scheme);

/* Whether certificates of a CA may be had: it can sign, or is hosted and was not given up. */
bool issuer_is_usable(const struct issuer *issuer);

/* The one with the highest number that can sign, or NULL. */
const struct issuer *issuers_newest(const struct issuers *issuers);

/* The number that the next key gets. */
unsigned issuers_next_number(const struct issuers *issuers);

/* "ca/issuing-ca.pem", and from the second on "ca/issuing-ca-2.pem"; what is above an imported one
 * is in "ca/issuing-ca-2.chain.pem". */
MUST_USE int issuer_path(const struct config *config, unsigned number, char out[PATH_MAX],
                         struct error *err);
MUST_USE int issuer_chain_path(const struct config *config, unsigned number, char out[PATH_MAX],
                               struct error *err);

/* "requested", "active" or "destroyed". */
const char *issuer_state_name(enum issuer_state state);

/*
 * Whether people should hear that a CA ends: a year before, or when a third of its life is left
 * where that is less. False for one that does not end.
 */
bool issuer_ends_soon(const struct issuer *issuer, int64_t now);

#endif
