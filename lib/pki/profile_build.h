/*
 * profile_build: a certificate of a profile, put together by OpenSSL. Private to lib/pki, and to
 * whoever needs one certificate and not thousands.
 *
 * Extensions come in this order, each only if the profile has it: basicConstraints, keyUsage,
 * extendedKeyUsage, subjectKeyIdentifier, authorityKeyIdentifier, certificatePolicies,
 * subjectAltName, cRLDistributionPoints, authorityInfoAccess, then the profile's own.
 */
#ifndef PKI_PROFILE_BUILD_H
#define PKI_PROFILE_BUILD_H

#include "pki/cert_profile.h"
#include "pki/profile.h"
#include "pki/scheme.h"

struct profile_input {
    const uint8_t *number; /* CERT_NUMBER_SIZE octets */
    const struct public_key *key;
    int64_t issued;
    const char *const *values; /* by enum pattern_value */
    X509 *issuer;              /* its name and subject key identifier; NULL: self-signed */
};

/*
 * Everything but the signature. Errors: ERR_INPUT with the field whose text does not fit, or when
 * the issuer has no subject key identifier and the profile points to it; ERR_CRYPTO. The caller
 * frees *out.
 */
MUST_USE int profile_build(const struct cert_profile *profile, const struct profile_input *input,
                           X509 **out, struct error *err);

/* Appends the TBSCertificate, as it is when signed in this way. Errors as above. */
MUST_USE int profile_build_tbs(const struct cert_profile *profile,
                               const struct profile_input *input, enum sig_scheme scheme,
                               struct buf *tbs, struct error *err);

#endif
