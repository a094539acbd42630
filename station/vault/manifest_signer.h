/*
 * manifest_signer: the signature of the station's manifest signer, whose key is in the HSM.
 */
#ifndef STATION_VAULT_MANIFEST_SIGNER_H
#define STATION_VAULT_MANIFEST_SIGNER_H

#include "base/buf.h"
#include "hsm/token.h"
#include "station/config.h"

/*
 * Appends the detached CMS, as PEM, of content, with the certificate that ca/manifest-signer.pem
 * holds. Errors: ERR_INPUT when that is not the key's certificate, those of files and the HSM.
 */
MUST_USE int manifest_signer_sign(const struct config *config, struct hsm *hsm,
                                  const struct buf *content, struct buf *pem, struct error *err);

#endif
