/*
 * sql: the store as its own files see it, over sql/sql.h. Private to station/store, tests and benchmarks.
 */
#ifndef STATION_STORE_SQL_H
#define STATION_STORE_SQL_H

#include "pki/key.h"
#include "sql/sql.h"
#include "station/store/store.h"

/* Entries that decide for all that comes after them: one text, so that the index on them is used. */
#define LEDGER_IS_MARK                                                                             \
    " json_extract(body, '$.event') IN ('clock_confirmed', 'clock_stopped', 'restored',"           \
    " 'rotated')"

/* Entries about the station's issuing CAs, and an index on them. */
#define LEDGER_IS_ISSUER " json_extract(body, '$.event') IN ('ca', 'ca_destroyed', 'ca_requested')"

/* Entries of credentials that are a derived key alone, and an index on them. */
#define LEDGER_IS_DERIVED                                                                          \
    " json_extract(body, '$.event') = 'issue' AND json_extract(body, '$.data.derived') = 1"

/* Entries of one order, by the bytes of its hash that are indexed. */
#define LEDGER_OF_ORDER   " WHERE substr(json_extract(body, '$.data.order'), 1, 16) = ?"
#define LEDGER_ORDER_PART 8

/* Every failure is ERR_STORE, but of a full disk, a file that is read-only or busy, and memory. */
extern const struct sql_terms store_terms;

struct store {
    struct sql sql;
    int lock_fd;
    int64_t version;      /* PRAGMA data_version: changes when another connection commits */
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
    struct store_signature signature;      /* person 0: nobody signed */
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

/* A column with a public key as key_stored wrote it (pki/key.h). Errors: ERR_STORE. */
MUST_USE int store_key(sqlite3_stmt *row, int column, struct public_key *out, struct error *err);

#endif
