/*
 * destroying: ends an issuing CA, or the station's root, by destroying its key.
 *
 * What a CA signed goes on: only its key is gone, and with it everything that could be signed with
 * it. Until then it signs its revocation list; the last one is made on the way out, and holds until
 * the time that is given.
 */
#ifndef STATION_VAULT_CA_DESTROYING_H
#define STATION_VAULT_CA_DESTROYING_H

#include "station/vault/ca/certified.h"
#include "station/vault/revocations.h"

struct destroyed {
    unsigned number; /* 0: the root */
    bool before;     /* it was destroyed before */
    bool has_list;
    struct revocations list; /* the last */
};

/*
 * Steps: the last list, the ledger entry `ca_destroyed`, the key; stopped anywhere, the same call goes
 * on. Errors: ERR_MISSING for no such CA; ERR_UNRESOLVED while credentials of it are available or with
 * devices that did not prove them, for nobody could list them afterwards; those of
 * revocations_write, the HSM and the store.
 */
MUST_USE int destroying_run(const struct ca_place *p, unsigned number, int64_t days,
                            struct destroyed *out, struct error *err);

/* The same for the key of the station's root: no CA can be made with it any more. Errors: ERR_REFUSED
 * when the station has none of its own. */
MUST_USE int destroying_root(const struct ca_place *p, struct destroyed *out, struct error *err);

#endif
