#include "station/vault/ca/importing.h"

#include "base/clock.h"
#include "base/file.h"
#include "station/vault/clock_stop.h"

#include <string.h>

static int parse_for(const struct ca_place *p, const struct issuer *i, const struct buf *pem,
                     const char *path, struct ca_chain *chain, struct error *err)
{
    struct public_key public;
    EVP_PKEY *key = NULL;
    int rc;

    issuer_use(i, p->hsm);
    rc = hsm_key_public(p->hsm, HSM_KEY_ISSUING_CA, &public, NULL, err);
    if (rc == 0)
        rc = key_open(&public, &key, err);
    if (rc == 0)
        rc = ca_chain_parse(pem, path, key, chain, err);
    EVP_PKEY_free(key);
    return rc;
}

static int none_waits(const struct issuers *issuers, const char *path, struct error *err)
{
    for (size_t n = 0; n < issuers->count; n++)
        if (issuers->of[n].state == ISSUER_REQUESTED)
            return error_set(err, ERR_MISSING,
                             "no certificate in '%s' is of a key that waits for one: it answers "
                             "another request, see 'imprint ca list' and ca/request-*.pem",
                             path);
    return error_set(err, ERR_MISSING,
                     "no issuing CA waits for a certificate: 'imprint ca request' first");
}

/* The CA whose key the file has a certificate of: one that waits, or one that has this very
 * certificate. */
static int find(const struct ca_place *p, const struct issuers *issuers, const struct buf *pem,
                const char *path, const struct issuer **found, struct ca_chain *chain,
                struct error *err)
{
    for (size_t n = 0; n < issuers->count; n++) {
        const struct issuer *i = &issuers->of[n];
        int rc;

        if (i->state == ISSUER_DESTROYED || i->hosted)
            continue;
        rc = parse_for(p, i, pem, path, chain, err);
        *found = i;
        if (rc != ERR_MISSING)
            return rc;
        ca_chain_done(chain);
    }
    return none_waits(issuers, path, err);
}

static int again(const struct ca_place *p, const struct issuer *i, const struct ca_chain *chain,
                 struct certified *out, struct error *err)
{
    if (X509_cmp(i->chain.certs[0], chain->certs[0]))
        return error_set(err, ERR_EXISTS,
                         "issuing CA %u has another certificate already ('%s'), and keeps it: "
                         "request a new CA instead",
                         i->number, i->name);
    *out = (struct certified){.number = i->number, .before = true};
    memcpy(out->name, i->name, sizeof out->name);
    memcpy(out->sha256, i->sha256, sizeof out->sha256);
    if (issuer_path(p->config, i->number, out->path, err))
        return err->code;
    return certified_publish(p, err);
}

static int take(const struct ca_place *p, const struct issuers *issuers, const struct issuer *i,
                const struct ca_chain *chain, struct certified *out, struct error *err)
{
    const struct ca_chain_expect expect = {*i->profile ? NULL : p->config->environment,
                                           clock_utc()};
    int rc;

    if (i->state == ISSUER_ACTIVE)
        return again(p, i, chain, out, err);
    rc = ca_chain_judge(chain, &expect, err);
    if (rc == 0)
        rc = certified_check(p, issuers, i->number, chain, err);
    return rc ? rc : certified_take(p, i->number, chain, "import", out, err);
}

static int import(const struct ca_place *p, const char *path, const struct buf *pem,
                  struct certified *out, struct error *err)
{
    struct ca_chain chain = {.count = 0};
    const struct issuer *found = NULL;
    struct issuers issuers;
    int rc = issuers_load(p->config, p->store, &issuers, err);

    if (rc == 0)
        rc = find(p, &issuers, pem, path, &found, &chain, err);
    if (rc == 0)
        rc = take(p, &issuers, found, &chain, out, err);
    ca_chain_done(&chain);
    issuers_done(&issuers);
    return rc;
}

int importing_run(const struct ca_place *p, const char *path, struct certified *out,
                  struct error *err)
{
    struct buf pem;
    int rc = store_settle(p->store, err);

    buf_init(&pem, CA_CHAIN_FILE_MAX);
    if (rc == 0)
        rc = clock_stop_check(p->store, err);
    if (rc == 0)
        rc = file_read(path, &pem, err);
    if (rc == 0)
        rc = import(p, path, &pem, out, err);
    buf_done(&pem);
    return rc;
}
