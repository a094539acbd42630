/*
 * store: the station's memory: one SQLite file that the vault alone opens for writing.
 *
 * Invariants
 *  1. WAL with synchronous=FULL: what store_commit returned 0 for survives a power cut (P2, P9).
 *  2. Every change of state and its ledger entry are in one transaction (P7). A function of this
 *     room that changes something must be called between store_begin and store_commit.
 *  3. After a failed call the caller rolls back; nothing of the transaction remains.
 *  4. Deleted key blobs are overwritten in the file (secure_delete).
 *  5. One program writes: when another connection has committed since store_open, store_begin,
 *     store_commit and store_settle refuse with ERR_INTEGRITY.
 *  6. After an I/O error of the disk the same three refuse with ERR_STORE: whoever opens the store anew
 *     finds what is really there.
 *  7. Schema changes run in one transaction when the file is opened; a file of a newer program is
 *     refused, not guessed at.
 *
 * Errors of every function: ERR_FULL, ERR_READONLY, ERR_BUSY, ERR_STORE (damaged or failed), with a
 * text that says what to do; the SQLite code is in native.
 */
#ifndef STATION_STORE_H
#define STATION_STORE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/*
 * The lock of the one process that writes, without the database: for who replaces it. *fd is the
 * caller's to close, which gives the lock back. Errors: ERR_BUSY, those of files.
 */
MUST_USE int store_lock(const char *path, int *fd, struct error *err);

enum store_mode {
    STORE_CREATE, /* a new file; ERR_EXISTS if there is one */
    STORE_WRITE,  /* the vault: takes the station's lock, or ERR_BUSY */
    STORE_READ    /* `imprint status` and the like: sees the last committed state */
};

/* HMAC-SHA256 under the station's ledger key, which only the HSM holds. */
typedef int (*store_mac_fn)(void *context, const void *bytes, size_t len, uint8_t mac[32],
                            struct error *err);

MUST_USE int store_open(const char *path, enum store_mode mode, struct store **store,
                        struct error *err);
void store_close(struct store *store); /* NULL is fine */

/* Who computes MACs. Without it nothing that needs one can be written or verified. */
void store_set_mac(struct store *store, store_mac_fn mac, void *context);
MUST_USE int store_mac(struct store *store, const void *bytes, size_t len, uint8_t mac[32],
                       struct error *err);

/*
 * Called when a commit added ledger entries, before store_commit returns: keeps the newest one
 * where restoring an old database does not reach it (P5). What was committed may be released only
 * then.
 */
typedef int (*store_anchor_fn)(void *context, int64_t seq, const uint8_t head[32],
                               struct error *err);
void store_set_anchor(struct store *store, store_anchor_fn anchor, void *context);

/*
 * A counter outside that no copy of the database takes back: a number, and a chain of the entries that
 * it was counted for. From now on the first entry of each transaction that gives something out (all
 * but "proven" and what is about the clock) bears the number after now and the chain before it, and
 * store_commit has step bring the counter from there to the next: number + 1, and the chain extended
 * by that entry's hash. It does so after the anchor and before it returns. As with the anchor, what was
 * committed may be released only then.
 */
struct store_count {
    int64_t number;
    uint8_t chain[32];
};
typedef int (*store_step_fn)(void *context, const struct store_count *from, const uint8_t link[32],
                             struct error *err);
void store_set_counter(struct store *store, const struct store_count *now, store_step_fn step,
                       void *context);

/* Where a step leads: number + 1, SHA-256(chain ‖ link). */
void store_count_next(const struct store_count *from, const uint8_t link[32],
                      struct store_count *next);

/*
 * Who writes from now on, and why: NULL for nobody but the system's user, and for no reason. Both
 * are what somebody said of themselves, and stand in each ledger entry. Errors: ERR_USAGE when a
 * text is empty, too long or not printable ASCII, or the name has blanks around it or two in a row.
 */
#define STORE_OPERATOR_MAX 64
#define STORE_REASON_MAX   256
MUST_USE int store_check_actor(const char *operator, const char * reason, struct error *err);
MUST_USE int store_set_actor(struct store *store, const char *operator, const char * reason,
                             struct error *err);

/*
 * Somebody signed for what is written from now on, with badge and PIN (vault/signing.h): each entry bears
 * it, with the meaning "<action>: <event>". The name takes the place of the operator's; the reason is
 * that of store_set_actor.
 */
struct store_signature {
    int64_t person; /* number of the person (store/people.h), from 1 */
    char name[STORE_OPERATOR_MAX + 1];
    const char *role;   /* as person_role_name says it */
    const char *action; /* a word, static */
    int64_t at;         /* when the PIN was found right: seconds since 1970 UTC */
};
void store_sign(struct store *store, const struct store_signature *signature);

/*
 * Several changes in one transaction, one write to the disk and one anchor: between these two every change
 * has its own store_begin, store_commit or store_rollback as ever, and is rolled back alone; what
 * store_commit returned 0 for is durable, and may be released, when store_group_end returned 0 and not
 * before. When that fails none of the changes remains, or, if only the anchor failed, all do as
 * with store_commit. The caller keeps a group short: nothing else can write meanwhile.
 *
 * A step of the counter stands for one change, for it tells how many there were that nobody knows any
 * more. So a group ends with the first change that counts (store_group_counts): the next store_begin in it
 * is refused (ERR_INTERNAL).
 */
MUST_USE int store_group_begin(struct store *store, struct error *err);
MUST_USE int store_group_end(struct store *store, struct error *err);
bool store_group_counts(const struct store *store);

MUST_USE int store_begin(struct store *store, struct error *err);
/*
 * Commits, then anchors, then counts. When the commit fails, everything is rolled back. When anchor or
 * counter fails the change is in the database (store_is_unanchored) and is not to be acted upon before
 * both are written: store_settle does it, and so do the next ledger entry and the next start.
 */
MUST_USE int store_commit(struct store *store, struct error *err);

/* Writes the anchor and the count that a commit could not write; 0 when there is none. Whoever releases
 * what an earlier transaction stored calls it first. Errors: those of anchor and counter. */
MUST_USE int store_settle(struct store *store, struct error *err);
bool store_is_unanchored(const struct store *store);
void store_rollback(struct store *store);

/* Whether the database's pages are sound. Errors: ERR_STORE. */
MUST_USE int store_check(struct store *store, struct error *err);

/*
 * Copies one committed state of the database into the new file path, while others may write; the
 * copy needs no log beside it and is checked for damage. progress is told pages, done and in all.
 * Errors: ERR_EXISTS and those of files.
 */
typedef void (*store_progress_fn)(void *context, int64_t done, int64_t total);
MUST_USE int store_copy(struct store *store, const char *path, store_progress_fn progress,
                        void *context, struct error *err);

#endif
