#include "station/vault/lost.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "manifests/record.h"
#include "pki/digest.h"
#include "pki/ec.h"
#include "station/store/inventory.h"
#include "station/store/ledger.h"
#include "station/store/orders.h"
#include "station/store/requests.h"
#include "station/store/spares.h"
#include "station/store/whitelist.h"
#include "station/vault/ca/issuers.h"

#include <string.h>

#define LINE_MAX_BYTES 65535

struct work {
    struct store *store;
    struct issuers issuers;
    int64_t count;
};

/* A void record names device and transaction; nobody knows them: zeros, and ext says why. */
static int write_record(const struct work *w, const struct credential *c,
                        const uint8_t order[SHA256_SIZE], struct buf *line, struct error *err)
{
    const struct issuer *issuer;
    struct record r;
    int rc = issuers_of_der(&w->issuers, &c->cert, &issuer, err);

    if (rc)
        return rc;
    memset(&r, 0, sizeof r);
    r.t = RECORD_VOID;
    r.reason = RECORD_BURNED;
    r.ts = clock_utc();
    memcpy(r.order, order, sizeof r.order);
    strcpy(r.prod, c->product);
    strcpy(r.sn, c->serial);
    r.cert = (struct record_bytes){c->cert.data, c->cert.len};
    memcpy(r.iss, issuer->sha256, sizeof r.iss);
    r.spki = (struct record_bytes){c->key.spki, c->key.len};
    r.chip_len = 1;
    r.ext = "{\"lost\":true}";
    return record_write(&r, line, err);
}

static int add_to_ledger(struct work *w, const struct credential *c,
                         const uint8_t order[SHA256_SIZE], struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "credential", c->id);
    jcs_hex(&j, "order", order, SHA256_SIZE);
    jcs_str(&j, "serial", c->serial);
    jcs_end(&j);
    rc = ledger_append(w->store, "lost", &data, err);
    buf_done(&data);
    return rc;
}

static int burn(struct work *w, const struct credential *c, const uint8_t order[SHA256_SIZE],
                struct error *err)
{
    struct buf line, no_evidence;
    int rc;

    buf_init(&line, LINE_MAX_BYTES);
    buf_init(&no_evidence, 1);
    rc = ledger_expect_available(w->store, c->id, err);
    if (rc == 0)
        rc = write_record(w, c, order, &line, err);
    if (rc == 0)
        rc = whitelist_add(w->store, &line, &no_evidence, err);
    if (rc == 0)
        rc = credential_set_state(w->store, c->id, CREDENTIAL_BURNED, err);
    if (rc == 0)
        rc = add_to_ledger(w, c, order, err);
    buf_done(&line);
    return rc;
}

static int burn_of_order(void *context, const struct order_row *row, struct error *err)
{
    struct work *w = context;
    int rc = 0;

    for (int64_t i = 0; rc == 0 && i < w->count; i++) {
        struct credential c;

        credential_init(&c);
        rc = credential_pick(w->store, row->id, &c, err);
        if (rc == 0)
            rc = burn(w, &c, row->hash, err);
        credential_done(&c);
    }
    if (rc == ERR_EXHAUSTED)
        rc = 0;
    /* A key of theirs may have got a certificate since: none is used a second time. */
    if (rc == 0)
        rc = requests_destroy(w->store, row->id, row->hash, err);
    return rc ? rc : spares_destroy(w->store, row->id, row->hash, err);
}

int lost_burn(const struct config *config, struct store *store, int64_t count, struct error *err)
{
    struct work w = {.store = store, .count = count};
    int rc;

    if (count == 0) /* the backup is the newest state: nothing was given out since */
        return 0;
    rc = issuers_load(config, store, &w.issuers, err);
    if (rc == 0)
        rc = order_each(store, burn_of_order, &w, err);
    issuers_done(&w.issuers);
    return rc;
}
