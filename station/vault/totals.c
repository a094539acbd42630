#include "station/vault/totals.h"

#include "station/store/inventory.h"
#include "station/vault/quota.h"

#include <stdlib.h>
#include <string.h>

#define ORDERS_MAX 4096

struct totals_list {
    struct store *store;
    STACK_OF(X509) * pins;
    struct manifest_totals *list;
    size_t count;
};

static int put_amendments(const struct order_history *h, struct manifest_totals *m,
                          struct error *err)
{
    m->amendments = calloc(h->count, sizeof *m->amendments);
    if (!m->amendments)
        return error_set(err, ERR_INTERNAL, "out of memory");
    for (size_t i = 1; i < h->count; i++)
        memcpy(m->amendments[m->amendment_count++], h->versions[i].hash, 32);
    return 0;
}

void totals_of(const struct inventory_counts *counts, struct manifest_totals *totals)
{
    const int64_t *n = counts->by_state;

    totals->good = (uint64_t)n[CREDENTIAL_PROVEN];
    totals->burned = (uint64_t)n[CREDENTIAL_BURNED];
    totals->scrapped = (uint64_t)n[CREDENTIAL_SCRAPPED];
    totals->revoked = (uint64_t)n[CREDENTIAL_REVOKED];
    totals->unresolved = (uint64_t)n[CREDENTIAL_CLAIMED];
    totals->unused = (uint64_t)n[CREDENTIAL_AVAILABLE];
    totals->issued = totals->good + totals->burned + totals->scrapped + totals->revoked +
                     totals->unresolved + totals->unused;
}

static int put_order(struct totals_list *t, const struct order_history *h, struct error *err)
{
    struct manifest_totals *m = &t->list[t->count++];
    struct inventory_counts c;
    int rc = inventory_count(t->store, h->row.id, &c, err);

    if (rc == 0)
        rc = quota_compare(t->store, &h->row, &c, err);
    if (rc)
        return rc;
    memcpy(m->order, h->row.hash, sizeof m->order);
    totals_of(&c, m);
    return put_amendments(h, m, err);
}

/* What is signed is not believed the tables: each order is opened as if something were issued. */
static int add_order(void *context, const struct order_row *row, struct error *err)
{
    struct totals_list *t = context;
    struct order_history h;
    int rc;

    if (t->count == ORDERS_MAX)
        return error_set(err, ERR_INTERNAL, "more than %d orders", ORDERS_MAX);
    rc = order_history_open(t->store, t->pins, row->name, &h, err);
    if (rc == 0)
        rc = put_order(t, &h, err);
    order_history_done(&h);
    return rc;
}

static int compare_totals(const void *a, const void *b)
{
    return memcmp(((const struct manifest_totals *)a)->order,
                  ((const struct manifest_totals *)b)->order, 32);
}

static void put_totals(const struct manifest_totals *m, struct buf *out)
{
    buf_put(out, m->order, sizeof m->order);
    buf_put_u32(out, (uint32_t)m->amendment_count);
    buf_put(out, m->amendments, m->amendment_count * sizeof *m->amendments);
#define PUT_TOTAL(name) buf_put_u64(out, m->name);
    MANIFEST_TOTALS(PUT_TOTAL)
#undef PUT_TOTAL
}

int totals_collect(struct store *store, STACK_OF(X509) * pins, struct buf *out,
                   int64_t *whitelisted, struct error *err)
{
    struct totals_list t = {
        .store = store, .pins = pins, .list = calloc(ORDERS_MAX, sizeof *t.list)};
    int64_t records = 0;
    int rc;

    if (!t.list)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = order_each(store, add_order, &t, err);
    if (rc == 0) {
        qsort(t.list, t.count, sizeof *t.list, compare_totals);
        buf_reset(out);
        for (size_t i = 0; i < t.count; i++) {
            put_totals(&t.list[i], out);
            records += (int64_t)(t.list[i].good + t.list[i].burned + t.list[i].scrapped +
                                 2 * t.list[i].revoked);
        }
        rc = buf_check(out, "the totals", err);
    }
    if (rc == 0)
        *whitelisted = records;
    manifest_totals_free(t.list, t.count);
    return rc;
}

static int read_order(struct reader *r, struct manifest_totals *m)
{
    uint32_t amendments;

    if (reader_bytes(r, m->order, sizeof m->order) || reader_u32(r, &amendments) ||
        amendments > r->left / sizeof *m->amendments)
        return ERR_STORE;
    m->amendments = calloc(amendments + 1, sizeof *m->amendments);
    m->amendment_count = amendments;
    if (!m->amendments || reader_bytes(r, m->amendments, amendments * sizeof *m->amendments)
#define GET_TOTAL(name) || reader_u64(r, &m->name)
                              MANIFEST_TOTALS(GET_TOTAL)
#undef GET_TOTAL
    )
        return ERR_STORE;
    return 0;
}

int totals_read(const struct buf *in, struct manifest_totals **list, size_t *count,
                struct error *err)
{
    struct manifest_totals *made = calloc(in->len / sizeof made->order + 1, sizeof *made);
    struct reader r;
    size_t n = 0;

    if (!made)
        return error_set(err, ERR_INTERNAL, "out of memory");
    reader_init(&r, in->data, in->len);
    while (r.left > 0)
        if (read_order(&r, &made[n++])) {
            manifest_totals_free(made, n);
            return error_set(err, ERR_STORE, "the journalled totals are malformed");
        }
    *list = made;
    *count = n;
    return 0;
}
