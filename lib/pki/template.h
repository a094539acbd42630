/*
 * template: device certificates of a profile (pki/cert_profile.h), by patching bytes.
 *
 * OpenSSL builds a certificate in some 0.2 ms; patching a pre-encoded TBSCertificate takes
 * microseconds. So OpenSSL compiles the template, and the hot path only copies into it.
 *
 * Invariants
 *  1. What a template patches was found by change: OpenSSL built two certificates that differ in
 *     one value, and where they differ is where that value is.
 *  2. A compiled template is trusted only after it reproduced, byte for byte, another certificate
 *     that OpenSSL built, in which every value was another.
 *  3. Every field that is patched has a fixed length. A value of another length, or a time of
 *     another form (UTCTime to 2049, then GeneralizedTime, RFC 5280 section 4.1.2.5), is another
 *     compilation, kept for the next.
 *  4. A template is used by one thread.
 */
#ifndef PKI_TEMPLATE_H
#define PKI_TEMPLATE_H

#include "base/buf.h"
#include "pki/cert_profile.h"
#include "pki/profile.h"
#include "pki/scheme.h"

#include <openssl/x509.h>

#define CERT_DER_MAX 2048 /* no certificate is longer */

struct cert_template_params {
    const struct cert_profile *profile; /* is copied */
    const char *values[VALUE_COUNT];    /* what is the same for all devices; NULL: not known */
    X509 *issuer;                       /* its name and subject key identifier are copied */
    enum key_type key;                  /* of the devices */
    enum sig_scheme scheme;             /* how the issuer signs */
};

struct cert_subject {
    uint8_t number[CERT_NUMBER_SIZE]; /* cert_number */
    const char *serial;
    const char *chip_id, *udi; /* only where the profile names them; else NULL */
    struct public_key key;     /* of the type that the template was made for */
    int64_t not_before;        /* of a profile that begins at issuance */
};

struct cert_template;

/*
 * Checks the parameters and compiles the template for serials of serial_len characters; of a
 * profile with values that are known only at the claim, at the first use. Errors: ERR_INPUT for a
 * parameter, an issuer that is not of the profile's kind, or a certificate that grows over the
 * profile's max_size; ERR_CRYPTO. The caller frees *out.
 */
MUST_USE int cert_template_new(const struct cert_template_params *params, size_t serial_len,
                               struct cert_template **out, struct error *err);
void cert_template_free(struct cert_template *t);

/* Octets of the longest certificate with serials of this length. Errors as cert_template_new. */
MUST_USE int cert_template_size(struct cert_template *t, const struct cert_subject *subject,
                                size_t *size, struct error *err);

/*
 * Appends the TBSCertificate of a device: what the issuing CA signs (ca_sign_tbs of pki/scheme.h).
 * Errors: ERR_INPUT for a value that is missing or does not fit its place.
 */
MUST_USE int cert_template_tbs(struct cert_template *t, const struct cert_subject *subject,
                               struct buf *tbs, struct error *err);

/*
 * Whether a CA can issue certificates of a profile: it is a CA with a key identifier, and where
 * the profile's subject has ids of a vendor or product (Matter), the CA's has the same vendor, and
 * the same product if it has one. Errors: ERR_INPUT with what differs.
 */
MUST_USE int cert_issuer_check(const struct cert_profile *profile,
                               const char *const values[VALUE_COUNT], X509 *issuer,
                               struct error *err);

#endif
