/* Key mode `device`: what the vault does for devices that make their own keys, honest and hostile. */
#include "played_request.h"

#include "station/vault/keygen.h"

#include <unistd.h>

static const struct rig_order device_order = {.device_keys = true};

#define ASSERT_ASK_REFUSED(r, d, w, code, part)                                                    \
    do {                                                                                           \
        struct error ask_said;                                                                     \
        int ask_rc = ask_once(r, d, w, &ask_said);                                                 \
        ck_assert_msg(ask_rc == (code) && strstr(ask_said.text, part), "%s instead of %s: %s",     \
                      error_name(ask_rc), error_name(code), ask_said.text);                        \
        ck_assert_int_eq(rig_claims(r), 0);                                                        \
        ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials"), 0);                       \
    } while (0)

/* ---- the way it should be ---- */

START_TEST(a_device_with_its_own_key_is_proven)
{
    struct rig r;
    struct device d;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    provision_made(&r, &d);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_PROVEN), 1);
    ck_assert_str_eq(d.serial, "PUMP-000001");
    rig_seal_and_verify(&r);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_that_cannot_make_a_key_is_refused)
{
    struct rig r;
    struct device d;

    rig_start(&r, &device_order, 0);
    device_init(&d, 0xa1);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "cannot make its own key");
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* KEYGEN is stored: after a restart of either side it is the same, byte for byte. */
START_TEST(a_device_that_comes_back_is_asked_the_same)
{
    struct wire_plan first, again;
    struct error said;
    struct device d;
    struct line l;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, &first, &said), 0);
    rig_restart(&r);
    ck_assert_int_eq(meet_once(&r, &d, &again, &said), 0); /* by its transport key */
    ck_assert_mem_eq(&first, &again, sizeof first);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    again = l.plan;
    line_done(&l);
    rig_restart(&r);
    /* By its transaction, with its certificate signed: KEYGEN once more, then the same BEGIN. */
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_mem_eq(&first, &l.plan, sizeof first);
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    ck_assert_mem_eq(&again, &l.plan, sizeof again);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 1);
    device_take(&d, &l);
    device_commit(&d, &l);
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_promise_that_was_lost_costs_no_serial)
{
    struct wire_plan plan;
    struct error said;
    struct device d;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_str_eq(plan.serial, "PUMP-000001");
    device_new_transport(&d);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_str_eq(plan.serial, "PUMP-000001");
    provision_made(&r, &d);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* A device with chip id `number` that is asked for its key in a slot, and does not answer. */
static void waste_promise(struct rig *r, const char *slot, uint32_t number)
{
    struct device other;
    struct line l;

    device_init_making(&other, 0xee);
    memcpy(other.chip, &number, sizeof number);
    line_init(&l, r);
    l.slot = slot;
    ASSERT_ANSWER(&l, meet(&l, &other));
    ck_assert_int_eq(l.plan.action, WIRE_KEYGEN);
    line_done(&l);
    device_done(&other);
}

static int64_t open_promises(struct rig *r)
{
    return rig_int(r, "SELECT count(*) FROM keygens WHERE state = 0");
}

START_TEST(promises_of_a_slot_are_bounded_and_the_oldest_is_dropped)
{
    struct wire_plan plan;
    struct error said;
    struct device first;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&first, 1);
    ck_assert_int_eq(meet_once(&r, &first, &plan, &said), 0);
    sleep(1); /* it is the oldest, by its second */
    memcpy(first.tx, plan.tx, sizeof first.tx);
    first.tx_state = IMPRINT_TX_OPEN;
    for (uint32_t i = 0; i < KEYGEN_SLOT_MAX + 3; i++)
        waste_promise(&r, "S1", i);
    ck_assert_int_eq(open_promises(&r), KEYGEN_SLOT_MAX);
    ck_assert_int_le(rig_int(&r, "SELECT count(DISTINCT serial) FROM keygens"),
                     KEYGEN_SLOT_MAX + 1);
    ck_assert_int_eq(meet_once(&r, &first, &plan, &said), 0); /* and begins again */
    ck_assert_int_eq(plan.action, WIRE_ABORT);
    device_done(&first);
    rig_end(&r);
}
END_TEST

START_TEST(devices_in_one_slot_drop_no_promise_of_another)
{
    struct wire_plan first, again;
    struct error said;
    struct device d;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, &first, &said), 0);
    for (uint32_t i = 0; i < 70; i++)
        waste_promise(&r, "S2", i);
    ck_assert_int_eq(open_promises(&r), KEYGEN_SLOT_MAX + 1);
    ck_assert_int_eq(meet_once(&r, &d, &again, &said), 0);
    ck_assert_mem_eq(&first, &again, sizeof first);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* A line that was taken over may say any slot. */
START_TEST(promises_of_an_order_are_bounded)
{
    char slot[16];
    struct rig r;

    rig_start(&r, &device_order, 0);
    for (uint32_t i = 0; i < KEYGEN_OPEN_MAX + 2; i++) {
        snprintf(slot, sizeof slot, "S%u", (unsigned)i / KEYGEN_SLOT_MAX);
        waste_promise(&r, slot, i);
    }
    ck_assert_int_eq(open_promises(&r), KEYGEN_OPEN_MAX);
    rig_end(&r);
}
END_TEST

/* It looks for primes, for minutes; whoever comes to the same slot, or its port, meanwhile. */
START_TEST(a_promise_that_a_device_works_on_is_not_dropped)
{
    struct device d;
    struct line l;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    sleep(1); /* it is the oldest, by its second */
    for (uint32_t i = 0; i < KEYGEN_SLOT_MAX + 3; i++)
        waste_promise(&r, "S1", i);
    ck_assert_int_eq(open_promises(&r), KEYGEN_SLOT_MAX + 1);
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    ck_assert_uint_eq(r.v.held.count, 0);
    line_done(&l);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_uint_eq(r.v.held.count, 1);
    line_done(&l); /* nobody waits any more */
    ck_assert_uint_eq(r.v.held.count, 0);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_promise_that_was_given_up_is_made_again)
{
    struct wire_plan plan;
    struct error said;
    struct device d;
    struct line l;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    rig_sql(&r, "UPDATE keygens SET state = 2");
    ASSERT_REFUSED(&l, request(&l, &d, NULL), ERR_PROTOCOL, "it is asked again");
    line_done(&l);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_ABORT);
    device_forget(&d);
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000001");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_chip_id_in_two_slots_sets_both_aside)
{
    struct device d, other;
    struct wire_plan plan;
    struct error said;
    struct line l;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    device_init_making(&other, 0xa1);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ck_assert_int_eq(meet_once(&r, &other, &plan, &said), 0);
    ASSERT_REFUSED(&l, request(&l, &d, NULL), ERR_DUPLICATE, "set both aside");
    ck_assert_int_eq(rig_claims(&r), 0);
    line_done(&l);
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

START_TEST(max_issued_holds_for_keys_of_devices)
{
    const struct rig_order order = {.device_keys = true, .good = 1, .max_issued = 1};
    struct device d, other;
    struct rig r;

    rig_start(&r, &order, 0);
    device_init_making(&d, 0xa1);
    device_init_making(&other, 0xa2);
    provision_made(&r, &d);
    ASSERT_MEET_REFUSED(&r, &other, ERR_REFUSED, "fulfilled");
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

/* Two slots may ask at once for the last certificate of an order. */
START_TEST(the_last_certificate_is_signed_once)
{
    const struct rig_order order = {.device_keys = true, .good = 1, .max_issued = 1};
    struct device d, other;
    struct line l, m;
    struct rig r;

    rig_start(&r, &order, 0);
    device_init_making(&d, 0xa1);
    device_init_making(&other, 0xa2);
    line_init(&l, &r);
    line_init(&m, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_ANSWER(&m, meet(&m, &other));
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    ASSERT_REFUSED(&m, request(&m, &other, NULL), ERR_REFUSED, "fulfilled");
    ck_assert_int_eq(rig_claims(&r), 1);
    line_done(&l);
    line_done(&m);
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

/* ---- hostile devices and lines ---- */

START_TEST(a_second_key_burns_the_first_certificate)
{
    struct wire_plan plan;
    struct error said;
    struct device d;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(ask_once(&r, &d, NULL, &said), 0);
    EVP_PKEY_free(d.made);
    d.made = NULL;
    ck_assert_int_eq(ask_once(&r, &d, NULL, &said), ERR_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(said.text, "made a second key for 'PUMP-000001'"));
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_ABORT);
    d.tx_state = IMPRINT_TX_NONE;
    device_new_transport(&d);
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000002");
    rig_seal_and_verify(&r);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* Whoever the ports show twice: the second request is judged by what the first one left. */
START_TEST(a_device_in_two_slots_burns_its_certificate_once)
{
    struct error said;
    struct device d, e;
    struct line l, m;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(ask_once(&r, &d, NULL, &said), 0);
    line_init(&l, &r);
    line_init(&m, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    e = d;
    ASSERT_ANSWER(&m, meet(&m, &e));
    EVP_PKEY_free(d.made);
    d.made = e.made = NULL;
    ASSERT_REFUSED(&l, request(&l, &d, NULL), ERR_DUPLICATE, "made a second key");
    ASSERT_REFUSED(&m, request(&m, &e, NULL), ERR_DUPLICATE, "came to its end while");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    ck_assert_int_eq(rig_records(&r), 1);
    line_done(&l);
    line_done(&m);
    EVP_PKEY_free(e.made);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* The chip is known by its enrolment key as well; that claim is the one that is burned. */
START_TEST(an_enrolled_device_that_lost_its_memory_is_asked_anew)
{
    static uint8_t keys[1][65];
    struct error err = ERROR_INIT, said;
    struct rig_order order = {.device_keys = true, .keys = keys, .key_count = 1};
    struct device d;
    struct rig r;

    device_init_making(&d, 0xa1);
    d.enrolment = EVP_EC_gen("P-256");
    ASSERT_OK(ec_point(d.enrolment, keys[0], &err), err);
    rig_start(&r, &order, 0);
    ck_assert_int_eq(ask_once(&r, &d, NULL, &said), 0);
    device_forget(&d);
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000002");
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_PROVEN), 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* The key pair of a private key that anybody can count up to. */
static EVP_PKEY *key_for(uint8_t scalar)
{
    uint8_t der[67] = {0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                       0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
                       0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20};
    const uint8_t *p = der;
    EVP_PKEY *key;

    der[sizeof der - 1] = scalar;
    key = d2i_AutoPrivateKey(NULL, &p, sizeof der);
    ck_assert_ptr_nonnull(key);
    return key;
}

START_TEST(a_hostile_request_costs_one_attempt_and_nothing_else)
{
    const struct wish subject = {.cn = "another"},
                      usage = {.usage = "digitalSignature,keyCertSign"};
    struct wish weak = {.key = key_for(7)}, transport = {0};
    struct device d;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    device_new_transport(&d);
    transport.key = d.transport;
    ASSERT_ASK_REFUSED(&r, &d, &subject, ERR_REFUSED, "another subject");
    ASSERT_ASK_REFUSED(&r, &d, &usage, ERR_REFUSED, "an extension (number 1)");
    ASSERT_ASK_REFUSED(&r, &d, &weak, ERR_REFUSED, "a weak key");
    ASSERT_ASK_REFUSED(&r, &d, &transport, ERR_REFUSED, "a key has one use");
    ck_assert_int_eq(rig_attempts(&r), 4);
    provision_made(&r, &d); /* and it is as if nothing had been */
    ck_assert_str_eq(d.serial, "PUMP-000001");
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 1);
    EVP_PKEY_free(weak.key);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_request_of_another_device_is_refused)
{
    struct device d, other;
    struct wish copied = {0};
    struct line l, m;
    struct buf csr;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    device_init_making(&other, 0xa2);
    line_init(&l, &r);
    line_init(&m, &r);
    buf_init(&csr, IMPRINT_CSR_MAX);
    ASSERT_ANSWER(&l, meet(&l, &d));
    make_request(&d, &l, &copied, &csr);
    ASSERT_ANSWER(&l, line_request(&l, csr.data, csr.len, NULL));
    ASSERT_ANSWER(&m, meet(&m, &other));
    ASSERT_REFUSED(&m, line_request(&m, csr.data, csr.len, NULL), ERR_REFUSED, "another subject");
    line_done(&m);
    line_init(&m, &r);
    ASSERT_ANSWER(&m, meet(&m, &other));
    copied.key = d.made; /* a clone: the same key for another subject */
    ASSERT_REFUSED(&m, request(&m, &other, &copied), ERR_DUPLICATE, "the key of 'PUMP-000001'");
    ck_assert_int_eq(rig_claims(&r), 1);
    buf_done(&csr);
    line_done(&l);
    line_done(&m);
    device_done(&d);
    device_done(&other);
    rig_end(&r);
}
END_TEST

START_TEST(an_enrolled_device_must_attest_the_key)
{
    const struct wish silent = {.no_statement = true};
    struct wish other = {.key = EVP_EC_gen("P-256")};
    struct error err = ERROR_INIT;
    static uint8_t keys[1][65];
    struct rig_order order = {.device_keys = true, .keys = keys, .key_count = 1};
    struct device d;
    struct rig r;

    device_init_making(&d, 0xa1);
    d.enrolment = EVP_EC_gen("P-256");
    ASSERT_OK(ec_point(d.enrolment, keys[0], &err), err);
    rig_start(&r, &order, 0);
    ASSERT_ASK_REFUSED(&r, &d, &silent, ERR_REFUSED, "does not attest the key");
    ASSERT_ASK_REFUSED(&r, &d, &other, ERR_SIGNATURE, "attests another key");
    EVP_PKEY_free(other.key);
    other.key = d.enrolment;
    ASSERT_ASK_REFUSED(&r, &d, &other, ERR_REFUSED, "a key has one use");
    provision_made(&r, &d);
    rig_seal_and_verify(&r);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* The cable is pulled after KEYGEN; what the device signs next is over the nonce of then, as is X. */
START_TEST(evidence_of_a_promise_that_was_resumed_is_verified)
{
    static uint8_t keys[1][65];
    const struct rig_order order = {.device_keys = true, .keys = keys, .key_count = 1};
    struct error err = ERROR_INIT, said;
    struct wire_plan first;
    struct device d;
    struct rig r;

    device_init_making(&d, 0xa1);
    d.enrolment = EVP_EC_gen("P-256");
    ASSERT_OK(ec_point(d.enrolment, keys[0], &err), err);
    rig_start(&r, &order, 0);
    ck_assert_int_eq(meet_once(&r, &d, &first, &said), 0);
    rig_restart(&r);
    provision_made(&r, &d);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM claims JOIN keygens USING (tx)"
                                 " WHERE claims.station_nonce = keygens.station_nonce"),
                     1);
    device_done(&d);
    rig_end(&r); /* verifies the evidence, and what the enrolment key signed */
}
END_TEST

/* What a device is asked again with must still be what it said of itself: else its evidence is not. */
static const bool changes_key[] = {true, false};

START_TEST(a_promise_is_dropped_when_the_device_attests_something_else)
{
    static uint8_t keys[2][65];
    const struct rig_order order = {.device_keys = true, .keys = keys, .key_count = 2};
    EVP_PKEY *second = EVP_EC_gen("P-256");
    struct error err = ERROR_INIT, said;
    struct wire_plan plan;
    struct device d;
    struct rig r;

    device_init_making(&d, 0xa1);
    d.enrolment = EVP_EC_gen("P-256");
    ASSERT_OK(ec_point(d.enrolment, keys[0], &err), err);
    ASSERT_OK(ec_point(second, keys[1], &err), err);
    rig_start(&r, &order, 0);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    memcpy(d.tx, plan.tx, sizeof d.tx);
    d.tx_state = IMPRINT_TX_OPEN;
    if (changes_key[_i]) {
        EVP_PKEY_free(d.enrolment);
        d.enrolment = second;
        second = NULL;
    } else {
        device_new_transport(&d);
    }
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, WIRE_ABORT);
    device_forget(&d);
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000001");
    EVP_PKEY_free(second);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* As version 3 of the database had it, which kept no attestation. */
static void age_promise(struct rig *r, const uint8_t tx[IMPRINT_TX_SIZE])
{
    struct error err = ERROR_INIT;
    struct keygen k;
    bool found;

    keygen_init(&k);
    ASSERT_OK(keygen_by_tx(r->store, tx, &k, &found, &err), err);
    rig_sql(r, "DELETE FROM keygens");
    buf_reset(&k.attestation);
    ASSERT_OK(keygen_add(r->store, &k, &err), err);
    keygen_done(&k);
    rig_sql(r, "ALTER TABLE claims DROP COLUMN kcv; ALTER TABLE claims DROP COLUMN symmetric;"
               "ALTER TABLE keygens DROP COLUMN attestation; DROP INDEX ledger_issuers;"
               "DROP INDEX ledger_derived; DROP INDEX ledger_people; DROP TABLE people;"
               "DROP INDEX ledger_request; DROP TABLE requests; DROP TABLE slots;"
               "DROP INDEX attempts_next; ALTER TABLE attempts DROP COLUMN next;"
               "DROP TABLE outbox; DROP TABLE outbox_failures;"
               "PRAGMA user_version = 3");
    rig_restart(r);
}

static const struct {
    bool enrolled;
    int then;
} aged[] = {{false, WIRE_KEYGEN}, {true, WIRE_ABORT}};

START_TEST(a_promise_of_the_version_before_is_kept_or_dropped)
{
    static uint8_t keys[1][65];
    struct rig_order order = {.device_keys = true};
    struct error err = ERROR_INIT, said;
    struct wire_plan plan;
    struct device d;
    struct rig r;

    device_init_making(&d, 0xa1);
    if (aged[_i].enrolled) {
        d.enrolment = EVP_EC_gen("P-256");
        ASSERT_OK(ec_point(d.enrolment, keys[0], &err), err);
        order.keys = keys;
        order.key_count = 1;
    }
    rig_start(&r, &order, 0);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    age_promise(&r, plan.tx);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    ck_assert_int_eq(plan.action, aged[_i].then);
    if (plan.action == WIRE_ABORT)
        device_forget(&d);
    provision_made(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000001");
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_request_has_its_place_among_the_messages)
{
    struct device d;
    struct line l;
    struct buf object;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    buf_init(&object, WIRE_OBJECT_MAX);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, line_open(&l));
    ASSERT_REFUSED(&l, line_request(&l, "x", 1, NULL), ERR_PROTOCOL, "out of order");
    line_done(&l);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_REFUSED(&l, line_object(&l, 0, &object), ERR_PROTOCOL, "out of order");
    ASSERT_ANSWER(&l, request(&l, &d, NULL));
    ASSERT_REFUSED(&l, line_request(&l, "x", 1, NULL), ERR_PROTOCOL, "out of order");
    line_done(&l);
    buf_done(&object);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_promise_that_was_changed_in_the_file_is_found)
{
    struct wire_plan plan;
    struct error said;
    struct device d;
    struct line l;
    struct rig r;

    rig_start(&r, &device_order, 0);
    device_init_making(&d, 0xa1);
    ck_assert_int_eq(meet_once(&r, &d, &plan, &said), 0);
    rig_sql(&r, "UPDATE keygens SET serial = 'PUMP-000009'");
    line_init(&l, &r);
    ck_assert_int_eq(meet(&l, &d), ERR_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(l.said.text, "'PUMP-000009' was changed"));
    line_done(&l);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

RIG_MAIN("keygen", ONCE(a_device_with_its_own_key_is_proven),
         ONCE(a_device_that_cannot_make_a_key_is_refused),
         ONCE(a_device_that_comes_back_is_asked_the_same),
         ONCE(a_promise_that_was_lost_costs_no_serial),
         ONCE(promises_of_a_slot_are_bounded_and_the_oldest_is_dropped),
         ONCE(devices_in_one_slot_drop_no_promise_of_another),
         ONCE(promises_of_an_order_are_bounded),
         ONCE(a_promise_that_a_device_works_on_is_not_dropped),
         ONCE(a_promise_that_was_given_up_is_made_again),
         ONCE(a_chip_id_in_two_slots_sets_both_aside), ONCE(max_issued_holds_for_keys_of_devices),
         ONCE(the_last_certificate_is_signed_once), ONCE(a_second_key_burns_the_first_certificate),
         ONCE(a_device_in_two_slots_burns_its_certificate_once),
         ONCE(an_enrolled_device_that_lost_its_memory_is_asked_anew),
         ONCE(a_hostile_request_costs_one_attempt_and_nothing_else),
         ONCE(a_request_of_another_device_is_refused), ONCE(an_enrolled_device_must_attest_the_key),
         ONCE(evidence_of_a_promise_that_was_resumed_is_verified),
         EACH_ROW(a_promise_is_dropped_when_the_device_attests_something_else, changes_key),
         EACH_ROW(a_promise_of_the_version_before_is_kept_or_dropped, aged),
         ONCE(a_request_has_its_place_among_the_messages),
         ONCE(a_promise_that_was_changed_in_the_file_is_found))
