/*
 * signer: OpenSSL handles of HSM keys, for what OpenSSL builds and signs itself (X509_sign,
 * CMS_sign).
 *
 * Invariants
 *  1. The handle is backed by libp11, on the module and the login of the struct hsm; its private
 *     part is never here. The functions of hsm/keys.h and hsm/credential.h may be used meanwhile.
 *  2. libp11 finalises the module when it unloads. So that happens once, when the last signer is
 *     closed and no rewrap is open, and is followed by a recycle.
 *
 * The hot path signs with hsm_sign; this is for ceremonies and manifests.
 */
#ifndef HSM_SIGNER_H
#define HSM_SIGNER_H

#include "hsm/keys.h"

#include <openssl/evp.h>

/*
 * Errors: ERR_MISSING, ERR_HSM. *out ends with hsm_signer_close, not with EVP_PKEY_free, and
 * nothing may refer to it any more by then: a CMS_ContentInfo keeps a reference to the key it was
 * signed with, so encode and free it first.
 */
MUST_USE int hsm_signer_open(struct hsm *h, enum hsm_key key, EVP_PKEY **out, struct error *err);

/* Closes a handle; NULL is fine. */
void hsm_signer_close(struct hsm *h, EVP_PKEY *key);

#endif
