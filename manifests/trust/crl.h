/*
 * crl: the owner's revocation list, made of the accepted state and signed with a key of the owner.
 *
 * An indirect CRL (RFC 5280 section 5): one list for the certificates of all issuers in the state,
 * signed by somebody who issued none of them. Each entry names its issuer (certificateIssuer), the
 * list says that it is indirect (issuingDistributionPoint, critical), and its number grows with each
 * one that is made from the state. Listed are identities that were revoked, replaced, decommissioned
 * or burned, and those that the owner revoked or holds (certificateHold). Scrapped ones are not:
 * nobody ever had their keys.
 */
#ifndef MANIFESTS_TRUST_CRL_H
#define MANIFESTS_TRUST_CRL_H

#include "base/buf.h"
#include "manifests/trust/trust.h"

#include <openssl/x509.h>

#define CRL_DAYS_MAX 3650

struct crl_policy {
    EVP_PKEY *key;
    X509 *cert;      /* of the key; its keyUsage has cRLSign, and it has a subject key identifier */
    const char *uri; /* the distribution point that certificates name, or NULL */
    unsigned days;   /* until the next one is due */
    bool der;        /* instead of PEM */
};

struct crl_made {
    int64_t number;
    uint64_t entries;
    int64_t next_update;
};

/*
 * Appends the list to out. Its number is used up even if the caller then loses the bytes. Errors:
 * ERR_INPUT (key and certificate do not fit), ERR_CRYPTO, ERR_INTERNAL (memory).
 */
MUST_USE int trust_crl(struct trust *t, const struct crl_policy *policy, struct buf *out,
                       struct crl_made *made, struct error *err);

#endif
