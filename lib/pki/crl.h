/*
 * crl: a certificate revocation list of any length, in constant memory (RFC 5280 section 5).
 *
 * Version 2, DER, signed as the issuer signs (pki/scheme.h), with the extensions authorityKeyIdentifier and cRLNumber, and of
 * entries reasonCode. It is direct: it lists certificates of the CA that signs it. Entries go to an
 * unnamed file beside the list while they are added; the list takes its name when it is whole and
 * signed, so whoever reads it sees the old one or the new one.
 *
 * Errors of every function: those of files, ERR_CRYPTO, ERR_INTERNAL.
 */
#ifndef PKI_CRL_H
#define PKI_CRL_H

#include "pki/scheme.h"

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#define CRL_NUMBER_MAX 20 /* octets of a certificate's serial number, RFC 5280 section 4.1.2.2 */

struct crl;

struct crl_entry {
    const uint8_t *number; /* contents of the INTEGER, as the certificate has it */
    size_t number_len;     /* 1 to CRL_NUMBER_MAX */
    int64_t since;         /* seconds since 1970 UTC */
    int reason;            /* CRLReason of RFC 5280 section 5.3.1; 0, unspecified, is left out */
};

struct crl_head {
    X509 *issuer;       /* with a subject key identifier, and cRLSign */
    int64_t number;     /* cRLNumber: greater than that of every list before */
    int64_t made, next; /* thisUpdate, nextUpdate */
};

/* Begins a list that will be path. */
MUST_USE int crl_open(const char *path, struct crl **crl, struct error *err);

/* ERR_INPUT for a number of no or too many octets. */
MUST_USE int crl_add(struct crl *crl, const struct crl_entry *entry, struct error *err);

/*
 * Signs with the issuer's key, which may live in an HSM, writes and frees, in any case. Ed25519 hashes
 * what it signs twice: then the list is in memory while it is signed, and has at most
 * SCHEME_MESSAGE_MAX octets, a million entries and more. Errors: ERR_INPUT when the issuer has no key
 * identifier, or that list is longer; ERR_SIGNATURE when the key is not the issuer's; those of signer.
 */
MUST_USE int crl_finish(struct crl *crl, const struct crl_head *head,
                        const struct ca_signer *signer, struct error *err);
void crl_abort(struct crl *crl); /* NULL is fine */

/* Entries added so far. */
uint64_t crl_count(const struct crl *crl);

#endif
