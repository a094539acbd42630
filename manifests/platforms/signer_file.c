#include "manifests/platforms/signer_file.h"

#include "base/file.h"
#include "pki/ec.h"
#include "pki/signed.h"

#include <openssl/err.h>

#define FILE_MAX (1 << 20)

int signer_file_read(const char *path, struct signer *signer, struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    struct buf pem;
    int rc;

    buf_init(&pem, FILE_MAX);
    rc = file_read(path, &pem, err);
    if (rc == 0)
        rc = signed_pins_parse(&pem, path, &signer->chain, err);
    buf_done(&pem);
    if (rc)
        return rc;
    signer->cert = sk_X509_shift(signer->chain);
    if (X509_check_private_key(signer->cert, signer->key) != 1)
        rc =
            error_set(err, ERR_INPUT, "the first certificate in '%s' is not that of the key", path);
    else if (ec_point(signer->key, point, NULL))
        rc = error_set(err, ERR_INPUT, "the key that signs an export must be on P-256");
    ERR_clear_error();
    return rc;
}

void signer_file_done(struct signer *signer)
{
    X509_free(signer->cert);
    sk_X509_pop_free(signer->chain, X509_free);
    signer->cert = NULL;
    signer->chain = NULL;
}
