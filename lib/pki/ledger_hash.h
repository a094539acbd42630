/*
 * ledger_hash: the one rule by which entries of a ledger hang together, for the station that writes
 * them and for whoever verifies an export of them.
 *
 * hash = SHA-256("imprint ledger v1\0" ‖ hash of the entry before, or 32 zero bytes ‖ body)
 */
#ifndef PKI_LEDGER_HASH_H
#define PKI_LEDGER_HASH_H

#include "pki/digest.h"

#define LEDGER_BODY_MAX 65536 /* bytes */

void ledger_hash(const uint8_t previous[SHA256_SIZE], const void *body, size_t len,
                 uint8_t hash[SHA256_SIZE]);

#endif
