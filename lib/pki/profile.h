/*
 * profile: what the certificates of this project have in common, whatever profile they are of
 * (pki/cert_profile.h).
 *
 * Invariants
 *  1. The certificates of authorities, and those of devices unless their profile says otherwise, do
 *     not expire: notAfter is 99991231235959Z, the value that RFC 5280 section 4.1.2.5 keeps for
 *     lives without an end. Revocation, not expiry, ends them.
 *  2. A certificate serial number is 17 octets and begins with 0x01: positive and of constant
 *     length in DER. A device's is 0x01 ‖ 10 random octets ‖ u48 credential number, unique by
 *     construction even after an old database was restored.
 *  3. The key identifier is the SHA-1 of the key's BIT STRING (RFC 5280 section 4.2.1.2 method 1):
 *     a name, not a protection.
 */
#ifndef PKI_PROFILE_H
#define PKI_PROFILE_H

#include "pki/key.h"

#include <stdbool.h>

#define PROFILE_NOT_AFTER   "99991231235959Z"
#define PROFILE_END_OF_TIME INT64_C(253402300799) /* the same in seconds since 1970 */
#define CERT_NUMBER_SIZE    17                    /* octets of a certificate serial number */
#define CERT_RANDOM_SIZE    10
#define CERT_KEY_ID_SIZE    20
#define CERT_CREDENTIAL_MAX ((UINT64_C(1) << 48) - 1)
#define SERIAL_MIN          2
#define SERIAL_MAX          63
#define HW_MODULE_NAME_OID  "1.3.6.1.5.5.7.8.4" /* id-on-hardwareModuleName, RFC 4108 */

/*
 * Is this a device serial? 2 to 63 characters, letters, digits, '_' and '-', with a letter or digit
 * at both ends: what every onboarding platform takes as a name. Errors: ERR_INPUT with the first
 * character that is wrong, or the length.
 */
MUST_USE int serial_valid(const char *serial, struct error *err);

/* The certificate serial number of a credential. credential is at most CERT_CREDENTIAL_MAX. */
void cert_number(const uint8_t random[CERT_RANDOM_SIZE], uint64_t credential,
                 uint8_t number[CERT_NUMBER_SIZE]);

/* The key identifier of a public key. */
void cert_key_id(const struct public_key *key, uint8_t key_id[CERT_KEY_ID_SIZE]);

#endif
