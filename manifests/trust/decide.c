#include "manifests/trust/decide.h"

#include "base/clock.h"
#include "manifests/trust/db.h"
#include "manifests/trust/lookup.h"

#include <string.h>

static const char *const kind_names[] = {"hold", "lift", "revoke"};

static bool is_reason(const char *text)
{
    size_t len = text ? strlen(text) : 0;

    return len > 0 && len <= 128;
}

static int write_decision(struct trust *t, const struct trust_decision *d,
                          const struct trust_verdict *v, int64_t *id, struct error *err)
{
    int rc = sql_run(&t->sql, err,
                     "INSERT INTO decisions (at, kind, product, serial, reason, who, why)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?)",
                     "itttitt", clock_utc(), kind_names[d->kind], v->product, v->serial,
                     (int64_t)(d->kind == TRUST_REVOKE ? d->reason : 0), d->who, d->why);

    *id = sqlite3_last_insert_rowid(t->sql.db);
    return rc;
}

static int apply(struct trust *t, const struct trust_decision *d, const struct trust_verdict *v,
                 int64_t id, struct error *err)
{
    switch (d->kind) {
    case TRUST_HOLD:
        return sql_run(&t->sql, err,
                       "INSERT OR REPLACE INTO holds (serial, product, decision) VALUES (?, ?, ?)",
                       "tti", v->serial, v->product, id);
    case TRUST_LIFT:
        return sql_run(&t->sql, err, "DELETE FROM holds WHERE serial = ? AND product = ?", "tt",
                       v->serial, v->product);
    case TRUST_REVOKE:
        return sql_run(&t->sql, err,
                       "UPDATE identities SET revoked = ? WHERE serial = ? AND product = ?"
                       " AND revoked = 0",
                       "itt", id, v->serial, v->product);
    }
    return error_set(err, ERR_INTERNAL, "no such kind of decision");
}

static int decide_one(struct trust *t, const struct trust_decision *d, const char *serial,
                      struct error *err)
{
    struct trust_verdict v;
    int64_t id;
    int rc = trust_lookup_serial(t, serial, d->product, &v, err);

    if (rc == 0 && v.answer == WHITELIST_UNKNOWN)
        rc = error_set(err, ERR_UNKNOWN,
                       "no accepted manifest has serial '%s': nothing was decided", serial);
    if (rc == 0)
        rc = write_decision(t, d, &v, &id, err);
    if (rc == 0)
        rc = apply(t, d, &v, id, err);
    if (rc == 0 && d->kind == TRUST_LIFT && sqlite3_changes(t->sql.db) == 0)
        rc = error_set(err, ERR_MISSING, "serial '%s' is not held: nothing was decided", serial);
    return rc;
}

int trust_decide(struct trust *t, const struct trust_decision *d, const char *const *serials,
                 size_t count, struct error *err)
{
    int rc;

    if (!is_reason(d->who) || !is_reason(d->why))
        return error_set(err, ERR_INPUT, "a decision needs who and why, 1 to 128 characters each");
    rc = db_begin(t, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = decide_one(t, d, serials[i], err);
    if (rc) {
        db_rollback(t);
        return rc;
    }
    return db_commit(t, err);
}
