/* Symmetric keys of a station: who gets which, what a line that was taken over gets, what is changed. */
#include "played_device.h"

#include "hsm/derived.h"
#include "station/vault/symmetric.h"

static const struct rig_order derived_order = {.derived = true}, beside_order = {.symmetric = true},
                              one_order = {.derived = true, .good = 1, .max_issued = 3};

static void dut_init(struct device *d, uint8_t mark)
{
    device_init(d, mark);
    d->modes = IMPRINT_MODE_HSM | IMPRINT_MODE_DERIVED;
}

/* What the station would derive now. */
static void derive(struct rig *r, int64_t credential, uint8_t key[32])
{
    struct error err = ERROR_INIT;
    struct credential c;
    struct secret *made;
    struct buf input;

    credential_init(&c);
    buf_init(&input, HSM_DERIVED_INPUT_MAX);
    ASSERT_OK(credential_get(r->store, credential, &c, &err), err);
    ASSERT_OK(symmetric_input(&r->config, r->store, &c, &input, &err), err);
    ASSERT_OK(hsm_derived_export(r->hsm, input.data, input.len, &made, &err), err);
    memcpy(key, secret_bytes(made), 32);
    secret_free(made);
    buf_done(&input);
    credential_done(&c);
}

START_TEST(what_a_key_is_derived_from)
{
    static const uint8_t tail[] = {0, 0, 1, 0};
    struct error err = ERROR_INIT;
    struct buf input, expected;
    struct credential c;
    struct device d;
    uint8_t leaf[32];
    struct rig r;

    dut_init(&d, 1);
    rig_start(&r, _i ? &beside_order : &derived_order, _i);
    provision(&r, &d);
    credential_init(&c);
    buf_init(&input, HSM_DERIVED_INPUT_MAX);
    buf_init(&expected, HSM_DERIVED_INPUT_MAX);
    ASSERT_OK(credential_get(r.store, 1, &c, &err), err);
    ASSERT_OK(symmetric_input(&r.config, r.store, &c, &input, &err), err);
    buf_put(&expected, "imprint derive v1", sizeof "imprint derive v1");
    buf_put_lp(&expected, "test", 4);
    buf_put_lp(&expected, r.v.history.row.hash, 32);
    buf_put_lp(&expected, RIG_PRODUCT, strlen(RIG_PRODUCT));
    buf_put_lp(&expected, "PUMP-000001", 11);
    sha256(d.certificates.data, d.leaf_len, leaf);
    buf_put_lp(&expected, leaf, _i ? 32 : 0);
    buf_put(&expected, tail, sizeof tail);
    ck_assert_uint_eq(input.len, expected.len);
    ck_assert_mem_eq(input.data, expected.data, input.len);
    buf_done(&input);
    buf_done(&expected);
    credential_done(&c);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_gets_its_key_and_proves_it)
{
    uint8_t key[32];
    struct device d;
    struct record record;
    struct rig r;

    dut_init(&d, 1);
    rig_start(&r, _i ? &beside_order : &derived_order, _i);
    provision(&r, &d);
    ck_assert(d.has_symmetric);
    ck_assert_int_eq(d.key != NULL, _i);
    derive(&r, 1, key);
    ck_assert_mem_eq(d.symmetric, key, sizeof key);
    rig_record(&r, 0, &record);
    ck_assert_int_eq(record.mode, _i ? RECORD_MODE_HSM : RECORD_MODE_DERIVED);
    ck_assert_ptr_nonnull(strstr(record.ext, "\"made\":\"vault\""));
    record_done(&record);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_that_asks_again_gets_the_same_bytes)
{
    struct buf first, again;
    struct device d;
    struct line l;
    struct rig r;

    dut_init(&d, 1);
    rig_start(&r, &derived_order, 0);
    buf_init(&first, WIRE_OBJECT_MAX);
    buf_init(&again, WIRE_OBJECT_MAX);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    ASSERT_ANSWER(&l, line_object(&l, 0, &first));
    line_done(&l);
    rig_restart(&r);
    line_init(&l, &r);
    deliver(&l, &d);
    ASSERT_ANSWER(&l, line_object(&l, 0, &again));
    ck_assert_uint_eq(again.len, HSM_DERIVED_WRAPPED);
    ck_assert_uint_eq(first.len, again.len);
    ck_assert_mem_eq(first.data, again.data, first.len);
    pass(&l, &d);
    line_done(&l);
    ck_assert_int_eq(rig_claims(&r), 1);
    buf_done(&first);
    buf_done(&again);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* Another transport key is another device as far as anybody can tell: it gets another serial. */
START_TEST(a_lost_transport_key_ends_a_serial)
{
    uint8_t lost[32];
    struct device d;
    struct line l;
    struct rig r;

    dut_init(&d, 1);
    rig_start(&r, &derived_order, 0);
    line_init(&l, &r);
    deliver(&l, &d);
    line_done(&l);
    memcpy(lost, d.symmetric, sizeof lost);
    memset(d.tx, 0, sizeof d.tx);
    d.tx_state = IMPRINT_TX_NONE;
    d.commit_count = 0;
    provision(&r, &d);
    ck_assert_str_eq(d.serial, "PUMP-000002");
    ck_assert_mem_ne(d.symmetric, lost, sizeof lost);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_BURNED), 1);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* Under `none` a line that was taken over can play devices: each claim is one key, all of them counted. */
START_TEST(a_line_that_plays_devices_gets_one_key_for_each_claim_and_no_more_than_ordered)
{
    struct device d[2];
    struct line l;
    struct rig r;

    rig_start(&r, &one_order, 0);
    for (uint8_t i = 0; i < 2; i++)
        dut_init(&d[i], (uint8_t)(i + 1));
    line_init(&l, &r);
    deliver(&l, &d[0]);
    line_done(&l);
    ASSERT_MEET_REFUSED(&r, &d[1], ERR_REFUSED, "is fulfilled");
    ck_assert_int_eq(rig_claims(&r), 1);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM ledger WHERE body LIKE '%\"claim\"%'"), 1);
    for (uint8_t i = 0; i < 2; i++)
        device_done(&d[i]);
    rig_end(&r);
}
END_TEST

static const struct {
    uint16_t
        at; /* a byte of the MAC, or behind it; 64: the life cycle; 65: the commit count; 66: a byte
                  * less */
} changes[] = {{0}, {31}, {32}, {63}, {64}, {65}, {66}};

START_TEST(a_proof_that_was_changed_is_none)
{
    uint8_t nonce[IMPRINT_NONCE_SIZE], verdict = 0;
    struct wire_proof p;
    struct device d;
    struct line l;
    struct rig r;
    uint16_t at = changes[_i].at;

    dut_init(&d, 1);
    rig_start(&r, &derived_order, 0);
    line_init(&l, &r);
    deliver(&l, &d);
    ASSERT_ANSWER(&l, line_nonce(&l, nonce));
    p = device_prove(&d, nonce);
    if (at < p.sig_len)
        p.sig[at] ^= 1;
    else if (at < 64)
        p.sig_len = (uint16_t)(at + 1);
    else if (at == 66)
        p.sig_len--;
    else if (at == 64)
        p.lifecycle = IMPRINT_LIFE_LOCKED;
    else
        p.commit_count++;
    ck_assert_int_eq(line_proof(&l, &p, &verdict), ERR_PROOF);
    line_done(&l);
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_PROVEN), 0);
    line_init(&l, &r);
    ASSERT_ANSWER(&l, meet(&l, &d));
    pass(&l, &d);
    line_done(&l);
    device_done(&d);
    rig_end(&r);
}
END_TEST

/* A key that somebody made up, and a signature where a MAC is asked for, or the other way round. */
START_TEST(another_key_and_another_kind_of_proof_are_none)
{
    EVP_PKEY *own = EVP_EC_gen("P-256");
    uint8_t nonce[IMPRINT_NONCE_SIZE], verdict = 0;
    struct wire_proof p;
    struct device d;
    struct line l;
    struct rig r;

    dut_init(&d, 1);
    rig_start(&r, _i > 1 ? &beside_order : &derived_order, _i > 1);
    line_init(&l, &r);
    deliver(&l, &d);
    ASSERT_ANSWER(&l, line_nonce(&l, nonce));
    if (_i == 0)
        d.symmetric[0] ^= 1;
    if (_i == 2) { /* the MAC of the key beside it */
        EVP_PKEY_free(d.key);
        d.key = NULL;
    }
    p = _i == 1 ? device_sign(&d, own, nonce) : device_prove(&d, nonce);
    ck_assert_int_eq(line_proof(&l, &p, &verdict), ERR_PROOF);
    line_done(&l);
    EVP_PKEY_free(own);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(rows_that_were_changed_are_not_believed)
{
    static const char *const statements[] = {
        "UPDATE claims SET kcv = zeroblob(32)",          "UPDATE claims SET kcv = NULL",
        "UPDATE credentials SET serial = 'PUMP-000009'", "UPDATE credentials SET cert = x'30'",
        "UPDATE credentials SET point = zeroblob(91)",
    };
    struct error said = ERROR_INIT;
    struct device d;
    struct line l;
    struct rig r;
    int rc;

    dut_init(&d, 1);
    rig_start(&r, &derived_order, 0);
    line_init(&l, &r);
    deliver(&l, &d);
    line_done(&l);
    rig_sql(&r, statements[_i]);
    line_init(&l, &r);
    rc = meet(&l, &d);
    said = l.said;
    line_done(&l);
    ck_assert_msg(rc == ERR_INTEGRITY, "%s: %s", error_name(rc), said.text);
    device_done(&d);
    rig_drop(&r);
}
END_TEST

/* The ledger tells who got a key, whatever the tables were made to say while the station stood. */
START_TEST(a_released_key_goes_to_no_other_device_by_a_change_of_the_tables)
{
    static const char *const statements[] = {
        "UPDATE credentials SET serial = 'PUMP-000777'; DELETE FROM counters",
        "UPDATE credentials SET product = 'x'; DELETE FROM counters",
    };
    struct error said = ERROR_INIT;
    struct device d[2];
    struct line l;
    struct rig r;
    int rc;

    for (uint8_t i = 0; i < 2; i++)
        dut_init(&d[i], (uint8_t)(i + 1));
    rig_start(&r, &derived_order, 0);
    provision(&r, &d[0]);
    rig_sql(&r, statements[_i]);
    rig_restart(&r);
    line_init(&l, &r);
    rc = meet(&l, &d[1]);
    said = l.said;
    line_done(&l);
    ck_assert_msg(rc == ERR_INTEGRITY, "%s: %s", error_name(rc), said.text);
    ck_assert_ptr_nonnull(strstr(said.text, "the derived key of 'PUMP-000001' was given"));
    ck_assert_int_eq(rig_claims(&r), 1);
    for (uint8_t i = 0; i < 2; i++)
        device_done(&d[i]);
    rig_drop(&r);
}
END_TEST

START_TEST(the_ledger_takes_one_issue_of_a_derived_key)
{
    struct error err = ERROR_INIT;
    struct buf data;
    struct device d;
    struct rig r;

    dut_init(&d, 1);
    rig_start(&r, &derived_order, 0);
    provision(&r, &d);
    buf_init(&data, LEDGER_BODY_MAX);
    buf_put_str(&data, "{\"credential\":2,\"derived\":true,\"order\":\"");
    for (size_t i = 0; i < SHA256_SIZE; i++)
        buf_printf(&data, "%02x", r.v.history.row.hash[i]);
    buf_put_str(&data, "\",\"serial\":\"PUMP-000001\"}");
    ASSERT_OK(store_begin(r.store, &err), err);
    ck_assert_int_ne(ledger_append(r.store, LEDGER_ISSUE, &data, &err), 0);
    store_rollback(r.store);
    buf_done(&data);
    device_done(&d);
    rig_end(&r);
}
END_TEST

START_TEST(a_device_without_symmetric_keys_is_refused_untouched)
{
    struct device d;
    struct rig r;

    device_init(&d, 1);
    rig_start(&r, _i ? &beside_order : &derived_order, _i);
    ASSERT_MEET_REFUSED(&r, &d, ERR_REFUSED, "cannot take a symmetric key");
    device_done(&d);
    rig_end(&r);
}
END_TEST

RIG_MAIN("symmetric", ((struct check_item){what_a_key_is_derived_from, 2}),
         ((struct check_item){a_device_gets_its_key_and_proves_it, 2}),
         ONCE(a_device_that_asks_again_gets_the_same_bytes),
         ONCE(a_lost_transport_key_ends_a_serial),
         ONCE(a_line_that_plays_devices_gets_one_key_for_each_claim_and_no_more_than_ordered),
         EACH_ROW(a_proof_that_was_changed_is_none, changes),
         ((struct check_item){another_key_and_another_kind_of_proof_are_none, 3}),
         ((struct check_item){rows_that_were_changed_are_not_believed, 5}),
         ((struct check_item){a_released_key_goes_to_no_other_device_by_a_change_of_the_tables, 2}),
         ONCE(the_ledger_takes_one_issue_of_a_derived_key),
         ((struct check_item){a_device_without_symmetric_keys_is_refused_untouched, 2}))
