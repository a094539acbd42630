#include "station/vault/ending.h"

#include "station/store/ledger.h"
#include "station/store/whitelist.h"
#include "station/vault/event.h"
#include "station/vault/plant.h"
#include "station/vault/witness.h"

#include <string.h>

enum ending { PROVEN, BURNED, SCRAPPED, REVOKED };

static const struct {
    const char *event;
    enum claim_state claim;
    enum credential_state credential;
} endings[] = {
    [PROVEN] = {"proven", CLAIM_PROVEN, CREDENTIAL_PROVEN},
    [BURNED] = {"burned", CLAIM_BURNED, CREDENTIAL_BURNED},
    [SCRAPPED] = {"scrapped", CLAIM_OPEN, CREDENTIAL_SCRAPPED}, /* nobody has it */
    [REVOKED] = {"revoked", CLAIM_REVOKED, CREDENTIAL_REVOKED},
};

static int end(struct vault *v, enum ending how, const struct claim *claim,
               const struct credential *credential, const struct buf *line,
               const struct buf *evidence, struct error *err)
{
    int64_t leaf;
    int rc = whitelist_size(v->store, &leaf, err);

    if (rc == 0)
        rc = whitelist_add(v->store, line, evidence, err);
    if (rc == 0 && claim)
        rc = claim_set_state(v->store, claim->tx, endings[how].claim, err);
    if (rc == 0)
        rc = credential_set_state(v->store, credential->id, endings[how].credential, err);
    if (rc == 0)
        rc = event_put(v, endings[how].event, claim, credential, leaf, err);
    if (rc || (how != BURNED && how != REVOKED))
        return rc;
    return plant_tell_end(v, endings[how].event, claim, credential, err);
}

/* With a record that names no evidence. rc: whether the line could be made; it is freed. */
static int end_with(struct vault *v, enum ending how, const struct claim *claim,
                    const struct credential *credential, int rc, struct buf *line,
                    struct error *err)
{
    struct buf none;

    buf_init(&none, 1);
    if (rc == 0)
        rc = end(v, how, claim, credential, line, &none, err);
    buf_done(line);
    return rc;
}

int ending_proven(struct vault *v, const struct claim *claim, const struct credential *credential,
                  const struct buf *line, const struct buf *evidence, struct error *err)
{
    return end(v, PROVEN, claim, credential, line, evidence, err);
}

int ending_burn(struct vault *v, const struct claim *claim, const struct credential *credential,
                struct error *err)
{
    struct buf line;
    int rc;

    if (claim->state != CLAIM_OPEN || credential->state != CREDENTIAL_CLAIMED)
        return error_set(err, ERR_REFUSED, "'%s' came to its end already: nothing of it is burned",
                         credential->serial);
    buf_init(&line, RECORD_LINE_MAX);
    rc = witness_burned(v, claim, credential, &line, err);
    return end_with(v, BURNED, claim, credential, rc, &line, err);
}

int ending_scrap(struct vault *v, const struct credential *credential, struct error *err)
{
    struct buf line;
    int rc;

    buf_init(&line, RECORD_LINE_MAX);
    rc = witness_scrapped(v, credential, &line, err);
    return end_with(v, SCRAPPED, NULL, credential, rc, &line, err);
}

/* The record at the leaf that the ledger named must be the claim's own. */
static int check_added(void *context, const void *line, size_t len, const void *evidence,
                       size_t evidence_len, struct error *err)
{
    const struct claim *claim = *(const struct claim *const *)context;
    struct record r;
    int rc = record_parse(line, len, &r, err);

    (void)evidence;
    (void)evidence_len;
    if (rc)
        return rc;
    if ((r.t != RECORD_ADD && r.t != RECORD_REPLACE) || memcmp(r.tx, claim->tx, sizeof r.tx))
        rc = error_set(err, ERR_INTEGRITY,
                       "the record of '%s' is not the one that is to be revoked: the database was "
                       "changed; keep it as it is and call the security team",
                       r.sn);
    record_done(&r);
    return rc;
}

/* With a record of this type, which names the one that gave the identity. */
static int take_back(struct vault *v, const struct claim *claim,
                     const struct credential *credential, enum record_type type,
                     enum record_reason reason, struct error *err)
{
    struct buf line;
    int64_t leaf;
    int rc = ledger_leaf(v->store, credential->id, &leaf, err);

    if (rc == 0)
        rc = whitelist_each(v->store, leaf, 1, check_added, &claim, err);
    if (rc)
        return rc;
    buf_init(&line, RECORD_LINE_MAX);
    rc = witness_revoked(v, claim, credential, leaf, type, reason, &line, err);
    return end_with(v, REVOKED, claim, credential, rc, &line, err);
}

int ending_revoke(struct vault *v, const struct claim *claim, const struct credential *credential,
                  enum record_reason reason, struct error *err)
{
    return take_back(v, claim, credential, RECORD_REVOKE, reason, err);
}

int ending_decommission(struct vault *v, const struct claim *claim,
                        const struct credential *credential, struct error *err)
{
    return take_back(v, claim, credential, RECORD_DECOMMISSION, RECORD_CESSATION_OF_OPERATION, err);
}
