/*
 * db: how the state file speaks SQLite. Private to manifests/trust.
 *
 * Statements are string literals; each is prepared once and kept. Arguments follow a format of one
 * letter each: i int64_t, t text (NULL is NULL), b bytes and their size_t length (NULL bytes are
 * NULL).
 */
#ifndef MANIFESTS_TRUST_DB_H
#define MANIFESTS_TRUST_DB_H

#include "base/buf.h"

#include <sqlite3.h>

struct db_statement {
    const char *text;
    sqlite3_stmt *prepared;
};

struct trust {
    sqlite3 *db;
    struct db_statement cache[64];
    size_t cached;
    bool writable;
};

/* Fills err from SQLite's code and message; returns ERR_FULL, ERR_READONLY, ERR_BUSY, ERR_EXISTS (a
 * constraint) or ERR_STORE. */
int db_error(const struct trust *t, int rc, const char *doing, struct error *err);

/* Runs statements without arguments, and one statement that returns no row. */
MUST_USE int db_exec(struct trust *t, const char *sql, struct error *err);
MUST_USE int db_run(struct trust *t, struct error *err, const char *sql, const char *format, ...);

/*
 * Starts a statement and takes its first row: 1 with a row, 0 without one, negative on error.
 * Further rows with db_next; after the last one, or db_end, the statement can be used again.
 */
MUST_USE int db_row(struct trust *t, struct error *err, sqlite3_stmt **row, const char *sql,
                    const char *format, ...);
MUST_USE int db_next(struct trust *t, sqlite3_stmt *row, struct error *err);
void db_end(sqlite3_stmt *row);

/* One number; *value keeps its default when there is no row or a NULL. */
MUST_USE int db_number(struct trust *t, struct error *err, int64_t *value, const char *sql,
                       const char *format, ...);

/* A blob of exactly len bytes, and a text that fits, with a NUL. Errors: ERR_STORE: the file was
 * damaged. */
MUST_USE int db_blob(sqlite3_stmt *row, int column, void *out, size_t len, struct error *err);
MUST_USE int db_text(sqlite3_stmt *row, int column, char *out, size_t size, struct error *err);

MUST_USE int db_begin(struct trust *t, struct error *err);
MUST_USE int db_commit(struct trust *t, struct error *err); /* rolls back when it fails */
void db_rollback(struct trust *t);

void db_close(struct trust *t);

#endif
