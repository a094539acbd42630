/* Orders that end: the totals, what is destroyed, who is refused, and a stop at every step. */
#include "faulty_station.h"

#include "hsm/credential.h"
#include "hsm/mark.h"
#include "p256_util.h"
#include "station/vault/closing.h"
#include "station/vault/voiding.h"

#include <signal.h>

static const struct rig_order plain_order = {.lock = false};

static void no_progress(void *context, int64_t done, int64_t total)
{
    (void)context;
    (void)done;
    (void)total;
}

static const struct closing_watch watch = {no_progress, NULL};

static int try_close(struct rig *r, struct closed *out, struct error *err)
{
    struct vault v;
    int rc = vault_init(&v, &r->config, NULL, r->store, r->hsm, err);

    if (rc == 0)
        rc = store_set_actor(r->store, "Ada", "the lot is done", err);
    if (rc == 0)
        rc = closing_run(&v, "TEST-1", &watch, out, err);
    vault_done(&v);
    return rc;
}

static int try_void(struct rig *r, const char *serial, struct error *err)
{
    const struct voiding what = {.name = serial, .lost = true, .reason = RECORD_SUPERSEDED};
    struct voided voided;
    struct vault v;
    int rc = vault_init(&v, &r->config, NULL, r->store, r->hsm, err);

    if (rc == 0)
        rc = voiding_run(&v, &what, &voided, err);
    vault_done(&v);
    return rc;
}

/* Six credentials: two proven, of which one revoked; one burned; one scrapped; two unused. */
static void use_some(struct rig *r)
{
    struct error err = ERROR_INIT;
    struct device d[3];

    for (uint8_t i = 0; i < 3; i++)
        device_init(&d[i], (uint8_t)(0xa0 + i));
    provision(r, &d[0]);
    provision(r, &d[1]);
    ck_assert_int_eq(meet_once(r, &d[2], NULL, &err), 0);
    for (uint8_t i = 0; i < 3; i++)
        device_done(&d[i]);
    ASSERT_OK(try_void(r, "PUMP-000002", &err), err);
    ASSERT_OK(try_void(r, "PUMP-000003", &err), err);
    ASSERT_OK(try_void(r, "PUMP-000004", &err), err);
}

static void assert_totals(const struct manifest_totals *t)
{
    ck_assert_uint_eq(t->issued, 6);
    ck_assert_uint_eq(t->good, 1);
    ck_assert_uint_eq(t->revoked, 1);
    ck_assert_uint_eq(t->burned, 1);
    ck_assert_uint_eq(t->scrapped, 3);
    ck_assert_uint_eq(t->unused + t->unresolved + t->replaced, 0);
}

/* As an owner verifies: the statement, the manifest that it names, and that both agree. */
static void verify_statement(struct rig *r, const struct closed *closed)
{
    struct error err = ERROR_INIT;
    char paths[3][PATH_MAX], dir[PATH_MAX], name[64];
    struct verify_policy pins;
    struct verify_report report;
    struct closing_policy policy;
    struct cms_signer signer;
    struct closing c;

    rig_pins(r, &pins, paths);
    snprintf(name, sizeof name, "manifests/%06d", (int)closed->manifest);
    rig_path(r->dir, name, dir);
    ASSERT_OK(manifest_verify(dir, &pins, &report, &err), err);
    policy = (struct closing_policy){.root = pins.root, .manifest = dir};
    ASSERT_OK(closing_verify(closed->dir, &policy, &c, &signer, &err), err);
    assert_totals(&c.totals);
    ck_assert_str_eq(c.by, "Ada");
    ck_assert_str_eq(c.reason, "the lot is done");
    ck_assert_uint_eq(c.size, report.size);
    ck_assert_int_eq(strncmp(c.storage, "storage:ec:", 11), 0);
    closing_done(&c);
}

/* Opens database and token, not the job: its order may be closed. */
static void reopen(struct rig *r)
{
    rig_close(r);
    memset(&r->v, 0, sizeof r->v);
    rig_open_station(r);
}

static void assert_closed(struct rig *r, const struct closed *closed)
{
    struct error err = ERROR_INIT;
    char name[HSM_STORAGE_NAME_SIZE];
    uint8_t hash[32];
    bool marked;

    assert_totals(&closed->totals);
    verify_statement(r, closed);
    rig_check(r);
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials WHERE wrapped IS NOT NULL"), 0);
    ck_assert_int_eq(rig_int(r, "SELECT state FROM orders"), ORDER_CLOSED);
    for (int i = 0; i < 2; i++) {
        static const char *const events[] = {"close", "closed"};
        char query[128];

        snprintf(query, sizeof query,
                 "SELECT count(*) FROM ledger WHERE json_extract(body, '$.event') = '%s'",
                 events[i]);
        ck_assert_int_eq(rig_int(r, query), 1);
    }
    ASSERT_OK(order_hash(r->store, 1, hash, &err), err);
    ASSERT_FAILS(hsm_storage_find(r->hsm, hash, KEY_P256, name, &err), ERR_MISSING);
    ASSERT_OK(hsm_mark_find(r->hsm, HSM_MARK_CLOSED, hash, &marked, &err), err);
    ck_assert(marked);
}

START_TEST(the_statement_says_what_became_of_every_certificate)
{
    struct error err = ERROR_INIT;
    struct closed closed, again;
    struct rig r;

    rig_start(&r, &plain_order, 6);
    use_some(&r);
    ASSERT_OK(try_close(&r, &closed, &err), err);
    ck_assert(!closed.before);
    assert_closed(&r, &closed);
    reopen(&r);
    ASSERT_OK(try_close(&r, &again, &err), err);
    ck_assert(again.before);
    ck_assert_str_eq(again.dir, closed.dir);
    assert_closed(&r, &again);
    rig_drop(&r);
}
END_TEST

START_TEST(a_closed_order_makes_delivers_and_ends_nothing_more)
{
    struct error err = ERROR_INIT;
    struct rig_order amendment = plain_order;
    struct closed closed;
    struct vault v;
    struct rig r;
    char hash[65];
    int64_t changes;

    rig_start(&r, &plain_order, 6);
    use_some(&r);
    hex_encode(r.v.history.row.hash, 32, hash);
    ASSERT_OK(try_close(&r, &closed, &err), err);
    reopen(&r);
    changes = rig_changes(&r);
    ASSERT_FAILS(vault_init(&v, &r.config, &r.job, r.store, r.hsm, &err), ERR_REFUSED);
    vault_done(&v);
    ASSERT_FAILS(try_void(&r, "PUMP-000001", &err), ERR_REFUSED);
    amendment.amends = hash;
    rig_forget_job(&r);
    rig_write_job(&r, &amendment);
    ASSERT_FAILS(rig_take(&r, &err), ERR_REFUSED);
    ck_assert_int_eq(rig_changes(&r), changes);
    rig_drop(&r);
}
END_TEST

START_TEST(an_order_with_an_unresolved_device_is_not_closed)
{
    struct error err = ERROR_INIT;
    struct closed closed;
    struct device d;
    struct rig r;
    int64_t changes;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &err), 0);
    changes = rig_changes(&r);
    ASSERT_FAILS(try_close(&r, &closed, &err), ERR_UNRESOLVED);
    ck_assert_ptr_nonnull(strstr(err.text, "has 1 devices"));
    ck_assert_int_eq(rig_changes(&r), changes);
    rig_restart(&r);
    provision(&r, &d); /* it was put back */
    ASSERT_OK(try_close(&r, &closed, &err), err);
    ck_assert_uint_eq(closed.totals.good, 1);
    ck_assert_uint_eq(closed.totals.scrapped, 1);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

START_TEST(an_order_that_nothing_was_made_under_is_closed_as_well)
{
    struct error err = ERROR_INIT;
    struct closed closed;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    ASSERT_OK(try_close(&r, &closed, &err), err);
    ck_assert_uint_eq(closed.totals.issued, 0);
    ck_assert_uint_eq(closed.manifest, 0);
    rig_drop(&r);
}
END_TEST

/* The first half of a rewrap: the stored key is unwrapped in the token and signs once. */
static int unwrap(struct rig *r, const struct credential *c, struct error *err)
{
    uint8_t station_pub[EC_POINT_SIZE];
    struct hsm_rewrap *half;
    int rc = rewrap_begin_p256(r->hsm, c->storage, c->wrapped.data, c->wrapped.len,
                               key_point(&c->key), &half, station_pub, err);

    if (rc == 0)
        hsm_credential_rewrap_abort(half);
    return rc;
}

START_TEST(wrapped_keys_in_an_old_copy_are_inert)
{
    struct error err = ERROR_INIT;
    struct credential old;
    struct closed closed;
    struct rig r;

    rig_start(&r, &plain_order, 2);
    credential_init(&old);
    ASSERT_OK(credential_get(r.store, 1, &old, &err), err);
    ASSERT_OK(unwrap(&r, &old, &err), err); /* as long as the order is open */
    ASSERT_OK(try_close(&r, &closed, &err), err);
    ASSERT_FAILS(unwrap(&r, &old, &err), ERR_MISSING);
    reopen(&r); /* what the token's folder holds, and not a session */
    ASSERT_FAILS(unwrap(&r, &old, &err), ERR_MISSING);
    credential_done(&old);
    rig_drop(&r);
}
END_TEST

/* Ways to make the totals say something else. */
static const char *const edits[] = {
    "UPDATE credentials SET state = 4 WHERE state = 3", /* a burned one that nobody ever got */
    "UPDATE credentials SET state = 2 WHERE state = 5",
    "UPDATE credentials SET state = 4 WHERE state = 3; UPDATE ledger SET body ="
    " json_set(body, '$.event', 'scrapped') WHERE json_extract(body, '$.event') = 'burned'",
    "DELETE FROM records WHERE idx = 3",
    "DELETE FROM credentials WHERE state = 4",
    "DELETE FROM ledger WHERE json_extract(body, '$.event') = 'revoked'",
    "UPDATE credentials SET product = 'other' WHERE state = 0",
    "UPDATE orders SET state = 1",
    "UPDATE orders SET state = 2",
};

START_TEST(an_edited_database_is_not_closed)
{
    struct error err = ERROR_INIT;
    struct closed closed;
    struct rig r;
    char path[PATH_MAX];

    rig_start(&r, &plain_order, 6);
    use_some(&r);
    rig_sql(&r, "PRAGMA foreign_keys = OFF");
    rig_sql(&r, edits[_i]);
    ASSERT_FAILS(try_close(&r, &closed, &err), ERR_INTEGRITY);
    rig_path(r.dir, "statements", path);
    ck_assert(!file_exists(path));
    rig_drop(&r);
}
END_TEST

START_TEST(a_statement_is_published_as_it_was_kept)
{
    struct error err = ERROR_INIT;
    struct closed closed;
    struct rig r;
    char path[PATH_MAX];

    rig_start(&r, &plain_order, 6);
    use_some(&r);
    ASSERT_OK(try_close(&r, &closed, &err), err);
    ASSERT_OK(file_join(path, sizeof path, closed.dir, CLOSING_NAME, &err), err);
    ASSERT_OK(file_write(path, "{}\n", 3, 0644, &err), err);
    ASSERT_FAILS(try_close(&r, &closed, &err), ERR_INTEGRITY);
    ASSERT_OK(file_remove_tree(closed.dir, &err), err);
    ASSERT_OK(try_close(&r, &closed, &err), err); /* made again of the same bytes */
    assert_closed(&r, &closed);
    ASSERT_OK(file_remove_tree(closed.dir, &err), err);
    rig_sql(&r, "UPDATE orders SET statement = replace(statement, 'Ada', 'Bob')");
    ASSERT_FAILS(try_close(&r, &closed, &err), ERR_INTEGRITY);
    rig_drop(&r);
}
END_TEST

/* What the owner's verifier must find. */
static const struct {
    const char *from, *to;
    int expected;
} forgeries[] = {
    {"\"burned\":1", "\"burned\":0", ERR_SIGNATURE},
    {"\"by\":\"Ada\"", "\"by\":\"Bob\"", ERR_SIGNATURE},
};

START_TEST(a_changed_statement_is_refused)
{
    struct error err = ERROR_INIT;
    struct closing_policy policy;
    struct verify_policy pins;
    struct cms_signer signer;
    struct closed closed;
    struct closing c;
    struct rig r;
    char paths[3][PATH_MAX], command[3 * PATH_MAX];

    rig_start(&r, &plain_order, 6);
    use_some(&r);
    ASSERT_OK(try_close(&r, &closed, &err), err);
    snprintf(command, sizeof command, "sed -i 's/%s/%s/' %s/" CLOSING_NAME, forgeries[_i].from,
             forgeries[_i].to, closed.dir);
    ck_assert_int_eq(system(command), 0);
    rig_pins(&r, &pins, paths);
    policy = (struct closing_policy){.root = pins.root};
    ASSERT_FAILS(closing_verify(closed.dir, &policy, &c, &signer, &err), forgeries[_i].expected);
    rig_drop(&r);
}
END_TEST

/* Totals that do not add up, or leave something open, cannot be written. */
START_TEST(a_statement_that_does_not_add_up_cannot_be_written)
{
    static const struct manifest_totals wrong[] = {{.issued = 3, .good = 2},
                                                   {.issued = 2, .good = 3},
                                                   {.issued = 3, .good = 2, .unused = 1},
                                                   {.issued = 3, .good = 2, .unresolved = 1}};
    struct closing c = {.id = "A",
                        .product = "P",
                        .station = "s",
                        .environment = "test",
                        .customer = "c",
                        .origin = "o",
                        .by = "b",
                        .reason = "r"};
    struct error err = ERROR_INIT;
    struct buf out;

    buf_init(&out, CLOSING_MAX);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        c.totals = wrong[i];
        ASSERT_FAILS(closing_write(&c, &out, &err), ERR_INCOMPLETE);
    }
    c.totals = (struct manifest_totals){.issued = 3, .good = 2, .scrapped = 1};
    ASSERT_OK(closing_write(&c, &out, &err), err);
    ASSERT_OK(closing_parse(out.data, out.len, &c, &err), err);
    closing_done(&c);
    buf_done(&out);
}
END_TEST

/* ---- stopped at every step ---- */

static const struct fault_kind stops[] = {
    {"killed", CKR_OK, P11PROXY_KILL},
    {"device error", CKR_DEVICE_ERROR, P11PROXY_REFUSE},
    {"answer lost", CKR_DEVICE_ERROR, P11PROXY_DONE},
};

/* In a child, for the kill: closes a copy of the station with a fault at one call. Returns 0 when it
 * was stopped, 1 when there was no such call. */
static int stopped_at(const struct rig *r, const struct fault_kind *kind, unsigned long at)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct p11proxy_fault fault = {.at = at, .rv = kind->rv, .how = kind->how};
        struct rig mine = *r;
        struct error err = ERROR_INIT;
        struct closed closed;

        proxy_load();
        rig_open_station(&mine);
        proxy_set(&fault);
        (void)!try_close(&mine, &closed, &err);
        _exit(proxy_state().faults ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/* In a child, too: the same command goes on and ends as if nothing had been. */
static void finish(const struct rig *r, const char *after)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct rig mine = *r;
        struct error err = ERROR_INIT;
        struct closed closed;
        int rc;

        rig_open_station(&mine);
        rc = try_close(&mine, &closed, &err);
        ck_assert_msg(rc == 0, "%s: %s", after, err.text);
        assert_closed(&mine, &closed);
        rig_close(&mine);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "not finished after %s", after);
}

/* A station that is ready to close, made in a child: PKCS#11 does not survive a fork. */
static void make_ready(struct rig *r)
{
    int status;
    pid_t child;

    rig_copy(r);
    child = fork();
    if (child == 0) {
        rig_write_job(r, &plain_order);
        rig_open(r);
        rig_generate(r, 6);
        use_some(r);
        rig_close(r);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

START_TEST(a_closing_that_is_stopped_anywhere_is_finished_by_the_same_command)
{
    const struct fault_kind *kind = &stops[_i];
    unsigned long stride = sweep_stride(13), runs = 0;
    struct rig ready, r;
    char command[256], after[64];
    bool more = true;

    make_ready(&ready);
    for (unsigned long at = 1 + (unsigned long)_i; more; at += stride) {
        struct error err = ERROR_INIT;

        rig_copy(&r);
        snprintf(command, sizeof command, "cp -a %s/station.db* %s/tokens %s", ready.dir, ready.dir,
                 r.dir);
        ck_assert_int_eq(system(command), 0);
        strcpy(r.config.module, P11PROXY);
        more = stopped_at(&r, kind, at) == 0;
        strcpy(r.config.module, ready.config.module);
        snprintf(after, sizeof after, "%s at call %lu", kind->name, at);
        finish(&r, after);
        runs += more;
        ASSERT_OK(file_remove_tree(r.dir, &err), err);
    }
    printf("closing, %s: %lu stops, every %lu. call\n", kind->name, runs, stride);
    ck_assert_uint_gt(runs, 4);
    ck_assert_int_eq(file_remove_tree(ready.dir, NULL), 0);
}
END_TEST

RIG_MAIN("closing", ONCE(the_statement_says_what_became_of_every_certificate),
         ONCE(a_closed_order_makes_delivers_and_ends_nothing_more),
         ONCE(an_order_with_an_unresolved_device_is_not_closed),
         ONCE(an_order_that_nothing_was_made_under_is_closed_as_well),
         ONCE(wrapped_keys_in_an_old_copy_are_inert),
         EACH_ROW(an_edited_database_is_not_closed, edits),
         ONCE(a_statement_is_published_as_it_was_kept),
         EACH_ROW(a_changed_statement_is_refused, forgeries),
         ONCE(a_statement_that_does_not_add_up_cannot_be_written),
         EACH_ROW(a_closing_that_is_stopped_anywhere_is_finished_by_the_same_command, stops))
