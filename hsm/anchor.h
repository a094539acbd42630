/*
 * anchor: the newest state of the station's ledger, kept on the token, so that an older database is
 * known for what it is.
 *
 * Two private AES keys without any use are written in turn; the state is their CKA_LABEL:
 * "ia1:<sequence, 16 hexadecimal digits>:<ledger head, 64 hexadecimal digits>". A data object would
 * be the obvious place, but SoftHSM refuses to change CKA_VALUE and lets anyone delete a public
 * object, and NSS has no token data objects.
 *
 * Invariants
 *  1. The state that counts is the one with the higher sequence. While one key is being written the
 *     other one holds the state before it, whatever happens to the first.
 *  2. A key that is missing or torn is made again from the other one before anything else is
 *     written. When both are missing there is nothing to compare with, and that is an error.
 *  3. A sequence never goes back: writing a lower one is refused. There is no call that resets it.
 *  4. Both keys are looked up and their whole policy is checked by hsm_anchor_read, and by the first
 *     write after the token was opened, recycled or restored, or after a write failed. Every other
 *     write only reads the label of the newer key: while it is what was last seen there, the older
 *     one may be written. What another process took away or exchanged is noticed, or written over, by
 *     the next write.
 *
 * A module need not sync what it writes. Who calls hsm_anchor_write syncs the file system
 * afterwards; with a hardware token there is nothing to sync.
 *
 * Errors besides those named: ERR_HSM and the others of hsm/token.h.
 */
#ifndef HSM_ANCHOR_H
#define HSM_ANCHOR_H

#include "hsm/keys.h"

struct hsm_anchor {
    uint64_t sequence; /* number of the ledger entry */
    uint8_t head[SHA256_SIZE];
};

/* Makes both keys, in a ceremony. Errors: ERR_EXISTS when one is there. */
MUST_USE int hsm_anchor_create(struct hsm *h, const struct hsm_anchor *first, struct error *err);

/*
 * Reads the state and mends a missing key. Errors: ERR_ROLLBACK when both are missing: the token is
 * not this station's, or somebody deleted them.
 */
MUST_USE int hsm_anchor_read(struct hsm *h, struct hsm_anchor *out, struct error *err);

/*
 * Writes the next state. The same state again is fine. Errors: ERR_ROLLBACK when the sequence is
 * lower than the stored one, or equal with another head; and as hsm_anchor_read.
 */
MUST_USE int hsm_anchor_write(struct hsm *h, const struct hsm_anchor *next, struct error *err);

#endif
