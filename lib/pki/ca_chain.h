/*
 * ca_chain: the certificate of an issuing CA and those above it, judged before a station works with
 * them.
 *
 * Invariants
 *  1. A chain begins with the issuing CA and ends with a certificate that signed itself. A CA that
 *     signed itself is a chain of one: devices are then directly below their root.
 *  2. ca_chain_judge says what is wrong in words of its own, one sentence for each way of being
 *     wrong; what none of them names, OpenSSL's strict verification (X509_V_FLAG_X509_STRICT,
 *     RFC 5280 section 6) refuses in the end.
 *  3. Nothing here trusts the chain: that its root is the right one is for whoever signs orders,
 *     which name the issuing CA by its hash.
 *
 * Errors besides those named: ERR_CRYPTO, ERR_INTERNAL.
 */
#ifndef PKI_CA_CHAIN_H
#define PKI_CA_CHAIN_H

#include "base/buf.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#define CA_CHAIN_MAX      6     /* certificates from the issuing CA to the root, both counted */
#define CA_CHAIN_FILE_MAX 65536 /* octets of a file with them */

struct ca_chain {
    X509 *certs[CA_CHAIN_MAX]; /* the issuing CA first, the root last */
    size_t count;
};

/*
 * Finds in PEM text (RFC 7468) the certificate of this key and the way from it to a root; name is the
 * file's, for messages. The certificates may stand in any order. Errors: ERR_FORMAT when the text is
 * not certificates alone; ERR_MISSING when none is of the key; ERR_INPUT when several are, one on the way is missing,
 * or some are of no use. ca_chain_done in any case.
 */
MUST_USE int ca_chain_parse(const struct buf *pem, const char *name, EVP_PKEY *key,
                            struct ca_chain *out, struct error *err);
void ca_chain_done(struct ca_chain *chain);

struct ca_chain_expect {
    const char
        *environment; /* has to be an organizational unit of the subject; NULL: any will do */
    int64_t now;      /* seconds since 1970 UTC */
};

/*
 * Judges a chain as that of a CA that signs device certificates and nothing else. Errors: ERR_REFUSED
 * for what the certificates allow or lack, ERR_SIGNATURE for what does not verify, ERR_CLOCK for what
 * is not valid yet or any more.
 */
MUST_USE int ca_chain_judge(const struct ca_chain *chain, const struct ca_chain_expect *expect,
                            struct error *err);

/*
 * Whether a certificate that is valid from begin to end (seconds since 1970 UTC) does not outlive any
 * CA above it, and none of them begins later. Errors: ERR_REFUSED with the CA and both times.
 */
MUST_USE int ca_chain_check_life(const struct ca_chain *chain, int64_t begin, int64_t end,
                                 struct error *err);

/*
 * Whether the names in a certificate lie within the name constraints of every CA above it (RFC 5280
 * section 4.2.1.10), and its extended key usages within those of every CA that has any. cert need not
 * be signed. Errors: ERR_REFUSED, also when an extension of RFC 5280 of any of them is malformed or there
 * twice.
 */
MUST_USE int ca_chain_check_names(const struct ca_chain *chain, X509 *cert, struct error *err);

/* When the first of the chain expires, seconds since 1970 UTC; PROFILE_END_OF_TIME (pki/profile.h)
 * where none does. */
int64_t ca_chain_end(const struct ca_chain *chain);

/* notBefore and notAfter in seconds since 1970 UTC; false for a certificate that lacks them. */
bool ca_times(X509 *cert, int64_t *begin, int64_t *end);

/* What people call the subject: its common name, or else the whole name. Printable ASCII. */
#define CA_NAME_SIZE 96
void ca_name(X509 *cert, char out[CA_NAME_SIZE]);

/* Whether this CA's name is that of the certificate's issuer. */
bool ca_issued(X509 *ca, X509 *cert);

#endif
