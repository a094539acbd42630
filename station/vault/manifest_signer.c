#include "station/vault/manifest_signer.h"

#include "hsm/signer.h"
#include "manifests/cms.h"

int manifest_signer_sign(const struct config *config, struct hsm *hsm, const struct buf *content,
                         struct buf *pem, struct error *err)
{
    struct signer signer = {0};
    char path[PATH_MAX];
    int rc = config_path(config, "ca/manifest-signer.pem", path, err);

    if (rc == 0)
        rc = cms_read_certificate(path, &signer.cert, err);
    if (rc == 0)
        rc = hsm_signer_open(hsm, HSM_KEY_MANIFEST_SIGN, &signer.key, err);
    if (rc == 0) {
        rc = cms_sign(&signer, content->data, content->len, pem, err);
        rc = hsm_signer_close(signer.key, rc, err);
    }
    X509_free(signer.cert);
    return rc;
}
