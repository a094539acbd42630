/*
 * sql: how the store's own files speak SQLite. Private to station/store.
 *
 * Statements are string literals; each is prepared once and kept. Arguments follow a format of one
 * letter each: i int64_t, t text (NULL is NULL), b bytes and their size_t length.
 */
#ifndef STATION_STORE_SQL_H
#define STATION_STORE_SQL_H

#include "base/buf.h"
#include "pki/key.h"
#include "station/store/store.h"

#include <sqlite3.h>

/* Entries that decide for all that comes after them: one text, so that the index on them is used. */
#define LEDGER_IS_MARK                                                                             \
    " json_extract(body, '$.event') IN ('clock_confirmed', 'clock_stopped', 'restored',"           \
    " 'rotated')"

/* Entries of one order, by the bytes of its hash that are indexed. */
#define LEDGER_OF_ORDER   " WHERE substr(json_extract(body, '$.data.order'), 1, 16) = ?"
#define LEDGER_ORDER_PART 8

struct sql_statement {
    const char *text;
    sqlite3_stmt *prepared;
};

struct store {
    sqlite3 *db;
    int lock_fd;
    int64_t version; /* PRAGMA data_version: changes when another connection commits */
    struct sql_statement cache[128];
    size_t cached;
    struct key_set *keys; /* key_index.h; NULL until they are needed */
    store_mac_fn mac;
    void *mac_context;
    store_anchor_fn anchor;
    void *anchor_context;
    store_step_fn step; /* NULL: no counter */
    void *step_context;
    struct store_count count; /* where the committed entries bring the counter */
    bool counts;              /* an entry of the open transaction bears the next number */
    uint8_t new_link[32];     /* then: its hash */
    bool unstepped;           /* the last commit's step was not made: from uncounted, by link */
    struct store_count uncounted;
    uint8_t link[32];
    char operator[STORE_OPERATOR_MAX + 1]; /* empty: the system's user alone */
    char reason[STORE_REASON_MAX + 1];     /* empty: none was given */
    int64_t new_seq; /* of the last ledger entry that this transaction added, 0 for none */
    uint8_t new_head[32];
    bool grouped;  /* a group is open: a change is a savepoint in it */
    bool changing; /* and such a change is open; what it found is kept for its rollback */
    int64_t old_seq;
    uint8_t old_head[32];
    bool old_counts;
    int64_t unanchored_seq; /* of the last entry that was committed and not anchored, 0 for none */
    uint8_t unanchored_head[32];
};

/* Fills err from SQLite's code and message; returns the code that fits. */
int sql_error(struct store *store, int rc, const char *doing, struct error *err);

/* Runs a statement that returns no row. */
MUST_USE int sql_run(struct store *store, struct error *err, const char *text, const char *format,
                     ...);

/*
 * Starts a statement that returns rows. Step it with sql_next; the last sql_next resets it, and
 * sql_end does so earlier. One use of a statement at a time.
 */
MUST_USE int sql_start(struct store *store, struct error *err, sqlite3_stmt **statement,
                       const char *text, const char *format, ...);

/* 1 with a row, 0 after the last one, negative on error. */
MUST_USE int sql_next(struct store *store, sqlite3_stmt *statement, struct error *err);
void sql_end(sqlite3_stmt *statement);

/* One row with one integer; *value keeps its default when there is no row or a NULL. */
MUST_USE int sql_integer(struct store *store, struct error *err, int64_t *value, const char *text,
                         const char *format, ...);

/* Columns. A blob of any other size than asked for is ERR_STORE: the file was damaged. */
MUST_USE int sql_blob_exact(sqlite3_stmt *statement, int column, void *out, size_t len,
                            struct error *err);
/* A public key as key_stored wrote it. */
MUST_USE int sql_key(sqlite3_stmt *statement, int column, struct public_key *out,
                     struct error *err);
MUST_USE int sql_blob(sqlite3_stmt *statement, int column, struct buf *out, struct error *err);
MUST_USE int sql_text(sqlite3_stmt *statement, int column, char *out, size_t size,
                      struct error *err);

#endif
