#include "manifests/trust/receipts.h"

#include "base/clock.h"
#include "manifests/records.h"
#include "manifests/rotation.h"
#include "manifests/trust/db.h"

#include <inttypes.h>
#include <string.h>

int trust_receipt(struct trust *t, const char *origin, struct receipt *r, struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&t->sql, err, &row,
                     "SELECT l.environment, l.seq, l.size, l.root, m.sha256 FROM logs l"
                     " JOIN manifests m ON m.log = l.id AND m.seq = l.seq WHERE l.origin = ?",
                     "t", origin);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ERR_UNKNOWN, "the state has no log '%s'", origin);
    *r = (struct receipt){.seq = (uint64_t)sqlite3_column_int64(row, 1),
                          .size = (uint64_t)sqlite3_column_int64(row, 2),
                          .accepted = clock_utc()};
    snprintf(r->origin, sizeof r->origin, "%s", origin);
    rc = sql_text(row, 0, r->environment, sizeof r->environment, err);
    if (rc == 0)
        rc = sql_blob_exact(row, 3, r->root.bytes, sizeof r->root.bytes, err);
    if (rc == 0)
        rc = sql_blob_exact(row, 4, r->sha256, sizeof r->sha256, err);
    sql_end(row);
    return rc;
}

static int compare(struct trust *t, const struct closing *c, struct error *err)
{
    struct statement s = {0};
    sqlite3_stmt *row;
    int rc = sql_row(&t->sql, err, &row,
                     "SELECT m.statement FROM logs l JOIN manifests m ON m.log = l.id"
                     " WHERE l.origin = ? AND m.seq = ?",
                     "ti", c->origin, (int64_t)c->manifest);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ERR_GAP,
                         "the closing statement names manifest %" PRIu64
                         " of '%s', which the state did not accept: accept it first",
                         c->manifest, c->origin);
    rc =
        statement_parse(sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0), &s, err);
    sql_end(row);
    if (rc == 0)
        rc = closing_compare(c, &s, err);
    statement_done(&s);
    return rc;
}

/* A closed order makes nothing more: what the log counts for it now is what it counted then. */
static int compare_newest(struct trust *t, const struct closing *c, struct error *err)
{
    const struct manifest_totals *now;
    struct statement s = {0};
    sqlite3_stmt *row;
    int rc = sql_row(&t->sql, err, &row,
                     "SELECT m.statement FROM logs l"
                     " JOIN manifests m ON m.log = l.id AND m.seq = l.seq WHERE l.origin = ?",
                     "t", c->origin);

    if (rc <= 0)
        return rc;
    rc =
        statement_parse(sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0), &s, err);
    sql_end(row);
    if (rc)
        return rc;
    now = records_totals(&s, c->totals.order);
    if ((now ? now->issued : 0) != c->totals.issued)
        rc =
            error_set(err, ERR_INTEGRITY,
                      "the closing statement counts %" PRIu64 " certificates, and manifest %" PRIu64
                      " of '%s' %" PRIu64 ": a closed order makes no more; ask the factory",
                      c->totals.issued, s.seq, c->origin, now ? now->issued : 0);
    statement_done(&s);
    return rc;
}

static int has_log(struct trust *t, const char *origin, struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&t->sql, err, &row, "SELECT 1 FROM logs WHERE origin = ?", "t", origin);

    if (rc == 1)
        sql_end(row);
    return rc;
}

/*
 * The key of the manifest that it names, or one that came after it: an older one may be stolen. That
 * nothing was made fits every manifest from before the order, so only the newest key may say so.
 */
static int check_signer(struct trust *t, const struct closing *c, const uint8_t signer[SHA256_SIZE],
                        struct error *err)
{
    int64_t since = c->totals.issued ? (int64_t)c->manifest : INT64_MAX - 1;
    sqlite3_stmt *row;
    int rc =
        sql_row(&t->sql, err, &row,
                "SELECT 1 FROM log_keys k JOIN logs l ON l.id = k.log"
                " WHERE l.origin = ? AND k.kind = ? AND k.key = ? AND k.seq >="
                " (SELECT max(seq) FROM log_keys WHERE log = k.log AND kind = k.kind"
                " AND seq <= ?)",
                "tibi", c->origin, (int64_t)ROTATION_MANIFEST, signer, (size_t)SHA256_SIZE, since);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ERR_IMPOSTOR,
                         "the closing statement is signed with a key that is not the manifest key "
                         "of '%s' any more: ask the factory who made it",
                         c->origin);
    sql_end(row);
    return 0;
}

/* What the state knows of the statement's log. */
static int check_log(struct trust *t, const struct closing *c, const uint8_t signer[SHA256_SIZE],
                     struct error *err)
{
    int rc = c->manifest ? compare(t, c, err) : 0;

    if (rc == 0)
        rc = check_signer(t, c, signer, err);
    return rc ? rc : compare_newest(t, c, err);
}

static int check_orders(const struct closing *c, const struct trust_orders *orders,
                        struct error *err)
{
    const struct manifest_totals *t = &c->totals;
    const struct trust_order *first = trust_orders_find(orders, t->order), *newest;

    for (size_t i = 0; first && i < t->amendment_count; i++)
        if (!trust_orders_find(orders, t->amendments[i]))
            first = NULL;
    if (!first || first->amendment)
        return error_set(err, ERR_REFUSED,
                         "the closing statement of '%s' is about an order, or a version of it, "
                         "that is not among those given: name every version with --order",
                         c->id);
    newest = trust_orders_newest(orders, first);
    if (t->good > newest->counts.good || t->issued - t->scrapped > newest->counts.issued)
        return error_set(err, ERR_REFUSED,
                         "the closing statement of '%s' counts more than the order allows: ask the "
                         "factory",
                         c->id);
    return 0;
}

int trust_closing(struct trust *t, const struct closing *c, const uint8_t signer[SHA256_SIZE],
                  const struct trust_orders *orders, struct error *err)
{
    int rc = has_log(t, c->origin, err);

    if (rc == 1 || (rc == 0 && c->manifest))
        rc = check_log(t, c, signer, err);
    if (rc == 0 && c->manifest == 0 && c->totals.issued)
        rc = error_set(err, ERR_INTEGRITY,
                       "the closing statement names no manifest, and counts certificates");
    return rc || !orders ? rc : check_orders(c, orders, err);
}
