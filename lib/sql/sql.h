/*
 * sql: how the station's database and the importer's state speak SQLite.
 *
 * Statements are string literals; each is prepared once and kept. Arguments follow a format of one
 * letter each: i int64_t, t text (NULL is NULL), b bytes and their size_t length (none are a blob of
 * length 0), o bytes that may be absent (NULL is NULL) and their size_t length.
 */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include "base/buf.h"

#include <sqlite3.h>

#define SQL_STATEMENTS 128

/* What messages call a file, and what they advise. */
struct sql_terms {
    const char *file; /* "database": "cannot read the database: ..." */
    const char *full;
    const char *readonly;
    const char *busy;
    const char *foreign; /* not of SQLite */
    const char *damaged; /* and anything else */
    int foreign_code;
    int constraint_code; /* of a change that a constraint refuses */
};

struct sql {
    sqlite3 *db; /* NULL: not open */
    /* An I/O error, or a lock that was not given: SQLite drops what it knew, which looks as if somebody
     * else had written. */
    bool failed;
    const struct sql_terms *terms;
    struct {
        const char *text;
        sqlite3_stmt *prepared;
    } cache[SQL_STATEMENTS];
    size_t cached;
};

/* Fills err from SQLite's code and message; returns ERR_FULL, ERR_READONLY, ERR_BUSY, ERR_INTERNAL (no
 * memory), a code of the terms, or ERR_STORE. */
int sql_error(struct sql *sql, int rc, const char *doing, struct error *err);

/* Runs statements without arguments. doing, for messages: "start a change of the database". */
MUST_USE int sql_exec(struct sql *sql, const char *text, const char *doing, struct error *err);

/* Runs one statement and leaves the rows it may have. */
MUST_USE int sql_run(struct sql *sql, struct error *err, const char *text, const char *format, ...);

/*
 * Starts a statement that returns rows. Step it with sql_next; the last sql_next resets it, and
 * sql_end does so earlier. One use of a statement at a time.
 */
MUST_USE int sql_start(struct sql *sql, struct error *err, sqlite3_stmt **row, const char *text,
                       const char *format, ...);

/* 1 with a row, 0 after the last one, negative on error. */
MUST_USE int sql_next(struct sql *sql, sqlite3_stmt *row, struct error *err);
void sql_end(sqlite3_stmt *row);

/* sql_start, and sql_next for the first row. */
MUST_USE int sql_row(struct sql *sql, struct error *err, sqlite3_stmt **row, const char *text,
                     const char *format, ...);

/* One row with one integer; *value keeps its default when there is no row or a NULL. */
MUST_USE int sql_integer(struct sql *sql, struct error *err, int64_t *value, const char *text,
                         const char *format, ...);

/* Columns: a blob of exactly len bytes, one of any length, a text that fits with its NUL. Errors:
 * ERR_STORE: the file was damaged. */
MUST_USE int sql_blob_exact(sqlite3_stmt *row, int column, void *out, size_t len,
                            struct error *err);
MUST_USE int sql_blob(sqlite3_stmt *row, int column, struct buf *out, struct error *err);
MUST_USE int sql_text(sqlite3_stmt *row, int column, char *out, size_t size, struct error *err);

/* Ends every use of a statement. */
void sql_reset(struct sql *sql);

/* Of one that is not open too. */
void sql_close(struct sql *sql);

#endif
