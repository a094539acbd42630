#include "station/store/orders.h"

#include "station/store/sql.h"

#include <inttypes.h>

#define COLUMNS "id, hash, name, product, state"

static int read_row(sqlite3_stmt *s, struct order_row *row, struct error *err)
{
    row->id = sqlite3_column_int64(s, 0);
    row->state = sqlite3_column_int(s, 4);
    if (sql_blob_exact(s, 1, row->hash, sizeof row->hash, err) ||
        sql_text(s, 2, row->name, sizeof row->name, err) ||
        sql_text(s, 3, row->product, sizeof row->product, err))
        return ERR_STORE;
    return 0;
}

int order_find(struct store *store, const char *name, struct order_row *row, bool *found,
               struct error *err)
{
    sqlite3_stmt *s;
    int rc =
        sql_row(&store->sql, err, &s, "SELECT " COLUMNS " FROM orders WHERE name = ?", "t", name);

    if (rc < 0)
        return rc;
    *found = rc == 1;
    if (rc == 0)
        return 0;
    rc = read_row(s, row, err);
    sql_end(s);
    return rc;
}

int order_get(struct store *store, int64_t id, struct order_row *row, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, "SELECT " COLUMNS " FROM orders WHERE id = ?", "i", id);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ERR_STORE, "the database lacks order %" PRId64, id);
    rc = read_row(s, row, err);
    sql_end(s);
    return rc;
}

int order_hash(struct store *store, int64_t id, uint8_t hash[32], struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, "SELECT hash FROM orders WHERE id = ?", "i", id);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ERR_STORE, "the database lacks order %" PRId64, id);
    rc = sql_blob_exact(s, 0, hash, 32, err);
    sql_end(s);
    return rc;
}

int order_add(struct store *store, struct order_row *row, struct error *err)
{
    bool found;
    int rc = sql_run(&store->sql, err, "INSERT INTO orders(hash, name, product) VALUES (?, ?, ?)",
                     "btt", row->hash, sizeof row->hash, row->name, row->product);

    return rc ? rc : order_find(store, row->name, row, &found, err);
}

int order_set_state(struct store *store, int64_t id, enum order_state state, struct error *err)
{
    return sql_run(&store->sql, err, "UPDATE orders SET state = ? WHERE id = ?", "ii",
                   (int64_t)state, id);
}

int order_close(struct store *store, int64_t id, const struct buf *statement, struct error *err)
{
    return sql_run(&store->sql, err, "UPDATE orders SET state = ?, statement = ? WHERE id = ?",
                   "ibi", (int64_t)ORDER_CLOSED, statement->data, statement->len, id);
}

int order_statement(struct store *store, int64_t id, struct buf *statement, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_row(&store->sql, err, &s, "SELECT statement FROM orders WHERE id = ?", "i", id);

    if (rc <= 0)
        return rc;
    rc = sql_blob(s, 0, statement, err);
    sql_end(s);
    return rc;
}

int order_add_version(struct store *store, int64_t id, const uint8_t hash[32],
                      const struct buf *bytes, struct error *err)
{
    int rc = sql_run(&store->sql, err,
                     "INSERT INTO order_versions(hash, order_id, number, signed)"
                     " SELECT ?, ?, 1 + count(*), ? FROM order_versions WHERE order_id = ?",
                     "bibi", hash, (size_t)32, id, bytes->data, bytes->len, id);

    if (rc == ERR_STORE && err && (err->native & 0xff) == SQLITE_CONSTRAINT)
        rc = error_set(err, ERR_DUPLICATE, "this version is a part of another order already");
    return rc;
}

int order_each(struct store *store,
               int (*each)(void *context, const struct order_row *row, struct error *err),
               void *context, struct error *err)
{
    struct order_row row;
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s, "SELECT " COLUMNS " FROM orders ORDER BY id", "");

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = read_row(s, &row, err);
        if (rc == 0)
            rc = each(context, &row, err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

int order_each_version(struct store *store, int64_t id,
                       int (*each)(void *context, const uint8_t hash[32], const struct buf *bytes,
                                   struct error *err),
                       void *context, struct error *err)
{
    struct buf bytes;
    uint8_t hash[32];
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s,
                       "SELECT hash, signed FROM order_versions WHERE order_id = ? ORDER BY number",
                       "i", id);

    if (rc)
        return rc;
    buf_init(&bytes, ORDERS_SIGNED_MAX);
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        buf_reset(&bytes);
        rc = sql_blob_exact(s, 0, hash, sizeof hash, err);
        if (rc == 0)
            rc = sql_blob(s, 1, &bytes, err);
        if (rc == 0)
            rc = each(context, hash, &bytes, err);
        if (rc < 0) {
            sql_end(s);
            break;
        }
    }
    buf_done(&bytes);
    return rc;
}
