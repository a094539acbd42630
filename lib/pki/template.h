/*
 * template: device certificates of the IDevID profile (IEEE 802.1AR), by patching bytes.
 *
 * OpenSSL builds a certificate in some 0.2 ms; patching a pre-encoded TBSCertificate takes
 * microseconds. So OpenSSL compiles the template, and the hot path only copies into it.
 *
 * Invariants
 *  1. A compiled template is trusted only after it reproduced, byte for byte, a second certificate
 *     that OpenSSL built from other values.
 *  2. Every field that is patched has a fixed length. A serial of another length, or a notBefore of
 *     another form (UTCTime to 2049, then GeneralizedTime, RFC 5280 section 4.1.2.5), is another
 *     compilation, kept for the next.
 *  3. A template is used by one thread.
 *
 * The profile
 *   version 3, serialNumber 17 octets (pki/profile.h), ecdsa-with-SHA256
 *   subject: O, serialNumber (2.5.4.5) = the device's serial, CN
 *   validity: notBefore as given, notAfter 99991231235959Z
 *   basicConstraints, critical, CA false. 802.1AR and RFC 5280 let an end entity go without it; it
 *     is written because verifiers in the field that predate RFC 5280, or that do not look at
 *     keyUsage, take an explicit "no CA" more reliably than an absent one, for 14 bytes. OpenSSL's
 *     -x509_strict accepts both.
 *   keyUsage, critical: digitalSignature alone
 *   subjectKeyIdentifier, authorityKeyIdentifier: 20-octet key identifiers
 *   subjectAltName: otherName hardwareModuleName { hwType, hwSerialNum = the serial } (RFC 4108)
 */
#ifndef PKI_TEMPLATE_H
#define PKI_TEMPLATE_H

#include "base/buf.h"
#include "pki/profile.h"

#include <openssl/x509.h>

#define CERT_DER_MAX 2048 /* no certificate of this profile is longer */

struct cert_template_params {
    const char *organization;
    const char *common_name; /* with one "{serial}", as "pump-{serial}"; NULL is "{serial}" */
    const char *hw_type;     /* OID as text, of hwType */
    X509 *issuer;            /* its name and subject key identifier are copied */
};

struct cert_subject {
    uint8_t number[CERT_NUMBER_SIZE]; /* cert_number */
    const char *serial;
    uint8_t point[EC_POINT_SIZE];
    int64_t not_before;
};

struct cert_template;

/*
 * Checks the parameters and compiles the template for serials of serial_len characters. Errors:
 * ERR_INPUT for a parameter, ERR_CRYPTO. The caller frees *out.
 */
MUST_USE int cert_template_new(const struct cert_template_params *params, size_t serial_len,
                               struct cert_template **out, struct error *err);
void cert_template_free(struct cert_template *t);

/*
 * Appends the TBSCertificate of a device: what the issuing CA signs with ECDSA over SHA-256.
 * Errors: ERR_INPUT for the serial, or when the common name grows over 64 characters.
 */
MUST_USE int cert_template_tbs(struct cert_template *t, const struct cert_subject *subject,
                               struct buf *tbs, struct error *err);

/* Appends the certificate that consists of a TBSCertificate and its raw signature. */
MUST_USE int cert_assemble(const struct buf *tbs, const uint8_t sig[EC_SIG_SIZE], struct buf *der,
                           struct error *err);

#endif
