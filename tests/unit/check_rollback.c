/* An older database is put back, or a newer one is cut: the token remembers the ledger's head (P5, P7). */
#include "played_device.h"

#include "hsm/anchor.h"

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
    r->anchoring = (struct anchoring){&r->config, r->hsm};
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

RIG_MAIN("rollback", EACH_ROW(an_older_database_issues_nothing, releases),
         ONCE(the_newest_database_put_back_is_fine), ONCE(nothing_leaves_that_is_not_anchored),
         ONCE(a_proof_that_could_not_be_anchored_is_no_pass_yet),
         EACH_ROW(another_history_issues_nothing, histories))
