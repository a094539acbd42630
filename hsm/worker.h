/*
 * worker: more sessions of one open token, so that other threads can use it at the same time.
 *
 * A worker is a struct hsm of its own for everything that hsm/keys.h and hsm_credential_make offer;
 * it shares the login of the one it was opened from.
 *
 * Invariants
 *  1. A worker is used by one thread. The one it was opened from stays with its own thread, which
 *     also opens and closes the workers.
 *  2. While a worker is open the module is not finalised: neither recycled nor restored. Whoever
 *     makes many keys closes the workers in time (hsm_worker_budget).
 *  3. A worker does not survive a failure of the token that is more than a refusal: every later
 *     call fails. Close it; the module is then initialised anew for the next call.
 */
#ifndef HSM_WORKER_H
#define HSM_WORKER_H

#include "hsm/token.h"

/* Opens a session for another thread. The caller closes *out. Errors: those of hsm/token.h. */
MUST_USE int hsm_worker_open(struct hsm *h, struct hsm **out, struct error *err);
void hsm_worker_close(struct hsm *w); /* NULL is fine */

/* How many device keys all workers together may make before they are closed, for the module's leak
 * to stay below the limit of hsm/token.h. Ask after hsm_worker_open. */
size_t hsm_worker_budget(const struct hsm *h);

/* Whether the last failure, of h or of a worker that was closed since, says that the token dropped
 * the session: what failed is worth one more try. */
bool hsm_is_lost(const struct hsm *h);

#endif
