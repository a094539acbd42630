/*
 * Somebody edits the database between two starts of the station: nothing is issued, proven or
 * released on the strength of what was changed. Each row is one edit; the vault stops (a failure
 * that is fatal) and says that the database was changed.
 */
#include "played_device.h"

static const struct rig_order plain_order = {.lock = false};

/* Stops the vault with ERR_INTEGRITY; nothing but that is recorded. */
#define ASSERT_STOPS(line, call)                                                                   \
    do {                                                                                           \
        int stops_rc = (call);                                                                     \
        ck_assert_msg(stops_rc == ERR_INTEGRITY, "%s: %s instead of ERR_INTEGRITY: %s", #call,     \
                      error_name(stops_rc), (line)->said.text);                                    \
        ck_assert_int_eq((line)->fatal, ERR_INTEGRITY);                                            \
        ck_assert_ptr_nonnull(strstr((line)->said.text, "security team"));                         \
    } while (0)

/* ---- credentials that wait for a device ---- */

static const char *const waiting[] = {
    "UPDATE credentials SET wrapped = (SELECT wrapped FROM credentials WHERE id = 2) WHERE id = 1",
    "UPDATE credentials SET wrapped = NULL WHERE id = 1",
    "UPDATE credentials SET wrapped = zeroblob(80) WHERE id = 1",
    "UPDATE credentials SET cert = (SELECT cert FROM credentials WHERE id = 2) WHERE id = 1",
    "UPDATE credentials SET point = (SELECT point FROM credentials WHERE id = 2) WHERE id = 1",
    "UPDATE credentials SET serial = 'PUMP-009999' WHERE id = 1",
    "UPDATE credentials SET product = '00000000000000' WHERE id = 1",
    "UPDATE credentials SET storage = 'storage:ec:0000000000000000' WHERE id = 1",
    "UPDATE credentials SET mac = zeroblob(32) WHERE id = 1",
    "UPDATE credentials SET mac = (SELECT mac FROM credentials WHERE id = 2) WHERE id = 1",
    "PRAGMA foreign_keys = OFF; UPDATE credentials SET id = 0 WHERE id = 1",
    "UPDATE orders SET hash = zeroblob(32)",
};

START_TEST(a_credential_that_was_changed_is_not_given_out)
{
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 2);
    rig_sql(&r, waiting[_i]);
    r.v.order_id = 1; /* as if the vault had started before the edit */
    device_init(&d, 0xa1);
    line_init(&l, &r);
    ASSERT_STOPS(&l, meet(&l, &d));
    ck_assert_int_eq(rig_claims(&r), 0);
    line_done(&l);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

/* A row of another order under this one: the order's hash is in its MAC. */
START_TEST(a_credential_of_another_order_is_not_given_out)
{
    const struct rig_order other = {.id = "TEST-2"};
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 1);
    rig_use_order(&r, &other);
    rig_generate(&r, 1);
    rig_sql(&r, "UPDATE credentials SET order_id = 2 WHERE id = 1");
    device_init(&d, 0xa1);
    line_init(&l, &r);
    ASSERT_STOPS(&l, meet(&l, &d));
    line_done(&l);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

/* ---- a credential that was given out before ---- */

enum progress { DELIVERED, PROVEN, BURNED };

#define KEEP                                                                                       \
    "CREATE TEMP TABLE kept AS SELECT id, wrapped FROM credentials; "                              \
    "CREATE TEMP TABLE kept_claims AS SELECT tx, wrapped FROM claims; "
#define RESTORE_KEY                                                                                \
    "UPDATE credentials SET wrapped = (SELECT wrapped FROM kept WHERE kept.id = credentials.id)"   \
    " WHERE id = 1; "

/* The one edit that P2 fears most: what was released is made available again. */
static const struct {
    enum progress progress;
    const char *edit;
} rewound[] = {
    {DELIVERED, "DELETE FROM claims WHERE credential = 1;"
                "UPDATE credentials SET state = 0 WHERE id = 1"},
    {PROVEN, "DELETE FROM claims WHERE credential = 1;" RESTORE_KEY
             "UPDATE credentials SET state = 0 WHERE id = 1"},
    {PROVEN, "UPDATE claims SET credential = 3 WHERE credential = 1;" RESTORE_KEY
             "UPDATE credentials SET state = 0 WHERE id = 1"},
    {BURNED, "DELETE FROM claims WHERE credential = 1;" RESTORE_KEY
             "UPDATE credentials SET state = 0 WHERE id = 1"},
    {BURNED, RESTORE_KEY "UPDATE credentials SET state = 0 WHERE id = 1"},
    {DELIVERED, "UPDATE credentials SET state = 0 WHERE id = 1"},
};

static void progress_to(struct rig *r, struct device *d, enum progress progress)
{
    struct line l;
    struct device other;
    struct error said;

    device_init(d, 0xa1);
    line_init(&l, r);
    deliver(&l, d);
    rig_sql(r, KEEP);
    if (progress == PROVEN)
        pass(&l, d);
    line_done(&l);
    if (progress == BURNED) {
        device_init(&other, 0xa1);
        ck_assert_int_eq(meet_once(r, &other, NULL, &said), 0);
        device_done(&other);
    }
}

START_TEST(a_credential_that_was_released_is_never_released_again)
{
    struct rig r;
    struct line l;
    struct device d, thief;

    rig_start(&r, &plain_order, 3);
    progress_to(&r, &d, rewound[_i].progress);
    rig_sql(&r, rewound[_i].edit);
    device_init(&thief, 0xee);
    line_init(&l, &r);
    ASSERT_STOPS(&l, meet(&l, &thief));
    line_done(&l);
    device_done(&d);
    device_done(&thief);
    rig_drop(&r);
}
END_TEST

/* ---- a device that comes back to a changed database ---- */

static const struct {
    enum progress progress;
    const char *edit;
} returning[] = {
    /* what the record will say of an identity that is not proven yet */
    {DELIVERED, "UPDATE credentials SET serial = 'PUMP-009999' WHERE id = 1"},
    {DELIVERED, "UPDATE credentials SET product = '00000000000000' WHERE id = 1"},
    {DELIVERED, "UPDATE credentials SET cert = (SELECT cert FROM credentials WHERE id = 2)"
                " WHERE id = 1"},
    {DELIVERED, "UPDATE credentials SET point = (SELECT point FROM credentials WHERE id = 2)"
                " WHERE id = 1"},
    {DELIVERED, "UPDATE credentials SET wrapped = NULL, point = zeroblob(65) WHERE id = 1"},
    {DELIVERED, "UPDATE credentials SET state = 0 WHERE id = 1"},
    {DELIVERED, "UPDATE credentials SET state = 3 WHERE id = 1"},
    {DELIVERED, "UPDATE claims SET credential = 2 WHERE credential = 1;"
                "UPDATE credentials SET state = 1 WHERE id = 2"},
    {DELIVERED, "UPDATE claims SET state = 1"},
    {DELIVERED, "UPDATE claims SET state = 2"},
    {DELIVERED, "UPDATE claims SET fw_version = '9.9.9'"},
    {DELIVERED, "UPDATE claims SET fw_debug = 1"},
    {DELIVERED, "UPDATE claims SET fw_hash = zeroblob(32)"},
    {DELIVERED, "UPDATE claims SET attestation = zeroblob(135)"},
    {DELIVERED, "UPDATE claims SET slot = 'S9'"},
    {DELIVERED, "UPDATE claims SET x = zeroblob(length(x))"},
    {DELIVERED, "UPDATE claims SET station_sig = zeroblob(64)"},
    {DELIVERED, "UPDATE claims SET station_pub = dev_pub"},
    {DELIVERED, "UPDATE claims SET dev_pub = station_pub"},
    {DELIVERED, "UPDATE claims SET chip = x'0102'"},
    {DELIVERED, "UPDATE claims SET mac = zeroblob(32)"},
    /* a second record of one device */
    {PROVEN,
     "UPDATE claims SET state = 0;" RESTORE_KEY "UPDATE credentials SET state = 1 WHERE id = 1"},
    {PROVEN, "UPDATE claims SET state = 0"},
    {PROVEN, RESTORE_KEY "SELECT 1"},
    /* somebody else's key behind a serial that was proven */
    {PROVEN, "UPDATE credentials SET point = (SELECT point FROM credentials WHERE id = 2)"
             " WHERE id = 1"},
    {PROVEN, "UPDATE credentials SET cert = (SELECT cert FROM credentials WHERE id = 2)"
             " WHERE id = 1"},
    {PROVEN, "UPDATE credentials SET serial = 'PUMP-009999' WHERE id = 1"},
    /* what was revoked by burning, made good again */
    {BURNED, "DELETE FROM claims WHERE state = 0; UPDATE claims SET state = 0;" RESTORE_KEY
             "UPDATE credentials SET state = 1 WHERE id = 1"},
    {BURNED, "DELETE FROM claims WHERE state = 0; UPDATE claims SET state = 1;"
             "UPDATE credentials SET state = 2 WHERE id = 1"},
};

START_TEST(a_device_is_not_proven_on_rows_that_were_changed)
{
    struct rig r;
    struct line l;
    struct device d;
    int64_t records;
    uint8_t verdict = 0;
    int rc;

    rig_start(&r, &plain_order, 3);
    progress_to(&r, &d, returning[_i].progress);
    records = rig_records(&r);
    rig_sql(&r, returning[_i].edit);
    line_init(&l, &r);
    rc = meet(&l, &d);
    if (rc == 0) { /* the edit shows only when the proof is to be recorded */
        ck_assert_int_eq(l.plan.action, WIRE_PROVE);
        rc = prove(&l, &d, &verdict);
    }
    ASSERT_STOPS(&l, rc);
    ck_assert_int_eq(rig_records(&r), records);
    line_done(&l);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

/* What the device itself would refuse does no harm: the bytes of a blob, the nonce that is unused.
 */
START_TEST(a_blob_that_was_changed_is_of_no_use_to_anybody)
{
    struct rig r;
    struct line l;
    struct device d;
    struct buf blob;
    struct wire_plan plan;
    struct error said;

    rig_start(&r, &plain_order, 1);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    rig_sql(&r,
            "UPDATE claims SET wrapped = zeroblob(length(wrapped)), prove_nonce = zeroblob(32)");
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    buf_init(&blob, WIRE_OBJECT_MAX);
    ASSERT_ANSWER(&l, line_object(&l, 0, &blob));
    device_transcript(&d, &l.plan);
    ck_assert_ptr_null(device_unwrap(&d, &l.plan, &blob));
    buf_done(&blob);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- what is not rows: the tables themselves ---- */

#define FORGED_INDEX                                                                               \
    "DROP INDEX ledger_credential;"                                                                \
    "CREATE INDEX ledger_credential ON ledger(json_extract(body, '$.x'),"                          \
    " json_extract(body, '$.event'));"                                                             \
    "PRAGMA writable_schema = ON;"                                                                 \
    "UPDATE sqlite_schema SET sql = (SELECT was FROM kept_index) WHERE name = "                    \
    "'ledger_credential';"                                                                         \
    "PRAGMA writable_schema = OFF;"

/* Each is done to a station with a proven device, one whose claim is open and one that waits. */
static const struct {
    const char *edit, *part;
} tables[] = {
    /* hides what the ledger tells of a credential from whoever asks by it */
    {"CREATE TEMP TABLE kept_index AS SELECT sql AS was FROM sqlite_schema"
     " WHERE name = 'ledger_credential';" FORGED_INDEX "DROP TABLE kept_index",
     "indexes do not hold"},
    {"DROP INDEX ledger_credential", "ledger_credential"},
    {"DROP INDEX ledger_key", "ledger_key"}, /* one spare key in two certificates */
    {"DROP INDEX claims_chip", "claims_chip"},
    {"DROP INDEX ledger_marks; CREATE INDEX ledger_marks ON ledger(seq) WHERE 0", "ledger_marks"},
    /* is run inside the vault's own change */
    {"CREATE TRIGGER evil AFTER INSERT ON ledger BEGIN DELETE FROM claims; END", "evil"},
    {"CREATE TABLE more (x)", "more"},
    {"CREATE VIEW more AS SELECT 1", "more"},
    {"ALTER TABLE attempts ADD COLUMN more", "attempts"},
    {"PRAGMA foreign_keys = OFF; DROP TABLE attempts", "attempts"},
    /* a chip without its claim would be a new device */
    {"DELETE FROM claims WHERE credential = 1", "claims"},
    {"DELETE FROM claims WHERE credential = 2", "claims"},
};

/* What a start of the program says of a file that was edited while nobody had it open. */
static int start_after(struct rig *r, const char *edit, struct error *err)
{
    char path[PATH_MAX];
    sqlite3 *db;
    int rc;

    rig_close(r);
    ASSERT_OK(config_path(&r->config, "station.db", path, err), *err);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, edit, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", edit,
                  sqlite3_errmsg(db));
    sqlite3_close(db);
    ASSERT_OK(vault_open_hsm(&r->config, &r->hsm, err), *err);
    r->anchoring = (struct anchoring){.config = &r->config, .hsm = r->hsm};
    rc = vault_open_store(&r->config, STORE_WRITE, &r->store, err);
    if (rc == 0)
        rc = vault_attach_store(&r->anchoring, r->store, err);
    if (rc == 0)
        rc = vault_init(&r->v, &r->config, &r->job, r->store, r->hsm, err);
    return rc;
}

START_TEST(a_start_refuses_tables_that_were_changed)
{
    struct error err = ERROR_INIT;
    struct rig r;
    struct device d, e;
    struct wire_plan plan;
    struct error said;

    rig_start(&r, &plain_order, 3);
    progress_to(&r, &d, PROVEN);
    device_init(&e, 0xa2);
    ck_assert_int_eq(meet_once(&r, &e, &plan, &said), 0);
    ASSERT_FAILS(start_after(&r, tables[_i].edit, &err), ERR_INTEGRITY);
    ck_assert_msg(strstr(err.text, tables[_i].part) != NULL, "'%s' lacks '%s'", err.text,
                  tables[_i].part);
    ck_assert_ptr_nonnull(strstr(err.text, "security team"));
    device_done(&d);
    device_done(&e);
    rig_drop(&r);
}
END_TEST

START_TEST(a_start_after_a_harmless_look_is_a_start)
{
    struct error err = ERROR_INIT;
    struct rig r;
    struct device d;

    rig_start(&r, &plain_order, 3);
    progress_to(&r, &d, PROVEN);
    ASSERT_OK(start_after(&r, "SELECT count(*) FROM claims; VACUUM; REINDEX", &err), err);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

/* ---- the same, seen by `imprint ledger` ---- */

static const struct {
    enum progress progress;
    const char *edit, *part;
} told[] = {
    {DELIVERED, "DELETE FROM claims", "claims"},
    {DELIVERED, "DELETE FROM ledger WHERE seq = (SELECT max(seq) FROM ledger)", "claims"},
    {PROVEN, "DELETE FROM records", "records"},
    {PROVEN, "INSERT INTO records SELECT idx + 1, line, evidence, mac FROM records", "records"},
    {PROVEN, "UPDATE credentials SET state = 3 WHERE id = 1", "credentials"},
    {PROVEN, "UPDATE credentials SET state = 0 WHERE id = 1", "credentials"},
    {DELIVERED, "UPDATE credentials SET state = 2 WHERE id = 2", "credentials"},
    {BURNED, "UPDATE claims SET state = 1 WHERE credential = 1", "proven"},
    {BURNED, "DELETE FROM claims WHERE state = 2", "claims"},
};

START_TEST(the_ledger_tells_what_the_tables_lack)
{
    struct error err = ERROR_INIT;
    struct rig r;
    struct device d;
    int64_t count;

    rig_start(&r, &plain_order, 3);
    progress_to(&r, &d, told[_i].progress);
    ASSERT_OK(ledger_verify(r.store, &count, &err), err);
    rig_sql(&r, "DROP INDEX IF EXISTS claims_chip"); /* an editor can do that */
    rig_sql(&r, told[_i].edit);
    ASSERT_FAILS(ledger_verify(r.store, &count, &err), ERR_INTEGRITY);
    ck_assert_msg(strstr(err.text, told[_i].part) != NULL, "'%s' lacks '%s'", err.text,
                  told[_i].part);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

RIG_MAIN("tamper", EACH_ROW(a_credential_that_was_changed_is_not_given_out, waiting),
         ONCE(a_credential_of_another_order_is_not_given_out),
         EACH_ROW(a_credential_that_was_released_is_never_released_again, rewound),
         EACH_ROW(a_device_is_not_proven_on_rows_that_were_changed, returning),
         ONCE(a_blob_that_was_changed_is_of_no_use_to_anybody),
         EACH_ROW(a_start_refuses_tables_that_were_changed, tables),
         ONCE(a_start_after_a_harmless_look_is_a_start),
         EACH_ROW(the_ledger_tells_what_the_tables_lack, told))
