/*
 * roster: adds and removes the people who sign, and gives them PINs; each in one transaction with its
 * ledger entry. Whoever does it has signed before (vault/signing.h); only the first person is added by
 * whoever has the token's PIN.
 */
#ifndef STATION_VAULT_ROSTER_H
#define STATION_VAULT_ROSTER_H

#include "base/secret.h"
#include "station/store/people.h"

/*
 * A new person. The first one of a station must be a supervisor, who then adds the others. Errors:
 * ERR_USAGE for a name that is empty, too long or not printable ASCII, or for a PIN that
 * signing_set_pin refuses; ERR_REFUSED for a first one who is no supervisor; ERR_DUPLICATE.
 */
MUST_USE int roster_add(struct store *store, const struct people *people, const char *name,
                        enum person_role role, struct secret *badge, struct secret *pin,
                        struct error *err);

/* Nobody signs with this badge any more; the row stays. Errors: ERR_MISSING, ERR_REFUSED for the last
 * supervisor, who would leave nobody to add another. */
MUST_USE int roster_remove(struct store *store, const struct people *people, const char *name,
                           struct error *err);

/* A new PIN, which ends a lock. Errors: ERR_MISSING, ERR_USAGE. */
MUST_USE int roster_set_pin(struct store *store, const struct people *people, const char *name,
                            struct secret *pin, struct error *err);

/* The active person of this name. Errors: ERR_MISSING. */
MUST_USE int roster_find(const struct people *people, const char *name, const struct person **found,
                         struct error *err);

#endif
