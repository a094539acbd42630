/*
 * ceremony: makes a station: token, long-lived keys, authorities, database, and what is given away.
 *
 * A ceremony happens once. It builds the station in a folder of its own beside the final one and
 * renames it when everything is in place: a ceremony that failed leaves no half of a station.
 */
#ifndef STATION_VAULT_CEREMONY_H
#define STATION_VAULT_CEREMONY_H

#include "base/secret.h"
#include "pki/scheme.h"
#include "station/config.h"
#include "station/store/store.h"

#define CEREMONY_TPM "device:/dev/tpmrm0" /* unless another is named */

struct ceremony {
    struct config config;                  /* dir is where the station will stand */
    char operator[STORE_OPERATOR_MAX + 1]; /* for the ledger; empty: the system's user alone */
    const char *order_signers; /* PEM file: who may sign orders; it is copied and pinned */
    const char
        *custodians;       /* PEM file: who signs the transcript; copied, its hash in it; or NULL */
    uint32_t counter;      /* NV index of a counter to make in the TPM of config.tpm; 0: none */
    bool company_root;     /* no root of its own: the issuing CA is requested (vault/ca) */
    bool own_token;        /* SoftHSM in the station's directory, initialised here */
    struct secret *pin;    /* the caller's */
    bool pin_typed;        /* by a person, just now */
    struct secret *so_pin; /* the caller's; NULL unless own_token */
    struct secret *ca_pin; /* the caller's; NULL unless config.ca_module names a token of the CA */
    bool ca_pin_typed;
    struct ca_algorithm ca; /* of root and issuing CA; zero: P-256 with SHA-256 */
};

/*
 * Whether a station can stand at config->dir, before anybody is asked for a PIN. Errors: ERR_EXISTS
 * when one is there; ERR_MISSING when the folder that it would lie in is not: a mistyped path is not
 * made.
 */
MUST_USE int ceremony_check_place(const struct config *config, struct error *err);

/*
 * Errors: those of ceremony_check_place; ERR_EXISTS when dir holds a station or anything else; those of the HSM, the store and
 * files.
 */
MUST_USE int ceremony_run(struct ceremony *c, struct error *err);

#endif
