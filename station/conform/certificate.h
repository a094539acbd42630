/*
 * certificate: what the judge signs and reads of X.509: a leaf or CA certificate that only has to be
 * one for the device, and the device's request for one.
 */
#ifndef STATION_CONFORM_CERTIFICATE_H
#define STATION_CONFORM_CERTIFICATE_H

#include "base/buf.h"
#include "pki/ec.h"

#define CERTIFICATE_CA "imprint conform CA" /* the name of the issuer */

/* The subject that KEYGEN asks a request for: DER. */
extern const uint8_t certificate_subject[];
extern const size_t certificate_subject_len;

/* Appends a certificate of this point and common name, signed by the CA. Errors: ERR_CRYPTO. */
MUST_USE int certificate_put(struct buf *out, const uint8_t point[EC_POINT_SIZE], const char *name,
                             EVP_PKEY *ca, struct error *err);

/*
 * Reads a PKCS#10 request: version 1, this subject, a P-256 key, no attributes, ECDSA with SHA-256 by
 * that key, nothing after it. The caller frees *key. Errors: ERR_PROTOCOL.
 */
MUST_USE int certificate_request(const uint8_t *der, size_t len, const uint8_t *subject,
                                 size_t subject_len, EVP_PKEY **key, struct error *err);

#endif
