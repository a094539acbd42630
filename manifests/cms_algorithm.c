#include "manifests/cms_algorithm.h"

#include <openssl/evp.h>
#include <string.h>

static const struct {
    const char *name;
    int digest;
    struct ca_algorithm key;
    const char *group; /* of an EC key; NULL: RSA */
    int bits;
} algorithms[CMS_ALGORITHMS] = {
    [CMS_ECDSA_P256] =
        {"ecdsa-p256", NID_sha256, {KEY_P256, SCHEME_ECDSA_SHA256}, "prime256v1", 256},
    [CMS_ECDSA_P384] =
        {"ecdsa-p384", NID_sha384, {KEY_P384, SCHEME_ECDSA_SHA384}, "secp384r1", 384},
    [CMS_RSA_PSS_3072] =
        {"rsa-pss-3072", NID_sha256, {KEY_RSA_3072, SCHEME_RSA_PSS_SHA256}, NULL, 3072},
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

struct ca_algorithm cms_algorithm_key(enum cms_algorithm a)
{
    return algorithms[a].key;
}

int cms_algorithm_digest(enum cms_algorithm a)
{
    return algorithms[a].digest;
}

bool cms_algorithm_is(enum cms_algorithm a, const X509_ALGOR *signature)
{
    size_t want_len;
    const uint8_t *want = scheme_algorithm(algorithms[a].key.scheme, &want_len);
    uint8_t *der = NULL;
    int len = i2d_X509_ALGOR(signature, &der);
    bool same = len == (int)want_len && memcmp(der, want, want_len) == 0;

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
