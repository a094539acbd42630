#include "station/store/history.h"

#include "station/store/sql.h"

#include <string.h>

/* The plus takes the column's affinity away: with it SQLite would not use the ledger's index of credentials, and
 * read the whole ledger for each. */
#define ENTRY(event)                                                                               \
    "(SELECT body FROM ledger WHERE json_extract(body, '$.data.credential') = +c.id"               \
    " AND json_extract(body, '$.event') = '" event "')"

/* The ledger has the last word on what became of it. */
#define NEWEST                                                                                     \
    "(SELECT json_extract(body, '$.event') FROM ledger"                                            \
    " WHERE json_extract(body, '$.data.credential') = +c.id"                                       \
    " AND json_extract(body, '$.event') IN ('claim', 'proven', 'burned', 'revoked', 'lost')"       \
    " ORDER BY seq DESC LIMIT 1)"

#define LEAF "json_extract(" ENTRY("proven") ", '$.data.leaf')"

#define UNITS                                                                                      \
    "SELECT c.id, k.tx, c.serial, c.product, o.name, lower(hex(k.chip)), k.slot, k.fw_version,"    \
    " lower(hex(k.fw_hash)), k.fw_debug, c.cert, " NEWEST ", " ENTRY("claim") ", " ENTRY(          \
        "proven") ", (SELECT m.seq FROM manifests m WHERE m.published AND m.first <= " LEAF        \
                  " AND m.first + m.count > " LEAF ")"                                             \
                  " FROM claims k JOIN credentials c ON c.id = k.credential"                       \
                  " JOIN orders o ON o.id = c.order_id WHERE "

/* What each filter means: ?1 name, ?2 product, ?3 from, ?4 to. Each statement has all four, for all are bound. */
#define OF_SERIAL "c.serial = ?1 AND (?2 IS NULL OR c.product = ?2)"
#define OF_ORDER  "o.name = ?1 AND ?2 IS NULL"
#define OF_LOT                                                                                     \
    "?2 IS NULL AND lower(hex(k.tx)) IN (SELECT json_extract(CAST(line AS TEXT), '$.tx')"          \
    " FROM records WHERE json_extract(CAST(line AS TEXT), '$.udi.lot') = ?1)"
#define OF_TIME                                                                                    \
    "?1 IS NULL AND ?2 IS NULL AND k.tx IN"                                                        \
    " (SELECT tx FROM attempts WHERE at >= ?3 AND at < ?4 AND tx IS NOT NULL)"
#define BOUNDED  " AND ?3 <= ?4"
#define IN_ORDER " ORDER BY k.created, c.id"

static const char *const unit_queries[] = {
    [HISTORY_SERIAL] = UNITS OF_SERIAL BOUNDED IN_ORDER,
    [HISTORY_ORDER] = UNITS OF_ORDER BOUNDED IN_ORDER,
    [HISTORY_LOT] = UNITS OF_LOT BOUNDED IN_ORDER,
    [HISTORY_TIME] = UNITS OF_TIME IN_ORDER,
};

#define TRIES                                                                                      \
    "SELECT a.at, a.slot, a.serial, a.text, coalesce(lower(hex(a.chip)), ''), a.tx, a.code"        \
    " FROM attempts a WHERE "
#define OF_UNITS(which)                                                                            \
    "a.tx IN (SELECT k.tx FROM claims k JOIN credentials c ON c.id = k.credential"                 \
    " JOIN orders o ON o.id = c.order_id WHERE " which ")"
#define BY_TIME " ORDER BY a.id"

static const char *const try_queries[] = {
    [HISTORY_SERIAL] =
        TRIES "(" OF_UNITS(OF_SERIAL) " OR (a.tx IS NULL AND a.serial = ?1))" BOUNDED BY_TIME,
    [HISTORY_ORDER] = TRIES OF_UNITS(OF_ORDER) BOUNDED BY_TIME,
    [HISTORY_LOT] = TRIES OF_UNITS(OF_LOT) BOUNDED BY_TIME,
    [HISTORY_TIME] = TRIES "?1 IS NULL AND ?2 IS NULL AND a.at >= ?3 AND a.at < ?4" BY_TIME,
};

int history_hold(struct store *store, struct error *err)
{
    return sql_exec(&store->sql, "BEGIN", "read the database", err);
}

void history_release(struct store *store)
{
    struct error ignored = ERROR_INIT;

    (void)!sql_exec(&store->sql, "COMMIT", "end reading the database", &ignored);
}

/* Never NULL, but where the column may be. */
static const char *text_of(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);

    return text ? text : "";
}

static int read_unit(sqlite3_stmt *s, struct history_unit *u, struct error *err)
{
    *u = (struct history_unit){.credential = sqlite3_column_int64(s, 0),
                               .serial = text_of(s, 2),
                               .product = text_of(s, 3),
                               .order = text_of(s, 4),
                               .chip = text_of(s, 5),
                               .slot = text_of(s, 6),
                               .firmware = text_of(s, 7),
                               .image_hash = text_of(s, 8),
                               .debug = sqlite3_column_int64(s, 9) != 0,
                               .cert = sqlite3_column_blob(s, 10),
                               .cert_len = (size_t)sqlite3_column_bytes(s, 10),
                               .event = text_of(s, 11),
                               .claim = (const char *)sqlite3_column_text(s, 12),
                               .proven = (const char *)sqlite3_column_text(s, 13),
                               .manifest = sqlite3_column_int64(s, 14)};
    return sql_blob_exact(s, 1, u->tx, sizeof u->tx, err);
}

int history_units(struct store *store, const struct history_filter *filter,
                  int (*each)(void *context, const struct history_unit *unit, struct error *err),
                  void *context, struct error *err)
{
    struct history_unit unit;
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s, unit_queries[filter->kind], "ttii", filter->name,
                       filter->product, filter->from, filter->to);

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = read_unit(s, &unit, err);
        if (rc == 0)
            rc = each(context, &unit, err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

static int read_try(sqlite3_stmt *s, struct history_try *t, struct error *err)
{
    *t = (struct history_try){.at = sqlite3_column_int64(s, 0),
                              .slot = text_of(s, 1),
                              .serial = text_of(s, 2),
                              .text = text_of(s, 3),
                              .chip = text_of(s, 4),
                              .has_tx = sqlite3_column_bytes(s, 5) > 0,
                              .code = (int)sqlite3_column_int64(s, 6)};
    return t->has_tx ? sql_blob_exact(s, 5, t->tx, sizeof t->tx, err) : 0;
}

int history_tries(struct store *store, const struct history_filter *filter,
                  int (*each)(void *context, const struct history_try *tried, struct error *err),
                  void *context, struct error *err)
{
    struct history_try tried;
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s, try_queries[filter->kind], "ttii", filter->name,
                       filter->product, filter->from, filter->to);

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = read_try(s, &tried, err);
        if (rc == 0)
            rc = each(context, &tried, err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}
