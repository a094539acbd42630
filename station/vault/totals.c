#include "station/vault/totals.h"

#include "station/store/inventory.h"

#include <stdlib.h>
#include <string.h>

#define ORDERS_MAX 4096

struct totals_list {
    struct store *store;
    struct manifest_totals *list;
    size_t count;
};

static int add_order(void *context, int64_t id, const uint8_t hash[32], const char *name,
                     const char *product, struct error *err)
{
    struct totals_list *t = context;
    struct manifest_totals *m = &t->list[t->count];
    struct inventory_counts c;
    int rc;

    (void)name;
    (void)product;
    if (t->count == ORDERS_MAX)
        return error_set(err, ERR_INTERNAL, "more than %d orders", ORDERS_MAX);
    rc = inventory_count(t->store, id, &c, err);
    if (rc)
        return rc;
    memset(m, 0, sizeof *m);
    memcpy(m->order, hash, sizeof m->order);
    m->good = (uint64_t)c.by_state[CREDENTIAL_PROVEN];
    m->burned = (uint64_t)c.by_state[CREDENTIAL_BURNED];
    m->unresolved = (uint64_t)c.by_state[CREDENTIAL_CLAIMED];
    m->unused = (uint64_t)c.by_state[CREDENTIAL_AVAILABLE];
    m->issued = m->good + m->burned + m->unresolved + m->unused;
    t->count++;
    return 0;
}

static int compare_totals(const void *a, const void *b)
{
    return memcmp(((const struct manifest_totals *)a)->order,
                  ((const struct manifest_totals *)b)->order, 32);
}

static void put_totals(const struct manifest_totals *m, struct buf *out)
{
    buf_put(out, m->order, sizeof m->order);
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
            records += (int64_t)(t.list[i].good + t.list[i].burned);
        }
        rc = buf_check(out, "the totals", err);
    }
    if (rc == 0)
        *whitelisted = records;
    free(t.list);
    return rc;
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
    while (r.left > 0) {
        struct manifest_totals *m = &made[n++];

        if (reader_bytes(&r, m->order, sizeof m->order)
#define GET_TOTAL(name) || reader_u64(&r, &m->name)
                MANIFEST_TOTALS(GET_TOTAL)
#undef GET_TOTAL
        ) {
            free(made);
            return error_set(err, ERR_STORE, "the journalled totals are malformed");
        }
    }
    *list = made;
    *count = n;
    return 0;
}
