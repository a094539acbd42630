#include "station/store/whitelist.h"

#include "station/store/sql.h"

#include <string.h>

#define LINE_MAX_BYTES 65536

int whitelist_size(struct store *store, int64_t *size, struct error *err)
{
    int64_t n = 0;
    int rc = sql_integer(store, err, &n, "SELECT max(idx) + 1 FROM records", "");

    if (rc == 0)
        *size = n;
    return rc;
}

int whitelist_add(struct store *store, const struct buf *line, const struct buf *evidence,
                  struct error *err)
{
    int64_t index;
    int rc = buf_check(line, "a record", err);

    if (rc == 0)
        rc = buf_check(evidence, "an evidence line", err);
    if (rc == 0)
        rc = whitelist_size(store, &index, err);
    if (rc)
        return rc;
    return sql_run(store, err, "INSERT INTO records(idx, line, evidence) VALUES (?, ?, ?)", "ibb",
                   index, line->data, line->len, evidence->data, evidence->len);
}

int whitelist_each(struct store *store, int64_t first, int64_t count,
                   int (*each)(void *context, const void *line, size_t line_len,
                               const void *evidence, size_t evidence_len, struct error *err),
                   void *context, struct error *err)
{
    sqlite3_stmt *s;
    int rc = sql_start(store, err, &s,
                       "SELECT line, evidence FROM records WHERE idx >= ? AND idx < ? ORDER BY idx",
                       "ii", first, first + count);

    if (rc)
        return rc;
    while ((rc = sql_next(store, s, err)) == 1) {
        rc = each(context, sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0),
                  sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1), err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    return rc;
}

void sealing_init(struct sealing *s)
{
    memset(s, 0, sizeof *s);
    buf_init(&s->totals, 1024 * 1024);
    buf_init(&s->root, 32);
    buf_init(&s->checkpoint, LINE_MAX_BYTES);
    buf_init(&s->statement, 16 * 1024 * 1024);
}

void sealing_done(struct sealing *s)
{
    buf_done(&s->totals);
    buf_done(&s->root);
    buf_done(&s->checkpoint);
    buf_done(&s->statement);
}

static int read_row(struct store *store, sqlite3_stmt *q, struct sealing *s, bool *found,
                    struct error *err)
{
    int rc = sql_next(store, q, err);

    if (rc < 0)
        return rc;
    *found = rc == 1;
    if (rc == 0)
        return 0;
    s->seq = sqlite3_column_int64(q, 0);
    s->first = sqlite3_column_int64(q, 1);
    s->count = sqlite3_column_int64(q, 2);
    s->created = sqlite3_column_int64(q, 3);
    s->published = sqlite3_column_int(q, 8) != 0;
    rc = sql_blob(q, 4, &s->totals, err);
    if (rc == 0)
        rc = sql_blob(q, 5, &s->root, err);
    if (rc == 0)
        rc = sql_blob(q, 6, &s->checkpoint, err);
    if (rc == 0)
        rc = sql_blob(q, 7, &s->statement, err);
    sql_end(q);
    return rc;
}

#define COLUMNS "seq, first, count, created, totals, root, checkpoint, statement, published"

int sealing_last(struct store *store, struct sealing *s, bool *found, struct error *err)
{
    sqlite3_stmt *q;
    int rc = sql_start(store, err, &q,
                       "SELECT " COLUMNS " FROM manifests ORDER BY seq DESC LIMIT 1", "");

    return rc ? rc : read_row(store, q, s, found, err);
}

int sealing_get(struct store *store, int64_t seq, struct sealing *s, bool *found, struct error *err)
{
    sqlite3_stmt *q;
    int rc = sql_start(store, err, &q, "SELECT " COLUMNS " FROM manifests WHERE seq = ?", "i", seq);

    return rc ? rc : read_row(store, q, s, found, err);
}

int sealing_add(struct store *store, const struct sealing *s, struct error *err)
{
    return sql_run(store, err,
                   "INSERT INTO manifests(seq, first, count, created, totals, published)"
                   " VALUES (?, ?, ?, ?, ?, 0)",
                   "iiiib", s->seq, s->first, s->count, s->created, s->totals.data, s->totals.len);
}

int sealing_update(struct store *store, const struct sealing *s, struct error *err)
{
    return sql_run(store, err,
                   "UPDATE manifests SET root = ?, checkpoint = ?, statement = ?, published = ?"
                   " WHERE seq = ?",
                   "bbbii", s->root.data, s->root.len, s->checkpoint.data, s->checkpoint.len,
                   s->statement.data, s->statement.len, (int64_t)s->published, s->seq);
}
