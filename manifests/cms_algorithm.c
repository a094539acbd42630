#include "manifests/cms_algorithm.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

/* AlgorithmIdentifiers in DER. */
static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                       0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t ecdsa_sha384[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                       0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
static const uint8_t pss_sha256[] = {
    0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30,
    0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
    0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
    0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
    0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20};

static const struct {
    const char *name;
    int digest;
    const uint8_t *der;
    int der_len;
    const char *group; /* of an EC key; NULL: RSA */
    int bits;
} algorithms[CMS_ALGORITHMS] = {
    [CMS_ECDSA_P256] = {"ecdsa-p256", NID_sha256, ecdsa_sha256, sizeof ecdsa_sha256, "prime256v1",
                        256},
    [CMS_ECDSA_P384] = {"ecdsa-p384", NID_sha384, ecdsa_sha384, sizeof ecdsa_sha384, "secp384r1",
                        384},
    [CMS_RSA_PSS_3072] = {"rsa-pss-3072", NID_sha256, pss_sha256, sizeof pss_sha256, NULL, 3072},
};

const char *cms_algorithm_name(enum cms_algorithm a)
{
    return algorithms[a].name;
}

enum cms_algorithm cms_algorithm_find(const char *name, size_t len)
{
    enum cms_algorithm a = 0;

    while (a < CMS_ALGORITHMS &&
           (strlen(algorithms[a].name) != len || memcmp(algorithms[a].name, name, len)))
        a++;
    return a;
}

int cms_algorithm_digest(enum cms_algorithm a)
{
    return algorithms[a].digest;
}

bool cms_algorithm_is(enum cms_algorithm a, const X509_ALGOR *signature)
{
    uint8_t *der = NULL;
    int len = i2d_X509_ALGOR(signature, &der);
    bool same = len == algorithms[a].der_len && memcmp(der, algorithms[a].der, (size_t)len) == 0;

    OPENSSL_free(der);
    return same;
}

bool cms_algorithm_fits(enum cms_algorithm a, X509 *cert)
{
    EVP_PKEY *key = X509_get0_pubkey(cert);
    char group[64] = "";

    if (!key || EVP_PKEY_get_bits(key) != algorithms[a].bits)
        return false;
    if (!algorithms[a].group)
        return EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS");
    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           strcmp(group, algorithms[a].group) == 0;
}
