#include "station/store/outbox.h"

#include "base/clock.h"
#include "station/store/sql.h"

#include <string.h>

int outbox_add(struct store *store, const struct buf *body, struct error *err)
{
    int rc = buf_check(body, "an event", err);

    return rc ? rc
              : sql_run(&store->sql, err, "INSERT INTO outbox(at, body) VALUES (?, ?)", "ib",
                        clock_utc(), body->data, body->len);
}

int outbox_first(struct store *store, int64_t *number, struct buf *body, struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&store->sql, err, &row, "SELECT id, body FROM outbox ORDER BY id LIMIT 1", "");

    *number = 0;
    buf_reset(body);
    if (rc <= 0)
        return rc;
    *number = sqlite3_column_int64(row, 0);
    rc = sql_blob(row, 1, body, err);
    sql_end(row);
    return rc;
}

/* The log of deliveries has one row: a success ends the failures before it. */
static int settle(struct store *store, int rc, struct error *err)
{
    if (rc == 0)
        rc = store_commit(store, err);
    if (rc)
        store_rollback(store);
    return rc;
}

int outbox_taken(struct store *store, int64_t number, struct error *err)
{
    int rc = store_begin(store, err);

    if (rc)
        return rc;
    rc = sql_run(&store->sql, err, "DELETE FROM outbox WHERE id = ?", "i", number);
    if (rc == 0)
        rc = sql_run(&store->sql, err, "DELETE FROM outbox_failures", "");
    return settle(store, rc, err);
}

int outbox_refused(struct store *store, const char *text, struct error *err)
{
    int rc = store_begin(store, err);

    if (rc)
        return rc;
    rc = sql_run(&store->sql, err,
                 "INSERT INTO outbox_failures(id, count, at, text) VALUES (1, 1, ?, ?)"
                 " ON CONFLICT(id) DO UPDATE SET count = count + 1, at = excluded.at,"
                 " text = excluded.text",
                 "it", clock_utc(), text);
    return settle(store, rc, err);
}

static int read_failures(struct store *store, struct outbox_state *state, struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&store->sql, err, &row,
                     "SELECT count, at, text FROM outbox_failures WHERE id = 1", "");

    if (rc <= 0)
        return rc;
    state->failures = sqlite3_column_int64(row, 0);
    state->failed = sqlite3_column_int64(row, 1);
    rc = sql_text(row, 2, state->error, sizeof state->error, err);
    sql_end(row);
    return rc;
}

int outbox_state(struct store *store, struct outbox_state *state, struct error *err)
{
    struct outbox_state got;
    int rc;

    memset(&got, 0, sizeof got);
    rc = sql_integer(&store->sql, err, &got.depth, "SELECT count(*) FROM outbox", "");
    if (rc == 0)
        rc = sql_integer(&store->sql, err, &got.oldest, "SELECT at FROM outbox ORDER BY id LIMIT 1",
                         "");
    if (rc == 0)
        rc = read_failures(store, &got, err);
    if (rc == 0)
        *state = got;
    return rc;
}
