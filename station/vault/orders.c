#include "station/vault/orders.h"

#include "base/codec.h"
#include "base/jcs.h"
#include "manifests/merkle.h"
#include "station/store/ledger.h"
#include "station/store/whitelist.h"
#include "station/vault/ca/fitting.h"
#include "station/vault/closed.h"
#include "station/vault/leaves.h"
#include "station/vault/vault.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VERSIONS_STEP 16

/* ---- opening ---- */

static int changed(const char *id, const char *how, struct error *err)
{
    return error_set(err, ERR_INTEGRITY,
                     "order '%s' in the database %s: keep the database as it is and call the "
                     "security team",
                     id, how);
}

struct opening {
    STACK_OF(X509) * pins;
    struct order_history *h;
    size_t told; /* versions that the ledger told of */
    int state;   /* enum order_state, as the ledger tells it */
};

/* Each version continues the one before and is of the same order. */
static int check_chain(const struct order_history *h, const uint8_t hash[32], struct error *err)
{
    const struct order *o = &h->versions[h->count];

    if (memcmp(o->hash, hash, 32) || strcmp(o->id, h->row.name))
        return changed(h->row.name, "was changed: its row is of another one", err);
    if (h->count == 0)
        return o->type == ORDER_FIRST && memcmp(hash, h->row.hash, 32) == 0
                   ? 0
                   : changed(h->row.name, "was changed: its first version is another one", err);
    if (o->type != ORDER_AMENDMENT || memcmp(o->amends, o[-1].hash, 32))
        return changed(h->row.name, "was changed: a version does not amend the one before", err);
    return 0;
}

static int open_version(void *context, const uint8_t hash[32], const struct buf *bytes,
                        struct error *err)
{
    struct opening *o = context;
    struct order_history *h = o->h;
    int rc;

    if (h->count % VERSIONS_STEP == 0) {
        struct order *grown = realloc(h->versions, (h->count + VERSIONS_STEP) * sizeof *grown);

        if (!grown)
            return error_set(err, ERR_INTERNAL, "out of memory");
        h->versions = grown;
    }
    rc = order_open(h->row.name, bytes, o->pins, &h->versions[h->count], err);
    if (rc == 0)
        rc = check_chain(h, hash, err);
    if (rc == 0)
        h->count++;
    return rc;
}

static int compare_entry(void *context, const char *event, const char *hash, struct error *err)
{
    struct opening *o = context;
    char hex[65];

    if (strcmp(event, "close") == 0 || strcmp(event, "closed") == 0) {
        o->state = event[5] ? ORDER_CLOSED : ORDER_CLOSING;
        return 0;
    }
    if (o->told == o->h->count)
        return changed(o->h->row.name, "lacks a version that the ledger tells of", err);
    hex_encode(o->h->versions[o->told].hash, 32, hex);
    if (strcmp(hex, hash) || strcmp(event, o->told ? "amendment" : "order"))
        return changed(o->h->row.name, "has another version than the ledger tells of", err);
    o->told++;
    return 0;
}

static int compare_with_ledger(struct store *store, struct opening *o, struct error *err)
{
    int rc = ledger_each_version(store, o->h->row.hash, compare_entry, o, err);

    if (rc == 0 && (o->told == 0 || o->told != o->h->count))
        rc = changed(o->h->row.name, "has a version that the ledger does not tell of", err);
    if (rc == 0 && o->state != o->h->row.state)
        rc = changed(o->h->row.name, "is not in the state that the ledger tells of", err);
    return rc;
}

static int refuse_unknown(struct store *store, const char *id, struct error *err)
{
    bool known;
    int rc = ledger_knows_order(store, id, &known, err);

    if (rc)
        return rc;
    if (known)
        return changed(id, "is gone, and the ledger tells of it", err);
    return error_set(err, ERR_MISSING,
                     "this station has no order '%s': add it with 'imprint order add FILE'; "
                     "'imprint order list' shows those it has",
                     id);
}

int order_history_open(struct store *store, STACK_OF(X509) * pins, const char *id,
                       struct order_history *h, struct error *err)
{
    struct opening o = {.pins = pins, .h = h};
    bool found;
    int rc;

    memset(h, 0, sizeof *h);
    rc = order_find(store, id, &h->row, &found, err);
    if (rc)
        return rc;
    if (!found)
        return refuse_unknown(store, id, err);
    rc = order_each_version(store, h->row.id, open_version, &o, err);
    return rc ? rc : compare_with_ledger(store, &o, err);
}

void order_history_done(struct order_history *h)
{
    free(h->versions);
    memset(h, 0, sizeof *h);
}

const struct order *order_in_force(const struct order_history *h)
{
    return &h->versions[h->count - 1];
}

const struct order *order_version(const struct order_history *h, const uint8_t hash[32])
{
    for (size_t i = 0; i < h->count; i++)
        if (memcmp(h->versions[i].hash, hash, 32) == 0)
            return &h->versions[i];
    return NULL;
}

int orders_check_open(const struct order_history *h, struct error *err)
{
    if (h->row.state == ORDER_CLOSING)
        return error_set(err, ERR_REFUSED,
                         "order '%s' is being closed: finish that with 'imprint order close'",
                         h->row.name);
    if (h->row.state != ORDER_OPEN)
        return error_set(err, ERR_REFUSED,
                         "order '%s' is closed: it takes no amendment, and nothing more is made, "
                         "delivered or voided under it",
                         h->row.name);
    return 0;
}

/* ---- is it for this station? ---- */

static int refuse_station(const struct vault *v, const struct order *order, struct error *err)
{
    char key[65];

    hex_encode(v->key_hash, sizeof v->key_hash, key);
    return error_set(err, ERR_REFUSED,
                     "order '%s' does not list this station: ask the owner for an amendment that "
                     "lists the key %s (station.json)",
                     order->id, key);
}

int orders_check_station(const struct vault *v, const struct order *order,
                         const struct order_share **share, struct error *err)
{
    const struct order_share *found = order_share_of(order, v->key_hash);
    const struct issuer *issuer;
    int rc;

    if (strcmp(order->environment, v->config->environment))
        return error_set(err, ERR_REFUSED,
                         "the order is for environment '%s' and this station is '%s': they are "
                         "never mixed",
                         order->environment, v->config->environment);
    if (!found)
        return refuse_station(v, order, err);
    rc = issuers_choose(&v->issuers, order, found, "", &issuer, err);
    if (rc)
        return rc;
    if (!order->software_hsm && strcmp(hsm_class(v->hsm), "software") == 0)
        return error_set(err, ERR_REFUSED,
                         "order '%s' does not accept a software HSM, and this station has one: use "
                         "a station with a hardware HSM, or ask the owner",
                         order->id);
    *share = found;
    return 0;
}

/* ---- taking one in ---- */

/* The records that the owner accepted must be the first ones of this station's log. */
static int check_after(const struct vault *v, const struct order *order,
                       const struct order_share *share, struct error *err)
{
    const struct order_after *after = &share->after;
    struct merkle_tree tree = {0};
    struct merkle_hash root;
    int64_t size;
    int rc = 0;

    if (!share->has_after)
        return 0;
    if (strcmp(after->origin, v->config->origin))
        return error_set(err, ERR_REFUSED,
                         "order '%s' says that this station's log is '%s', and it is '%s': ask the "
                         "owner to correct it",
                         order->id, after->origin, v->config->origin);
    rc = whitelist_size(v->store, &size, err);
    if (rc == 0 && size < after->size)
        return error_set(err, ERR_ROLLBACK,
                         "the owner accepted %" PRId64 " records of this station and its database "
                         "holds %" PRId64 ": it is an old copy, put the newest station.db back",
                         after->size, size);
    if (rc == 0)
        rc = leaves_push(v->store, 0, after->size, &tree, err);
    merkle_root(&tree, &root);
    if (rc == 0 && memcmp(root.bytes, after->root, sizeof after->root))
        rc = error_set(err, ERR_ROLLBACK,
                       "the first %" PRId64 " records of this station are not those that the owner "
                       "accepted: there are two histories of it; stop and call the security team",
                       after->size);
    return rc;
}

static int add_to_ledger(struct vault *v, const struct order_row *row, const struct order *order,
                         struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    if (order->type == ORDER_AMENDMENT)
        jcs_hex(&j, "amends", order->amends, sizeof order->amends);
    jcs_hex(&j, "hash", order->hash, sizeof order->hash);
    jcs_str(&j, "id", order->id);
    jcs_hex(&j, "order", row->hash, sizeof row->hash);
    jcs_end(&j);
    rc = order->type == ORDER_AMENDMENT ? ledger_append(v->store, "amendment", &data, err)
                                        : ledger_append(v->store, "order", &data, err);
    buf_done(&data);
    return rc;
}

static int store_version(struct vault *v, struct order_row *row, const struct order *order,
                         const struct buf *bytes, struct error *err)
{
    int rc = store_begin(v->store, err);

    if (rc == 0 && order->type == ORDER_FIRST)
        rc = order_add(v->store, row, err);
    if (rc == 0)
        rc = order_add_version(v->store, row->id, order->hash, bytes, err);
    if (rc == 0)
        rc = add_to_ledger(v, row, order, err);
    if (rc == 0)
        rc = store_commit(v->store, err);
    if (rc)
        store_rollback(v->store);
    return rc;
}

static int take_first(struct vault *v, const struct order *order, const struct buf *bytes,
                      struct error *err)
{
    struct order_row row = {.id = 0};
    int rc = closed_check_new(v, order, err);

    if (rc)
        return rc;
    memcpy(row.hash, order->hash, sizeof row.hash);
    strcpy(row.name, order->id);
    strcpy(row.product, order->product);
    return store_version(v, &row, order, bytes, err);
}

/* What stays the same for ever: it is in certificates, records and serials that exist already. */
static int check_same(const struct order *amendment, const struct order *now, struct error *err)
{
    const struct {
        const char *member, *says, *was;
    } fixed[] = {{"environment", amendment->environment, now->environment},
                 {"product", amendment->product, now->product},
                 {"gtin", amendment->gtin, now->gtin},
                 {"profile", amendment->profile, now->profile}};

    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (strcmp(fixed[i].says, fixed[i].was))
            return error_set(err, ERR_REFUSED,
                             "the amendment changes '%s' of order '%s' from '%s' to '%s': that "
                             "needs another order",
                             fixed[i].member, now->id, fixed[i].was, fixed[i].says);
    if (sha256_equal(amendment->profile_hash, now->profile_hash))
        return 0;
    return error_set(err, ERR_REFUSED,
                     "the amendment changes the content of order '%s's profile '%s': that needs "
                     "another order",
                     now->id, now->profile);
}

static int check_amends(const struct order *amendment, const struct order_history *h,
                        struct error *err)
{
    const struct order *now = order_in_force(h);
    char hex[65];

    if (orders_check_open(h, err))
        return ERR_REFUSED;
    hex_encode(now->hash, sizeof now->hash, hex);
    if (memcmp(amendment->amends, now->hash, sizeof now->hash))
        return error_set(err, ERR_REFUSED,
                         "the amendment of order '%s' is not of the version in force, which is %s: "
                         "add the amendments in their order, or ask the owner for one of this "
                         "version",
                         now->id, hex);
    return check_same(amendment, now, err);
}

/* The station has an order of this id. */
static int take_again(struct vault *v, const struct order_history *h, const struct order *order,
                      const struct buf *bytes, enum order_taken *taken, struct error *err)
{
    struct order_row row = h->row;
    int rc;

    if (order_version(h, order->hash)) {
        *taken = ORDER_TAKEN_BEFORE;
        return 0;
    }
    if (order->type == ORDER_FIRST)
        return error_set(err, ERR_REFUSED,
                         "this station has another order '%s': an owner changes an order with an "
                         "amendment, and gives another order another id",
                         order->id);
    rc = check_amends(order, h, err);
    if (rc == 0)
        rc = closed_check_known(v, h, err);
    return rc ? rc : store_version(v, &row, order, bytes, err);
}

int orders_take(struct vault *v, const char *source, const struct buf *bytes, struct order *order,
                enum order_taken *taken, struct error *err)
{
    const struct order_share *share;
    struct order_history h;
    int rc = order_open(source, bytes, v->pins, order, err);

    *taken = ORDER_TAKEN;
    if (rc == 0)
        rc = orders_check_station(v, order, &share, err);
    if (rc == 0)
        rc = check_after(v, order, share, err);
    if (rc)
        return rc;
    rc = order_history_open(v->store, v->pins, order->id, &h, err);
    if (rc == ERR_MISSING && order->type == ORDER_FIRST)
        rc = take_first(v, order, bytes, err);
    else if (rc == 0)
        rc = take_again(v, &h, order, bytes, taken, err);
    order_history_done(&h);
    return rc;
}
