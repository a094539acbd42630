/*
 * ticket: which recovery tickets were used, kept on the token, because a database that is put back
 * has forgotten.
 *
 * A used ticket is a private AES key without any use, with the label "it1:<SHA-256 of the ticket, 64
 * hexadecimal digits>"; the hash is its CKA_ID. Whoever has the PIN can delete such a key, as any
 * other; with the token's folder put back as well it is gone too (docs/threat-model.md). What a
 * restore began at is remembered in the same way, by a hash of its own (vault/recover.h).
 *
 * As with an anchor, who calls hsm_ticket_use syncs the file system afterwards.
 */
#ifndef HSM_TICKET_H
#define HSM_TICKET_H

#include "hsm/keys.h"

/* Errors: ERR_HSM and the others of hsm/token.h. */
MUST_USE int hsm_ticket_used(struct hsm *h, const uint8_t hash[SHA256_SIZE], bool *used,
                             struct error *err);

/* Errors: ERR_EXISTS when it was used before; those of hsm_ticket_used. */
MUST_USE int hsm_ticket_use(struct hsm *h, const uint8_t hash[SHA256_SIZE], struct error *err);

#endif
