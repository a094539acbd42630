/* Copies, known chips, foreign devices: refused before anything is claimed for them (P3). */
#include "played_device.h"

static const struct rig_order plain_order = {.lock = false}, lock_order = {.lock = true};

START_TEST(a_copy_on_another_chip_is_refused)
{
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    deliver(&l, &d);
    d.chip[0] ^= 1;
    ASSERT_MEET_REFUSED(&r, &d, ERR_DUPLICATE, "PUMP-000001");
    d.tx_state = IMPRINT_TX_OPEN;
    ASSERT_MEET_REFUSED(&r, &d, ERR_DUPLICATE, "PUMP-000001");
    d.chip[0] ^= 1;
    d.tx_state = IMPRINT_TX_COMMITTED;
    pass(&l, &d);
    line_done(&l);
    d.chip[0] ^= 1;
    ASSERT_MEET_REFUSED(&r, &d, ERR_DUPLICATE, "a1a1a1a1a1a1a1a1");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_transport_key_of_another_chip_is_refused)
{
    struct rig r;
    struct device d;
    struct error said;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    d.chip[7] ^= 1;
    ASSERT_MEET_REFUSED(&r, &d, ERR_DUPLICATE, "PUMP-000001");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_known_chip_that_forgot_everything_is_refused)
{
    struct rig r;
    struct device d, erased;

    rig_start(&r, &lock_order, 2);
    device_init(&d, 0xa1);
    device_init(&erased, 0xa1);
    provision(&r, &d);
    ASSERT_MEET_REFUSED(&r, &erased, ERR_DUPLICATE, "provisioned before as 'PUMP-000001'");
    /* an old copy of the store: the transaction is still open in it */
    memcpy(erased.tx, d.tx, sizeof d.tx);
    erased.tx_state = IMPRINT_TX_OPEN;
    ASSERT_MEET_REFUSED(&r, &erased, ERR_DUPLICATE, "provisioned before");
    /* and the transport key of that time */
    erased.tx_state = IMPRINT_TX_NONE;
    memcpy(erased.dev_pub, d.dev_pub, sizeof d.dev_pub);
    ASSERT_MEET_REFUSED(&r, &erased, ERR_DUPLICATE, "provisioned before");
    device_done(&d);
    device_done(&erased);
    rig_end(&r);
}
END_TEST

START_TEST(a_transaction_of_another_station_is_refused_and_not_touched)
{
    struct rig r;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    memset(d.tx, 0x77, sizeof d.tx);
    for (uint8_t state = IMPRINT_TX_OPEN; state <= IMPRINT_TX_COMMITTED; state++) {
        d.tx_state = state;
        ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "did not make");
    }
    d.lifecycle = IMPRINT_LIFE_LOCKED;
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "did not make");
    d.tx_state = IMPRINT_TX_NONE;
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "somebody else");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_of_another_order_is_sent_to_its_job)
{
    const struct rig_order other = {.lock = false, .id = "TEST-2"};
    struct rig r;
    struct line l;
    struct device d;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    line_init(&l, &r);
    deliver(&l, &d);
    line_done(&l);
    rig_use_order(&r, &other);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "another order, as 'PUMP-000001'");
    rig_generate(&r, 1); /* also once the other order has credentials of its own */
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "another order, as 'PUMP-000001'");
    rig_use_order(&r, &plain_order);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* An open claim of this chip under another order is not burned under this one. */
START_TEST(a_claim_of_another_order_is_not_burned)
{
    const struct rig_order other = {.lock = false, .id = "TEST-2"};
    struct rig r;
    struct device d;
    struct error said;

    rig_start(&r, &plain_order, 2);
    device_init(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, NULL, &said), 0);
    device_new_transport(&d);
    rig_use_order(&r, &other);
    rig_generate(&r, 1);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "another order, as 'PUMP-000001'");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(an_exhausted_inventory_claims_nothing)
{
    struct rig r;
    struct device d, e;

    rig_start(&r, &plain_order, 0);
    device_init(&d, 0xa1);
    device_init(&e, 0xb2);
    ASSERT_MEET_REFUSED(&r, &d, ERR_EXHAUSTED, "imprint generate");
    rig_generate(&r, 1);
    provision(&r, &d);
    ASSERT_MEET_REFUSED(&r, &e, ERR_EXHAUSTED, "imprint generate");
    rig_generate(&r, 1);
    provision(&r, &e);
    device_done(&d);
    device_done(&e);
    rig_end(&r);
}
END_TEST

RIG_MAIN("duplicate", ONCE(a_copy_on_another_chip_is_refused),
         ONCE(a_transport_key_of_another_chip_is_refused),
         ONCE(a_known_chip_that_forgot_everything_is_refused),
         ONCE(a_transaction_of_another_station_is_refused_and_not_touched),
         ONCE(a_device_of_another_order_is_sent_to_its_job),
         ONCE(a_claim_of_another_order_is_not_burned), ONCE(an_exhausted_inventory_claims_nothing))
