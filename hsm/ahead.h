/*
 * ahead: rewraps that are begun before a device asks, by a thread with a session of its own.
 *
 * What hsm_credential_rewrap_begin does takes most of a rewrap and depends on no device: the stored key is
 * unwrapped and proven to be its row's, and the station's ephemeral key is made. Whoever knows which
 * credentials come next has it done while the database is written.
 *
 * Invariants
 *  1. hsm_credential_rewrap_begin hands out a rewrap that was begun of exactly the same storage key, blob
 *     and public key, and each once; else it begins one itself. Nobody sees a difference but in time.
 *  2. At most HSM_AHEAD_MAX keys are unwrapped ahead: session objects, as in any open rewrap.
 *  3. Everything begun is dropped, and the session closed, before the module is initialised anew. After a
 *     failure of the thread nothing is begun ahead any more until the token is closed: whoever begins
 *     the rewrap is told what is wrong.
 *  4. The functions are called by the thread of h.
 *
 * Nothing fails here: what is not begun ahead is begun later.
 */
#ifndef HSM_AHEAD_H
#define HSM_AHEAD_H

#include "hsm/keys.h"

#define HSM_AHEAD_MAX 32 /* as many slots as a line is meant to have */

/* Whether there is room for another key. */
bool hsm_ahead_wants(struct hsm *h);

/* Has the rewrap of a stored key begun; nothing is kept of the arguments. The first call starts the
 * thread. */
void hsm_ahead_put(struct hsm *h, const char *storage, const void *wrapped, size_t len,
                   const struct public_key *key);

/* Drops what is begun and ends the thread. hsm_close does so, too. */
void hsm_ahead_end(struct hsm *h);

#endif
