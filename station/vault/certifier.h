/*
 * certifier: certificates that the vault signs while a device waits.
 *
 * Most certificates are made ahead, on threads (vault/issue.h). Where the serial is known only when
 * a device is in its slot, where an identity is replaced, and where the device itself makes its key,
 * the certificate is signed inside the transaction that reserves it for the device: one signature,
 * counted against max_issued and told by the ledger as `issue`. It is anchored with that
 * transaction, before a byte of it leaves.
 */
#ifndef STATION_VAULT_CERTIFIER_H
#define STATION_VAULT_CERTIFIER_H

#include "pki/serial_name.h"
#include "station/vault/vault.h"

/* The storage key of the vault's order: found, or made for the first key. Errors: those of the HSM. */
MUST_USE int certifier_storage(const struct vault *v, char name[HSM_STORAGE_NAME_SIZE],
                               struct error *err);

/*
 * Lets the token remember that credentials are made under the vault's order, also where no key of theirs is
 * stored: by the order's storage key, which a restore looks for (vault/restore.h). Or an order that the
 * backup does not know could be taken in again with all of its counts. Errors: those of the HSM.
 */
MUST_USE int certifier_remember(struct vault *v, struct error *err);

/* What a certificate is to say, beside what order, job and profile say. */
struct certify_request {
    const char *serial;
    const uint8_t *chip; /* the chip id, for profiles that name it */
    size_t chip_len;
    const struct public_key *key; /* the device's own; NULL: a key of this station, a spare one
                             if there is any, else one that is made now */
    int64_t replaces;             /* id of the revoked credential that this one replaces; 0: none */
    int64_t restored;             /* of a derived key: the newest entry `restored`; 0: none */
    bool again;                   /* the serial had credentials, and all of them came to an end */
};

/*
 * Signs a certificate and stores it as an available credential inside the caller's open transaction,
 * ledger entry included; c receives it, initialised by the caller, and *spare tells whether its key
 * was one that was made ahead. When that transaction is committed the caller says
 * certifier_committed. Whether the device may have this serial is the
 * caller's to decide (vault/naming.h). Errors: ERR_REFUSED when max_issued is reached, the order has
 * not begun or has ended, or the station was restored; ERR_INPUT when the serial has no name or a
 * value does not fit the profile; ERR_DUPLICATE for a serial or public key that is known; those of
 * store and HSM.
 */
MUST_USE int certifier_issue(struct vault *v, const struct certify_request *request,
                             struct credential *c, bool *spare, struct error *err);

/* The ledger entry `issue` of a credential that was made at its claim; spare is the id of its key, or
 * 0. Errors: those of ledger_append. */
MUST_USE int certifier_record(struct vault *v, const struct certify_request *request,
                              const struct credential *c, int64_t spare, struct error *err);

/* The same of one that a hosted CA signed (vault/hosted/taking.h): key is that of its request. */
MUST_USE int certifier_record_answer(struct vault *v, const struct certify_request *request,
                                     const struct credential *c, int64_t key, struct error *err);

/* The subject that the certificate of this device will have: DER Name, appended. Errors: ERR_INPUT
 * when a value does not fit, or it is longer than IMPRINT_SUBJECT_MAX. */
MUST_USE int certifier_subject(struct vault *v, const char *serial, const uint8_t *chip,
                               size_t chip_len, struct buf *subject, struct error *err);

/* Moves the counts of the order. */
void certifier_committed(struct vault *v, bool spare);

/* Frees what the vault's certifier kept between certificates. */
void certifier_done(struct vault *v);

#endif
