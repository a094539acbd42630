#include "base/file.h"
#include "pki/digest.h"
#include "station/store/key_index.h"
#include "station/store/schema.h"
#include "station/store/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DAMAGED "check the disk, keep the directory as it is and call the security team"

const struct sql_terms store_terms = {
    .file = "database",
    .full = "free space on the disk and run the command again: nothing was lost",
    .readonly = "the database cannot be written: check the owner and mode of the station's "
                "directory",
    .busy = "another program uses the database",
    .foreign = DAMAGED,
    .damaged = DAMAGED,
    .foreign_code = ERR_STORE,
    .constraint_code = ERR_STORE,
};

/*
 * The lock file is only a file, and what the vault counts is in its memory: whoever writes beside it,
 * a second vault or a person with sqlite3, ends it here.
 */
static int check_alone(struct store *store, struct error *err)
{
    int64_t version = 0;
    int rc;

    if (store->sql.failed)
        return error_set(
            err, ERR_STORE,
            "the disk failed while the database was in use, or a lock was not given back: "
            "nothing was lost; check the disk, and run the command again");
    rc = sql_integer(&store->sql, err, &version, "PRAGMA data_version", "");
    if (rc == 0 && version != store->version)
        rc = error_set(
            err, ERR_INTEGRITY,
            "somebody else wrote the database while this program used it: nothing more is "
            "issued; see that no other 'imprint' runs, then 'imprint ledger verify'");
    return rc;
}

int store_settle(struct store *store, struct error *err)
{
    int rc = check_alone(store, err);

    if (rc)
        return rc;
    if (store->unanchored_seq && store->anchor)
        rc = store->anchor(store->anchor_context, store->unanchored_seq, store->unanchored_head,
                           err);
    if (rc == 0 && store->unstepped)
        rc = store->step(store->step_context, &store->uncounted, store->link, err);
    if (rc == 0) {
        store->unanchored_seq = 0;
        store->unstepped = false;
    }
    return rc;
}

bool store_is_unanchored(const struct store *store)
{
    return store->unanchored_seq != 0;
}

static int begin_whole(struct store *store, struct error *err)
{
    int rc = sql_exec(&store->sql, "BEGIN IMMEDIATE", "start a change of the database", err);

    store->new_seq = 0;
    store->counts = false;
    if (rc)
        return rc;
    rc = check_alone(store, err);
    if (rc)
        store_rollback(store);
    return rc;
}

static int begin_part(struct store *store, struct error *err)
{
    int rc;

    /* After some failures SQLite ends the whole transaction: what comes now would be one by itself. */
    if (sqlite3_get_autocommit(store->sql.db))
        return error_set(err, ERR_STORE, "the database gave up a change: run the command again");
    if (store_group_counts(store))
        return error_set(err, ERR_INTERNAL, "one step of the counter would stand for two changes");
    rc = sql_exec(&store->sql, "SAVEPOINT change", "start a change of the database", err);
    if (rc)
        return rc;
    store->changing = true;
    store->old_seq = store->new_seq;
    memcpy(store->old_head, store->new_head, sizeof store->old_head);
    store->old_counts = store->counts;
    return 0;
}

int store_begin(struct store *store, struct error *err)
{
    return store->grouped ? begin_part(store, err) : begin_whole(store, err);
}

bool store_group_counts(const struct store *store)
{
    return store->counts;
}

int store_group_begin(struct store *store, struct error *err)
{
    int rc = begin_whole(store, err);

    store->grouped = rc == 0;
    return rc;
}

int store_group_end(struct store *store, struct error *err)
{
    store->grouped = false;
    return store_commit(store, err);
}

static int commit_part(struct store *store, struct error *err)
{
    int rc = sql_exec(&store->sql, "RELEASE change", "change the database", err);

    if (rc)
        store_rollback(store);
    store->changing = false;
    return rc;
}

/* The entry that counts is committed. */
static void note_step(struct store *store)
{
    if (!store->counts)
        return;
    store->counts = false;
    store->unstepped = true;
    store->uncounted = store->count;
    memcpy(store->link, store->new_link, sizeof store->link);
    store_count_next(&store->uncounted, store->link, &store->count);
}

static int commit_whole(struct store *store, struct error *err)
{
    int rc = sql_exec(&store->sql, "COMMIT", "write the database", err);

    if (rc)
        store_rollback(store);
    else
        key_index_committed(store);
    if (rc == 0 && store->new_seq && store->anchor) {
        note_step(store);
        store->unanchored_seq = store->new_seq;
        memcpy(store->unanchored_head, store->new_head, sizeof store->unanchored_head);
        rc = store_settle(store, err);
    }
    store->new_seq = 0;
    return rc;
}

int store_commit(struct store *store, struct error *err)
{
    return store->grouped ? commit_part(store, err) : commit_whole(store, err);
}

static void rollback_part(struct store *store)
{
    if (!store->changing)
        return;
    (void)sqlite3_exec(store->sql.db, "ROLLBACK TO change; RELEASE change", NULL, NULL, NULL);
    store->changing = false;
    store->new_seq = store->old_seq;
    memcpy(store->new_head, store->old_head, sizeof store->new_head);
    store->counts = store->old_counts; /* a link that stayed is that of an entry before */
}

void store_rollback(struct store *store)
{
    key_index_rolled_back(store);
    if (store->grouped)
        rollback_part(store);
    else if (!sqlite3_get_autocommit(store->sql.db))
        (void)sqlite3_exec(store->sql.db, "ROLLBACK", NULL, NULL, NULL);
}

void store_set_mac(struct store *store, store_mac_fn mac, void *context)
{
    store->mac = mac;
    store->mac_context = context;
}

void store_set_anchor(struct store *store, store_anchor_fn anchor, void *context)
{
    store->anchor = anchor;
    store->anchor_context = context;
}

void store_set_counter(struct store *store, const struct store_count *now, store_step_fn step,
                       void *context)
{
    store->count = *now;
    store->step = step;
    store->step_context = context;
    store->unstepped = false;
}

void store_count_next(const struct store_count *from, const uint8_t link[32],
                      struct store_count *next)
{
    uint8_t both[64];

    memcpy(both, from->chain, 32);
    memcpy(both + 32, link, 32);
    next->number = from->number + 1;
    sha256(both, sizeof both, next->chain);
}

static int check_text(const char *text, size_t max, const char *what, struct error *err)
{
    size_t len = text ? strlen(text) : 0;

    if (text && (len == 0 || len > max))
        return error_set(err, ERR_USAGE, "%s has 1 to %zu characters", what, max);
    for (size_t i = 0; i < len; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return error_set(err, ERR_USAGE, "%s takes printable ASCII only", what);
    return 0;
}

/* Two names that look alike on paper would be two people's. */
static int check_blanks(const char *name, struct error *err)
{
    size_t len = name ? strlen(name) : 0;

    if (len && (name[0] == ' ' || name[len - 1] == ' ' || strstr(name, "  ")))
        return error_set(err, ERR_USAGE,
                         "the operator's name has no blanks around it, and one between words");
    return 0;
}

int store_check_actor(const char *operator, const char * reason, struct error *err)
{
    int rc = check_text(operator, STORE_OPERATOR_MAX, "the operator's name", err);

    if (rc == 0)
        rc = check_blanks(operator, err);
    return rc ? rc : check_text(reason, STORE_REASON_MAX, "the reason", err);
}

int store_set_actor(struct store *store, const char *operator, const char * reason,
                    struct error *err)
{
    int rc = store_check_actor(operator, reason, err);

    if (rc)
        return rc;
    snprintf(store->operator, sizeof store->operator, "%s", operator ? operator : "");
    snprintf(store->reason, sizeof store->reason, "%s", reason ? reason : "");
    return 0;
}

void store_sign(struct store *store, const struct store_signature *signature)
{
    store->signature = *signature;
    snprintf(store->operator, sizeof store->operator, "%s", signature->name);
}

int store_mac(struct store *store, const void *bytes, size_t len, uint8_t mac[32],
              struct error *err)
{
    if (!store->mac)
        return error_set(err, ERR_INTERNAL, "the store was opened without the HSM");
    return store->mac(store->mac_context, bytes, len, mac, err);
}

/* One vault at a time: the lock is the open file's, so a killed vault leaves none behind. */
int store_lock(const char *path, int *fd, struct error *err)
{
    char name[PATH_MAX];
    int opened;

    snprintf(name, sizeof name, "%s.lock", path);
    opened = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (opened < 0)
        return error_set_errno(err, errno, "cannot create '%s'", name);
    if (flock(opened, LOCK_EX | LOCK_NB)) {
        close(opened);
        return error_set(err, ERR_BUSY,
                         "the station is in use by another 'imprint': wait until it ends");
    }
    *fd = opened;
    return 0;
}

static int configure(struct store *store, enum store_mode mode, struct error *err)
{
    int rc = 0;

    sqlite3_extended_result_codes(store->sql.db, 1);
    /* The file may have been edited: nothing in it is run, neither triggers nor views. */
    sqlite3_db_config(store->sql.db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(store->sql.db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(store->sql.db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_busy_timeout(store->sql.db, 5000);
    if (mode != STORE_READ)
        rc = sql_exec(&store->sql,
                      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"
                      "PRAGMA foreign_keys=ON; PRAGMA journal_size_limit=16777216;"
                      "PRAGMA wal_autocheckpoint=4000" /* pages: as much as the log keeps */,
                      "open the database", err);
    if (rc == 0)
        rc = sql_integer(&store->sql, err, &store->version, "PRAGMA data_version", "");
    return rc ? rc : schema_settle(store, mode, err);
}

static int open_file(struct store *store, const char *path, enum store_mode mode, struct error *err)
{
    int flags = mode == STORE_CREATE  ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                : mode == STORE_WRITE ? SQLITE_OPEN_READWRITE
                                      : SQLITE_OPEN_READONLY;
    int rc;

    if (mode != STORE_READ) {
        rc = store_lock(path, &store->lock_fd, err);
        if (rc)
            return rc;
    }
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* no lock for each allocation */
    rc = sqlite3_open_v2(path, &store->sql.db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc)
        return sql_error(&store->sql, rc, "open the database", err);
    return configure(store, mode, err);
}

int store_open(const char *path, enum store_mode mode, struct store **store, struct error *err)
{
    struct store *opened;
    int rc;

    if (mode == STORE_CREATE && file_exists(path))
        return error_set(err, ERR_EXISTS, "there is a station's database in '%s' already", path);
    if (mode != STORE_CREATE && !file_exists(path))
        return error_set(
            err, ERR_MISSING,
            "there is no database '%s': put the newest one back, an older one is refused", path);
    opened = calloc(1, sizeof *opened);
    if (!opened)
        return error_set(err, ERR_INTERNAL, "out of memory");
    opened->sql.terms = &store_terms;
    opened->lock_fd = -1;
    rc = open_file(opened, path, mode, err);
    if (rc) {
        store_close(opened);
        return rc;
    }
    *store = opened;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    key_index_forget(store);
    sql_close(&store->sql);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store);
}
