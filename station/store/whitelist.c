#include "station/store/whitelist.h"

#include "pki/digest.h"
#include "station/store/sql.h"

#include <inttypes.h>
#include <string.h>

#define LINE_MAX_BYTES 65536
#define ROW_LABEL      "imprint record v1"

int whitelist_size(struct store *store, int64_t *size, struct error *err)
{
    int64_t n = 0;
    int rc = sql_integer(&store->sql, err, &n, "SELECT max(idx) + 1 FROM records", "");

    if (rc == 0)
        *size = n;
    return rc;
}

static int row_mac(struct store *store, int64_t index, const void *line, size_t line_len,
                   const void *evidence, size_t evidence_len, uint8_t mac[32], struct error *err)
{
    uint8_t row[sizeof ROW_LABEL + 8 + 32 + 32], *p = row + sizeof ROW_LABEL;

    memcpy(row, ROW_LABEL, sizeof ROW_LABEL);
    for (int shift = 56; shift >= 0; shift -= 8)
        *p++ = (uint8_t)((uint64_t)index >> shift);
    sha256(line, line_len, p);
    sha256(evidence, evidence_len, p + 32);
    return store_mac(store, row, sizeof row, mac, err);
}

int whitelist_add(struct store *store, const struct buf *line, const struct buf *evidence,
                  struct error *err)
{
    uint8_t mac[32];
    int64_t index;
    int rc = buf_check(line, "a record", err);

    if (rc == 0)
        rc = buf_check(evidence, "an evidence line", err);
    if (rc == 0)
        rc = whitelist_size(store, &index, err);
    if (rc == 0)
        rc = row_mac(store, index, line->data, line->len, evidence->data, evidence->len, mac, err);
    if (rc)
        return rc;
    return sql_run(&store->sql, err,
                   "INSERT INTO records(idx, line, evidence, mac) VALUES (?, ?, ?, ?)", "ibbb",
                   index, line->data, line->len, evidence->data, evidence->len, mac, sizeof mac);
}

static int refuse_changed(int64_t index, const char *how, struct error *err)
{
    return error_set(err, ERR_INTEGRITY,
                     "record %" PRId64 " of the whitelist %s; keep the database as it is and call "
                     "the security team",
                     index, how);
}

/* The row at hand is the record of this index, as it was written. */
static int verify_row(struct store *store, sqlite3_stmt *s, int64_t index, struct error *err)
{
    uint8_t mac[32], stored[32];
    int rc = 0;

    if (sqlite3_column_int64(s, 0) != index)
        return refuse_changed(index, "is missing from the database", err);
    rc = sql_blob_exact(s, 3, stored, sizeof stored, err);
    if (rc == 0)
        rc = row_mac(store, index, sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1),
                     sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2), mac, err);
    if (rc == 0 && !sha256_equal(mac, stored))
        rc = refuse_changed(index, "was changed: its MAC does not match", err);
    return rc;
}

int whitelist_each(struct store *store, int64_t first, int64_t count,
                   int (*each)(void *context, const void *line, size_t line_len,
                               const void *evidence, size_t evidence_len, struct error *err),
                   void *context, struct error *err)
{
    sqlite3_stmt *s;
    int64_t index = first;
    int rc = sql_start(&store->sql, err, &s,
                       "SELECT idx, line, evidence, mac FROM records WHERE idx >= ? AND idx < ?"
                       " ORDER BY idx",
                       "ii", first, first + count);

    if (rc)
        return rc;
    while ((rc = sql_next(&store->sql, s, err)) == 1) {
        rc = verify_row(store, s, index++, err);
        if (rc == 0)
            rc = each(context, sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1),
                      sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2), err);
        if (rc < 0) {
            sql_end(s);
            return rc;
        }
    }
    if (rc == 0 && index != first + count)
        rc = refuse_changed(index, "is missing from the database", err);
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
    int rc = sql_next(&store->sql, q, err);

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
    int rc = sql_start(&store->sql, err, &q,
                       "SELECT " COLUMNS " FROM manifests ORDER BY seq DESC LIMIT 1", "");

    return rc ? rc : read_row(store, q, s, found, err);
}

int sealing_get(struct store *store, int64_t seq, struct sealing *s, bool *found, struct error *err)
{
    sqlite3_stmt *q;
    int rc = sql_start(&store->sql, err, &q, "SELECT " COLUMNS " FROM manifests WHERE seq = ?", "i",
                       seq);

    return rc ? rc : read_row(store, q, s, found, err);
}

int sealing_add(struct store *store, const struct sealing *s, struct error *err)
{
    return sql_run(&store->sql, err,
                   "INSERT INTO manifests(seq, first, count, created, totals, published)"
                   " VALUES (?, ?, ?, ?, ?, 0)",
                   "iiiib", s->seq, s->first, s->count, s->created, s->totals.data, s->totals.len);
}

int sealing_update(struct store *store, const struct sealing *s, struct error *err)
{
    return sql_run(&store->sql, err,
                   "UPDATE manifests SET root = ?, checkpoint = ?, statement = ?, published = ?"
                   " WHERE seq = ?",
                   "bbbii", s->root.data, s->root.len, s->checkpoint.data, s->checkpoint.len,
                   s->statement.data, s->statement.len, (int64_t)s->published, s->seq);
}
