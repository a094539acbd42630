#include "station/vault/totals.h"

#include "station/store/orders.h"

#include <stdlib.h>
#include <string.h>

#define ORDERS_MAX 4096

struct totals_list {
    struct store *store;
    struct manifest_totals *list;
    size_t count;
};

static int add_amendment(void *context, const uint8_t hash[32], const struct buf *bytes,
                         struct error *err)
{
    struct manifest_totals *m = context;
    uint8_t(*grown)[32];

    (void)bytes;
    if (memcmp(hash, m->order, 32) == 0)
        return 0;
    grown = realloc(m->amendments, (m->amendment_count + 1) * sizeof *grown);
    if (!grown)
        return error_set(err, ERR_INTERNAL, "out of memory");
    memcpy(grown[m->amendment_count++], hash, 32);
    m->amendments = grown;
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

static int add_order(void *context, const struct order_row *row, struct error *err)
{
    struct totals_list *t = context;
    struct manifest_totals *m = &t->list[t->count];
    struct inventory_counts c;
    int rc;

    if (t->count == ORDERS_MAX)
        return error_set(err, ERR_INTERNAL, "more than %d orders", ORDERS_MAX);
    rc = inventory_count(t->store, row->id, &c, err);
    if (rc)
        return rc;
    t->count++;
    memcpy(m->order, row->hash, sizeof m->order);
    totals_of(&c, m);
    return order_each_version(t->store, row->id, add_amendment, m, err);
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

int totals_collect(struct store *store, struct buf *out, int64_t *whitelisted, struct error *err)
{
    struct totals_list t = {.store = store, .list = calloc(ORDERS_MAX, sizeof *t.list)};
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
