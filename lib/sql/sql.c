#include "sql/sql.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int code_of(const struct sql *sql, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return ERR_READONLY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: /* a lock that was not given a hundred times */
        return ERR_BUSY;
    case SQLITE_CONSTRAINT:
        return sql->terms->constraint_code;
    case SQLITE_NOTADB:
        return sql->terms->foreign_code;
    case SQLITE_NOMEM:
        return ERR_INTERNAL;
    default:
        return ERR_STORE;
    }
}

static const char *advice(const struct sql *sql, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return sql->terms->full;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return sql->terms->readonly;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return sql->terms->busy;
    case SQLITE_NOTADB:
        return sql->terms->foreign;
    default:
        return sql->terms->damaged;
    }
}

int sql_error(struct sql *sql, int rc, const char *doing, struct error *err)
{
    const char *why = sql->db ? sqlite3_errmsg(sql->db) : sqlite3_errstr(rc);

    if ((rc & 0xff) == SQLITE_IOERR || rc == SQLITE_PROTOCOL)
        sql->failed = true;
    return error_set_native(err, code_of(sql, rc), rc, "cannot %s: %s; %s", doing, why,
                            advice(sql, rc));
}

int sql_exec(struct sql *sql, const char *text, const char *doing, struct error *err)
{
    int rc = sqlite3_exec(sql->db, text, NULL, NULL, NULL);

    return rc ? sql_error(sql, rc, doing, err) : 0;
}

static int file_error(struct sql *sql, int rc, const char *verb, struct error *err)
{
    char doing[64];

    snprintf(doing, sizeof doing, "%s the %s", verb, sql->terms->file);
    return sql_error(sql, rc, doing, err);
}

static int find_statement(struct sql *sql, const char *text, sqlite3_stmt **row, struct error *err)
{
    sqlite3_stmt *made;
    int rc;

    for (size_t i = 0; i < sql->cached; i++)
        if (sql->cache[i].text == text) {
            *row = sql->cache[i].prepared;
            return 0;
        }
    if (sql->cached == SQL_STATEMENTS)
        return error_set(err, ERR_INTERNAL, "too many kinds of statements");
    rc = sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL);
    if (rc)
        return file_error(sql, rc, "read", err);
    sql->cache[sql->cached].text = text;
    sql->cache[sql->cached++].prepared = made;
    *row = made;
    return 0;
}

/* copy: SQLITE_STATIC when the arguments outlive the use of the statement, else SQLITE_TRANSIENT. */
static int bind(sqlite3_stmt *row, sqlite3_destructor_type copy, const char *format, va_list args)
{
    int rc = SQLITE_OK;

    for (int i = 1; *format && rc == SQLITE_OK; format++, i++) {
        if (*format == 'i') {
            rc = sqlite3_bind_int64(row, i, va_arg(args, int64_t));
        } else if (*format == 't') {
            rc = sqlite3_bind_text(row, i, va_arg(args, const char *), -1, copy);
        } else {
            const void *bytes = va_arg(args, const void *);
            size_t len = va_arg(args, size_t);

            if (*format == 'b' && len == 0)
                bytes = "";
            rc = sqlite3_bind_blob64(row, i, bytes, len, copy);
        }
    }
    return rc;
}

static int start(struct sql *sql, struct error *err, sqlite3_stmt **row, const char *text,
                 sqlite3_destructor_type copy, const char *format, va_list args)
{
    int rc = find_statement(sql, text, row, err);

    if (rc)
        return rc;
    sqlite3_reset(*row);
    rc = bind(*row, copy, format, args);
    return rc ? file_error(sql, rc, "read", err) : 0;
}

int sql_run(struct sql *sql, struct error *err, const char *text, const char *format, ...)
{
    sqlite3_stmt *row;
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(sql, err, &row, text, SQLITE_STATIC, format, args);
    va_end(args);
    if (rc)
        return rc;
    rc = sql_next(sql, row, err);
    sql_end(row);
    return rc < 0 ? rc : 0;
}

int sql_start(struct sql *sql, struct error *err, sqlite3_stmt **row, const char *text,
              const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(sql, err, row, text, SQLITE_TRANSIENT, format, args);
    va_end(args);
    return rc;
}

int sql_row(struct sql *sql, struct error *err, sqlite3_stmt **row, const char *text,
            const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(sql, err, row, text, SQLITE_TRANSIENT, format, args);
    va_end(args);
    return rc ? rc : sql_next(sql, *row, err);
}

int sql_next(struct sql *sql, sqlite3_stmt *row, struct error *err)
{
    int rc = sqlite3_step(row);

    if (rc == SQLITE_ROW)
        return 1;
    rc = rc == SQLITE_DONE
             ? 0
             : file_error(sql, rc, sqlite3_stmt_readonly(row) ? "read" : "write", err);
    sql_end(row);
    return rc;
}

void sql_end(sqlite3_stmt *row)
{
    sqlite3_reset(row);
    sqlite3_clear_bindings(row);
}

int sql_integer(struct sql *sql, struct error *err, int64_t *value, const char *text,
                const char *format, ...)
{
    sqlite3_stmt *row;
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(sql, err, &row, text, SQLITE_STATIC, format, args);
    va_end(args);
    if (rc || (rc = sql_next(sql, row, err)) <= 0)
        return rc;
    if (sqlite3_column_type(row, 0) != SQLITE_NULL)
        *value = sqlite3_column_int64(row, 0);
    sql_end(row);
    return 0;
}

int sql_blob_exact(sqlite3_stmt *row, int column, void *out, size_t len, struct error *err)
{
    const void *bytes = sqlite3_column_blob(row, column);

    if ((size_t)sqlite3_column_bytes(row, column) != len)
        return error_set(err, ERR_STORE, "column '%s' of the database has a wrong length",
                         sqlite3_column_name(row, column));
    if (len)
        memcpy(out, bytes, len);
    return 0;
}

int sql_blob(sqlite3_stmt *row, int column, struct buf *out, struct error *err)
{
    const void *bytes = sqlite3_column_blob(row, column);

    buf_reset(out);
    buf_put(out, bytes, (size_t)sqlite3_column_bytes(row, column));
    return buf_check(out, "a value of the database", err);
}

int sql_text(sqlite3_stmt *row, int column, char *out, size_t size, struct error *err)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    size_t len = (size_t)sqlite3_column_bytes(row, column);

    if (len >= size)
        return error_set(err, ERR_STORE, "column '%s' of the database is too long",
                         sqlite3_column_name(row, column));
    if (len)
        memcpy(out, text, len);
    out[len] = 0;
    return 0;
}

void sql_reset(struct sql *sql)
{
    for (size_t i = 0; i < sql->cached; i++)
        sqlite3_reset(sql->cache[i].prepared);
}

void sql_close(struct sql *sql)
{
    for (size_t i = 0; i < sql->cached; i++)
        sqlite3_finalize(sql->cache[i].prepared);
    sql->cached = 0;
    sqlite3_close(sql->db);
    sql->db = NULL;
}
