/*
 * csr_key: the public key of a certificate request: its form, its validity, and weak keys.
 *
 * Weak is what others can find the private key of, and what a broken random source or library makes:
 *  - a point that is one of the first 1,024 multiples of the generator, or of their negatives;
 *  - an Ed25519 key off the curve, not in its one form, or of small order (RFC 8032 section 5.1.3);
 *  - an RSA modulus that is even, has a prime factor below 2,048, is a product of two primes close to
 *    each other (Fermat), or has the form of keys that Infineon's library made (ROCA, CVE-2017-15361);
 *  - an RSA exponent other than 65537.
 */
#ifndef STATION_VAULT_CSR_KEY_H
#define STATION_VAULT_CSR_KEY_H

#include "pki/key.h"
#include "station/vault/csr_der.h"

/*
 * Takes the SubjectPublicKeyInfo off d. Errors: ERR_PROTOCOL when it is malformed, ERR_REFUSED with
 * what is wrong for a key of another type, not valid, or weak.
 */
MUST_USE int csr_key_read(struct der *d, enum key_type type, struct public_key *out,
                          struct error *err);

#endif
