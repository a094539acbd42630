/*
 * x509_build: the steps of putting a certificate together with OpenSSL. Private to lib/pki.
 *
 * Each returns true on success; OpenSSL's own error queue tells no more than "out of memory" or a
 * value that does not fit, so callers report which certificate could not be built.
 */
#ifndef PKI_X509_BUILD_H
#define PKI_X509_BUILD_H

#include "pki/profile.h"

#include <openssl/x509.h>

/* A version 3 certificate with this serial number and validity, and nothing else yet. */
X509 *x509_start(const uint8_t number[CERT_NUMBER_SIZE], int64_t not_before);

/* Appends one attribute to a name. */
bool x509_name_add(X509_NAME *name, int nid, const char *value);

/* Sets the public key, and the key identifier as an extension. */
bool x509_add_key(X509 *cert, const uint8_t point[EC_POINT_SIZE]);

/* basicConstraints, critical; path_len below 0 means none. */
bool x509_add_constraints(X509 *cert, bool ca, int path_len);

/* keyUsage, critical: KU_* of openssl/x509v3.h, of the first octet. */
bool x509_add_key_usage(X509 *cert, unsigned usage);

/* authorityKeyIdentifier: the issuer's key identifier and nothing else. */
bool x509_add_authority(X509 *cert, const uint8_t key_id[CERT_KEY_ID_SIZE]);

/* extendedKeyUsage with one purpose. */
bool x509_add_purpose(X509 *cert, int nid);

/* subjectAltName with one otherName hardwareModuleName { hw_type, serial }. */
bool x509_add_hw_module(X509 *cert, const ASN1_OBJECT *hw_type, const char *serial);

#endif
