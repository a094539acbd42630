#include "station/store/schema.h"

#include "station/store/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

/* Version 4: what a device that is asked for its key attested itself with (keygens.h). */
static const char schema_4[] =
    "ALTER TABLE keygens ADD COLUMN attestation BLOB NOT NULL DEFAULT x'';";

/* Version 5: symmetric keys. A credential of one alone has no certificate, and a point of zeros. */
static const char schema_5[] =
    "ALTER TABLE claims ADD COLUMN kcv BLOB;"        /* check value of the symmetric key, or none */
    "ALTER TABLE claims ADD COLUMN symmetric BLOB;"; /* it, wrapped for the device, as wrapped is */

/* Version 6. */
static const char schema_6[] = "CREATE INDEX ledger_issuers ON ledger(seq) WHERE" LEDGER_IS_ISSUER
                               ";"; /* few, read at starts */

/* Version 7: a derived key goes to one device. */
static const char schema_7[] = "CREATE UNIQUE INDEX ledger_derived ON ledger("
                               " json_extract(body, '$.data.order'),"
                               " json_extract(body, '$.data.serial')) WHERE" LEDGER_IS_DERIVED ";";

/* Version 8: the people who sign (people.h), and what the ledger tells of each. */
static const char schema_8[] =
    "CREATE TABLE people ("
    " id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL UNIQUE COLLATE NOCASE," /* also of those who were removed: never again */
    " role INTEGER NOT NULL,"                    /* enum person_role */
    " state INTEGER NOT NULL,"                   /* enum person_state */
    " badge BLOB NOT NULL UNIQUE,"               /* HMAC of its code, by the HSM */
    " salt BLOB NOT NULL,"                       /* of the PIN */
    " memory INTEGER NOT NULL,"                  /* of argon2id, KiB */
    " passes INTEGER NOT NULL,"
    " pin BLOB NOT NULL," /* HMAC of argon2id of the PIN, by the HSM */
    " mac BLOB NOT NULL);"
    "CREATE INDEX ledger_people ON ledger(json_extract(body, '$.data.person'), seq)"
    " WHERE json_extract(body, '$.data.person') IS NOT NULL;";

/* Version 9: certificates that a hosted CA is asked for (requests.h). */
static const char schema_9[] =
    "CREATE TABLE requests ("
    " key INTEGER PRIMARY KEY REFERENCES spare_keys(id),"
    " order_id INTEGER NOT NULL REFERENCES orders(id),"
    " lot TEXT NOT NULL,"
    " product TEXT NOT NULL,"
    " serial TEXT NOT NULL,"
    " spki BLOB NOT NULL UNIQUE,"                            /* SHA-256 of the public key */
    " made INTEGER NOT NULL,"                                /* seconds since 1970 UTC */
    " credential INTEGER UNIQUE REFERENCES credentials(id)," /* that it became */
    " der BLOB,"                    /* PKCS#10; NULL once it came to an end */
    " issuer INTEGER, number BLOB," /* of its certificate: number of the CA, serial number */
    " mac BLOB NOT NULL);"
    "CREATE UNIQUE INDEX requests_serial ON requests(product, serial COLLATE NOCASE);"
    "CREATE UNIQUE INDEX requests_number ON requests(issuer, number) WHERE number IS NOT NULL;"
    "CREATE INDEX requests_lot ON requests(order_id, lot, key);"
    "CREATE UNIQUE INDEX ledger_request ON ledger(" /* and gets one certificate */
    " json_extract(body, '$.data.request')) WHERE json_extract(body, '$.event') = 'issue';";

/* Version 10: what a person was told to do next after an attempt, and what is known of slots (slots.h). */
static const char schema_10[] =
    "ALTER TABLE attempts ADD COLUMN next INTEGER NOT NULL DEFAULT 0;" /* enum error_next */
    "CREATE INDEX attempts_next ON attempts(next, chip) WHERE next <> 0;"
    "CREATE TABLE slots ("
    " label TEXT PRIMARY KEY,"
    " contacts INTEGER NOT NULL," /* units since the contacts were renewed */
    " failures INTEGER NOT NULL," /* in a row */
    " disabled INTEGER NOT NULL," /* 1: until somebody acknowledges */
    " recent TEXT NOT NULL,"      /* a letter for each of the last units, the newest at the end */
    " why TEXT NOT NULL) WITHOUT ROWID;"; /* the last failure that counted */

/* Version 11: results on their way to the plant's systems (outbox.h). */
static const char schema_11[] =
    "CREATE TABLE outbox ("
    " id INTEGER PRIMARY KEY,"       /* in this order they leave */
    " at INTEGER NOT NULL,"          /* seconds since 1970 UTC */
    " body BLOB NOT NULL);"          /* JSON: docs/hooks.md */
    "CREATE TABLE outbox_failures (" /* one row, or none once the oldest was taken */
    " id INTEGER PRIMARY KEY CHECK (id = 1), count INTEGER NOT NULL, at INTEGER NOT NULL,"
    " text TEXT NOT NULL);";

/* What makes each version of the one before. */
static const char *const schemas[] = {schema_1, schema_2, schema_3, schema_4,  schema_5, schema_6,
                                      schema_7, schema_8, schema_9, schema_10, schema_11};

#define SCHEMA_VERSION ((int64_t)(sizeof schemas / sizeof *schemas))

/* ---- What stands in the file is this and nothing else. ---- */

#define OBJECTS                                                                                    \
    "SELECT type || ' ' || name, tbl_name, ifnull(sql, '') FROM sqlite_schema ORDER BY 1"

/* An empty database in memory with this program's schema. */
static int make_model(sqlite3 **model)
{
    int rc = sqlite3_open(":memory:", model);

    for (int64_t i = 0; rc == 0 && i < SCHEMA_VERSION; i++)
        rc = sqlite3_exec(*model, schemas[i], NULL, NULL, NULL);
    return rc;
}

static bool same_text(sqlite3_stmt *a, sqlite3_stmt *b, int column)
{
    const char *x = (const char *)sqlite3_column_text(a, column);
    const char *y = (const char *)sqlite3_column_text(b, column);

    return x && y && strcmp(x, y) == 0;
}

static const char *name_of(sqlite3_stmt *s)
{
    const char *name = (const char *)sqlite3_column_text(s, 0);

    return name ? name : "";
}

static int refuse(const char *name, struct error *err)
{
    return error_set(err, ERR_INTEGRITY,
                     "the database is not as this program makes it: see '%.60s'; somebody changed "
                     "its tables, keep it as it is and call the security team",
                     name);
}

/* Both in the order of their names: of two that differ the first lacks its counterpart. */
static int compare_row(sqlite3_stmt *held, sqlite3_stmt *model, struct error *err)
{
    int order = strcmp(name_of(held), name_of(model));

    if (order == 0 && same_text(held, model, 1) && same_text(held, model, 2))
        return 0;
    return refuse(order > 0 ? name_of(model) : name_of(held), err);
}

static int compare(struct store *store, sqlite3_stmt *held, sqlite3_stmt *model, struct error *err)
{
    for (;;) {
        int more = sqlite3_step(held), expected = sqlite3_step(model), rc;

        if (more != SQLITE_ROW && more != SQLITE_DONE)
            return sql_error(&store->sql, more, "read the database's tables", err);
        if (more != expected)
            return refuse(name_of(more == SQLITE_ROW ? held : model), err);
        if (more == SQLITE_DONE)
            return 0;
        rc = compare_row(held, model, err);
        if (rc)
            return rc;
    }
}

static int check_objects(struct store *store, struct error *err)
{
    sqlite3 *model = NULL;
    sqlite3_stmt *held = NULL, *expected = NULL;
    int rc = make_model(&model);

    if (rc == 0)
        rc = sqlite3_prepare_v2(model, OBJECTS, -1, &expected, NULL);
    if (rc)
        rc = error_set(err, ERR_INTERNAL, "cannot make the database's tables in memory: %s",
                       sqlite3_errmsg(model));
    else if ((rc = sqlite3_prepare_v2(store->sql.db, OBJECTS, -1, &held, NULL)))
        rc = sql_error(&store->sql, rc, "read the database's tables", err);
    else
        rc = compare(store, held, expected, err);
    sqlite3_finalize(held);
    sqlite3_finalize(expected);
    sqlite3_close(model);
    return rc;
}

/* ---- Versions. ---- */

/* From one version to this program's own, in one transaction. */
static int migrate(struct store *store, int64_t from, struct error *err)
{
    char version[64];
    int rc = store_begin(store, err);

    if (rc)
        return rc;
    snprintf(version, sizeof version, "PRAGMA user_version = %" PRId64, SCHEMA_VERSION);
    for (int64_t i = from; rc == 0 && i < SCHEMA_VERSION; i++)
        rc = sql_exec(&store->sql, schemas[i],
                      from ? "bring the database to this version" : "create the database", err);
    if (rc == 0)
        rc = sql_exec(&store->sql, version, "bring the database to this version", err);
    if (rc == 0)
        rc = check_objects(store, err);
    if (rc) {
        store_rollback(store);
        return rc;
    }
    return store_commit(store, err);
}

int schema_settle(struct store *store, enum store_mode mode, struct error *err)
{
    int64_t version = 0;
    int rc = sql_integer(&store->sql, err, &version, "PRAGMA user_version", "");

    if (rc)
        return rc;
    if (version == SCHEMA_VERSION)
        return check_objects(store, err);
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
