#include "manifests/trust/quota.h"

#include "manifests/records.h"
#include "manifests/trust/db.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HASH          "%02x%02x%02x%02x..."
#define HASH_OF(hash) (hash)[0], (hash)[1], (hash)[2], (hash)[3]

/* Any version will do: an order gives a CA to one station. A hosted one may be another station's in
 * another order, so that the first record says whose it is by the order that it names. */
static void find_station(struct trust_quota *q, const uint8_t issuer[SHA256_SIZE])
{
    for (size_t i = 0; !q->has_station && i < q->orders->count; i++) {
        const struct trust_share *share = trust_order_share(&q->orders->at[i], issuer);

        q->has_station = share && !share->hosted;
        if (q->has_station)
            memcpy(q->station, share->station, sizeof q->station);
    }
}

int trust_quota_load(struct trust_quota *q, struct trust *t, const struct trust_orders *orders,
                     int64_t log, struct error *err)
{
    uint8_t issuer[SHA256_SIZE];
    sqlite3_stmt *row;
    int rc;

    *q = (struct trust_quota){.orders = orders, .t = t, .log = log};
    if (!orders)
        return 0;
    rc = sql_row(&t->sql, err, &row,
                 "SELECT hash FROM issuers WHERE id = (SELECT issuer FROM identities"
                 " WHERE id >= ? AND id < ? AND +issuer IS NOT NULL ORDER BY id LIMIT 1)",
                 "ii", log << TRUST_LEAF_BITS, (log + 1) << TRUST_LEAF_BITS);
    if (rc <= 0)
        return rc;
    rc = sql_blob_exact(row, 0, issuer, sizeof issuer, err);
    sql_end(row);
    if (rc == 0)
        find_station(q, issuer);
    return rc;
}

/* ---- a record */

/* A void record makes nothing: the certificate may be of a CA that its version lists no more, or was
 * recovered under one that did not list it yet. */
static const struct trust_share *share_of_any(const struct trust_quota *q,
                                              const struct trust_order *order,
                                              const uint8_t issuer[SHA256_SIZE])
{
    const struct trust_order *first = trust_orders_first(q->orders, order);
    const struct trust_share *found = trust_order_share(order, issuer);

    for (size_t i = 0; !found && i < q->orders->count; i++)
        if (trust_orders_first(q->orders, &q->orders->at[i]) == first)
            found = trust_order_share(&q->orders->at[i], issuer);
    return found;
}

static int check_issuer(struct trust_quota *q, const struct trust_order *order,
                        const struct record *r, struct error *err)
{
    const struct trust_share *share =
        r->t == RECORD_VOID ? share_of_any(q, order, r->iss) : trust_order_share(order, r->iss);

    if (!share)
        return error_set(err, ERR_REFUSED,
                         "the certificate of '%s' is of issuing CA " HASH ", which order " HASH
                         " gives to no station: ask the factory",
                         r->sn, HASH_OF(r->iss), HASH_OF(order->hash));
    if (!q->has_station) {
        memcpy(q->station, share->station, sizeof q->station);
        q->has_station = true;
    }
    if (!sha256_equal(q->station, share->station))
        return error_set(err, ERR_REFUSED,
                         "the certificate of '%s' is of issuing CA " HASH
                         ", and those before it in this log of another station's: a log is of one "
                         "station; ask the factory",
                         r->sn, HASH_OF(r->iss));
    return 0;
}

int trust_quota_record(struct trust_quota *q, const struct record *r, struct error *err)
{
    const struct trust_order *order;

    if (!q->orders)
        return 0;
    order = trust_orders_find(q->orders, r->order);
    if (!order)
        return error_set(
            err, ERR_REFUSED,
            "the record of '%s' names an order that is not among those given (--order)", r->sn);
    return r->cert.p ? check_issuer(q, order, r, err) : 0;
}

/* ---- the totals */

static int not_given(const uint8_t hash[SHA256_SIZE], struct error *err)
{
    return error_set(err, ERR_REFUSED,
                     "the manifest counts order " HASH ", which is not among those given (--order)",
                     HASH_OF(hash));
}

/* One order under two names would have its counts twice. */
static int check_versions(const struct trust_quota *q, const struct manifest_totals *t,
                          struct error *err)
{
    const struct trust_order *first = trust_orders_find(q->orders, t->order);

    if (!first)
        return not_given(t->order, err);
    if (first->amendment)
        return error_set(err, ERR_REFUSED,
                         "the manifest counts amendment " HASH " as an order of its own: ask the "
                         "factory",
                         HASH_OF(t->order));
    for (size_t i = 0; i < t->amendment_count; i++) {
        const struct trust_order *o = trust_orders_find(q->orders, t->amendments[i]);

        if (!o)
            return not_given(t->amendments[i], err);
        if (trust_orders_first(q->orders, o) != first)
            return error_set(err, ERR_REFUSED,
                             "the manifest counts version " HASH " under order " HASH
                             ", which it does not amend: ask the factory",
                             HASH_OF(o->hash), HASH_OF(first->hash));
    }
    return 0;
}

/* A scrapped certificate, of which no byte was released, gives its place back. */
static uint64_t places(const struct manifest_totals *t)
{
    return t->issued - t->scrapped;
}

/* now: what is there; grew: whether this manifest added to it. */
static int check_count(const struct manifest_totals *t, const char *what, const char *whose,
                       uint64_t now, bool grew, uint64_t most, struct error *err)
{
    if (!grew || now <= most)
        return 0;
    return error_set(err, ERR_REFUSED,
                     "%" PRIu64 " %s order " HASH ", and its newest version allows %s %" PRIu64
                     ": ask the factory",
                     now, what, HASH_OF(t->order), whose, most);
}

static int check_counts(const struct manifest_totals *t, const struct manifest_totals *before,
                        const char *whose, const struct trust_counts *now,
                        const struct trust_counts *most, struct error *err)
{
    int rc = check_count(t, "certificates were issued for", whose, now->issued,
                         !before || places(t) > places(before), most->issued, err);

    return rc ? rc
              : check_count(t, "live identities count for", whose, now->good,
                            !before || t->good > before->good, most->good, err);
}

/* Derived keys have no certificate that would tell whose log it is: then it is whose share is largest. */
static struct trust_counts largest_share(const struct trust_order *o)
{
    struct trust_counts most = {.issued = 0};

    for (size_t i = 0; i < o->station_count; i++) {
        const struct trust_counts *counts = &o->stations[i].counts;

        most.issued = counts->issued > most.issued ? counts->issued : most.issued;
        most.good = counts->good > most.good ? counts->good : most.good;
    }
    return most;
}

static int check_share(const struct trust_quota *q, const struct trust_order *newest,
                       const struct manifest_totals *t, const struct manifest_totals *before,
                       struct error *err)
{
    struct trust_counts most = {.issued = 0};
    const struct trust_counts now = {.issued = places(t), .good = t->good};
    const struct trust_share *share = trust_order_share_of(newest, q->station);

    if (!q->has_station)
        most = largest_share(newest);
    else if (share)
        most = share->counts;
    return check_counts(t, before, "this station", &now, &most, err);
}

struct sums {
    const struct statement *s; /* counts are added beside its totals */
    struct trust_counts *of;
};

static int add_log(struct sums *sums, const void *bytes, size_t len, struct error *err)
{
    struct statement other = {0};
    int rc = statement_parse(bytes, len, &other, err);

    for (size_t i = 0; rc == 0 && i < sums->s->totals_count; i++) {
        const struct manifest_totals *t = records_totals(&other, sums->s->totals[i].order);

        sums->of[i].issued += t ? places(t) : 0;
        sums->of[i].good += t ? t->good : 0;
    }
    statement_done(&other);
    return rc;
}

/* What the other logs of the state said last, and what this one says. */
static int add_up(const struct trust_quota *q, struct sums *sums, struct error *err)
{
    sqlite3_stmt *row;
    int rc;

    for (size_t i = 0; i < sums->s->totals_count; i++)
        sums->of[i] = (struct trust_counts){.issued = places(&sums->s->totals[i]),
                                            .good = sums->s->totals[i].good};
    rc = sql_row(&q->t->sql, err, &row,
                 "SELECT m.statement FROM logs l JOIN manifests m ON m.log = l.id AND m.seq = l.seq"
                 " WHERE l.id != ?",
                 "i", q->log);
    while (rc == 1) {
        rc = add_log(sums, sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0), err);
        if (rc)
            sql_end(row);
        else
            rc = sql_next(&q->t->sql, row, err);
    }
    return rc;
}

static int check_totals(const struct trust_quota *q, const struct statement *last,
                        const struct sums *sums, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sums->s->totals_count; i++) {
        const struct manifest_totals *t = &sums->s->totals[i];
        const struct manifest_totals *before = records_totals(last, t->order);
        const struct trust_order *newest;

        rc = check_versions(q, t, err);
        if (rc)
            return rc;
        newest = trust_orders_newest(q->orders, trust_orders_find(q->orders, t->order));
        rc = check_share(q, newest, t, before, err);
        if (rc == 0)
            rc = check_counts(t, before, "all stations", &sums->of[i], &newest->counts, err);
    }
    return rc;
}

int trust_quota_totals(const struct trust_quota *q, const struct statement *s,
                       const struct buf *last, struct error *err)
{
    struct statement before = {0};
    struct sums sums = {s, NULL};
    int rc;

    if (!q->orders)
        return 0;
    sums.of = calloc(s->totals_count + 1, sizeof *sums.of);
    rc = sums.of ? 0 : error_set(err, ERR_INTERNAL, "out of memory");
    if (rc == 0 && last)
        rc = statement_parse(last->data, last->len, &before, err);
    if (rc == 0)
        rc = add_up(q, &sums, err);
    if (rc == 0)
        rc = check_totals(q, &before, &sums, err);
    statement_done(&before);
    free(sums.of);
    return rc;
}
