/*
 * csr_weak: keys whose private half others can find (vault/csr_key.h has the list). Private to
 * vault/csr_key.c.
 *
 * What a key alone can show, that is: two keys with a common prime, or a copied one, show in the
 * inventory only (store/key_index.h). Errors: ERR_REFUSED with the weakness, ERR_INTERNAL.
 */
#ifndef STATION_VAULT_CSR_WEAK_H
#define STATION_VAULT_CSR_WEAK_H

#include "pki/key.h"

/* A point of P-256 or P-384: on its curve, and no multiple that somebody counted up to. */
MUST_USE int csr_weak_point(const struct public_key *key, const char *curve, struct error *err);

/* An odd modulus of 2,048 bits or more, big-endian. */
MUST_USE int csr_weak_modulus(const uint8_t *modulus, size_t len, struct error *err);

MUST_USE int csr_weak_ed25519(const uint8_t key[32], struct error *err);

#endif
