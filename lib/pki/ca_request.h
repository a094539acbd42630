/*
 * ca_request: the certification request of a CA, or of a device (PKCS#10, RFC 2986), for whoever certifies
 * it elsewhere.
 *
 * Subject and extensions are those of a certificate that was built and not signed: what the station
 * would certify itself, if it had the root. The request asks for them in an extensionRequest
 * (RFC 2985 section 5.4.2); authorityKeyIdentifier is left out, which only the CA above knows.
 */
#ifndef PKI_CA_REQUEST_H
#define PKI_CA_REQUEST_H

#include "pki/scheme.h"

/* Appends the request in PEM, signed with the CA's own key, which may live in an HSM, and verified.
 * Errors: ERR_CRYPTO, ERR_SIGNATURE when signer's key is not the model's; those of the signer. */
MUST_USE int ca_request_write(X509 *model, const struct ca_signer *signer, struct buf *pem,
                              struct error *err);

/* The request of a device for the certificate that a profile describes, DER, appended; as above. Without
 * extensions there is no extensionRequest. */
MUST_USE int device_request_write(X509 *model, const struct ca_signer *signer, struct buf *der,
                                  struct error *err);

#endif
