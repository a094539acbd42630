#include "manifests/trust/db.h"

#include <stdarg.h>
#include <string.h>

static int code_of(int rc)
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
        return ERR_BUSY;
    case SQLITE_CONSTRAINT:
        return ERR_EXISTS;
    case SQLITE_NOTADB:
        return ERR_FORMAT;
    case SQLITE_NOMEM:
        return ERR_INTERNAL;
    default:
        return ERR_STORE;
    }
}

static const char *advice(int code)
{
    switch (code) {
    case ERR_FULL:
        return "free space and run the command again: the state is as it was before";
    case ERR_READONLY:
        return "check the owner and mode of the state file and its folder";
    case ERR_BUSY:
        return "another program is changing the state: try again when it is done";
    case ERR_FORMAT:
        return "this is not a state file";
    default:
        return "take the last good copy of the state, and accept what came after it again";
    }
}

int db_error(const struct trust *t, int rc, const char *doing, struct error *err)
{
    int code = code_of(rc);
    const char *why = t->db ? sqlite3_errmsg(t->db) : sqlite3_errstr(rc);

    return error_set_native(err, code, rc, "cannot %s: %s; %s", doing, why, advice(code));
}

int db_exec(struct trust *t, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(t->db, sql, NULL, NULL, NULL);

    return rc ? db_error(t, rc, "change the state", err) : 0;
}

static int find_statement(struct trust *t, const char *sql, sqlite3_stmt **statement,
                          struct error *err)
{
    sqlite3_stmt *made;
    int rc;

    for (size_t i = 0; i < t->cached; i++)
        if (t->cache[i].text == sql) {
            *statement = t->cache[i].prepared;
            return 0;
        }
    if (t->cached == sizeof t->cache / sizeof *t->cache)
        return error_set(err, ERR_INTERNAL, "too many kinds of statements");
    rc = sqlite3_prepare_v3(t->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL);
    if (rc)
        return db_error(t, rc, "read the state", err);
    t->cache[t->cached++] = (struct db_statement){sql, made};
    *statement = made;
    return 0;
}

static int bind(sqlite3_stmt *statement, const char *format, va_list args)
{
    int rc = SQLITE_OK;

    for (int i = 1; *format && rc == SQLITE_OK; format++, i++) {
        if (*format == 'i') {
            rc = sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
        } else if (*format == 't') {
            rc = sqlite3_bind_text(statement, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        } else {
            const void *bytes = va_arg(args, const void *);
            size_t len = va_arg(args, size_t);

            rc = sqlite3_bind_blob64(statement, i, bytes, len, SQLITE_TRANSIENT);
        }
    }
    return rc;
}

static int start(struct trust *t, struct error *err, sqlite3_stmt **statement, const char *sql,
                 const char *format, va_list args)
{
    int rc = find_statement(t, sql, statement, err);

    if (rc)
        return rc;
    sqlite3_reset(*statement);
    rc = bind(*statement, format, args);
    return rc ? db_error(t, rc, "read the state", err) : 0;
}

int db_next(struct trust *t, sqlite3_stmt *row, struct error *err)
{
    int rc = sqlite3_step(row);

    if (rc == SQLITE_ROW)
        return 1;
    rc = rc == SQLITE_DONE
             ? 0
             : db_error(t, rc, sqlite3_stmt_readonly(row) ? "read the state" : "change the state",
                        err);
    db_end(row);
    return rc;
}

void db_end(sqlite3_stmt *row)
{
    sqlite3_reset(row);
    sqlite3_clear_bindings(row);
}

int db_run(struct trust *t, struct error *err, const char *sql, const char *format, ...)
{
    sqlite3_stmt *statement;
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(t, err, &statement, sql, format, args);
    va_end(args);
    if (rc == 0 && (rc = db_next(t, statement, err)) == 1) {
        db_end(statement);
        rc = 0;
    }
    return rc;
}

int db_row(struct trust *t, struct error *err, sqlite3_stmt **row, const char *sql,
           const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(t, err, row, sql, format, args);
    va_end(args);
    return rc ? rc : db_next(t, *row, err);
}

int db_number(struct trust *t, struct error *err, int64_t *value, const char *sql,
              const char *format, ...)
{
    sqlite3_stmt *row;
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(t, err, &row, sql, format, args);
    va_end(args);
    if (rc || (rc = db_next(t, row, err)) <= 0)
        return rc;
    if (sqlite3_column_type(row, 0) != SQLITE_NULL)
        *value = sqlite3_column_int64(row, 0);
    db_end(row);
    return 0;
}

int db_blob(sqlite3_stmt *row, int column, void *out, size_t len, struct error *err)
{
    const void *bytes = sqlite3_column_blob(row, column);

    if (!bytes || (size_t)sqlite3_column_bytes(row, column) != len)
        return error_set(err, ERR_STORE, "column '%s' of the state has a wrong length",
                         sqlite3_column_name(row, column));
    memcpy(out, bytes, len);
    return 0;
}

int db_text(sqlite3_stmt *row, int column, char *out, size_t size, struct error *err)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    size_t len = (size_t)sqlite3_column_bytes(row, column);

    if (len >= size)
        return error_set(err, ERR_STORE, "column '%s' of the state is too long",
                         sqlite3_column_name(row, column));
    if (len)
        memcpy(out, text, len);
    out[len] = 0;
    return 0;
}

int db_begin(struct trust *t, struct error *err)
{
    return db_exec(t, "BEGIN IMMEDIATE", err);
}

int db_commit(struct trust *t, struct error *err)
{
    int rc = db_exec(t, "COMMIT", err);

    if (rc)
        db_rollback(t);
    return rc;
}

void db_rollback(struct trust *t)
{
    for (size_t i = 0; i < t->cached; i++)
        sqlite3_reset(t->cache[i].prepared);
    /* After some failures SQLite has rolled back already, and there is nothing to do. */
    if (!sqlite3_get_autocommit(t->db))
        (void)sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
}

void db_close(struct trust *t)
{
    for (size_t i = 0; i < t->cached; i++)
        sqlite3_finalize(t->cache[i].prepared);
    t->cached = 0;
    sqlite3_close(t->db);
    t->db = NULL;
}
