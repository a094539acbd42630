#include "station/store/slots.h"

#include "station/store/sql.h"

#include <string.h>

#define COLUMNS "label, contacts, failures, disabled, recent, why"

static int read_row(sqlite3_stmt *s, struct slot_row *row, struct error *err)
{
    row->contacts = sqlite3_column_int64(s, 1);
    row->failures = sqlite3_column_int64(s, 2);
    row->disabled = sqlite3_column_int64(s, 3) != 0;
    if (sql_text(s, 0, row->label, sizeof row->label, err) ||
        sql_text(s, 4, row->recent, sizeof row->recent, err) ||
        sql_text(s, 5, row->why, sizeof row->why, err))
        return ERR_STORE;
    return 0;
}

int slot_row_read(struct store *store, const char *label, struct slot_row *row, struct error *err)
{
    sqlite3_stmt *s;
    int rc =
        sql_row(&store->sql, err, &s, "SELECT " COLUMNS " FROM slots WHERE label = ?", "t", label);

    memset(row, 0, sizeof *row);
    strncpy(row->label, label, sizeof row->label - 1);
    if (rc != 1)
        return rc;
    rc = read_row(s, row, err);
    sql_end(s);
    return rc;
}

int slot_row_write(struct store *store, const struct slot_row *row, struct error *err)
{
    return sql_run(&store->sql, err,
                   "INSERT OR REPLACE INTO slots(" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?)", "tiiitt",
                   row->label, row->contacts, row->failures, (int64_t)row->disabled, row->recent,
                   row->why);
}

int slot_row_each(struct store *store,
                  int (*each)(void *context, const struct slot_row *row, struct error *err),
                  void *context, struct error *err)
{
    struct slot_row row;
    sqlite3_stmt *s;
    int rc = sql_start(&store->sql, err, &s, "SELECT " COLUMNS " FROM slots ORDER BY label", "");

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
