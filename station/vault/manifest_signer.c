#include "station/vault/manifest_signer.h"

#include "hsm/signer.h"
#include "manifests/cms.h"
#include "station/vault/rotating.h"

#include <stdio.h>

int manifest_signer_path(const struct config *config, unsigned generation, char out[PATH_MAX],
                         struct error *err)
{
    char name[64];

    if (generation == 1)
        return config_path(config, "ca/manifest-signer.pem", out, err);
    snprintf(name, sizeof name, "ca/manifest-signer-%u.pem", generation);
    return config_path(config, name, out, err);
}

int manifest_signer_sign(const struct config *config, struct store *store, struct hsm *hsm,
                         int64_t leaf, const struct buf *content, struct buf *pem,
                         struct error *err)
{
    struct signer signer = {0};
    unsigned generation;
    char path[PATH_MAX];
    int rc = rotating_generation(store, ROTATION_MANIFEST, leaf, &generation, err);

    if (rc == 0)
        rc = manifest_signer_path(config, generation, path, err);
    if (rc == 0)
        rc = cms_read_certificate(path, &signer.cert, err);
    if (rc == 0) {
        hsm_use_generation(hsm, HSM_KEY_MANIFEST_SIGN, generation);
        rc = hsm_signer_open(hsm, HSM_KEY_MANIFEST_SIGN, &signer.key, err);
    }
    if (rc == 0) {
        rc = cms_sign(&signer, content->data, content->len, pem, err);
        rc = hsm_signer_close(signer.key, rc, err);
    }
    hsm_use_generation(hsm, HSM_KEY_MANIFEST_SIGN, 1);
    X509_free(signer.cert);
    return rc;
}
