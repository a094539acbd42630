/*
 * exporting: the devices of a sealed manifest as files for a platform, signed with the station's key.
 *
 * The folder exports/NNNNNN-<platform> is made anew from the manifest whenever somebody asks, whole or
 * not at all; no bytes of it are in the manifest, whose own bytes are fixed before anything is signed
 * and which no signature that differs each time could be a part of. export.json lists the files and
 * names the manifest by its hash, and export.json.p7s signs it as manifest.json is signed.
 */
#ifndef STATION_VAULT_EXPORTING_H
#define STATION_VAULT_EXPORTING_H

#include "hsm/token.h"
#include "manifests/platforms/source.h"
#include "station/config.h"
#include "station/store/store.h"

struct exported {
    int64_t manifest;
    struct export_report report;
    char dir[PATH_MAX];
};

/*
 * Exports a manifest by its number, 0 for the last one; run has format and settings, and gets its
 * signer here; of a format of secret keys it has the recipients (key_release.h). Devices whose identity
 * has ended since, sealed or not, are left out. The ledger says `export`, and to whom, before a key is
 * derived. Errors: ERR_MISSING (no such manifest), ERR_EXISTS (exported before), ERR_INTEGRITY (the
 * folder or a record was changed); those of export.h, files, store and HSM.
 */
MUST_USE int exporting_run(const struct config *config, struct store *store, struct hsm *hsm,
                           int64_t manifest, struct platform_run *run, struct exported *out,
                           struct error *err);

#endif
