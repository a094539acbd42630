/*
 * signer: OpenSSL handles of HSM keys, for what OpenSSL builds and signs itself (X509_sign,
 * CMS_sign).
 *
 * Invariants
 *  1. The handle holds the public key, the struct hsm and the name of the key. Its private part is
 *     never here: OpenSSL hashes, and the token signs the digest.
 *  2. It holds no PKCS#11 handle. So the other functions of hsm/ may be used meanwhile, the module
 *     may be recycled, and a session that was lost comes back, as with hsm_sign.
 *  3. What the token said when it did not sign reaches the caller of hsm_signer_close, whatever
 *     OpenSSL made of it.
 *
 * Handles are for what OpenSSL itself signs, manifests and the like, and are P-256. What a CA signs is
 * built by OpenSSL, or by a template, and signed through a struct ca_signer.
 */
#ifndef HSM_SIGNER_H
#define HSM_SIGNER_H

#include "hsm/keys.h"

#include <openssl/evp.h>

/*
 * The handle of a signing key. Errors: ERR_MISSING, ERR_HSM. *out ends with hsm_signer_close, before
 * h does; who keeps a reference to it longer must not sign with it.
 */
MUST_USE int hsm_signer_open(struct hsm *h, enum hsm_key key, EVP_PKEY **out, struct error *err);

/*
 * The same for certificates, requests and revocation lists, of whatever kind the key is: the signer
 * of pki/scheme.h. It holds h and the name of the key, and needs no closing. Errors: ERR_MISSING,
 * ERR_HSM.
 */
MUST_USE int hsm_ca_signer(struct hsm *h, enum hsm_key key, struct ca_signer *out,
                           struct error *err);

/*
 * Closes a handle; NULL is fine. rc and err are the outcome of what it was used for, and are
 * returned: when that failed because the token did not sign, with the token's reason instead.
 */
MUST_USE int hsm_signer_close(EVP_PKEY *key, int rc, struct error *err);

#endif
