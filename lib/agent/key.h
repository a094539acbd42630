/*
 * key: from a wrapped blob to a private key that is the certificate's.
 *
 * Implements ANSI X9.63 KDF with SHA-256 (SEC 1 section 3.6.1) for one block, RFC 5649
 * (unwrapping), the subset of PKCS#8 (RFC 5958) and RFC 5915 that docs/device-link.md allows, and
 * as much DER as finds the SubjectPublicKeyInfo of a certificate (RFC 5280 section 4.1).
 */
#ifndef IMPRINT_AGENT_KEY_H
#define IMPRINT_AGENT_KEY_H

#include "agent/agent.h"

/* 1 <= d < n of P-256. */
bool imprint_agent_scalar_valid(const uint8_t scalar[IMPRINT_P256_SCALAR_SIZE]);

/* The SubjectPublicKeyInfo of a point: always the same 26 bytes, then the point. */
void imprint_agent_spki(const uint8_t point[IMPRINT_P256_POINT_SIZE],
                        uint8_t spki[IMPRINT_SPKI_SIZE]);

/*
 * The key encryption key of the open slot: ECDH of the transport key with the station's, then the
 * derivation of the suite. The caller wipes it. A status.
 */
enum imprint_status imprint_agent_kek(struct imprint_agent *agent, uint8_t kek[IMPRINT_KEK_SIZE]);

/*
 * Unwraps len bytes in place: *plain is where the key begins in blob, *plain_len its length. False
 * when the integrity check or the padding is wrong. The caller wipes the blob.
 */
bool imprint_agent_unwrap(const struct imprint_agent_crypto *crypto,
                          const uint8_t kek[IMPRINT_KEK_SIZE], uint8_t *blob, size_t len,
                          const uint8_t **plain, size_t *plain_len);

/* The scalar of a PKCS#8 key that follows the rules of the link; false for any other. */
bool imprint_agent_pkcs8(const uint8_t *der, size_t len, uint8_t scalar[IMPRINT_P256_SCALAR_SIZE]);

/*
 * Reads the first certificate of the open slot's object number i: its length, and its
 * SubjectPublicKeyInfo, which must have this many bytes. False when it is not such a certificate.
 */
bool imprint_agent_leaf(struct imprint_agent *agent, int i, uint32_t *leaf_len, uint8_t *spki,
                        size_t spki_len);

#endif
