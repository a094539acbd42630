/*
 * hosted: a device certificate that a hosted CA signed, judged before a station works with it.
 *
 * What the station signs itself is, to the byte, what its profile describes (cert_check of pki/cert.h). A
 * CA that somebody else runs writes its own serial number, puts the extensions in its own order, may
 * choose another string type for a name, and signs hours before or after it was asked. All else has to
 * be what the profile says, and nothing may be added: a certificate that says more than was ordered is
 * another certificate.
 *
 * Invariants
 *  1. Subject: the same attributes in the same order with the same text, letter by letter.
 *  2. Extensions: the same, each once, with the same criticality and the same bytes.
 *  3. Validity: where the profile names a time, that time. A beginning "at issuance" lies between two days
 *     before the request and a day from now; an end that is counted from it is not later, and at most a
 *     day earlier.
 *  4. It has not ended.
 *  5. It is DER, not what some readers take for it.
 */
#ifndef PKI_HOSTED_H
#define PKI_HOSTED_H

#include "pki/cert.h"

#define HOSTED_BACKDATED (2 * INT64_C(86400)) /* seconds; CAs begin at midnight, or hours ago */
#define HOSTED_AHEAD     INT64_C(86400)
#define HOSTED_SHORTER   INT64_C(86400)

struct hosted_expect {
    const char *serial; /* subject serialNumber */
    const struct public_key *key;
    const struct cert_profile *profile;
    const char *values[VALUE_COUNT]; /* as in struct cert_expect */
    int64_t asked, now; /* seconds since 1970 UTC: when the request was made, and now */
};

/*
 * Errors: ERR_SIGNATURE when the chain does not verify, which is the given one and no other; ERR_REFUSED when
 * it outlives a CA, its CA's names or usages do not allow it, or it is signed in a way that the profile
 * does not allow; ERR_CLOCK when it has ended or begins at the wrong time; ERR_INTEGRITY when it says
 * something else than the profile, with what; ERR_FORMAT when it is not one certificate in DER.
 */
MUST_USE int hosted_check(const void *der, size_t len, const struct ca_chain *chain,
                          const struct hosted_expect *expect, struct error *err);

#endif
