/*
 * signed: documents in CMS that an owner signs with nothing but `openssl cms -sign -binary
 * -nodetach -outform DER`, and that are believed because the signer's certificate is pinned.
 *
 * RFC 5652 SignedData, DER, content inside, one signer, SHA-256 or stronger. Only certificates that
 * the caller pinned count: those inside the message are not even looked at, and no chain is built,
 * so nothing that some CA issued can sign. A pin has no expiry: who pinned it takes it back.
 */
#ifndef PKI_SIGNED_H
#define PKI_SIGNED_H

#include "base/buf.h"

#include <openssl/x509.h>

/* The certificates in the PEM text that was read from path, at least one; free with
 * signed_pins_free. Errors: ERR_INPUT. */
MUST_USE int signed_pins_parse(const struct buf *pem, const char *path, STACK_OF(X509) * *pins,
                               struct error *err);
void signed_pins_free(STACK_OF(X509) * pins);

/*
 * Verifies the signature and appends the content to out. pins NULL: takes the content without
 * looking at the signature, for who only wants to show it. Errors: ERR_FORMAT when it is not such a
 * document, ERR_SIGNATURE when no pinned certificate verifies it.
 */
MUST_USE int signed_open(const void *der, size_t len, STACK_OF(X509) * pins, struct buf *out,
                         struct error *err);

/*
 * Appends such a document over content, with SHA-256 and the signer's certificate. Errors: ERR_CRYPTO.
 */
MUST_USE int signed_make(const void *content, size_t len, X509 *cert, EVP_PKEY *key,
                         struct buf *der, struct error *err);

/*
 * Verifies a detached signature, made with `openssl cms -sign -binary -outform DER`, of content by
 * one pinned certificate. Errors: as signed_open.
 */
MUST_USE int signed_detached(const void *der, size_t len, const void *content, size_t content_len,
                             X509 *pin, struct error *err);

#endif
