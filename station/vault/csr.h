/*
 * csr: the certificate request (PKCS#10, RFC 2986) of a device that made its own key. The one place
 * where the vault parses what a device wrote.
 *
 * Invariants
 *  1. At most IMPRINT_CSR_MAX bytes, and DER of one form only (X.690 section 10.1): definite and
 *     shortest lengths, no byte after the request, nothing that this page does not name.
 *  2. What passed: version 1, a key of the type that the job wants, in its one form, valid and not
 *     of a known weak class (vault/csr_key.h), no attributes but one extension request, and a
 *     signature of that key over it all.
 *  3. Views lie in the caller's bytes. Nothing is allocated by a length that was read.
 *
 * Each refusal has a text of its own, which begins with "the device's certificate request".
 */
#ifndef STATION_VAULT_CSR_H
#define STATION_VAULT_CSR_H

#include "agent/ids.h"
#include "pki/scheme.h"

#include <openssl/x509.h>

/* What a request says, as views. */
struct csr {
    const uint8_t *subject; /* Name, with its head */
    size_t subject_len;
    struct public_key key;
    const uint8_t *extensions; /* the Extension elements that it asks for, one after the other */
    size_t extensions_len;     /* 0: none */
};

/*
 * Reads a request and verifies its signature: proof that whoever made it holds the key. Errors:
 * ERR_PROTOCOL when it is malformed, ERR_REFUSED for a key that is not issued for, ERR_SIGNATURE when
 * the signature does not verify.
 */
MUST_USE int csr_read(const uint8_t *der, size_t len, enum key_type type, struct csr *out,
                      struct error *err);

/* The subject must be this one, byte for byte. Errors: ERR_REFUSED. */
MUST_USE int csr_check_subject(const struct csr *csr, const uint8_t *subject, size_t len,
                               struct error *err);

/* A request widens nothing: each extension that it asks for is in the certificate as it would be
 * issued, with the same value. Errors: ERR_REFUSED with what is not. */
MUST_USE int csr_check_extensions(const struct csr *csr, X509 *cert, struct error *err);

#endif
