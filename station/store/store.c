#include "base/file.h"
#include "pki/digest.h"
#include "station/store/key_index.h"
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

/* Version 1. The comments are the manual of the file for whoever opens it with sqlite3. */
static const char schema_1[] =
    "CREATE TABLE orders ("
    " id INTEGER PRIMARY KEY,"
    " hash BLOB NOT NULL UNIQUE," /* of the first version's content; names the order for ever */
    " name TEXT NOT NULL UNIQUE," /* its id */
    " product TEXT NOT NULL,"
    " state INTEGER NOT NULL DEFAULT 0," /* enum order_state */
    " statement BLOB);"                  /* of its closing, journalled before it is signed */
    "CREATE TABLE order_versions ("      /* the order and its amendments */
    " hash BLOB PRIMARY KEY,"            /* SHA-256 of the signed content */
    " order_id INTEGER NOT NULL REFERENCES orders(id),"
    " number INTEGER NOT NULL," /* from 1; the highest is in force */
    " signed BLOB NOT NULL,"    /* CMS, as the owner made it */
    " UNIQUE (order_id, number)) WITHOUT ROWID;"
    "CREATE TABLE counters (" /* the next number of each pattern of serials */
    " product TEXT NOT NULL, prefix TEXT NOT NULL, digits INTEGER NOT NULL,"
    " next INTEGER NOT NULL, PRIMARY KEY (product, prefix, digits)) WITHOUT ROWID;"
    "CREATE TABLE credentials (" /* the inventory; id is in the certificate's serial number */
    " id INTEGER PRIMARY KEY,"
    " order_id INTEGER NOT NULL REFERENCES orders(id),"
    " product TEXT NOT NULL,"
    " serial TEXT NOT NULL,"
    " state INTEGER NOT NULL,"     /* enum credential_state */
    " point BLOB NOT NULL,"        /* public key: a P-256 point, else a SubjectPublicKeyInfo */
    " cert BLOB NOT NULL,"         /* DER */
    " wrapped BLOB,"               /* PKCS#8 under the storage key; NULL once it came to an end */
    " wrapped_hash BLOB NOT NULL," /* its SHA-256, which stays */
    " storage TEXT NOT NULL,"      /* label of the storage key */
    " mechanism INTEGER NOT NULL," /* that wrapped it, for diagnosis */
    " mac BLOB NOT NULL);"         /* inventory.h says over what */
    "CREATE UNIQUE INDEX credentials_serial ON credentials(product, serial);"
    "CREATE INDEX credentials_state ON credentials(order_id, state);" /* and id, as each index */
    "CREATE TABLE key_recent ("                                       /* key_index.h */
    " id INTEGER PRIMARY KEY, hashes BLOB NOT NULL);"
    "CREATE TABLE key_index (" /* hashes of public keys, sorted, by their first two bytes */
    " prefix INTEGER PRIMARY KEY, hashes BLOB NOT NULL);"
    "CREATE TABLE claims (" /* a credential bound to one device's transport key */
    " tx BLOB PRIMARY KEY,"
    " credential INTEGER NOT NULL UNIQUE REFERENCES credentials(id),"
    " state INTEGER NOT NULL," /* enum claim_state */
    " slot TEXT NOT NULL,"
    " chip BLOB NOT NULL,"
    " dev_pub BLOB NOT NULL UNIQUE," /* one credential, one device key, ever */
    " station_pub BLOB NOT NULL,"
    " suite INTEGER NOT NULL,"
    " station_nonce BLOB NOT NULL,"
    " x BLOB NOT NULL," /* the transcript */
    " station_sig BLOB NOT NULL,"
    " wrapped BLOB," /* for the device; NULL once no longer open */
    " fw_version TEXT NOT NULL, fw_hash BLOB NOT NULL, fw_debug INTEGER NOT NULL,"
    " attestation BLOB NOT NULL," /* empty: none */
    " prove_nonce BLOB,"          /* drawn and not yet used */
    " created INTEGER NOT NULL,"
    " mac BLOB NOT NULL) WITHOUT ROWID;" /* claims.h says over what */
    "CREATE UNIQUE INDEX claims_chip ON claims(chip) WHERE state IN (0, 1);" /* open or proven */
    "CREATE UNIQUE INDEX claims_enrolment ON claims(substr(attestation, 5, 65))"
    " WHERE state IN (0, 1) AND length(attestation) > 0;" /* an enrolled key is one device */
    "CREATE TABLE attempts ("                             /* every try, good or bad */
    " id INTEGER PRIMARY KEY, at INTEGER NOT NULL, slot TEXT NOT NULL, chip BLOB, tx BLOB,"
    " serial TEXT NOT NULL, code INTEGER NOT NULL, text TEXT NOT NULL);"
    "CREATE TABLE ledger (" /* ledger.h */
    " seq INTEGER PRIMARY KEY, body TEXT NOT NULL, hash BLOB NOT NULL, mac BLOB NOT NULL);"
    "CREATE UNIQUE INDEX ledger_credential ON ledger(" /* claimed, proven, and so on: each once */
    " json_extract(body, '$.data.credential'), json_extract(body, '$.event'));"
    "CREATE INDEX ledger_order ON ledger(" /* what it tells of one order */
    " substr(json_extract(body, '$.data.order'), 1, 16), json_extract(body, '$.event'));"
    "CREATE INDEX ledger_marks ON ledger(seq) WHERE" LEDGER_IS_MARK ";" /* few, and asked often */
    "CREATE UNIQUE INDEX ledger_manifest ON ledger(" /* no two manifests bear one number */
    " json_extract(body, '$.data.manifest'));"
    "CREATE TABLE records (" /* lines of the whitelist; idx is the leaf's index */
    " idx INTEGER PRIMARY KEY, line BLOB NOT NULL, evidence BLOB NOT NULL,"
    " mac BLOB NOT NULL);"     /* whitelist.h says over what */
    "CREATE TABLE manifests (" /* whitelist.h */
    " seq INTEGER PRIMARY KEY, first INTEGER NOT NULL, count INTEGER NOT NULL,"
    " created INTEGER NOT NULL, totals BLOB NOT NULL, root BLOB, checkpoint BLOB, statement BLOB,"
    " published INTEGER NOT NULL);";

/* Version 2: keys that get their certificate at the claim, and a serial whose identity is replaced. */
static const char schema_2[] =
    "CREATE TABLE spare_keys (" /* spares.h */
    " id INTEGER PRIMARY KEY,"
    " order_id INTEGER NOT NULL REFERENCES orders(id),"
    " state INTEGER NOT NULL," /* enum spare_state */
    " point BLOB NOT NULL,"
    " wrapped BLOB," /* NULL once it is a credential's, or destroyed */
    " wrapped_hash BLOB NOT NULL,"
    " storage TEXT NOT NULL, mechanism INTEGER NOT NULL, mac BLOB NOT NULL);"
    "CREATE INDEX spare_keys_state ON spare_keys(order_id, state, id);"
    "DROP INDEX credentials_serial;"
    "CREATE INDEX credentials_serial ON credentials(product, serial COLLATE NOCASE);"
    "CREATE UNIQUE INDEX credentials_live ON credentials(product, serial)"
    " WHERE state IN (0, 1, 2);"                /* available, claimed or proven */
    "CREATE UNIQUE INDEX ledger_key ON ledger(" /* a spare key becomes one credential's */
    " json_extract(body, '$.data.key')) WHERE json_extract(body, '$.event') = 'issue';"
    "CREATE INDEX attempts_tx ON attempts(tx) WHERE tx IS NOT NULL;";

/* Version 3. */
static const char schema_3[] =
    "CREATE TABLE keygens (" /* devices that were asked to make their key (keygens.h) */
    " tx BLOB PRIMARY KEY,"
    " order_id INTEGER NOT NULL REFERENCES orders(id),"
    " state INTEGER NOT NULL," /* enum keygen_state */
    " serial TEXT NOT NULL,"
    " slot TEXT NOT NULL,"
    " chip BLOB NOT NULL,"
    " dev_pub BLOB NOT NULL UNIQUE,"
    " station_nonce BLOB NOT NULL,"
    " x BLOB NOT NULL," /* the transcript of KEYGEN */
    " station_sig BLOB NOT NULL,"
    " subject BLOB NOT NULL,"
    " created INTEGER NOT NULL,"
    " mac BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX keygens_chip ON keygens(chip) WHERE state = 0;"
    "CREATE UNIQUE INDEX keygens_serial ON keygens(order_id, serial) WHERE state IN (0, 1);"
    "CREATE INDEX keygens_state ON keygens(order_id, state, created);";

/* What makes each version of the one before. */
static const char *const schemas[] = {schema_1, schema_2, schema_3};

#define SCHEMA_VERSION ((int64_t)(sizeof schemas / sizeof *schemas))

static int simple(struct store *store, const char *text, const char *doing, struct error *err)
{
    int rc = sqlite3_exec(store->db, text, NULL, NULL, NULL);

    return rc ? sql_error(store, rc, doing, err) : 0;
}

/*
 * The lock file is only a file, and what the vault counts is in its memory: whoever writes beside it,
 * a second vault or a person with sqlite3, ends it here.
 */
static int check_alone(struct store *store, struct error *err)
{
    int64_t version = 0;
    int rc = sql_integer(store, err, &version, "PRAGMA data_version", "");

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
    int rc = simple(store, "BEGIN IMMEDIATE", "start a change of the database", err);

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
    if (sqlite3_get_autocommit(store->db))
        return error_set(err, ERR_STORE, "the database gave up a change: run the command again");
    rc = simple(store, "SAVEPOINT change", "start a change of the database", err);
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
    int rc = simple(store, "RELEASE change", "change the database", err);

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
    int rc = simple(store, "COMMIT", "write the database", err);

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
    (void)sqlite3_exec(store->db, "ROLLBACK TO change; RELEASE change", NULL, NULL, NULL);
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
    else if (!sqlite3_get_autocommit(store->db))
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
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

int store_check_actor(const char *operator, const char * reason, struct error *err)
{
    int rc = check_text(operator, STORE_OPERATOR_MAX, "the operator's name", err);

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

int store_mac(struct store *store, const void *bytes, size_t len, uint8_t mac[32],
              struct error *err)
{
    if (!store->mac)
        return error_set(err, ERR_INTERNAL, "the store was opened without the HSM");
    return store->mac(store->mac_context, bytes, len, mac, err);
}

/* From one version to this program's own, in one transaction. */
static int migrate(struct store *store, int64_t from, struct error *err)
{
    char version[64];
    int rc = store_begin(store, err);

    if (rc)
        return rc;
    snprintf(version, sizeof version, "PRAGMA user_version = %" PRId64, SCHEMA_VERSION);
    for (int64_t i = from; rc == 0 && i < SCHEMA_VERSION; i++)
        rc = simple(store, schemas[i],
                    from ? "bring the database to this version" : "create the database", err);
    if (rc == 0)
        rc = simple(store, version, "bring the database to this version", err);
    if (rc) {
        store_rollback(store);
        return rc;
    }
    return store_commit(store, err);
}

static int check_schema(struct store *store, enum store_mode mode, struct error *err)
{
    int64_t version = 0;
    int rc = sql_integer(store, err, &version, "PRAGMA user_version", "");

    if (rc || version == SCHEMA_VERSION)
        return rc;
    if (mode == STORE_CREATE ? version == 0
                             : mode == STORE_WRITE && version > 0 && version < SCHEMA_VERSION)
        return migrate(store, version, err);
    if (mode == STORE_READ && version > 0 && version < SCHEMA_VERSION)
        return error_set(err, ERR_STORE,
                         "the database has version %" PRId64 " and this program writes %" PRId64
                         ": a command that writes brings it up to date, such as 'imprint seal'",
                         version, SCHEMA_VERSION);
    return error_set(err, ERR_STORE,
                     "the database has version %" PRId64 " and this program knows %" PRId64
                     ": use the program that wrote it, or a newer one",
                     version, SCHEMA_VERSION);
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

    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, 5000);
    if (mode != STORE_READ)
        rc = simple(store,
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"
                    "PRAGMA foreign_keys=ON; PRAGMA journal_size_limit=16777216;"
                    "PRAGMA wal_autocheckpoint=4000" /* pages: as much as the log keeps */,
                    "open the database", err);
    if (rc == 0)
        rc = sql_integer(store, err, &store->version, "PRAGMA data_version", "");
    return rc ? rc : check_schema(store, mode, err);
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
    rc = sqlite3_open_v2(path, &store->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc)
        return sql_error(store, rc, "open the database", err);
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
    for (size_t i = 0; i < store->cached; i++)
        sqlite3_finalize(store->cache[i].prepared);
    sqlite3_close(store->db);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store);
}
