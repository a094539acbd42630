/*
 * manifest_signer: the signature of the station's manifest signer, whose key is in the HSM.
 */
#ifndef STATION_VAULT_MANIFEST_SIGNER_H
#define STATION_VAULT_MANIFEST_SIGNER_H

#include "base/buf.h"
#include "hsm/token.h"
#include "station/config.h"
#include "station/store/store.h"

/* The certificate of a generation of the manifest key (station/vault/rotating.h). */
MUST_USE int manifest_signer_path(const struct config *config, unsigned generation,
                                  char out[PATH_MAX], struct error *err);

/*
 * Appends the detached CMS, as PEM, of content, with the manifest key that is in force at leaf,
 * ROTATING_NOW for what is no manifest, and its certificate in ca/. Errors: ERR_INPUT when that is not
 * the key's certificate, those of files and the HSM.
 */
MUST_USE int manifest_signer_sign(const struct config *config, struct store *store, struct hsm *hsm,
                                  int64_t leaf, const struct buf *content, struct buf *pem,
                                  struct error *err);

#endif
