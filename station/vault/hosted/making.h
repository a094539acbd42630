/*
 * making: keys, and requests to a hosted CA for their certificates.
 *
 * A key is made in the HSM, signs its PKCS#10 there, and leaves it wrapped, as every key that is made
 * ahead does. The request asks for what the profile describes: the subject with the device's serial, and
 * the extensions.
 *
 * Invariants
 *  1. A request is in the database, and anchored, before its first byte is anywhere else (P2).
 *  2. It takes a place in max_issued from then on: whoever has it may have it signed, whether or not
 *     the station hears of it. Only a key that is destroyed without a certificate gives the place back.
 *  3. Requests come in lots, which people name. What a lot lacks is made, never the same again: a
 *     command that was killed is run again as it was.
 */
#ifndef STATION_VAULT_HOSTED_MAKING_H
#define STATION_VAULT_HOSTED_MAKING_H

#include "station/store/requests.h"
#include "station/vault/generate.h"

#define MAKING_BATCH 500 /* requests of one transaction and one ledger entry */

/* Letters, digits, '.', '_' and '-', not '.' first. Errors: ERR_USAGE. */
MUST_USE int making_check_lot(const char *lot, struct error *err);

/*
 * Makes what the lot lacks of count requests for the vault's job; memory does not grow with it. *made is
 * how many are new in the database, also after an error: each batch is there whole or not at all.
 * Errors: ERR_REFUSED when the lot is of another order, has more than count, no hosted CA is to sign, or
 * max_issued does not cover them; those of generate_credentials.
 */
MUST_USE int making_run(struct vault *v, const char *lot, int64_t count,
                        const struct generate_watch *watch, int64_t *made, struct error *err);

#endif
