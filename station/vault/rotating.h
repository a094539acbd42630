/*
 * rotating: a new manifest key or log key (manifests/rotation.h).
 *
 * What a rotation made is in the ledger: an entry "rotated" names key, generation and leaf. A record
 * at a leaf is sealed, and its manifest and checkpoint signed, with the generation that the rotations
 * at smaller leaves of earlier manifests made. A rotation that was killed on the way finds its key on
 * the token and uses it. The old key stays on the token: importers take nothing more from it.
 */
#ifndef STATION_VAULT_ROTATING_H
#define STATION_VAULT_ROTATING_H

#include "hsm/keys.h"
#include "manifests/rotation.h"
#include "station/config.h"
#include "station/store/store.h"

#define ROTATING_NOW INT64_MAX

/* The generation of a key for what begins at leaf; ROTATING_NOW: that of the last rotation. */
MUST_USE int rotating_generation(struct store *store, enum rotation_key key, int64_t leaf,
                                 unsigned *generation, struct error *err);

struct rotated {
    enum rotation_key key;
    unsigned generation;
    int64_t leaf;
    uint8_t sha256[SHA256_SIZE]; /* of the new key's SubjectPublicKeyInfo */
    char pin[PATH_MAX];          /* the new verifier key or certificate */
};

/*
 * Makes the new key, its certificate or verifier key, and the record that both keys sign; it counts
 * from the manifest after the next one on. Errors: ERR_REFUSED while a rotation of this key is not
 * sealed; ERR_USAGE for by and reason that cannot stand in a record; those of the HSM and the store.
 */
MUST_USE int rotating_run(const struct config *config, struct store *store, struct hsm *hsm,
                          enum rotation_key key, const char *by, const char *reason,
                          struct rotated *out, struct error *err);

#endif
