/* Certificates that the vault signs while a device waits. */
#include "played_device.h"

#include "station/store/spares.h"
#include "station/vault/certifier.h"

static int issue(struct rig *r, const struct certify_request *request, struct error *err)
{
    struct credential c;
    bool spare = false;
    int rc = store_begin(r->store, err);

    ck_assert_int_eq(rc, 0);
    credential_init(&c);
    rc = certifier_issue(&r->v, request, &c, &spare, err);
    if (rc == 0)
        rc = store_commit(r->store, err);
    if (rc)
        store_rollback(r->store);
    else
        certifier_committed(&r->v, spare);
    credential_done(&c);
    return rc;
}

static const uint8_t chip[] = {0xc0, 0xff, 0xee, 0x01};

static struct certify_request request_of(const char *serial)
{
    return (struct certify_request){.serial = serial, .chip = chip, .chip_len = sizeof chip};
}

/* Everything that counts credentials counts it, also after a start. */
START_TEST(a_certificate_at_the_claim_is_counted_and_journalled)
{
    const struct rig_order order = {.good = 1, .max_issued = 2};
    struct certify_request one = request_of("PUMP-000001"), two = request_of("AB/12"),
                           three = request_of("PUMP-000003");
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &order, 0);
    ASSERT_OK(issue(&r, &one, &err), err);
    rig_restart(&r);
    ck_assert_int_eq(r.v.counts.by_state[CREDENTIAL_AVAILABLE], 1);
    ASSERT_OK(issue(&r, &two, &err), err);
    ASSERT_FAILS(issue(&r, &three, &err), ERR_REFUSED);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM ledger WHERE"
                                 " json_extract(body, '$.event') = 'issue'"),
                     2);
    rig_sql(&r, "DELETE FROM credentials WHERE id = 2");
    rig_close(&r);
    rig_open_station(&r);
    ASSERT_FAILS(vault_init(&r.v, &r.config, &r.job, r.store, r.hsm, &err), ERR_INTEGRITY);
    rig_drop(&r);
}
END_TEST

START_TEST(a_device_has_its_certificate_over_its_own_key)
{
    struct certify_request request = request_of("PUMP-000001"), again = request_of("PUMP-000002");
    const struct rig_order order = {.lock = false};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    uint8_t point[EC_POINT_SIZE];
    struct public_key public;
    struct error err = ERROR_INIT;
    struct credential c;
    struct rig r;

    rig_start(&r, &order, 0);
    ASSERT_OK(ec_point(key, point, &err), err);
    public = key_p256(point);
    request.key = again.key = &public;
    ASSERT_OK(issue(&r, &request, &err), err);
    credential_init(&c);
    ASSERT_OK(credential_get(r.store, 1, &c, &err), err);
    ck_assert(key_same(&c.key, &public));
    ck_assert_uint_eq(c.wrapped.len, 0);
    credential_done(&c);
    ASSERT_FAILS(issue(&r, &again, &err), ERR_DUPLICATE); /* one key, one certificate */
    EVP_PKEY_free(key);
    rig_end(&r);
}
END_TEST

static const char *const doubled[] = {"PUMP-000001", "pump-000001"};

START_TEST(a_serial_that_is_known_is_refused)
{
    const struct rig_order order = {.lock = false};
    struct certify_request request = request_of(doubled[_i]);
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &order, 1);
    ASSERT_FAILS(issue(&r, &request, &err), ERR_DUPLICATE);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 1);
    rig_end(&r);
}
END_TEST

RIG_MAIN("certifier", ONCE(a_certificate_at_the_claim_is_counted_and_journalled),
         ONCE(a_device_has_its_certificate_over_its_own_key),
         EACH_ROW(a_serial_that_is_known_is_refused, doubled))
