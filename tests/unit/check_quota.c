/* No more identities than ordered (P5): what an order's counts allow, and what nobody can do to them. */
#include "played_device.h"

#include "station/vault/quota.h"

static void assert_in_step(struct rig *r)
{
    struct error err = ERROR_INIT;
    struct inventory_counts counts = {.by_state = {0}};

    if (r->v.order_id)
        ASSERT_OK(inventory_count(r->store, r->v.order_id, &counts, &err), err);
    ck_assert_mem_eq(counts.by_state, r->v.counts.by_state, sizeof counts.by_state);
}

static int try_generate(struct rig *r, int64_t count, struct error *err)
{
    int64_t made = 0;
    int rc = generate_credentials(&r->v, count, RIG_THREADS, &rig_watch, &made, err);

    ck_assert_int_eq(made, rc ? 0 : count);
    assert_in_step(r);
    return rc;
}

START_TEST(no_more_certificates_than_the_order_allows)
{
    const struct rig_order order = {.good = 4, .max_issued = 5};
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &order, 0);
    ASSERT_FAILS(try_generate(&r, 6, &err), ERR_REFUSED);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 0);
    ASSERT_OK(try_generate(&r, 3, &err), err);
    ASSERT_FAILS(try_generate(&r, 3, &err), ERR_REFUSED);
    rig_restart(&r);
    ASSERT_FAILS(try_generate(&r, 3, &err), ERR_REFUSED);
    ASSERT_OK(try_generate(&r, 2, &err), err);
    ASSERT_FAILS(try_generate(&r, 1, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "allows this station 5 certificates"));
    ASSERT_FAILS(try_generate(&r, INT64_MAX, &err), ERR_REFUSED);
    rig_end(&r);
}
END_TEST

START_TEST(a_burned_certificate_is_not_given_back)
{
    const struct rig_order order = {.good = 2, .max_issued = 2};
    struct error err = ERROR_INIT, said;
    struct rig r;
    struct device d;

    rig_start(&r, &order, 2);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_new_transport(&d);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    ASSERT_FAILS(try_generate(&r, 1, &err), ERR_REFUSED);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(an_order_that_is_fulfilled_gives_nothing_to_another_device)
{
    const struct rig_order order = {.good = 2, .max_issued = 5, .lock = true};
    struct rig r;
    struct line l;
    struct device d, e, f;

    rig_start(&r, &order, 5);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    device_init(&f, 0xc3);
    provision(&r, &d);
    line_init(&l, &r);
    deliver(&l, &e); /* claimed and not proven: it counts */
    ASSERT_MEET_REFUSED(&r, &f, ERR_REFUSED, "fulfilled");
    rig_restart(&r);
    ASSERT_MEET_REFUSED(&r, &f, ERR_REFUSED, "fulfilled");
    line_done(&l);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &e)); /* who has one may go on, */
    pass(&l, &e);
    line_done(&l);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d)); /* or prove again */
    ck_assert_int_eq(l.plan.again, 1);
    pass(&l, &d);
    line_done(&l);
    ASSERT_MEET_REFUSED(&r, &f, ERR_REFUSED, "fulfilled");
    assert_in_step(&r);
    device_done(&d);
    device_done(&e);
    device_done(&f);
    rig_end(&r);
}
END_TEST

/* At the last identity a device that lost its key gets another one: the number of live ones stays. */
START_TEST(a_burned_identity_makes_room_for_another)
{
    const struct rig_order order = {.good = 1, .max_issued = 3};
    struct rig r;
    struct device d, other;
    struct error said;

    rig_start(&r, &order, 3);
    device_init(&d, 0xa1);
    device_init(&other, 0xb2);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_new_transport(&d);
    provision(&r, &d);
    assert_in_step(&r);
    ASSERT_MEET_REFUSED(&r, &other, ERR_REFUSED, "fulfilled");
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

START_TEST(no_more_is_burned_than_the_order_allows)
{
    const struct rig_order order = {.good = 5, .max_issued = 5, .spoilage = 1};
    struct rig r;
    struct line l;
    struct device d;
    EVP_PKEY *kept;
    uint8_t kept_pub[EC_POINT_SIZE];
    struct error said;

    rig_start(&r, &order, 5);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_new_transport(&d);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    kept = d.transport;
    EVP_PKEY_up_ref(kept);
    memcpy(kept_pub, d.dev_pub, sizeof kept_pub);
    device_new_transport(&d);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "allows this station 1 spoiled");
    rig_restart(&r);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "allows this station 1 spoiled");
    EVP_PKEY_free(d.transport); /* the key turns up again: its claim is still open */
    d.transport = kept;
    memcpy(d.dev_pub, kept_pub, sizeof kept_pub);
    line_init(&l, &r);
    deliver(&l, &d);
    pass(&l, &d);
    line_done(&l);
    assert_in_step(&r);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(an_order_without_spoilage_burns_nothing)
{
    const struct rig_order order = {.spoilage = -1};
    struct rig r;
    struct device d;
    struct error said;

    rig_start(&r, &order, 2);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_new_transport(&d);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "allows this station 0 spoiled");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(two_channels_do_not_share_the_last_identity)
{
    const struct rig_order order = {.good = 1, .max_issued = 2};
    struct rig r;
    struct line l, m;
    struct device d, e;
    struct wire_hello h;

    rig_start(&r, &order, 2);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    line_init(&l, &r);
    line_init(&m, &r);
    ASSERT_ANSWER(&l, line_open(&l));
    ASSERT_ANSWER(&m, line_open(&m));
    h = device_hello(&d, l.nonce);
    ASSERT_ANSWER(&l, line_hello(&l, &h));
    h = device_hello(&e, m.nonce);
    ASSERT_REFUSED(&m, line_hello(&m, &h), ERR_REFUSED, "fulfilled");
    line_done(&l);
    line_done(&m);
    assert_in_step(&r);
    device_done(&d);
    device_done(&e);
    rig_end(&r);
}
END_TEST

static void prove_again(struct rig *r, struct device *d)
{
    struct line l;

    line_init(&l, r);
    ASSERT_ANSWER(&l, meet(&l, d));
    pass(&l, d);
    line_done(&l);
}

START_TEST(counts_stay_in_step_with_the_inventory)
{
    const struct rig_order order = {.lock = true};
    struct rig r;
    struct device d;

    rig_start(&r, &order, 12);
    for (uint8_t i = 0; i < 4; i++) {
        struct error said;

        device_init(&d, i);
        ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
        assert_in_step(&r);
        if (i & 1)
            device_new_transport(&d); /* burns */
        provision(&r, &d);
        assert_in_step(&r);
        prove_again(&r, &d);
        assert_in_step(&r);
        device_done(&d);
    }
    rig_generate(&r, 3);
    assert_in_step(&r);
    rig_end(&r);
}
END_TEST

/* Ways to hide from the count what was made or given out, so that more could be. */
static const char *const hidden[] = {
    "UPDATE credentials SET state = 6 WHERE state = 2", /* states that no program writes */
    "UPDATE credentials SET state = 4 WHERE state = 2",
    "UPDATE credentials SET state = 5 WHERE state = 2",
    "UPDATE credentials SET state = -1 WHERE state = 2",
    "UPDATE credentials SET state = 4 WHERE state = 0",
    "UPDATE credentials SET state = 'proven' WHERE state = 2",
    "UPDATE credentials SET state = 2.5 WHERE state = 2",
    "UPDATE credentials SET state = 3 WHERE state = 2",
    "UPDATE credentials SET state = 0 WHERE state = 2",
    "DELETE FROM credentials WHERE state = 0",
    "DELETE FROM claims; DELETE FROM credentials WHERE state = 2",
    "UPDATE credentials SET order_id = 2 WHERE state = 2",
    "UPDATE credentials SET order_id = 2 WHERE state = 0",
    "UPDATE orders SET hash = zeroblob(32) WHERE id = 1",
    "DELETE FROM orders",
    "DELETE FROM ledger WHERE json_extract(body, '$.event') = 'generate'",
    "DELETE FROM ledger WHERE json_extract(body, '$.event') = 'claim'",
    "UPDATE ledger SET body = json_set(body, '$.data.count', 1)"
    " WHERE json_extract(body, '$.event') = 'generate'",
};

START_TEST(what_was_made_cannot_be_hidden_from_the_count)
{
    const struct rig_order order = {.good = 1, .max_issued = 2};
    struct error err = ERROR_INIT;
    struct rig r;
    struct device d;

    rig_start(&r, &order, 2);
    device_init(&d, 0xa1);
    provision(&r, &d);
    rig_restart(&r);
    rig_sql(&r, "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON");
    rig_sql(&r, hidden[_i]);
    vault_done(&r.v);
    ASSERT_FAILS(vault_init(&r.v, &r.config, &r.job, r.store, r.hsm, &err), ERR_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(err.text, "security team"));
    device_done(&d);
    rig_drop(&r);
}
END_TEST

START_TEST(orders_are_counted_apart)
{
    const struct rig_order order = {.good = 1, .max_issued = 2},
                           other = {.good = 1, .max_issued = 2, .id = "TEST-2"};
    struct rig r;
    struct device d, e;

    rig_start(&r, &order, 2);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    provision(&r, &d);
    rig_use_order(&r, &other);
    rig_generate(&r, 2);
    provision(&r, &e);
    assert_in_step(&r);
    rig_use_order(&r, &order);
    assert_in_step(&r);
    ck_assert_int_eq(r.v.counts.by_state[CREDENTIAL_PROVEN], 1);
    device_done(&d);
    device_done(&e);
    rig_end(&r);
}
END_TEST

/* What the board calls left. */
static const struct {
    struct rig_order order;
    int made, burned, remaining, stock;
} lefts[] = {
    {{.good = 5, .max_issued = 9}, 3, 0, 3, 3},
    {{.good = 5, .max_issued = 9}, 8, 0, 5, 8},
    {{.source = SOURCE_SCANNED, .serials = "{\"prefix\":\"\"}", .good = 5, .max_issued = 9},
     3,
     0,
     3,
     3},
    {{.source = SOURCE_SCANNED, .serials = "{\"prefix\":\"\"}", .good = 5, .max_issued = 9},
     8,
     0,
     5,
     8},
    {{.source = SOURCE_SCANNED, .serials = "{\"prefix\":\"\"}", .good = 5, .max_issued = 5},
     5,
     2,
     3,
     5},
    {{.source = SOURCE_DEVICE, .serials = "{\"prefix\":\"\"}", .good = 5, .max_issued = 9},
     2,
     0,
     2,
     2},
    {{.device_keys = true, .good = 5, .max_issued = 9}, 0, 0, 5, 0},
    {{.device_keys = true, .good = 5, .max_issued = 5}, 0, 2, 3, 0},
};

/* burned: certificates that count in max_issued and in nothing else. */
START_TEST(what_is_left_is_what_the_job_s_devices_can_get)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &lefts[_i].order, 0);
    ck_assert_int_eq(quota_remaining(&r.v), lefts[_i].order.device_keys ? 5 : 0);
    if (lefts[_i].made)
        ASSERT_OK(try_generate(&r, lefts[_i].made, &err), err);
    r.v.counts.by_state[CREDENTIAL_BURNED] = lefts[_i].burned;
    ck_assert_int_eq(quota_remaining(&r.v), lefts[_i].remaining);
    ck_assert_int_eq(quota_stock(&r.v), lefts[_i].stock);
    r.v.counts.by_state[CREDENTIAL_BURNED] = 0;
    rig_end(&r);
}
END_TEST

RIG_MAIN("quota", ONCE(no_more_certificates_than_the_order_allows),
         ONCE(a_burned_certificate_is_not_given_back),
         ONCE(an_order_that_is_fulfilled_gives_nothing_to_another_device),
         ONCE(a_burned_identity_makes_room_for_another),
         ONCE(no_more_is_burned_than_the_order_allows),
         ONCE(an_order_without_spoilage_burns_nothing),
         ONCE(two_channels_do_not_share_the_last_identity),
         ONCE(counts_stay_in_step_with_the_inventory),
         EACH_ROW(what_was_made_cannot_be_hidden_from_the_count, hidden),
         ONCE(orders_are_counted_apart),
         EACH_ROW(what_is_left_is_what_the_job_s_devices_can_get, lefts))
