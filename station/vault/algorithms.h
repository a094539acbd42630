/*
 * algorithms: which keys a job's devices get, and whether profile, token and issuing CA go with them.
 *
 * The order says which types it allows, the job chooses one, the profile says what its certificates
 * are for, the issuing CA signs as its key does, and the token does what it can. All of it is
 * compared when the job is read, before anything is made.
 */
#ifndef STATION_VAULT_ALGORITHMS_H
#define STATION_VAULT_ALGORITHMS_H

#include "station/vault/vault.h"

/*
 * Sets v->key, of a vault whose order, mode, profile and issuing CA are known. Errors: ERR_REFUSED when
 * order or profile do not allow it, or the token cannot make or wrap such keys, with its name and the
 * mechanism; those of the HSM.
 */
MUST_USE int algorithms_bind(struct vault *v, struct error *err);

#endif
