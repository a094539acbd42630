/*
 * signer: where the HSM room and the manifest room meet.
 *
 * A signer is an OpenSSL private key handle and the certificates that vouch for it. In the station
 * the handle is backed by the HSM (hsm/signer.h) and its private part never leaves it; in tests it
 * is a key in memory. Whoever signs needs to know neither.
 */
#ifndef PKI_SIGNER_H
#define PKI_SIGNER_H

#include <openssl/evp.h>
#include <openssl/x509.h>

struct signer {
    EVP_PKEY *key;          /* signs; P-256 in this version */
    X509 *cert;             /* its certificate, or NULL for a bare key (the log key) */
    STACK_OF(X509) * chain; /* issuers of cert, nearest first, without the root; or NULL */
};

#endif
