/* An older database is put back, or a newer one is cut: the token remembers the ledger's head (P5, P7). */
#include "played_device.h"

static const struct rig_order plain_order = {.lock = false};

static void database(const struct rig *r, const char *command)
{
    char text[512];

    snprintf(text, sizeof text, command, r->dir, r->dir);
    ck_assert_int_eq(system(text), 0);
}

/* The database as it is now, kept for later. */
static void keep(struct rig *r)
{
    rig_sql(r, "PRAGMA wal_checkpoint(TRUNCATE)");
    database(r, "cp %s/station.db %s/kept.db");
}

static void put_back(struct rig *r)
{
    rig_close(r);
    database(r, "rm -f %s/station.db-wal %s/station.db-shm");
    database(r, "cp %s/kept.db %s/station.db");
}

/* Opens as the program does; what the vault says to this database. */
static int start_again(struct rig *r, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int rc;

    ASSERT_OK(vault_open_store(&r->config, STORE_WRITE, &r->store, &ignored), ignored);
    ASSERT_OK(vault_open_hsm(&r->config, &r->hsm, &ignored), ignored);
    r->anchoring = (struct anchoring){.config = &r->config, .hsm = r->hsm};
    rc = vault_attach_store(&r->anchoring, r->store, err);
    memset(&r->v, 0, sizeof r->v);
    return rc;
}

/* ---- what was released after the copy was made ---- */

static void makes_more(struct rig *r)
{
    rig_generate(r, 1);
}

static void claims(struct rig *r)
{
    struct device d;
    struct error said;

    device_init(&d, 0xb2);
    ck_assert_int_eq(meet_once(r, &d, NULL, &said), 0);
    device_done(&d);
}

static void burns(struct rig *r)
{
    struct device d;
    struct error said;

    device_init(&d, 0xa1); /* the chip of the claim that is open */
    ck_assert_int_eq(meet_once(r, &d, NULL, &said), 0);
    ck_assert_int_eq(rig_state(r, CREDENTIAL_BURNED), 1);
    device_done(&d);
}

static void proves(struct rig *r)
{
    struct device d;

    device_init(&d, 0xc3);
    provision(r, &d);
    device_done(&d);
}

static void seals(struct rig *r)
{
    struct error err = ERROR_INIT;
    struct sealed sealed;

    ASSERT_OK(sealing_run(&r->config, r->store, r->hsm, NULL, &sealed, &err), err);
    ck_assert_int_eq(sealed.seq, 1);
}

static void (*const releases[])(struct rig *) = {makes_more, claims, burns, proves, seals};

START_TEST(an_older_database_issues_nothing)
{
    struct error err = ERROR_INIT, said;
    struct rig r;
    struct device d, e;

    rig_start(&r, &plain_order, 5);
    device_init(&d, 0xa1);
    device_init(&e, 0xd4);
    provision(&r, &e); /* so that there is something to seal */
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    keep(&r);
    releases[_i](&r);
    put_back(&r);
    ASSERT_FAILS(start_again(&r, &err), ERR_ROLLBACK);
    ck_assert_ptr_nonnull(strstr(err.text, "old copy"));
    device_done(&d);
    device_done(&e);
    rig_drop(&r);
}
END_TEST

START_TEST(the_newest_database_put_back_is_fine)
{
    struct error err = ERROR_INIT;
    struct rig r;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    provision(&r, &d);
    keep(&r);
    put_back(&r);
    ASSERT_OK(start_again(&r, &err), err);
    ASSERT_OK(vault_init(&r.v, &r.config, &r.job, r.store, r.hsm, &err), err);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- a crash between commit and anchor ---- */

static int no_anchor(void *context, int64_t seq, const uint8_t head[32], struct error *err)
{
    (void)context;
    (void)seq;
    (void)head;
    return error_set(err, ERR_HSM, "the token is gone");
}

START_TEST(nothing_leaves_that_is_not_anchored)
{
    struct error err = ERROR_INIT;
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, line_open(&l));
    store_set_anchor(r.store, no_anchor, NULL);
    {
        struct wire_hello h = device_hello(&d, l.nonce);

        ck_assert_int_eq(line_hello(&l, &h), ERR_HSM);
        ck_assert_int_eq(l.fatal, ERR_HSM); /* the vault ends */
    }
    ck_assert_int_eq(l.reply.data[0], error_exit_status(ERR_HSM));
    session_done(&l.session); /* without a record: the vault is dead */
    buf_done(&l.request);
    buf_done(&l.reply);
    rig_close(&r);
    /* the claim is in the database, one entry ahead of the anchor: the next start goes on with it */
    ASSERT_OK(start_again(&r, &err), err);
    ASSERT_OK(vault_init(&r.v, &r.config, &r.job, r.store, r.hsm, &err), err);
    ASSERT_OK(vault_load_certificate(&r.v, &err), err);
    provision(&r, &d);
    ck_assert_int_eq(rig_claims(&r), 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_proof_that_could_not_be_anchored_is_no_pass_yet)
{
    uint8_t verdict = 0;
    struct error err = ERROR_INIT;
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    deliver(&l, &d);
    store_set_anchor(r.store, no_anchor, NULL);
    ck_assert_int_eq(prove(&l, &d, &verdict), ERR_HSM);
    ck_assert_int_eq(l.fatal, ERR_HSM);
    session_done(&l.session);
    buf_done(&l.request);
    buf_done(&l.reply);
    rig_close(&r);
    ASSERT_OK(start_again(&r, &err), err);
    ASSERT_OK(vault_init(&r.v, &r.config, &r.job, r.store, r.hsm, &err), err);
    ASSERT_OK(vault_load_certificate(&r.v, &err), err);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_int_eq(l.plan.again, 1);
    pass(&l, &d);
    ck_assert_int_eq(rig_records(&r), 1);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- histories that are not the anchored one ---- */

#define LAST  "(SELECT max(seq) FROM ledger)"
#define AHEAD "INSERT INTO ledger SELECT max(seq) + 1, "

static const struct {
    const char *edit;
    int code;
} histories[] = {
    {"DELETE FROM ledger WHERE seq = " LAST, ERR_ROLLBACK},
    {"DELETE FROM ledger", ERR_ROLLBACK},
    {"UPDATE ledger SET hash = zeroblob(32) WHERE seq = " LAST, ERR_ROLLBACK},
    {"UPDATE ledger SET seq = seq + 1 WHERE seq = " LAST, ERR_ROLLBACK},
    /* an entry long ago, with the tables to fit, to be put back when it has served */
    {"UPDATE ledger SET body = json_set(body, '$.data.order', 'another')"
     " WHERE json_extract(body, '$.event') = 'claim'",
     ERR_INTEGRITY},
    {"UPDATE ledger SET body = json_set(body, '$.data.credential', 2)"
     " WHERE json_extract(body, '$.event') = 'proven'",
     ERR_INTEGRITY},
    {"DELETE FROM ledger WHERE json_extract(body, '$.event') = 'generate'", ERR_INTEGRITY},
    {AHEAD "'{}', zeroblob(32), zeroblob(32) FROM ledger", ERR_INTEGRITY},
    {AHEAD "json_set(body, '$.data', '{}'), hash, mac FROM ledger WHERE seq = " LAST,
     ERR_INTEGRITY},
};

START_TEST(another_history_issues_nothing)
{
    struct error err = ERROR_INIT;
    struct rig r;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    provision(&r, &d);
    rig_sql(&r, histories[_i].edit);
    rig_close(&r);
    ASSERT_FAILS(start_again(&r, &err), histories[_i].code);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

/* ---- somebody who writes at the same time ---- */

/* What another connection writes while the vault is open: a second vault, or a person. */
static void write_beside(const struct rig *r)
{
    char path[PATH_MAX];
    sqlite3 *db;

    rig_path(r->dir, "station.db", path);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "UPDATE counters SET next = next + 1", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
}

START_TEST(a_vault_that_is_not_alone_with_the_database_issues_nothing)
{
    struct error err = ERROR_INIT;
    struct rig r;
    struct line l;
    struct device d;
    int64_t changes;

    rig_start(&r, &plain_order, 2);
    changes = rig_changes(&r);
    write_beside(&r);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    ck_assert_int_eq(meet(&l, &d), ERR_INTEGRITY);
    ck_assert_int_eq(l.fatal, ERR_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(l.said.text, "somebody else wrote the database"));
    line_done(&l);
    ASSERT_FAILS(store_begin(r.store, &err), ERR_INTEGRITY);
    ASSERT_FAILS(store_settle(r.store, &err), ERR_INTEGRITY);
    ck_assert_int_eq(rig_changes(&r), changes);
    rig_restart(&r); /* whoever starts next sees the whole database */
    provision(&r, &d);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(who_only_reads_disturbs_nobody)
{
    struct error err = ERROR_INIT;
    struct store *reader;
    struct rig r;
    struct device d;

    rig_start(&r, &plain_order, 2);
    ASSERT_OK(vault_open_store(&r.config, STORE_READ, &reader, &err), err);
    device_init(&d, 0xa1);
    provision(&r, &d);
    store_close(reader);
    rig_generate(&r, 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- a ledger that was put back after it was used: its entries do not fit the rows ---- */

static const char *const misfits[] = {
    "UPDATE credentials SET state = CASE id WHEN 1 THEN 0 WHEN 2 THEN 2 ELSE state END",
    "UPDATE credentials SET state = CASE id WHEN 1 THEN 1 WHEN 3 THEN 2 ELSE state END",
};

START_TEST(a_state_without_its_entry_is_found)
{
    struct error err = ERROR_INIT;
    struct device d, e;
    int64_t entries;
    struct error said;
    struct rig r;

    rig_start(&r, &plain_order, 3);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    provision(&r, &d);
    if (_i == 1)
        ck_assert_int_eq(meet_once(&r, &e, NULL, &said), 0);
    rig_sql(&r, misfits[_i]);
    ASSERT_FAILS(ledger_verify(r.store, &entries, &err), ERR_INTEGRITY);
    device_done(&d);
    device_done(&e);
    rig_drop(&r);
}
END_TEST

RIG_MAIN("rollback", EACH_ROW(an_older_database_issues_nothing, releases),
         ONCE(the_newest_database_put_back_is_fine), ONCE(nothing_leaves_that_is_not_anchored),
         ONCE(a_proof_that_could_not_be_anchored_is_no_pass_yet),
         EACH_ROW(another_history_issues_nothing, histories),
         ONCE(a_vault_that_is_not_alone_with_the_database_issues_nothing),
         ONCE(who_only_reads_disturbs_nobody),
         EACH_ROW(a_state_without_its_entry_is_found, misfits))
