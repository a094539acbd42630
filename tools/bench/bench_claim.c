#include "bench_claim.h"

#include "base/jcs.h"
#include "station/store/claims.h"
#include "station/store/ledger.h"

#include <openssl/rand.h>
#include <string.h>

static int record(struct bench_station *s, int64_t credential, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "credential", credential);
    jcs_hex(&j, "order", s->v.history.row.hash, 32);
    jcs_end(&j);
    rc = ledger_append(s->store, "claim", &data, err);
    buf_done(&data);
    return rc;
}

/* Of a device that is random bytes. */
static int fill(struct claim *claim, int64_t credential, struct error *err)
{
    claim->credential = credential;
    claim->suite = 1;
    claim->chip_len = 8;
    strcpy(claim->slot, "1");
    strcpy(claim->fw_version, "1.0.0");
    buf_reset(&claim->x);
    buf_reset(&claim->wrapped);
    if (RAND_bytes(claim->tx, sizeof claim->tx) != 1 || RAND_bytes(claim->chip, 8) != 1 ||
        RAND_bytes(claim->dev_pub, sizeof claim->dev_pub) != 1 ||
        RAND_bytes(buf_grow(&claim->x, 400), 400) != 1 ||
        RAND_bytes(buf_grow(&claim->wrapped, 72), 72) != 1)
        return error_set(err, ERR_CRYPTO, "no random bytes");
    return 0;
}

static int claim_one(struct bench_station *s, struct credential *c, struct claim *claim,
                     struct error *err)
{
    int rc = store_begin(s->store, err);

    if (rc == 0)
        rc = credential_pick(s->store, s->v.order_id, c, err);
    if (rc == 0)
        rc = ledger_expect(s->store, c->id, NULL, err);
    if (rc == 0)
        rc = fill(claim, c->id, err);
    if (rc == 0)
        rc = claim_add(s->store, claim, err);
    if (rc == 0)
        rc = credential_set_state(s->store, c->id, CREDENTIAL_CLAIMED, err);
    if (rc == 0)
        rc = record(s, c->id, err);
    return rc ? rc : store_commit(s->store, err);
}

int bench_claim(struct bench_station *s, long count, struct bench_time *took, struct error *err)
{
    struct bench_time begun = bench_now();
    struct credential c;
    struct claim claim;
    int rc = 0;

    credential_init(&c);
    claim_init(&claim);
    for (long i = 0; rc == 0 && i < count; i++)
        rc = claim_one(s, &c, &claim, err);
    claim_done(&claim);
    credential_done(&c);
    *took = bench_since(begun);
    return rc;
}
