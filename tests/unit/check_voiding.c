/* Credentials that a person ends: what each becomes, what it costs, and who is refused. */
#include "played_device.h"

#include "station/vault/voiding.h"

static int try_void(struct rig *r, const struct voiding *what, struct voided *out,
                    struct error *err)
{
    struct vault v;
    int rc = vault_init(&v, &r->config, NULL, r->store, r->hsm, err);

    if (rc == 0)
        rc = voiding_run(&v, what, out, err);
    vault_done(&v);
    return rc;
}

/* Voids a serial and opens the job's vault anew, as the next command would. */
static void void_serial(struct rig *r, const char *serial, bool lost, enum credential_state state)
{
    const struct voiding what = {
        .name = serial, .lost = lost, .reason = RECORD_CESSATION_OF_OPERATION};
    struct error err = ERROR_INIT;
    struct voided voided;

    ASSERT_OK(try_void(r, &what, &voided, &err), err);
    ck_assert_str_eq(voided.serial, serial);
    ck_assert_int_eq(voided.state, state);
    ck_assert(!voided.before);
    rig_restart(r);
}

static int try_generate(struct rig *r, int64_t count, struct error *err)
{
    int64_t made;

    return generate_credentials(&r->v, count, RIG_THREADS, &rig_watch, &made, err);
}

START_TEST(a_scrapped_credential_gives_its_place_back)
{
    const struct rig_order order = {.good = 2, .max_issued = 2};
    struct error err = ERROR_INIT;
    struct record record;
    struct rig r;

    rig_start(&r, &order, 2);
    ASSERT_FAILS(try_generate(&r, 1, &err), ERR_REFUSED);
    void_serial(&r, "PUMP-000001", false, CREDENTIAL_SCRAPPED);
    rig_record(&r, 0, &record);
    ck_assert_int_eq(record.t, RECORD_VOID);
    ck_assert_int_eq(record.reason, RECORD_SCRAPPED);
    record_done(&record);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials WHERE wrapped IS NOT NULL"), 1);
    ASSERT_OK(try_generate(&r, 1, &err), err);
    ASSERT_FAILS(try_generate(&r, 1, &err), ERR_REFUSED);
    rig_end(&r);
}
END_TEST

START_TEST(what_a_device_got_is_given_up_only_by_saying_so)
{
    const struct rig_order order = {.lock = false};
    const struct voiding what = {.name = "PUMP-000001"};
    struct error err = ERROR_INIT, said;
    struct voided voided;
    struct rig r;
    struct device d;
    int64_t changes;

    rig_start(&r, &order, 2);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    changes = rig_changes(&r);
    ASSERT_FAILS(try_void(&r, &what, &voided, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "--lost"));
    ck_assert_int_eq(rig_changes(&r), changes);
    void_serial(&r, "PUMP-000001", true, CREDENTIAL_BURNED);
    /* It came back after all: it drops what it holds and gets another. */
    struct wire_plan plan;
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_ABORT);
    device_done(&d);
    device_init(&d, 0xa1);
    provision(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000002");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* Otherwise declaring devices lost would be a way to more identities than ordered. */
START_TEST(what_is_lost_beyond_the_spoilage_counts_as_delivered)
{
    const struct rig_order order = {.good = 2, .max_issued = 9, .spoilage = 1};
    struct error said;
    struct rig r;
    struct device d[4];

    rig_start(&r, &order, 5);
    for (uint8_t i = 0; i < 4; i++)
        device_init(&d[i], (uint8_t)(0xa0 + i));
    ck_assert_int_eq(meet_once(&r, &d[0], NULL, &said), 0);
    ck_assert_int_eq(meet_once(&r, &d[1], NULL, &said), 0);
    void_serial(&r, "PUMP-000001", true, CREDENTIAL_BURNED);
    void_serial(&r, "PUMP-000002", true, CREDENTIAL_BURNED); /* one more than allowed */
    provision(&r, &d[2]);
    ASSERT_MEET_REFUSED(&r, &d[3], ERR_REFUSED, "is used up");
    for (uint8_t i = 0; i < 4; i++)
        device_done(&d[i]);
    rig_end(&r);
}
END_TEST

START_TEST(a_revoked_identity_makes_room_for_another)
{
    const struct rig_order order = {.good = 1, .max_issued = 3, .lock = true};
    struct error said;
    struct record record;
    struct rig r;
    struct device d, e;

    rig_start(&r, &order, 2);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    provision(&r, &d);
    ASSERT_MEET_REFUSED(&r, &e, ERR_REFUSED, "fulfilled");
    void_serial(&r, "PUMP-000001", false, CREDENTIAL_REVOKED);
    rig_record(&r, 1, &record);
    ck_assert_int_eq(record.t, RECORD_REVOKE);
    ck_assert_int_eq(record.reason, RECORD_CESSATION_OF_OPERATION);
    ck_assert_uint_eq(record.ref, 0);
    record_done(&record);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "is void");
    provision(&r, &e);
    device_done(&e);
    device_done(&d);
    device_init(&d, 0xa1); /* erased: a new device, but the order is fulfilled again */
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(said.text, "fulfilled"));
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_revoked_device_that_is_not_locked_takes_another_identity)
{
    const struct rig_order order = {.lock = false};
    struct error said;
    struct wire_plan plan;
    struct rig r;
    struct device d;

    rig_start(&r, &order, 2);
    device_init(&d, 0xa1);
    provision(&r, &d);
    void_serial(&r, "PUMP-000001", false, CREDENTIAL_REVOKED);
    device_new_transport(&d);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_DELIVER);
    ck_assert_str_eq(plan.serial, "PUMP-000002");
    device_done(&d);
    rig_drop(&r);
}
END_TEST

START_TEST(a_credential_is_ended_once)
{
    const struct voiding what = {.name = "PUMP-000001", .reason = RECORD_SUPERSEDED};
    const struct rig_order order = {.lock = false};
    struct error err = ERROR_INIT;
    struct voided voided;
    struct rig r;
    struct device d;
    int64_t changes;

    rig_start(&r, &order, 1);
    device_init(&d, 0xa1);
    provision(&r, &d);
    void_serial(&r, "PUMP-000001", false, CREDENTIAL_REVOKED);
    changes = rig_changes(&r);
    ASSERT_OK(try_void(&r, &what, &voided, &err), err);
    ck_assert(voided.before);
    ck_assert_int_eq(rig_changes(&r), changes);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_transaction_names_a_credential_as_well)
{
    const struct rig_order order = {.lock = false};
    struct error err = ERROR_INIT;
    struct voiding what = {.lost = true};
    struct voided voided;
    struct wire_plan plan;
    struct rig r;
    struct device d;
    char tx[2 * IMPRINT_TX_SIZE + 1];

    rig_start(&r, &order, 1);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &err), 0);
    hex_encode(plan.tx, sizeof plan.tx, tx);
    what.name = tx;
    ASSERT_OK(try_void(&r, &what, &voided, &err), err);
    ck_assert_str_eq(voided.serial, "PUMP-000001");
    tx[0] = tx[0] == '0' ? '1' : '0';
    ASSERT_FAILS(try_void(&r, &what, &voided, &err), ERR_MISSING);
    what.name = "PUMP-999999";
    ASSERT_FAILS(try_void(&r, &what, &voided, &err), ERR_MISSING);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_serial_of_two_products_needs_the_product)
{
    const struct rig_order order = {.good = 5}, other = {.id = "TEST-2", .product = "PUMP-B"};
    struct voiding what = {.name = "PUMP-000001"};
    struct error err = ERROR_INIT;
    struct voided voided;
    struct rig r;

    rig_start(&r, &order, 1);
    rig_use_order(&r, &other);
    rig_generate(&r, 1);
    ASSERT_FAILS(try_void(&r, &what, &voided, &err), ERR_DUPLICATE);
    what.product = "PUMP-B";
    ASSERT_OK(try_void(&r, &what, &voided, &err), err);
    ck_assert_str_eq(voided.order, "TEST-2");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_SCRAPPED), 1);
    rig_end(&r);
}
END_TEST

/* Each makes a credential look like one that it is cheaper to end. */
static const char *const edits[] = {
    "UPDATE credentials SET state = 0 WHERE id = 1",
    "UPDATE credentials SET state = 0 WHERE id = 1; DELETE FROM claims",
    "UPDATE credentials SET state = 1 WHERE id = 1; UPDATE claims SET state = 0",
    "UPDATE ledger SET body = json_set(body, '$.data.leaf', 1)"
    " WHERE json_extract(body, '$.event') = 'proven' AND"
    " json_extract(body, '$.data.credential') = 1",
};

START_TEST(an_edited_credential_is_not_ended)
{
    const struct voiding what = {.name = "PUMP-000001", .lost = true, .reason = RECORD_SUPERSEDED};
    const struct rig_order order = {.lock = false};
    struct error err = ERROR_INIT;
    struct voided voided;
    struct rig r;
    struct device d, e;

    rig_start(&r, &order, 3);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    provision(&r, &d);
    provision(&r, &e);
    rig_sql(&r, "PRAGMA foreign_keys = OFF");
    rig_sql(&r, edits[_i]);
    ASSERT_FAILS(try_void(&r, &what, &voided, &err), ERR_INTEGRITY);
    device_done(&d);
    device_done(&e);
    rig_drop(&r);
}
END_TEST

START_TEST(reasons_are_those_of_a_revocation_for_ever)
{
    ck_assert_int_eq(voiding_reason("keyCompromise"), RECORD_KEY_COMPROMISE);
    ck_assert_int_eq(voiding_reason("aACompromise"), RECORD_AA_COMPROMISE);
    ck_assert_int_eq(voiding_reason("certificateHold"), 0);
    ck_assert_int_eq(voiding_reason("burned"), 0);
    ck_assert_int_eq(voiding_reason(""), 0);
}
END_TEST

RIG_MAIN("voiding", ONCE(a_scrapped_credential_gives_its_place_back),
         ONCE(what_a_device_got_is_given_up_only_by_saying_so),
         ONCE(what_is_lost_beyond_the_spoilage_counts_as_delivered),
         ONCE(a_revoked_identity_makes_room_for_another),
         ONCE(a_revoked_device_that_is_not_locked_takes_another_identity),
         ONCE(a_credential_is_ended_once), ONCE(a_transaction_names_a_credential_as_well),
         ONCE(a_serial_of_two_products_needs_the_product),
         EACH_ROW(an_edited_credential_is_not_ended, edits),
         ONCE(reasons_are_those_of_a_revocation_for_ever))
