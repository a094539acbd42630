/*
 * key_release: symmetric keys of devices for an export (exporting.h): to whom, and which.
 *
 * A device's key is released to recipients whose certificates the order of the device names, in the
 * version that is in force, each of them. The key is derived anew, and must be the one that the device
 * got (symmetric.h).
 */
#ifndef STATION_VAULT_KEY_RELEASE_H
#define STATION_VAULT_KEY_RELEASE_H

#include "manifests/platforms/source.h"
#include "station/vault/vault.h"

struct key_release;

/* The first few are borrowed until key_release_close. Errors: those of vault_read_signers. */
MUST_USE int key_release_open(const struct config *config, struct store *store, struct hsm *hsm,
                              const STACK_OF(X509) * recipients, struct key_release **out,
                              struct error *err);
void key_release_close(struct key_release *r); /* NULL is fine */

/*
 * The key of an add or replace record, or *answer says why not: EXPORT_WITHOUT_KEY,
 * EXPORT_OTHER_RECIPIENTS. Errors: ERR_INTEGRITY when record, claim and key do not fit; those of the
 * store and the HSM.
 */
MUST_USE int key_release_take(struct key_release *r, const struct record *record,
                              uint8_t key[PLATFORM_KEY_SIZE], int *answer, struct error *err);

/* Appends the member `recipients` of the ledger's entry: the SHA-256 of each certificate. */
void key_release_put(const struct key_release *r, struct jcs *j);

#endif
