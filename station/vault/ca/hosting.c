#include "station/vault/ca/hosting.h"

#include "base/clock.h"
#include "base/file.h"
#include "pki/key.h"
#include "pki/signed.h"
#include "station/vault/clock_stop.h"

#include <string.h>

/* By the key of the first certificate, which is the CA's own. */
static int parse(const char *path, const struct buf *pem, struct ca_chain *chain, struct error *err)
{
    STACK_OF(X509) *list = NULL;
    int rc = signed_pins_parse(pem, path, &list, err);

    if (rc == 0)
        rc = ca_chain_parse(pem, path, X509_get0_pubkey(sk_X509_value(list, 0)), chain, err);
    signed_pins_free(list);
    return rc;
}

static const struct issuer *find_same(const struct issuers *issuers, const struct ca_chain *chain)
{
    for (size_t n = 0; n < issuers->count; n++)
        if (issuers->of[n].chain.count &&
            X509_cmp(issuers->of[n].chain.certs[0], chain->certs[0]) == 0)
            return &issuers->of[n];
    return NULL;
}

static int again(const struct ca_place *p, const struct issuer *i, struct certified *out,
                 struct error *err)
{
    if (!i->hosted)
        return error_set(err, ERR_EXISTS, "'%s' is issuing CA %u of this station, and not hosted",
                         i->name, i->number);
    *out = (struct certified){.number = i->number, .before = true};
    memcpy(out->name, i->name, sizeof out->name);
    memcpy(out->sha256, i->sha256, sizeof out->sha256);
    if (issuer_path(p->config, i->number, out->path, err))
        return err->code;
    return certified_publish(p, err);
}

/* A request that was killed left a key under the next number, and takes it when it is run again. */
static int check_number(const struct ca_place *p, unsigned number, struct error *err)
{
    struct public_key key;
    int rc;

    if (number > ISSUERS_MAX)
        return error_set(err, ERR_EXHAUSTED, "this station has %d issuing CAs, which is the most",
                         ISSUERS_MAX);
    hsm_use_generation(p->hsm, HSM_KEY_ISSUING_CA, number);
    rc = hsm_key_public(p->hsm, HSM_KEY_ISSUING_CA, &key, NULL, err);
    if (rc == 0)
        return error_set(err, ERR_REFUSED,
                         "'imprint ca request' was stopped in the middle: run it to its end first");
    return rc == ERR_MISSING ? 0 : rc;
}

static int judge(const struct ca_place *p, const struct issuers *issuers, unsigned number,
                 const struct ca_chain *chain, struct error *err)
{
    const struct ca_chain_expect expect = {NULL, clock_utc()};
    enum sig_scheme scheme;
    int rc = ca_chain_judge(chain, &expect, err);

    if (rc == 0 && !issuer_hosted_scheme(chain->certs[0], &scheme))
        rc = error_set(err, ERR_REFUSED,
                       "the key of the hosted CA is of a type that importers do not know: "
                       "they know %s",
                       CA_ALGORITHM_NAMES);
    if (rc == 0)
        rc = certified_check(p, issuers, number, chain, err);
    return rc ? rc : check_number(p, number, err);
}

static int take(const struct ca_place *p, const struct issuers *issuers,
                const struct ca_chain *chain, struct certified *out, struct error *err)
{
    const struct issuer *same = find_same(issuers, chain);
    unsigned number = issuers_next_number(issuers);
    int rc;

    if (same)
        return again(p, same, out, err);
    rc = judge(p, issuers, number, chain, err);
    return rc ? rc : certified_take(p, number, chain, ISSUER_HOSTED, out, err);
}

static int host(const struct ca_place *p, const char *path, const struct buf *pem,
                struct certified *out, struct error *err)
{
    struct ca_chain chain = {.count = 0};
    struct issuers issuers;
    int rc = issuers_load(p->config, p->store, &issuers, err);

    if (rc == 0)
        rc = parse(path, pem, &chain, err);
    if (rc == 0)
        rc = take(p, &issuers, &chain, out, err);
    ca_chain_done(&chain);
    issuers_done(&issuers);
    return rc;
}

int hosting_run(const struct ca_place *p, const char *path, struct certified *out,
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
        rc = host(p, path, &pem, out, err);
    buf_done(&pem);
    return rc;
}
