/*
 * requesting: a key for another issuing CA, and its request or its certificate.
 *
 * The key is made in the HSM and stays there. The request (PKCS#10) goes to whoever certifies it; or
 * the station's own root does, as in the ceremony; or the CA signs itself, and is a root.
 */
#ifndef STATION_VAULT_CA_REQUESTING_H
#define STATION_VAULT_CA_REQUESTING_H

#include "station/vault/ca/certified.h"

struct ca_wish {
    const char *name; /* common name; NULL: "<station> issuing CA <number>" */
    const struct cert_profile
        *profile; /* of a CA, such as matter-pai; NULL: that of the station's own */
    const char *values[VALUE_COUNT]; /* for the profile */
    unsigned again; /* number of a CA that has a key and no certificate yet; 0: make a key */
};

struct requested {
    unsigned number;
    uint8_t sha256[SHA256_SIZE]; /* of the key's SubjectPublicKeyInfo */
    char path[PATH_MAX];         /* "ca/request-<number>.pem" */
};

/*
 * Errors: ERR_REFUSED when again is no CA that waits for its certificate, the profile is none of a
 * CA, or the station has ISSUERS_MAX of them; ERR_INPUT for a name or value that does not fit; those
 * of the HSM and the store. A killed request leaves a key, which the next one uses.
 */
MUST_USE int requesting_run(const struct ca_place *p, const struct ca_wish *wish,
                            struct requested *out, struct error *err);

/*
 * Makes a key and certifies it: with the station's root, or itself. Errors: as requesting_run;
 * ERR_REFUSED when the station has no root or its key was destroyed.
 */
MUST_USE int requesting_create(const struct ca_place *p, const struct ca_wish *wish,
                               bool self_signed, struct certified *out, struct error *err);

/* For the ceremony, where there is no ledger yet: writes the request of the first CA. */
MUST_USE int requesting_first(const struct config *config, struct hsm *hsm, struct error *err);

#endif
