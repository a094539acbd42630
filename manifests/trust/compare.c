#include "manifests/trust/compare.h"

#include "manifests/trust/db.h"
#include "manifests/trust/lookup.h"

#include <inttypes.h>

#define LEAF_MASK ((UINT64_C(1) << TRUST_LEAF_BITS) - 1)

/* Opens the other file first as a state of its own, so that anything else is refused as such. */
static int attach(struct trust *t, const char *path, struct error *err)
{
    struct trust *other;
    int keep = 1, rc = trust_open(path, TRUST_READ, &other, err);

    if (rc)
        return rc;
    trust_close(other);
    rc = sql_run(&t->sql, err, "ATTACH ? AS other", "t", path);
    sqlite3_file_control(t->sql.db, "other", SQLITE_FCNTL_PERSIST_WAL, &keep);
    return rc;
}

static void detach(struct trust *t)
{
    struct error ignored;

    sql_reset(&t->sql);
    if (db_exec(t, "DETACH other", &ignored))
        return; /* the file is closed with the state */
}

static uint64_t leaf_at(sqlite3_stmt *row, int column)
{
    return (uint64_t)sqlite3_column_int64(row, column) & LEAF_MASK;
}

static const char *text_at(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);

    return text ? (const char *)text : "?";
}

/* state, revoked and hold in three columns; no state: the identity is not there. */
static enum whitelist_answer judge_at(sqlite3_stmt *row, int column)
{
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return WHITELIST_UNKNOWN;
    return trust_judge((enum trust_state)sqlite3_column_int64(row, column),
                       sqlite3_column_int64(row, column + 1) != 0,
                       sqlite3_column_type(row, column + 2) != SQLITE_NULL);
}

#define NEWER_COLUMNS "n.state, n.revoked, nh.decision"
#define OLDER_COLUMNS "o.state, o.revoked, oh.decision"
#define HOLD_OF(schema, h, i)                                                                      \
    " LEFT JOIN " schema ".holds " h " ON " h ".serial = " i ".serial AND " h ".product = " i      \
    ".product"

/* Rows of the newer state beside those of the older; then those that only the older one has. */
static const char diff_sql[] =
    "SELECT n.product, n.serial, nl.origin, n.id, " OLDER_COLUMNS ", " NEWER_COLUMNS
    " FROM main.identities n JOIN main.logs nl ON nl.id = n.id >> 48"
    " LEFT JOIN other.logs ol ON ol.origin = nl.origin"
    " LEFT JOIN other.identities o ON o.id = (ol.id << 48 | (n.id & 0xffffffffffff))" HOLD_OF(
        "main", "nh", "n")
        HOLD_OF("other", "oh",
                "o") " WHERE n.state != 6"
                     " UNION ALL "
                     "SELECT o.product, o.serial, ol.origin, o.id, " OLDER_COLUMNS
                     ", " NEWER_COLUMNS
                     " FROM other.identities o JOIN other.logs ol ON ol.id = o.id >> 48"
                     " LEFT JOIN main.logs nl ON nl.origin = ol.origin"
                     " LEFT JOIN main.identities n ON n.id = (nl.id << 48 | (o.id & "
                     "0xffffffffffff))" HOLD_OF("main", "nh", "n")
                         HOLD_OF("other", "oh", "o") " WHERE n.id IS NULL AND o.state != 6";

static int diff(struct trust *t,
                int (*each)(void *ctx, const struct trust_change *c, struct error *err), void *ctx,
                struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&t->sql, err, &row, diff_sql, "");

    while (rc == 1) {
        struct trust_change c = {text_at(row, 0), text_at(row, 1),  text_at(row, 2),
                                 leaf_at(row, 3), judge_at(row, 4), judge_at(row, 7)};

        rc = c.before == c.after ? 0 : each(ctx, &c, err);
        if (rc)
            sql_end(row);
        else
            rc = sql_next(&t->sql, row, err);
    }
    return rc;
}

int trust_diff(struct trust *t, const char *older,
               int (*each)(void *ctx, const struct trust_change *c, struct error *err), void *ctx,
               struct error *err)
{
    int rc = attach(t, older, err);

    if (rc)
        return rc;
    rc = diff(t, each, ctx, err);
    detach(t);
    return rc;
}

/* ---- merging */

/* What both claim: the rows of the other file (o) and of this one (m), of different logs. */
#define CLONES(what, condition)                                                                    \
    "SELECT '" what "', o.serial, o.product, ol.origin, o.id, m.serial, m.product, ml.origin,"     \
    " m.id FROM other.identities o JOIN other.logs ol ON ol.id = o.id >> 48"                       \
    " JOIN main.identities m ON " condition " JOIN main.logs ml ON ml.id = m.id >> 48"             \
    " WHERE ml.origin != ol.origin"

static const char clones_sql[] = CLONES("public key", "m.key = o.key") " UNION ALL " CLONES(
    "certificate number",
    "m.number = o.number AND m.issuer = (SELECT mi.id FROM "
    "main.issuers mi"
    " JOIN other.issuers oi ON oi.hash = mi.hash WHERE oi.id = "
    "o.issuer)") " UNION ALL " CLONES("live device", "m.serial = o.serial AND "
                                                     "m.product = o.product"
                                                     " AND m.ended = 0 AND o.ended "
                                                     "= 0") " UNION ALL " CLONES("ch"
                                                                                 "ip"
                                                                                 " o"
                                                                                 "f "
                                                                                 "a "
                                                                                 "li"
                                                                                 "ve"
                                                                                 " d"
                                                                                 "ev"
                                                                                 "ic"
                                                                                 "e",
                                                                                 "m."
                                                                                 "ch"
                                                                                 "ip"
                                                                                 " ="
                                                                                 " o"
                                                                                 ".c"
                                                                                 "hi"
                                                                                 "p "
                                                                                 "AN"
                                                                                 "D "
                                                                                 "m."
                                                                                 "en"
                                                                                 "de"
                                                                                 "d "
                                                                                 "= "
                                                                                 "0 "
                                                                                 "AN"
                                                                                 "D "
                                                                                 "o."
                                                                                 "en"
                                                                                 "de"
                                                                                 "d "
                                                                                 "= "
                                                                                 "0");

static int find_clones(struct trust *t,
                       int (*each)(void *ctx, const struct trust_clone *c, struct error *err),
                       void *ctx, struct trust_merged *merged, struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&t->sql, err, &row, clones_sql, "");

    while (rc == 1) {
        struct trust_clone c = {text_at(row, 0), text_at(row, 1), text_at(row, 2),
                                text_at(row, 3), leaf_at(row, 4), text_at(row, 5),
                                text_at(row, 6), text_at(row, 7), leaf_at(row, 8)};

        merged->clones++;
        rc = each(ctx, &c, err);
        if (rc)
            sql_end(row);
        else
            rc = sql_next(&t->sql, row, err);
    }
    if (rc == 0 && merged->clones)
        rc = error_set(err, ERR_DUPLICATE,
                       "%" PRIu64 " keys, certificates, chips or devices are claimed by two logs: "
                       "find out which units are clones; nothing was merged",
                       merged->clones);
    return rc;
}

/* One row with an origin, where two states contradict each other. */
static int refuse_row(struct trust *t, const char *sql, int code, const char *format,
                      struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&t->sql, err, &row, sql, "");

    if (rc <= 0)
        return rc;
    rc = error_set(err, code, "log '%s' %s: nothing was merged", text_at(row, 0), format);
    sql_end(row);
    return rc;
}

/* Whether the other state has a table, for it may be of an older version. */
static int has_table(struct trust *t, const char *table, bool *there, struct error *err)
{
    int64_t count = 0;
    int rc = sql_integer(&t->sql, err, &count,
                         "SELECT count(*) FROM other.sqlite_schema WHERE name = ?", "t", table);

    *there = count != 0;
    return rc;
}

static int check_contradictions(struct trust *t, struct error *err)
{
    int rc =
        refuse_row(t,
                   "SELECT o.origin FROM other.logs o JOIN main.logs m ON m.origin = o.origin"
                   " WHERE m.pins != o.pins OR m.station != o.station"
                   " OR m.environment != o.environment",
                   ERR_IMPOSTOR,
                   "has other pins or another station there: a second station under its name", err);

    if (rc == 0)
        rc = refuse_row(t,
                        "SELECT o.origin FROM other.logs o JOIN main.logs m"
                        " ON m.station = o.station AND m.environment = o.environment"
                        " WHERE m.origin != o.origin",
                        ERR_IMPOSTOR, "names a station that has another log here", err);
    if (rc == 0)
        rc =
            refuse_row(t,
                       "SELECT ol.origin FROM other.manifests o JOIN other.logs ol ON ol.id = o.log"
                       " JOIN main.logs ml ON ml.origin = ol.origin"
                       " JOIN main.manifests m ON m.log = ml.id AND m.seq = o.seq"
                       " WHERE m.sha256 != o.sha256",
                       ERR_FORK, "has two histories", err);
    return rc;
}

/* Of what both require below a root of its own, the root is the same: a manifest has one signature of
 * an algorithm, and which of two roots it must lead to nobody but a person can say. */
static int check_required(struct trust *t, struct error *err)
{
    bool there;
    int rc = has_table(t, "signatures_required", &there, err);

    if (rc || !there)
        return rc;
    return refuse_row(t,
                      "SELECT o.origin FROM other.logs o JOIN main.logs m ON m.origin = o.origin"
                      " JOIN other.signatures_required r ON r.log = o.id"
                      " JOIN main.signatures_required q ON q.log = m.id"
                      " AND q.algorithm = r.algorithm WHERE q.root != r.root",
                      ERR_IMPOSTOR,
                      "has another root for the same required signature there ('accept --json' "
                      "of a known manifest shows which): ask the factory which one is its own",
                      err);
}

/*
 * newer: logs of the other file that are new here or further there; their numbers here and there.
 * Identities are moved from one number to the other; what was known of them is brought up to date
 * first, so that a device is not live twice at any moment.
 */
static const char *const copy_logs[] = {
    "INSERT OR IGNORE INTO main.logs (origin, station, environment, customer, pins, seq, size,"
    " root, frontier) SELECT origin, station, environment, customer, pins, 0, 0, x'', x''"
    " FROM other.logs",
    "CREATE TEMP TABLE newer AS SELECT m.id AS here, o.id AS there, m.seq AS seq"
    " FROM main.logs m JOIN other.logs o ON o.origin = m.origin WHERE o.seq > m.seq",
    "INSERT OR IGNORE INTO main.orders (hash) SELECT hash FROM other.orders",
    "INSERT OR IGNORE INTO main.issuers (hash, name) SELECT hash, name FROM other.issuers",
    "UPDATE main.identities SET state = x.state, reason = x.reason, changed = x.changed, ended = "
    " CASE x.ended WHEN 0 THEN 0 ELSE newer.here << 48 | (x.ended & 0xffffffffffff) END"
    " FROM newer JOIN other.identities x ON x.id >> 48 = newer.there"
    " WHERE main.identities.id = (newer.here << 48 | (x.id & 0xffffffffffff))"};

static const char copy_identities[] =
    "INSERT INTO main.identities (id, ended, state, reason, type, product, serial, chip, key, cert,"
    " issuer, number, order_id, auth, plain, use, ts, changed, revoked)"
    " SELECT newer.here << 48 | (x.id & 0xffffffffffff),"
    " CASE x.ended WHEN 0 THEN 0 ELSE newer.here << 48 | (x.ended & 0xffffffffffff) END,"
    " x.state, x.reason, x.type, x.product, x.serial, x.chip, x.key, x.cert, mi.id, x.number, "
    "mo.id,"
    " x.auth, x.plain, x.use, x.ts, x.changed, 0"
    " FROM newer JOIN other.identities x ON x.id >> 48 = newer.there"
    " JOIN other.orders oo ON oo.id = x.order_id JOIN main.orders mo ON mo.hash = oo.hash"
    " LEFT JOIN other.issuers oi ON oi.id = x.issuer LEFT JOIN main.issuers mi ON mi.hash = oi.hash"
    " WHERE NOT EXISTS (SELECT 1 FROM main.identities k"
    "  WHERE k.id = (newer.here << 48 | (x.id & 0xffffffffffff)))";

static const char *const finish_logs[] = {
    "INSERT OR IGNORE INTO main.manifests (log, seq, sha256, size, accepted, statement)"
    " SELECT newer.here, o.seq, o.sha256, o.size, o.accepted, o.statement"
    " FROM newer JOIN other.manifests o ON o.log = newer.there",
    "UPDATE main.logs SET seq = o.seq, size = o.size, root = o.root, frontier = o.frontier"
    " FROM newer JOIN other.logs o ON o.id = newer.there WHERE main.logs.id = newer.here"};

/* Of a state that knows of them (trust.c). */
static const char copy_keys[] = "INSERT OR IGNORE INTO main.log_keys (log, kind, seq, key)"
                                " SELECT newer.here, o.kind, o.seq, o.key"
                                " FROM newer JOIN other.log_keys o ON o.log = newer.there";

/* Likewise; of all logs that both know, for what one of them requires is required. */
static const char copy_required[] =
    "INSERT OR IGNORE INTO main.signatures_required (log, algorithm, since, root)"
    " SELECT m.id, o.algorithm, o.since, o.root FROM other.signatures_required o"
    " JOIN other.logs l ON l.id = o.log JOIN main.logs m ON m.origin = l.origin";

static const char copy_decisions[] =
    "INSERT INTO main.decisions (at, kind, product, serial, reason, who, why)"
    " SELECT at, kind, product, serial, reason, who, why FROM other.decisions o"
    " WHERE NOT EXISTS (SELECT 1 FROM main.decisions m WHERE m.at = o.at AND m.kind = o.kind"
    "  AND m.product = o.product AND m.serial = o.serial AND m.who = o.who AND m.why = o.why)"
    " ORDER BY o.id";

/* A device is held when the last decision about holding it says so, whoever took it. */
static const char *const apply_decisions[] = {
    "DELETE FROM main.holds",
    "INSERT INTO main.holds (serial, product, decision)"
    " SELECT serial, product, id FROM (SELECT serial, product, id, kind, row_number() OVER"
    "  (PARTITION BY serial, product ORDER BY at DESC, id DESC) AS place"
    "  FROM main.decisions WHERE kind != 'revoke') WHERE place = 1 AND kind = 'hold'",
    /* Revoked there, and so here: by the decision that came from there. */
    "UPDATE main.identities SET revoked = d.id"
    " FROM other.identities x JOIN other.logs ol ON ol.id = x.id >> 48"
    " JOIN main.logs ml ON ml.origin = ol.origin JOIN other.decisions od ON od.id = x.revoked"
    " JOIN main.decisions d ON d.at = od.at AND d.kind = od.kind AND d.product = od.product"
    "  AND d.serial = od.serial AND d.who = od.who AND d.why = od.why"
    " WHERE x.revoked != 0 AND main.identities.revoked = 0"
    "  AND main.identities.id = (ml.id << 48 | (x.id & 0xffffffffffff))",
    "DROP TABLE newer"};

static int run_all(struct trust *t, const char *const *sql, size_t count, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = db_exec(t, sql[i], err);
    return rc;
}

#define RUN_ALL(t, list, err) run_all(t, list, sizeof(list) / sizeof *(list), err)

/* Runs sql if the other state has the table. */
static int copy_table(struct trust *t, const char *table, const char *sql, struct error *err)
{
    bool there;
    int rc = has_table(t, table, &there, err);

    return rc || !there ? rc : db_exec(t, sql, err);
}

static int copy(struct trust *t, struct trust_merged *merged, struct error *err)
{
    int64_t logs = 0;
    int rc;

    if ((rc = RUN_ALL(t, copy_logs, err)) ||
        (rc = sql_integer(&t->sql, err, &logs, "SELECT count(*) FROM newer", "")) ||
        (rc = db_exec(t, copy_identities, err)))
        return rc;
    merged->logs = (uint64_t)logs;
    merged->identities = (uint64_t)sqlite3_changes64(t->sql.db);
    if ((rc = RUN_ALL(t, finish_logs, err)) || (rc = copy_table(t, "log_keys", copy_keys, err)) ||
        (rc = copy_table(t, "signatures_required", copy_required, err)) ||
        (rc = db_exec(t, copy_decisions, err)))
        return rc;
    merged->decisions = (uint64_t)sqlite3_changes64(t->sql.db);
    return RUN_ALL(t, apply_decisions, err);
}

int trust_merge(struct trust *t, const char *path,
                int (*each)(void *ctx, const struct trust_clone *c, struct error *err), void *ctx,
                struct trust_merged *merged, struct error *err)
{
    int rc = attach(t, path, err);

    if (rc)
        return rc;
    *merged = (struct trust_merged){0};
    rc = db_begin(t, err);
    if (rc == 0) {
        rc = check_contradictions(t, err);
        if (rc == 0)
            rc = check_required(t, err);
        if (rc == 0)
            rc = find_clones(t, each, ctx, merged, err);
        if (rc == 0)
            rc = copy(t, merged, err);
        if (rc)
            db_rollback(t);
        else
            rc = db_commit(t, err);
    }
    detach(t);
    return rc;
}
