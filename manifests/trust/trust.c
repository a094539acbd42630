#include "manifests/trust/trust.h"

#include "base/file.h"
#include "manifests/trust/db.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define APPLICATION_ID 0x696d7774 /* "imwt": tells `file` and us what it is */
#define SCHEMA_VERSION 3
#define BUSY_MS        5000

/*
 * Version 2 added it: the keys of a log that came after those that the pins name. The one in force for
 * a manifest is that with the highest seq below its number.
 */
#define KEYS_TABLE                                                                                 \
    "CREATE TABLE log_keys ("                                                                      \
    " log INTEGER NOT NULL REFERENCES logs(id),"                                                   \
    " kind INTEGER NOT NULL," /* enum rotation_key */                                              \
    " seq INTEGER NOT NULL,"  /* of the manifest that announced it; 0: of the first manifest */    \
    " key BLOB NOT NULL,"     /* log key: SubjectPublicKeyInfo; manifest key: its SHA-256 */       \
    " PRIMARY KEY (log, kind, seq)) WITHOUT ROWID;"

/* Version 3 added it: the algorithms of other signatures that a log must have (required.h). */
#define SIGNATURES_TABLE                                                                           \
    "CREATE TABLE signatures_required ("                                                           \
    " log INTEGER NOT NULL REFERENCES logs(id),"                                                   \
    " algorithm TEXT NOT NULL,"                                                                    \
    " since INTEGER NOT NULL," /* the first manifest that must have it */                          \
    " root BLOB NOT NULL,"     /* of its signers, DER; empty: that of manifest signers */          \
    " PRIMARY KEY (log, algorithm)) WITHOUT ROWID;"

/* The comments are the manual of the file for whoever opens it with sqlite3. */
static const char schema[] =
    "CREATE TABLE logs ("
    " id INTEGER PRIMARY KEY,"
    " origin TEXT NOT NULL UNIQUE,"
    " station TEXT NOT NULL, environment TEXT NOT NULL, customer TEXT NOT NULL,"
    " pins BLOB NOT NULL,"                          /* SHA-256 over the three pins, accept.c */
    " seq INTEGER NOT NULL, size INTEGER NOT NULL," /* of the manifest accepted last */
    " root BLOB NOT NULL, frontier BLOB NOT NULL,"  /* frontier: 32 bytes each, largest first */
    " UNIQUE (station, environment));"
    "CREATE TABLE manifests (" /* every manifest.json that was accepted */
    " log INTEGER NOT NULL REFERENCES logs(id), seq INTEGER NOT NULL,"
    " sha256 BLOB NOT NULL, size INTEGER NOT NULL, accepted INTEGER NOT NULL,"
    " statement BLOB NOT NULL, PRIMARY KEY (log, seq)) WITHOUT ROWID;"
    "CREATE INDEX manifests_sha256 ON manifests(sha256);"
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE);"
    "CREATE TABLE issuers ("
    " id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, name BLOB NOT NULL);" /* name: DER */
    "CREATE TABLE identities (" /* one row for each add, replace, attr and void record */
    " id INTEGER PRIMARY KEY,"  /* log << 48 | leaf index */
    " ended INTEGER NOT NULL,"  /* 0 while live, else the id of the record that ended it */
    " state INTEGER NOT NULL,"  /* enum trust_state */
    " reason INTEGER NOT NULL," /* enum record_reason, 0 for none */
    " type INTEGER NOT NULL,"   /* enum record_type */
    " product TEXT NOT NULL, serial TEXT NOT NULL,"
    " chip BLOB,"
    " key BLOB,"                                           /* SHA-256 of the SubjectPublicKeyInfo */
    " cert BLOB,"                                          /* SHA-256 of the certificate */
    " issuer INTEGER REFERENCES issuers(id), number BLOB," /* serial number of the certificate */
    " order_id INTEGER NOT NULL REFERENCES orders(id),"
    " auth INTEGER NOT NULL, plain INTEGER NOT NULL, use INTEGER NOT NULL," /* enum record_... */
    " ts INTEGER NOT NULL,"                                                 /* of its record */
    " changed INTEGER NOT NULL,"  /* of the record that changed it last */
    " revoked INTEGER NOT NULL);" /* 0, or the owner's decision that revoked it */
    "CREATE UNIQUE INDEX identities_device ON identities(serial, product, ended);"
    "CREATE UNIQUE INDEX identities_chip ON identities(chip, ended);"
    "CREATE UNIQUE INDEX identities_key ON identities(key);"
    "CREATE UNIQUE INDEX identities_number ON identities(issuer, number);"
    "CREATE TABLE decisions (" /* the owner's, never changed or deleted */
    " id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL," /* hold, lift, revoke */
    " product TEXT NOT NULL, serial TEXT NOT NULL, reason INTEGER NOT NULL,"
    " who TEXT NOT NULL, why TEXT NOT NULL);"
    "CREATE TABLE holds (" /* devices that are held now */
    " serial TEXT NOT NULL, product TEXT NOT NULL,"
    " decision INTEGER NOT NULL REFERENCES decisions(id),"
    " PRIMARY KEY (serial, product)) WITHOUT ROWID;" KEYS_TABLE SIGNATURES_TABLE
    "CREATE TABLE crls (" /* numbers of revocation lists that were made, RFC 5280 5.2.3 */
    " number INTEGER PRIMARY KEY, made INTEGER NOT NULL, entries INTEGER NOT NULL);";

static int create_schema(struct trust *t, struct error *err)
{
    char versions[128];
    int64_t tables = 0;
    int rc;

    /* A second process may have created it in the meantime. */
    if ((rc = db_begin(t, err)))
        return rc;
    snprintf(versions, sizeof versions, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             APPLICATION_ID, SCHEMA_VERSION);
    rc = sql_integer(&t->sql, err, &tables, "SELECT count(*) FROM sqlite_schema", "");
    if (rc == 0 && tables == 0 && (rc = db_exec(t, schema, err)) == 0)
        rc = db_exec(t, versions, err);
    if (rc)
        db_rollback(t);
    return rc ? rc : db_commit(t, err);
}

/* A state of an older version gets the tables that were added since. */
static int add_tables(struct trust *t, struct error *err)
{
    char version[64];
    int64_t now = 0;
    int rc;

    snprintf(version, sizeof version, "PRAGMA user_version = %d", SCHEMA_VERSION);
    if ((rc = db_begin(t, err)))
        return rc;
    rc = sql_integer(&t->sql, err, &now, "PRAGMA user_version",
                     ""); /* a second process may have done it */
    if (rc == 0 && now < 2)
        rc = db_exec(t, KEYS_TABLE, err);
    if (rc == 0 && now < 3 && (rc = db_exec(t, SIGNATURES_TABLE, err)) == 0)
        rc = db_exec(t, version, err);
    if (rc)
        db_rollback(t);
    return rc ? rc : db_commit(t, err);
}

static int check_schema(struct trust *t, const char *path, struct error *err)
{
    int64_t id = 0, version = 0;
    int rc;

    if ((rc = sql_integer(&t->sql, err, &id, "PRAGMA application_id", "")) ||
        (rc = sql_integer(&t->sql, err, &version, "PRAGMA user_version", "")))
        return rc;
    if (id != APPLICATION_ID)
        return error_set(err, ERR_FORMAT, "'%s' is not a state file of imprint-manifest", path);
    if (version == 1 || version == 2)
        return t->writable ? add_tables(t, err) : 0; /* nobody who only reads looks at them */
    if (version != SCHEMA_VERSION)
        return error_set(err, ERR_FORMAT,
                         "'%s' is a state file of version %d, and this program knows %d: use the "
                         "program that wrote it",
                         path, (int)version, SCHEMA_VERSION);
    return 0;
}

/*
 * The write-ahead log lets servers look up while a manifest is accepted. Its files stay when the
 * last process closes, because one that may only read could not make them.
 */
static int configure(struct trust *t, struct error *err)
{
    int keep = 1;

    sqlite3_busy_timeout(t->sql.db, BUSY_MS);
    sqlite3_db_config(t->sql.db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_file_control(t->sql.db, NULL, SQLITE_FCNTL_PERSIST_WAL, &keep);
    if (!t->writable)
        return db_exec(t, "PRAGMA trusted_schema=OFF; PRAGMA query_only=ON", err);
    return db_exec(t,
                   "PRAGMA trusted_schema=OFF; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                   "PRAGMA foreign_keys=ON; PRAGMA cache_size=-16384;"
                   "PRAGMA journal_size_limit=16777216",
                   err);
}

/* On a medium that nobody can write SQLite may ignore the write-ahead log, which must be empty.
 * Anywhere else that would hide a revocation that is accepted later. */
static bool is_settled_copy(const char *path)
{
    char wal[PATH_MAX];
    struct statvfs fs;
    struct stat st;

    snprintf(wal, sizeof wal, "%s-wal", path);
    return statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY) && strpbrk(path, "?#%") == NULL &&
           (stat(wal, &st) != 0 || st.st_size == 0);
}

static int reopen_immutable(struct trust *t, const char *path, struct error *err)
{
    char uri[PATH_MAX + 32];
    int rc;

    sql_close(&t->sql);
    snprintf(uri, sizeof uri, "file:%s?immutable=1", path);
    rc = sqlite3_open_v2(uri, &t->sql.db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    if (rc)
        return sql_error(&t->sql, rc, "open the state", err);
    return configure(t, err);
}

static int prepare(struct trust *t, const char *path, enum trust_mode mode, struct error *err)
{
    int flags = mode == TRUST_READ    ? SQLITE_OPEN_READONLY
                : mode == TRUST_WRITE ? SQLITE_OPEN_READWRITE
                                      : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int rc = sqlite3_open_v2(path, &t->sql.db, flags | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc)
        return sql_error(&t->sql, rc, "open the state", err);
    t->writable = mode != TRUST_READ;
    rc = configure(t, err);
    if (rc == 0 && mode == TRUST_CREATE)
        rc = create_schema(t, err);
    if (rc == 0)
        rc = check_schema(t, path, err);
    if (rc == ERR_READONLY && mode == TRUST_READ && is_settled_copy(path)) {
        rc = reopen_immutable(t, path, err);
        if (rc == 0)
            rc = check_schema(t, path, err);
    }
    return rc;
}

int trust_open(const char *path, enum trust_mode mode, struct trust **trust, struct error *err)
{
    struct trust *t;
    int rc;

    if (mode != TRUST_CREATE && !file_exists(path))
        return error_set(err, ERR_MISSING,
                         "there is no state '%s': 'imprint-manifest accept' makes it", path);
    t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, ERR_INTERNAL, "out of memory");
    t->sql.terms = &db_terms;
    rc = prepare(t, path, mode, err);
    if (rc) {
        error_prefix(err, "'%s'", path);
        trust_close(t);
        return rc;
    }
    *trust = t;
    return 0;
}

void trust_close(struct trust *t)
{
    if (!t)
        return;
    if (t->sql.db && t->writable)
        (void)sqlite3_wal_checkpoint_v2(t->sql.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sql_close(&t->sql);
    free(t);
}
