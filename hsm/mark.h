/*
 * mark: what the token remembers for ever, because a database that is put back has forgotten: which
 * recovery tickets were used, and which orders were closed.
 *
 * A mark is a private AES key without any use. Its label is the kind's prefix, "it1:" or "ic1:", and a
 * SHA-256 in 64 hexadecimal digits, which is its CKA_ID as well: of the ticket, or of the order's first
 * version. What a restore began at is remembered as a ticket is, by a hash of its own (vault/recover.h).
 * Nothing here takes a mark away. Whoever has the PIN can delete it, as any other key; with the token's
 * folder put back as well it is gone too (docs/threat-model.md).
 *
 * As with an anchor, who calls hsm_mark_set syncs the file system afterwards.
 */
#ifndef HSM_MARK_H
#define HSM_MARK_H

#include "hsm/keys.h"

enum hsm_mark {
    HSM_MARK_TICKET, /* a recovery ticket was used */
    HSM_MARK_CLOSED, /* an order was closed */
    HSM_MARK_COUNT
};

/* Errors: ERR_HSM and the others of hsm/token.h. */
MUST_USE int hsm_mark_find(struct hsm *h, enum hsm_mark mark, const uint8_t hash[SHA256_SIZE],
                           bool *set, struct error *err);

/* Errors: ERR_EXISTS when it was set before; those of hsm_mark_find. */
MUST_USE int hsm_mark_set(struct hsm *h, enum hsm_mark mark, const uint8_t hash[SHA256_SIZE],
                          struct error *err);

#endif
