#include "station/vault/hosted/dropping.h"

#include "station/store/requests.h"

struct dropping {
    struct vault *v;
    const char *lot;
    char *const *serials;
    size_t count;
    struct dropped made;
    struct request request;
};

/* ---- by serial ---- */

static int find(struct dropping *d, const char *serial, struct error *err)
{
    const struct order *order = d->v->order;
    bool found;
    int rc = request_of_serial(d->v->store, order->product, serial, &d->request, &found, err);

    if (rc == 0 && !found)
        rc = error_set(err, ERR_MISSING,
                       "serial '%s' of product '%s' has no request: 'imprint csr list' names those "
                       "that wait; nothing was dropped",
                       serial, order->product);
    if (rc == 0 && d->request.order_id != d->v->order_id)
        rc = error_set(err, ERR_REFUSED,
                       "the request of '%s' is of another order: name a job of that order; nothing "
                       "was dropped",
                       serial);
    if (rc == 0 && d->request.credential)
        rc = error_set(err, ERR_REFUSED,
                       "'%s' has its certificate: 'imprint void %s' ends it; nothing was dropped",
                       serial, serial);
    return rc;
}

static int drop_serial(struct dropping *d, const char *serial, struct error *err)
{
    int rc = find(d, serial, err);

    if (rc)
        return rc;
    if (d->request.der.len == 0) {
        d->made.before++;
        return 0;
    }
    rc = request_drop(d->v->store, &d->request, d->v->history.row.hash, err);
    d->made.now += rc == 0;
    return rc;
}

static int drop_serials(struct dropping *d, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < d->count; i++)
        rc = drop_serial(d, d->serials[i], err);
    return rc;
}

/* ---- by lot ---- */

static int drop_lot(struct dropping *d, struct error *err)
{
    struct vault *v = d->v;
    int rc =
        request_drop_lot(v->store, v->order_id, v->history.row.hash, d->lot, &d->made.now, err);

    if (rc == 0 && d->made.now == 0)
        rc = error_set(err, ERR_MISSING,
                       "no request of lot '%s' waits for its certificate: nothing was dropped",
                       d->lot);
    return rc;
}

/* ---- a run ---- */

static int in_transaction(struct dropping *d, struct error *err)
{
    struct store *store = d->v->store;
    int rc = store_begin(store, err);

    if (rc)
        return rc;
    rc = d->count ? drop_serials(d, err) : drop_lot(d, err);
    if (rc == 0)
        rc = store_commit(store, err);
    if (rc)
        store_rollback(store);
    if (rc == 0 || store_is_unanchored(store))
        d->v->counts.requests -= d->made.now;
    return rc;
}

int dropping_run(struct vault *v, const char *lot, char *const *serials, size_t count,
                 struct dropped *out, struct error *err)
{
    struct dropping d = {.v = v, .lot = lot, .serials = serials, .count = count};
    int rc = store_settle(v->store, err);

    request_init(&d.request);
    if (rc == 0)
        rc = in_transaction(&d, err);
    request_done(&d.request);
    if (rc == 0) {
        d.made.waiting = v->counts.requests;
        *out = d.made;
    }
    return rc;
}
