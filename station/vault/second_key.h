/*
 * second_key: the station's own second signature over manifests, with another algorithm than the
 * first (docs/manifest-format.md, section 8.1).
 *
 * Two keys in the HSM, made when somebody asks for them: a root of this algorithm, for below the
 * manifest root the second signature would be no stronger than that root's algorithm, and a signer
 * below it. Certificates are ca/second-root.pem and ca/second-signer.pem; trust/second-root.pem is for
 * importers to pin.
 *
 * Invariants
 *  1. What the ledger tells decides: an entry "rotated" of "second-key" names algorithm, generation and
 *     the hash of the signer's key. Its key is in force from then on, for every manifest that is not
 *     published yet.
 *  2. A signer that the ledger does not tell of is made anew: of a making that was killed, or from
 *     after the backup that was restored; what that one signed holds by its certificate.
 *  3. One algorithm for the life of a station, whose root is never made anew and never destroyed: one that
 *     the token has is adopted where ca/second-root.pem is its certificate.
 *  4. trust/second-root.pem is written after the ledger told of the first signer.
 */
#ifndef STATION_VAULT_SECOND_KEY_H
#define STATION_VAULT_SECOND_KEY_H

#include "hsm/audit.h"
#include "manifests/cms_algorithm.h"
#include "station/config.h"
#include "station/store/store.h"

struct second_key {
    unsigned generation; /* 0: the station makes one signature */
    enum cms_algorithm algorithm;
    uint8_t sha256[SHA256_SIZE]; /* of the signer's SubjectPublicKeyInfo */
    char root[PATH_MAX];         /* what importers pin */
    char signer[PATH_MAX];       /* its certificate */
};

/* The one in force. Errors: ERR_INTEGRITY when the ledger's entry cannot be read; those of the store. */
MUST_USE int second_key_find(const struct config *config, struct store *store,
                             struct second_key *out, struct error *err);

/*
 * Makes the first or the next one. algorithm: "ecdsa-p384" or "rsa-pss-3072", NULL for that of the key
 * before. Errors: ERR_USAGE for another name, or none for the first; ERR_REFUSED when it is not that of
 * the key before or of the root on the token, when that root and ca/second-root.pem do not fit, or the
 * token has no such keys; those of the HSM and the store.
 */
MUST_USE int second_key_rotate(const struct config *config, struct store *store, struct hsm *hsm,
                               const char *algorithm, struct second_key *out, struct error *err);

/*
 * Before a manifest: ERR_REFUSED where a restore forgot the second key and the token has its root, or
 * forgot the newest one and the token has its key. Errors: also those of the HSM and the store.
 */
MUST_USE int second_key_check(struct store *store, struct hsm *hsm, struct error *err);

/*
 * Appends the signature of content, as PEM, with the key in force, which must be there, and verifies it
 * up to trust/second-root.pem as importers do; pem holds nothing else. Errors: ERR_INTEGRITY when the
 * key on the token is not the one that the ledger tells of; ERR_INPUT when the certificate in ca/ is
 * another key's; ERR_SIGNATURE when it is not below the root, or that is not the root on the token; those
 * of the HSM.
 */
MUST_USE int second_key_sign(const struct config *config, const struct second_key *key,
                             struct hsm *hsm, const struct buf *content, struct buf *pem,
                             struct error *err);

/*
 * Compares the ledger with the token for an audit: a key that is missing, another one, one that
 * the ledger does not tell of. Errors: those of the store.
 */
MUST_USE int second_key_audit(const struct config *config, struct store *store, struct hsm *hsm,
                              void (*finding)(void *context, enum hsm_finding_kind kind,
                                              const char *key, const char *text),
                              void *context, struct error *err);

#endif
