/*
 * x509_build: the steps of putting a certificate together with OpenSSL. Private to lib/pki.
 *
 * Each returns true on success; OpenSSL's own error queue tells no more than "out of memory" or a
 * value that does not fit, so callers report which certificate could not be built.
 */
#ifndef PKI_X509_BUILD_H
#define PKI_X509_BUILD_H

#include "pki/profile.h"

#include <openssl/x509v3.h>

/* A certificate with this version (X509_VERSION_*), serial number and validity, and nothing else
 * yet. */
X509 *x509_start(const uint8_t number[CERT_NUMBER_SIZE], long version, int64_t not_before,
                 int64_t not_after);

/* Appends one attribute to a name. */
bool x509_name_add(X509_NAME *name, const ASN1_OBJECT *type, const char *value);

/* Appends an extension whose value OpenSSL encodes (X509V3_EXT_METHOD of nid). */
bool x509_add(X509 *cert, int nid, void *value, bool critical);

/* Sets the public key; and its key identifier as an extension. */
bool x509_set_key(X509 *cert, const struct public_key *key);
bool x509_add_key_id(X509 *cert, const struct public_key *key);

/* basicConstraints; path_len below 0 means none. */
bool x509_add_constraints(X509 *cert, bool ca, int path_len, bool critical);

/* keyUsage: KU_* of openssl/x509v3.h, of the first octet. */
bool x509_add_key_usage(X509 *cert, unsigned usage, bool critical);

/* authorityKeyIdentifier: the issuer's key identifier and nothing else. */
bool x509_add_authority(X509 *cert, const uint8_t key_id[CERT_KEY_ID_SIZE]);

/* extendedKeyUsage with one purpose. */
bool x509_add_purpose(X509 *cert, int nid);

/* An otherName hardwareModuleName { hw_type, serial } (RFC 4108 section 5); NULL on failure. */
GENERAL_NAME *x509_hw_module(const ASN1_OBJECT *hw_type, const char *serial);

#endif
