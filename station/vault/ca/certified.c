#include "station/vault/ca/certified.h"

#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "pki/cert.h"
#include "station/store/ledger.h"

#include <stdio.h>
#include <string.h>

#define TRUST_MAX 65536

/* ---- is it apart from all others? ---- */

static int check_name(const struct issuers *issuers, unsigned number, X509 *cert, struct error *err)
{
    for (size_t n = 0; n < issuers->count; n++) {
        const struct issuer *i = &issuers->of[n];

        for (size_t k = 0; i->number != number && k < i->chain.count; k++)
            if (X509_NAME_cmp(X509_get_subject_name(i->chain.certs[k]),
                              X509_get_subject_name(cert)) == 0)
                return error_set(err, ERR_EXISTS,
                                 "another CA of this station, or above one, has the name of this "
                                 "one already ('%s'): request it with another --name",
                                 i->name);
    }
    return 0;
}

/* Below one root any device could sign a manifest. */
static int check_root(const struct ca_place *p, X509 *root, struct error *err)
{
    char path[PATH_MAX];
    X509 *manifest;
    int rc = config_path(p->config, "ca/manifest-root.pem", path, err);

    if (rc == 0)
        rc = cert_read(path, &manifest, err);
    if (rc)
        return rc;
    if (EVP_PKEY_eq(X509_get0_pubkey(root), X509_get0_pubkey(manifest)) == 1)
        rc = error_set(err, ERR_REFUSED,
                       "the root of the chain has the key of the manifest root: below it any "
                       "device could sign a manifest");
    X509_free(manifest);
    return rc;
}

int certified_check(const struct ca_place *p, const struct issuers *issuers, unsigned number,
                    const struct ca_chain *chain, struct error *err)
{
    int rc = check_name(issuers, number, chain->certs[0], err);

    return rc ? rc : check_root(p, chain->certs[chain->count - 1], err);
}

/* ---- taking it in ---- */

static int write_above(const struct ca_place *p, unsigned number, const struct ca_chain *chain,
                       struct error *err)
{
    char path[PATH_MAX];
    struct buf pem;
    int rc = issuer_chain_path(p->config, number, path, err);

    if (chain->count == 1)
        return rc;
    buf_init(&pem, CA_CHAIN_FILE_MAX);
    for (size_t i = 1; rc == 0 && i < chain->count; i++)
        rc = cert_pem(chain->certs[i], &pem, err);
    if (rc == 0)
        rc = file_write(path, pem.data, pem.len, 0644, err);
    buf_done(&pem);
    return rc;
}

static int write_files(const struct ca_place *p, unsigned number, const struct ca_chain *chain,
                       char path[PATH_MAX], struct error *err)
{
    int rc = issuer_path(p->config, number, path, err);

    if (rc == 0)
        rc = cert_write(path, chain->certs[0], err);
    return rc ? rc : write_above(p, number, chain, err);
}

static void put_hash(struct jcs *j, const char *name, X509 *cert)
{
    uint8_t hash[SHA256_SIZE] = {0};

    (void)X509_digest(cert, EVP_sha256(), hash, NULL);
    jcs_hex(j, name, hash, sizeof hash);
}

static int journal(const struct ca_place *p, unsigned number, const struct ca_chain *chain,
                   const char *how, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 2048);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_array(&j, "chain");
    for (size_t i = 1; i < chain->count; i++)
        put_hash(&j, NULL, chain->certs[i]);
    jcs_end(&j);
    jcs_str(&j, "how", how);
    jcs_int(&j, "number", number);
    put_hash(&j, "sha256", chain->certs[0]);
    jcs_end(&j);
    rc = ledger_append_alone(p->store, "ca", &data, err);
    buf_done(&data);
    return rc;
}

int certified_take(const struct ca_place *p, unsigned number, const struct ca_chain *chain,
                   const char *how, struct certified *out, struct error *err)
{
    int rc;

    *out = (struct certified){.number = number};
    ca_name(chain->certs[0], out->name);
    rc = write_files(p, number, chain, out->path, err);
    if (rc == 0 && X509_digest(chain->certs[0], EVP_sha256(), out->sha256, NULL) != 1)
        rc = error_set(err, ERR_CRYPTO, "cannot hash a certificate");
    if (rc == 0)
        rc = journal(p, number, chain, how, err);
    return rc ? rc : certified_publish(p, err);
}

/* ---- telling the owner ---- */

int certified_station_json(const struct config *config, struct hsm *hsm,
                           const uint8_t (*issuers)[SHA256_SIZE], size_t count, struct error *err)
{
    uint8_t point[EC_POINT_SIZE], spki[EC_SPKI_SIZE], key[SHA256_SIZE];
    char path[PATH_MAX];
    struct buf text;
    struct jcs j;
    int rc = hsm_key_point(hsm, HSM_KEY_STATION_AUTH, point, err);

    if (rc == 0)
        rc = config_path(config, CONFIG_STATION_JSON, path, err);
    if (rc)
        return rc;
    ec_spki(point, spki);
    sha256(spki, sizeof spki, key);
    buf_init(&text, 8192);
    jcs_init(&j, &text);
    jcs_object(&j, NULL);
    jcs_str(&j, "environment", config->environment);
    jcs_str(&j, "hsm", hsm_class(hsm));
    if (count)
        jcs_hex(&j, "issuer", issuers[count - 1], SHA256_SIZE);
    jcs_array(&j, "issuers");
    for (size_t i = 0; i < count; i++)
        jcs_hex(&j, NULL, issuers[i], SHA256_SIZE);
    jcs_end(&j);
    jcs_hex(&j, "key", key, sizeof key);
    jcs_str(&j, "name", config->name);
    jcs_str(&j, "origin", config->origin);
    jcs_end(&j);
    buf_put_u8(&text, '\n');
    rc = buf_check(&text, CONFIG_STATION_JSON, err);
    if (rc == 0)
        rc = file_write(path, text.data, text.len, 0644, err);
    buf_done(&text);
    return rc;
}

static int publish_json(const struct ca_place *p, const struct issuers *issuers, struct error *err)
{
    uint8_t hashes[ISSUERS_MAX][SHA256_SIZE];
    size_t count = 0;

    for (size_t n = 0; n < issuers->count; n++)
        if (issuers->of[n].state == ISSUER_ACTIVE && !issuers->of[n].hosted)
            memcpy(hashes[count++], issuers->of[n].sha256, SHA256_SIZE);
    return certified_station_json(p->config, p->hsm, (const uint8_t(*)[SHA256_SIZE])hashes, count,
                                  err);
}

static X509 *root_of(const struct issuer *i)
{
    return i->chain.count ? i->chain.certs[i->chain.count - 1] : NULL;
}

static bool came_before(const struct issuers *issuers, size_t at)
{
    for (size_t n = 0; n < at; n++)
        if (root_of(&issuers->of[n]) &&
            X509_cmp(root_of(&issuers->of[n]), root_of(&issuers->of[at])) == 0)
            return true;
    return false;
}

static int publish_roots(const struct ca_place *p, const struct issuers *issuers, struct error *err)
{
    char path[PATH_MAX];
    struct buf pem;
    int rc = config_path(p->config, "trust/device-root.pem", path, err);

    buf_init(&pem, TRUST_MAX);
    for (size_t n = 0; rc == 0 && n < issuers->count; n++)
        if (root_of(&issuers->of[n]) && !came_before(issuers, n))
            rc = cert_pem(root_of(&issuers->of[n]), &pem, err);
    if (rc == 0 && pem.len)
        rc = file_write(path, pem.data, pem.len, 0644, err);
    buf_done(&pem);
    return rc;
}

int certified_publish(const struct ca_place *p, struct error *err)
{
    struct issuers issuers;
    int rc = issuers_load(p->config, p->store, &issuers, err);

    if (rc == 0)
        rc = publish_json(p, &issuers, err);
    if (rc == 0)
        rc = publish_roots(p, &issuers, err);
    issuers_done(&issuers);
    return rc;
}
