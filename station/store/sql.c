#include "station/store/sql.h"

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
    default:
        return ERR_STORE;
    }
}

static const char *advice(int code)
{
    switch (code) {
    case ERR_FULL:
        return "free space on the disk and run the command again: nothing was lost";
    case ERR_READONLY:
        return "the database cannot be written: check the owner and mode of the station's "
               "directory";
    case ERR_BUSY:
        return "another program uses the database";
    default:
        return "check the disk, keep the directory as it is and call the security team";
    }
}

int sql_error(struct store *store, int rc, const char *doing, struct error *err)
{
    int code = code_of(rc);
    const char *why = store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc);

    return error_set_native(err, code, rc, "cannot %s: %s; %s", doing, why, advice(code));
}

static int find_statement(struct store *store, const char *text, sqlite3_stmt **statement,
                          struct error *err)
{
    sqlite3_stmt *made;
    int rc;

    for (size_t i = 0; i < store->cached; i++)
        if (store->cache[i].text == text) {
            *statement = store->cache[i].prepared;
            return 0;
        }
    if (store->cached == sizeof store->cache / sizeof *store->cache)
        return error_set(err, ERR_INTERNAL, "too many kinds of statements");
    rc = sqlite3_prepare_v3(store->db, text, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL);
    if (rc)
        return sql_error(store, rc, "prepare a statement", err);
    store->cache[store->cached++] = (struct sql_statement){text, made};
    *statement = made;
    return 0;
}

/* copy: SQLITE_STATIC when the arguments outlive the use of the statement, else SQLITE_TRANSIENT. */
static int bind(sqlite3_stmt *statement, sqlite3_destructor_type copy, const char *format,
                va_list args)
{
    int rc = SQLITE_OK;

    for (int i = 1; *format && rc == SQLITE_OK; format++, i++) {
        if (*format == 'i') {
            rc = sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
        } else if (*format == 't') {
            rc = sqlite3_bind_text(statement, i, va_arg(args, const char *), -1, copy);
        } else {
            const void *bytes = va_arg(args, const void *);
            size_t len = va_arg(args, size_t);

            rc = sqlite3_bind_blob64(statement, i, len ? bytes : "", len, copy);
        }
    }
    return rc;
}

static int start(struct store *store, struct error *err, sqlite3_stmt **statement, const char *text,
                 sqlite3_destructor_type copy, const char *format, va_list args)
{
    int rc = find_statement(store, text, statement, err);

    if (rc)
        return rc;
    sqlite3_reset(*statement);
    rc = bind(*statement, copy, format, args);
    return rc ? sql_error(store, rc, "bind a statement", err) : 0;
}

int sql_run(struct store *store, struct error *err, const char *text, const char *format, ...)
{
    sqlite3_stmt *statement;
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(store, err, &statement, text, SQLITE_STATIC, format, args);
    va_end(args);
    if (rc)
        return rc;
    rc = sqlite3_step(statement);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
        int code = sql_error(store, rc, "write the database", err);

        sql_end(statement);
        return code;
    }
    sql_end(statement);
    return 0;
}

int sql_start(struct store *store, struct error *err, sqlite3_stmt **statement, const char *text,
              const char *format, ...)
{
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(store, err, statement, text, SQLITE_TRANSIENT, format, args);
    va_end(args);
    return rc;
}

int sql_next(struct store *store, sqlite3_stmt *statement, struct error *err)
{
    int rc = sqlite3_step(statement);

    if (rc == SQLITE_ROW)
        return 1;
    if (rc != SQLITE_DONE)
        rc = sql_error(store, rc, "read the database", err);
    else
        rc = 0;
    sql_end(statement);
    return rc;
}

void sql_end(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

int sql_integer(struct store *store, struct error *err, int64_t *value, const char *text,
                const char *format, ...)
{
    sqlite3_stmt *statement;
    va_list args;
    int rc;

    va_start(args, format);
    rc = start(store, err, &statement, text, SQLITE_STATIC, format, args);
    va_end(args);
    if (rc)
        return rc;
    rc = sql_next(store, statement, err);
    if (rc < 0)
        return rc;
    if (rc == 1 && sqlite3_column_type(statement, 0) != SQLITE_NULL)
        *value = sqlite3_column_int64(statement, 0);
    sql_end(statement);
    return 0;
}

int sql_blob_exact(sqlite3_stmt *statement, int column, void *out, size_t len, struct error *err)
{
    const void *bytes = sqlite3_column_blob(statement, column);

    if ((size_t)sqlite3_column_bytes(statement, column) != len)
        return error_set(err, ERR_STORE, "column '%s' of the database has a wrong length",
                         sqlite3_column_name(statement, column));
    if (len)
        memcpy(out, bytes, len);
    return 0;
}

int sql_key(sqlite3_stmt *statement, int column, struct public_key *out, struct error *err)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    int len = sqlite3_column_bytes(statement, column);

    if (len <= 0 || key_from_stored(bytes, (size_t)len, out, NULL))
        return error_set(err, ERR_STORE, "column '%s' of the database holds no public key",
                         sqlite3_column_name(statement, column));
    return 0;
}

int sql_blob(sqlite3_stmt *statement, int column, struct buf *out, struct error *err)
{
    const void *bytes = sqlite3_column_blob(statement, column);

    buf_reset(out);
    buf_put(out, bytes, (size_t)sqlite3_column_bytes(statement, column));
    return buf_check(out, "a value of the database", err);
}

int sql_text(sqlite3_stmt *statement, int column, char *out, size_t size, struct error *err)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    size_t len = (size_t)sqlite3_column_bytes(statement, column);

    if (len >= size)
        return error_set(err, ERR_STORE, "column '%s' of the database is too long",
                         sqlite3_column_name(statement, column));
    if (len)
        memcpy(out, text, len);
    out[len] = 0;
    return 0;
}
