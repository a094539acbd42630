/* Orders in the station: taken in, amended, opened again, and what they stop. */
#include "played_device.h"

#include "station/vault/quota.h"

static const struct rig_order plain_order = {.lock = false};

/* The hash of the version in force of TEST-1, as an amendment names it. */
static void in_force(struct rig *r, char hex[65])
{
    hex_encode(r->v.order->hash, 32, hex);
}

/* Puts another order on the owner's desk of an open station, and takes it in. */
static int take(struct rig *r, const struct rig_order *o, struct error *err)
{
    rig_forget_job(r);
    rig_write_job(r, o);
    return rig_take(r, err);
}

static int start_vault(struct rig *r, struct error *err)
{
    vault_done(&r->v);
    return vault_init(&r->v, &r->config, &r->job, r->store, r->hsm, err);
}

static int64_t ledger_entries(struct rig *r)
{
    return rig_int(r, "SELECT count(*) FROM ledger");
}

#define WRONG "4444444444444444444444444444444444444444444444444444444444444444"

static const struct {
    struct rig_order order;
    int code;
    const char *part;
} refused[] = {
    {{.id = "T-2", .environment = "production"}, ERR_REFUSED, "never mixed"},
    {{.id = "T-2", .key = WRONG}, ERR_REFUSED, "does not list this station"},
    {{.id = "T-2", .issuer = WRONG}, ERR_REFUSED, "another issuing CA"},
    {{.id = "T-2", .no_software_hsm = true}, ERR_REFUSED, "does not accept a software HSM"},
    {{.id = "T-2",
      .after = "{\"origin\":\"other\",\"size\":1,\"root\":"
               "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"}"},
     ERR_REFUSED,
     "this station's log is"},
    {{.id = "T-2",
      .after = "{\"origin\":\"acme.example/wl/line1\",\"size\":1,\"root\":"
               "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"}"},
     ERR_ROLLBACK,
     "old copy"},
    {{.lock = true}, ERR_REFUSED, "has another order 'TEST-1'"},
    {{.id = "T-2", .amends = WRONG}, ERR_MISSING, "no order 'T-2'"},
    {{.amends = WRONG}, ERR_REFUSED, "not of the version in force"},
};

START_TEST(an_order_that_does_not_fit_is_not_taken_in)
{
    struct error err = ERROR_INIT;
    int64_t entries;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    entries = ledger_entries(&r);
    ASSERT_FAILS(take(&r, &refused[_i].order, &err), refused[_i].code);
    ck_assert_msg(strstr(err.text, refused[_i].part) != NULL, "%s", err.text);
    ck_assert_int_eq(ledger_entries(&r), entries);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM order_versions"), 1);
    rig_end(&r);
}
END_TEST

/* The refusal names the hash that the owner must list. */
START_TEST(a_station_that_is_not_listed_says_its_key)
{
    const struct rig_order other = {.id = "T-2", .key = WRONG};
    struct error err = ERROR_INIT;
    char key[65];
    struct rig r;

    rig_start(&r, &plain_order, 0);
    rig_station_json(&r, "key", key);
    ASSERT_FAILS(take(&r, &other, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, key));
    rig_end(&r);
}
END_TEST

START_TEST(the_same_bytes_again_change_nothing)
{
    struct error err = ERROR_INIT;
    int64_t entries;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    entries = ledger_entries(&r);
    ASSERT_OK(take(&r, &plain_order, &err), err);
    ck_assert_int_eq(ledger_entries(&r), entries);
    rig_end(&r);
}
END_TEST

/* `after` of the log as it is: its size and root. */
static void after_now(struct rig *r, char out[256])
{
    struct error err = ERROR_INIT;
    struct sealing last;
    struct buf root;
    bool found;

    sealing_init(&last);
    buf_init(&root, 100);
    ASSERT_OK(sealing_last(r->store, &last, &found, &err), err);
    ck_assert(found);
    base64_put(&root, last.root.data, last.root.len);
    buf_put_u8(&root, 0);
    snprintf(out, 256, "{\"origin\":\"%s\",\"size\":%d,\"root\":\"%s\"}", r->config.origin,
             (int)(last.first + last.count), (const char *)root.data);
    sealing_done(&last);
    buf_done(&root);
}

START_TEST(the_log_extends_what_the_owner_accepted)
{
    struct error err = ERROR_INIT;
    char after[256], wrong[256];
    const struct rig_order good = {.id = "T-2", .after = after};
    const struct rig_order bad = {.id = "T-3", .after = wrong};
    char *first;
    struct device d;
    struct rig r;

    rig_start(&r, &plain_order, 3);
    for (uint8_t i = 0; i < 2; i++) {
        device_init(&d, i);
        provision(&r, &d);
        device_done(&d);
        if (i == 0) {
            rig_seal_and_verify(&r);
            after_now(&r, after);
        }
    }
    ASSERT_OK(take(&r, &good, &err), err); /* the log has grown since */
    strcpy(wrong, after);
    first = strstr(wrong, "root\":\"") + 7;
    *first = *first == 'A' ? 'B' : 'A';
    ASSERT_FAILS(take(&r, &bad, &err), ERR_ROLLBACK);
    ck_assert_msg(strstr(err.text, "two histories") != NULL, "%s", err.text);
    rig_end(&r);
}
END_TEST

/* ---- amendments ---- */

START_TEST(an_amendment_changes_the_counts_and_resets_none)
{
    const struct rig_order small = {.good = 2, .max_issued = 2};
    struct rig_order more = {.good = 3, .max_issued = 3}, less = {.good = 1, .max_issued = 1};
    struct error err = ERROR_INIT;
    char first[65], second[65];
    int64_t made;
    struct rig r;

    rig_start(&r, &small, 2);
    ASSERT_FAILS(generate_credentials(&r.v, 1, RIG_THREADS, &rig_watch, &made, &err), ERR_REFUSED);
    in_force(&r, first);
    more.amends = first;
    rig_use_order(&r, &more);
    ck_assert_int_eq(r.v.order_id, 1);
    rig_generate(&r, 1);
    ASSERT_FAILS(generate_credentials(&r.v, 1, RIG_THREADS, &rig_watch, &made, &err), ERR_REFUSED);
    ck_assert_int_eq(rig_int(&r, "SELECT count(DISTINCT storage) FROM credentials"), 1);
    in_force(&r, second);
    less.amends = second;
    rig_use_order(&r, &less); /* also down: nothing more is made */
    ASSERT_FAILS(generate_credentials(&r.v, 1, RIG_THREADS, &rig_watch, &made, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "allows this station 1 certificates and 3 are made"));
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM order_versions"), 3);
    rig_end(&r);
}
END_TEST

START_TEST(amendments_are_added_one_after_the_other)
{
    struct rig_order second = {.good = 3}, third = {.good = 4};
    char first_hash[65], second_hash[65];
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    in_force(&r, first_hash);
    second.amends = first_hash;
    third.amends = first_hash;
    rig_use_order(&r, &second);
    ASSERT_FAILS(take(&r, &third, &err), ERR_REFUSED); /* of a version that was amended */
    in_force(&r, second_hash);
    ck_assert_ptr_nonnull(strstr(err.text, second_hash));
    ASSERT_OK(take(&r, &plain_order, &err), err); /* both are here already */
    ASSERT_OK(take(&r, &second, &err), err);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM order_versions"), 2);
    rig_end(&r);
}
END_TEST

static const struct {
    struct rig_order amendment;
    const char *part;
} fixed[] = {
    {{.product = "another"}, "changes 'product'"},
    {{.environment = "production"}, "never mixed"},
    {{.key = WRONG}, "does not list this station"},
};

START_TEST(an_amendment_keeps_product_environment_and_station)
{
    struct rig_order amendment = fixed[_i].amendment;
    struct error err = ERROR_INIT;
    char first[65];
    struct rig r;

    rig_start(&r, &plain_order, 0);
    in_force(&r, first);
    amendment.amends = first;
    ASSERT_FAILS(take(&r, &amendment, &err), ERR_REFUSED);
    ck_assert_msg(strstr(err.text, fixed[_i].part) != NULL, "%s", err.text);
    rig_end(&r);
}
END_TEST

/* The order's hash that a device was given: the third member of X. */
static void assert_claimed_under(const struct line *l, const char *hex)
{
    char said[65];

    hex_encode(l->plan.order_hash, 32, said);
    ck_assert_str_eq(said, hex);
}

START_TEST(a_claim_keeps_the_version_that_it_was_made_under)
{
    struct rig_order amendment = {.lock = true};
    struct device before, after;
    char first[65], second[65], hex[65];
    struct record record;
    struct line l;
    struct rig r;

    rig_start(&r, &plain_order, 3);
    in_force(&r, first);
    amendment.amends = first;
    device_init(&before, 0xa1);
    device_init(&after, 0xb2);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &before));
    assert_claimed_under(&l, first);
    line_done(&l);
    rig_use_order(&r, &amendment);
    in_force(&r, second);
    line_init(&l, &r);
    deliver(&l, &before); /* comes back after the amendment, */
    assert_claimed_under(&l, first);
    pass(&l, &before); /* and needs no lock, which its version did not ask for */
    line_done(&l);
    line_init(&l, &r);
    deliver(&l, &after);
    assert_claimed_under(&l, second);
    pass(&l, &after);
    line_done(&l);
    for (int i = 0; i < 2; i++) {
        rig_record(&r, i, &record);
        hex_encode(record.order, 32, hex);
        ck_assert_str_eq(hex, i == 0 ? first : second);
        ck_assert_int_eq(record.lock, i == 1);
        record_done(&record);
    }
    device_done(&before);
    device_done(&after);
    rig_end(&r); /* the manifest's totals name the amendment: it verifies */
}
END_TEST

START_TEST(a_device_is_not_given_other_trust_anchors_than_it_began_with)
{
    struct rig_order amendment = {.anchors = true};
    struct error said;
    struct device d;
    char first[65];
    struct rig r;

    rig_start(&r, &plain_order, 3);
    in_force(&r, first);
    amendment.amends = first;
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    rig_use_order(&r, &amendment);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "other trust anchors");
    device_new_transport(&d); /* erased: what it had is burned */
    provision(&r, &d);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_burned_claim_draws_on_good_like_any_other)
{
    const struct rig_order three = {.good = 3};
    struct rig_order one = {.good = 1};
    struct device d, e;
    struct error said;
    char first[65];
    struct rig r;

    rig_start(&r, &three, 5);
    in_force(&r, first);
    one.amends = first;
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    provision(&r, &e);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    rig_use_order(&r, &one);
    device_new_transport(&d);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "fulfilled");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 0);
    device_done(&d);
    device_done(&e);
    rig_end(&r);
}
END_TEST

/* ---- time ---- */

START_TEST(an_order_that_has_not_begun_makes_nothing)
{
    const struct rig_order future = {.from = "2098-01-01T00:00:00Z"};
    struct error err = ERROR_INIT;
    struct device d;
    int64_t made;
    struct rig r;

    rig_start(&r, &future, 0);
    ASSERT_FAILS(generate_credentials(&r.v, 1, RIG_THREADS, &rig_watch, &made, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "begins at 2098-01-01T00:00:00Z"));
    ASSERT_FAILS(quota_check_run(&r.v, &err), ERR_REFUSED);
    device_init(&d, 0xa1);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "begins at");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(after_its_end_an_order_finishes_what_is_in_flight)
{
    struct rig_order ended = {.until = "2021-01-01T00:00:00Z"};
    struct error err = ERROR_INIT;
    struct device d, other;
    struct error said;
    char first[65];
    int64_t made;
    struct rig r;

    rig_start(&r, &plain_order, 3);
    in_force(&r, first);
    ended.amends = first;
    device_init(&d, 0xa1);
    device_init(&other, 0xb2);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    rig_use_order(&r, &ended);
    ASSERT_FAILS(generate_credentials(&r.v, 1, RIG_THREADS, &rig_watch, &made, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "ended at 2021-01-01T00:00:00Z"));
    ASSERT_OK(quota_check_run(&r.v, &err), err); /* one is in flight */
    ASSERT_MEET_REFUSED(&r, &other, ERR_REFUSED, "ended at");
    provision(&r, &d);
    ASSERT_FAILS(quota_check_run(&r.v, &err), ERR_REFUSED);
    device_new_transport(&other);
    ASSERT_MEET_REFUSED(&r, &other, ERR_REFUSED, "ended at");
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

START_TEST(an_erased_device_gets_nothing_new_after_the_end)
{
    struct rig_order ended = {.until = "2021-01-01T00:00:00Z"};
    struct device d;
    char first[65];
    struct error said;
    struct rig r;

    rig_start(&r, &plain_order, 3);
    in_force(&r, first);
    ended.amends = first;
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    rig_use_order(&r, &ended);
    device_new_transport(&d);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "ended at");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* ---- serials and other refusals ---- */

START_TEST(no_serial_beyond_the_share_is_made)
{
    const struct rig_order order = {.good = 3, .max_issued = 3, .first = 7, .last = 10};
    struct error err = ERROR_INIT;
    int64_t made;
    struct rig r;

    rig_start(&r, &order, 0);
    r.job.serials.first = 9;
    ASSERT_FAILS(generate_credentials(&r.v, 3, RIG_THREADS, &rig_watch, &made, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "3 more do not fit"));
    rig_generate(&r, 2);
    ASSERT_FAILS(generate_credentials(&r.v, 1, RIG_THREADS, &rig_watch, &made, &err), ERR_REFUSED);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials WHERE serial IN"
                                 " ('PUMP-000009', 'PUMP-000010')"),
                     2);
    rig_end(&r);
}
END_TEST

START_TEST(a_job_names_an_order_that_the_station_has)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    strcpy(r.job.order, "TEST-9");
    ASSERT_FAILS(start_vault(&r, &err), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "imprint order add"));
    rig_drop(&r);
}
END_TEST

START_TEST(a_closed_order_is_refused)
{
    struct error err = ERROR_INIT;
    char data[128], hex[65];
    struct buf bytes;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    in_force(&r, hex);
    snprintf(data, sizeof data, "{\"order\":\"%s\"}", hex);
    buf_init(&bytes, sizeof data);
    buf_put_str(&bytes, data);
    ASSERT_OK(store_begin(r.store, &err), err);
    ASSERT_OK(ledger_append(r.store, "close", &bytes, &err), err);
    ASSERT_OK(store_commit(r.store, &err), err);
    buf_done(&bytes);
    ASSERT_FAILS(start_vault(&r, &err), ERR_INTEGRITY); /* the table says that it is open */
    rig_sql(&r, "UPDATE orders SET state = 1");
    ASSERT_FAILS(start_vault(&r, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "is being closed"));
    rig_drop(&r);
}
END_TEST

/* ---- what somebody who edits the database can do ---- */

#define OTHER_VERSION "(SELECT signed FROM order_versions WHERE number = 1)"

static const char *const edits[] = {
    "DELETE FROM order_versions WHERE number = 2", /* back to the first version */
    "DELETE FROM order_versions",
    "UPDATE order_versions SET number = 3 WHERE number = 1",
    "UPDATE order_versions SET signed = " OTHER_VERSION,
    "DELETE FROM orders",
    "UPDATE orders SET name = 'TEST-2'",
    "UPDATE orders SET hash = zeroblob(32)",
    "UPDATE orders SET state = 1",
    "UPDATE orders SET state = 2",
    "DELETE FROM ledger WHERE json_extract(body, '$.event') = 'amendment'",
    "DELETE FROM ledger WHERE json_extract(body, '$.event') = 'order'",
    "UPDATE ledger SET mac = zeroblob(32) WHERE json_extract(body, '$.event') = 'amendment'",
    "UPDATE ledger SET body = json_set(body, '$.by', 'x')"
    " WHERE json_extract(body, '$.event') = 'amendment'",
};

START_TEST(versions_are_those_that_the_ledger_tells_of)
{
    struct rig_order amendment = {.good = 1};
    struct error err = ERROR_INIT;
    char first[65];
    struct rig r;

    rig_start(&r, &plain_order, 0);
    in_force(&r, first);
    amendment.amends = first;
    rig_use_order(&r, &amendment);
    rig_sql(&r, "PRAGMA foreign_keys = OFF");
    rig_sql(&r, edits[_i]);
    ASSERT_FAILS(start_vault(&r, &err), ERR_INTEGRITY);
    if (_i < 2) { /* versions deleted: the full verification counts them as well */
        ASSERT_FAILS(ledger_verify(r.store, &(int64_t){0}, &err), ERR_INTEGRITY);
        ck_assert_ptr_nonnull(strstr(err.text, "versions of orders"));
    }
    rig_drop(&r);
}
END_TEST

/* Tables and ledger edited alike: the entry's place in the chain still tells of it. */
START_TEST(an_amendment_that_was_hidden_everywhere_shows_in_the_ledger)
{
    struct rig_order amendment = {.good = 1};
    struct error err = ERROR_INIT;
    char first[65];
    int64_t entries;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    in_force(&r, first);
    amendment.amends = first;
    rig_use_order(&r, &amendment);
    rig_sql(&r, "DELETE FROM order_versions WHERE number = 2; UPDATE ledger SET body ="
                " json_set(body, '$.event', 'note')"
                " WHERE json_extract(body, '$.event') = 'amendment'");
    ASSERT_FAILS(ledger_verify(r.store, &entries, &err), ERR_INTEGRITY);
    rig_drop(&r);
}
END_TEST

START_TEST(a_signature_that_was_changed_is_refused)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    rig_sql(&r, "UPDATE order_versions SET signed = CAST(substr(signed, 1, length(signed) - 4)"
                " || zeroblob(4) AS BLOB)");
    ASSERT_FAILS(start_vault(&r, &err), ERR_SIGNATURE);
    rig_drop(&r);
}
END_TEST

RIG_MAIN("orders", EACH_ROW(an_order_that_does_not_fit_is_not_taken_in, refused),
         ONCE(a_station_that_is_not_listed_says_its_key), ONCE(the_same_bytes_again_change_nothing),
         ONCE(the_log_extends_what_the_owner_accepted),
         ONCE(an_amendment_changes_the_counts_and_resets_none),
         ONCE(amendments_are_added_one_after_the_other),
         EACH_ROW(an_amendment_keeps_product_environment_and_station, fixed),
         ONCE(a_claim_keeps_the_version_that_it_was_made_under),
         ONCE(a_device_is_not_given_other_trust_anchors_than_it_began_with),
         ONCE(a_burned_claim_draws_on_good_like_any_other),
         ONCE(an_order_that_has_not_begun_makes_nothing),
         ONCE(after_its_end_an_order_finishes_what_is_in_flight),
         ONCE(an_erased_device_gets_nothing_new_after_the_end),
         ONCE(no_serial_beyond_the_share_is_made), ONCE(a_job_names_an_order_that_the_station_has),
         ONCE(a_closed_order_is_refused),
         EACH_ROW(versions_are_those_that_the_ledger_tells_of, edits),
         ONCE(an_amendment_that_was_hidden_everywhere_shows_in_the_ledger),
         ONCE(a_signature_that_was_changed_is_refused))
