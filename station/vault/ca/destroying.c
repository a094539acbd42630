#include "station/vault/ca/destroying.h"

#include "base/jcs.h"
#include "station/store/inventory.h"
#include "station/store/ledger.h"
#include "station/vault/clock_stop.h"
#include "station/vault/token_files.h"

#include <inttypes.h>

static int journal(const struct ca_place *p, unsigned number, const uint8_t sha256[SHA256_SIZE],
                   struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 512);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "number", number);
    jcs_hex(&j, "sha256", sha256, SHA256_SIZE);
    jcs_end(&j);
    rc = ledger_append_alone(p->store, "ca_destroyed", &data, err);
    buf_done(&data);
    return rc;
}

static int destroy_key(const struct ca_place *p, enum hsm_key key, struct error *err)
{
    int rc = hsm_key_destroy(p->hsm, key, err);

    return rc ? rc : token_files_sync(p->config, err);
}

/* ---- what would be left behind ---- */

struct counting {
    const struct issuers *issuers;
    const struct issuer *of;
    int64_t count;
};

static int count_one(void *context, const struct buf *der, struct error *err)
{
    struct counting *c = context;
    const struct issuer *issuer;
    int rc;

    if (der->len == 0) /* of a derived key */
        return 0;
    rc = issuers_of_der(c->issuers, der, &issuer, err);
    c->count += rc == 0 && issuer == c->of;
    return rc;
}

static int check_unused(const struct ca_place *p, const struct issuers *issuers,
                        const struct issuer *i, struct error *err)
{
    struct counting c = {issuers, i, 0};
    int rc = credential_each_unfinished(p->store, count_one, &c, err);

    if (rc || c.count == 0)
        return rc;
    return error_set(err, ERR_UNRESOLVED,
                     "%" PRId64 " credentials of issuing CA '%s' are in stock, or with devices "
                     "that did not prove them: deliver them, void them or close their order first",
                     c.count, i->name);
}

/* ---- a CA ---- */

static int end_active(const struct ca_place *p, const struct issuers *issuers,
                      const struct issuer *i, int64_t days, struct destroyed *out,
                      struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    int rc = check_unused(p, issuers, i, err);

    if (rc)
        return rc;
    issuer_use(i, p->hsm);
    rc = hsm_key_point(p->hsm, HSM_KEY_ISSUING_CA, point, err);
    if (rc == ERR_MISSING) /* it was destroyed before, and the database is of before that */
        return journal(p, i->number, i->sha256, err);
    if (rc == 0)
        rc = revocations_write(p->config, p->store, p->hsm, issuers, i, days, &out->list, err);
    out->has_list = rc == 0;
    return rc ? rc : journal(p, i->number, i->sha256, err);
}

static int end_one(const struct ca_place *p, const struct issuers *issuers, unsigned number,
                   int64_t days, struct destroyed *out, struct error *err)
{
    const struct issuer *i = issuers_of_number(issuers, number);
    int rc = 0;

    if (!i)
        return error_set(err, ERR_MISSING, "there is no issuing CA %u: 'imprint ca list'", number);
    if (i->hosted)
        return error_set(
            err, ERR_REFUSED,
            "CA %u ('%s') is hosted: its key is not this station's to destroy; let the "
            "owner's orders list it no more",
            number, i->name);
    out->before = i->state == ISSUER_DESTROYED;
    if (i->state == ISSUER_ACTIVE)
        rc = end_active(p, issuers, i, days, out, err);
    else if (i->state == ISSUER_REQUESTED) /* it never signed anything */
        rc = journal(p, number, i->sha256, err);
    if (rc)
        return rc;
    issuer_use(i, p->hsm);
    return destroy_key(p, HSM_KEY_ISSUING_CA, err);
}

static int start(const struct ca_place *p, struct issuers *issuers, struct error *err)
{
    int rc = issuers_load(p->config, p->store, issuers, err);

    if (rc == 0)
        rc = store_settle(p->store, err);
    return rc ? rc : clock_stop_check(p->store, err);
}

int destroying_run(const struct ca_place *p, unsigned number, int64_t days, struct destroyed *out,
                   struct error *err)
{
    struct issuers issuers;
    int rc = start(p, &issuers, err);

    *out = (struct destroyed){.number = number};
    if (rc == 0)
        rc = end_one(p, &issuers, number, days, out, err);
    issuers_done(&issuers);
    return rc ? rc : certified_publish(p, err);
}

/* ---- the root ---- */

int destroying_root(const struct ca_place *p, struct destroyed *out, struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    struct issuers issuers;
    int rc = start(p, &issuers, err);

    *out = (struct destroyed){.before = issuers.root_destroyed};
    if (rc == 0 && issuers.company_root)
        rc = error_set(err, ERR_REFUSED, "this station has no root of its own");
    /* the CA of the ceremony is below it */
    if (rc == 0 && (issuers.of[0].chain.count < 2 ||
                    X509_digest(issuers.of[0].chain.certs[1], EVP_sha256(), hash, NULL) != 1))
        rc = error_set(err, ERR_CRYPTO, "cannot hash the root's certificate");
    issuers_done(&issuers);
    if (rc == 0 && !out->before)
        rc = journal(p, 0, hash, err);
    return rc ? rc : destroy_key(p, HSM_KEY_ROOT, err);
}
