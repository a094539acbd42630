/* What the vault asks of its own station before it serves: environment, authorities, certificate.
 */
#include "vault_rig.h"

#include <sys/prctl.h>

static const struct rig_order plain_order = {.lock = false};

static int start_vault(struct rig *r, struct error *err)
{
    int rc;

    vault_done(&r->v);
    rc = vault_init(&r->v, &r->config, &r->job, r->store, r->hsm, err);
    return rc ? rc : vault_load_certificate(&r->v, err);
}

static void write_station_file(const struct rig *r, const char *name, const void *bytes, size_t len)
{
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    rig_path(r->dir, name, path);
    ASSERT_OK(file_write(path, bytes, len, 0644, &err), err);
}

START_TEST(an_order_of_another_environment_is_refused)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    strcpy(r.config.environment, "production");
    ASSERT_FAILS(start_vault(&r, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "never mixed"));
    rig_drop(&r);
}
END_TEST

START_TEST(a_station_without_its_issuing_ca_does_not_serve)
{
    struct error err = ERROR_INIT;
    char path[PATH_MAX];
    struct rig r;

    rig_start(&r, &plain_order, 0);
    rig_path(r.dir, "ca/issuing-ca.pem", path);
    ck_assert_int_eq(unlink(path), 0);
    ASSERT_FAILS(start_vault(&r, &err), ERR_MISSING);
    write_station_file(&r, "ca/issuing-ca.pem", "no certificate", 14);
    ASSERT_FAILS(start_vault(&r, &err), ERR_FORMAT);
    rig_drop(&r);
}
END_TEST

START_TEST(a_certificate_of_another_authority_is_not_the_issuing_ca)
{
    static const char *const others[] = {"ca/device-root.pem", "ca/manifest-signer.pem"};
    struct error err = ERROR_INIT;
    char path[PATH_MAX];
    struct rig r;

    rig_start(&r, &plain_order, 1);
    for (size_t i = 0; i < 2; i++) {
        struct buf pem;

        buf_init(&pem, 8192);
        rig_path(r.dir, others[i], path);
        ASSERT_OK(file_read(path, &pem, &err), err);
        write_station_file(&r, "ca/issuing-ca.pem", pem.data, pem.len);
        ASSERT_FAILS(start_vault(&r, &err), ERR_INTEGRITY);
        ck_assert_ptr_nonnull(strstr(err.text, "issuing-ca.pem"));
        buf_done(&pem);
    }
    rig_drop(&r);
}
END_TEST

START_TEST(a_database_that_fails_is_not_an_order_without_credentials)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, 1);
    rig_sql(&r, "PRAGMA foreign_keys = OFF; DROP TABLE orders");
    ASSERT_FAILS(start_vault(&r, &err), ERR_STORE);
    rig_drop(&r);
}
END_TEST

START_TEST(a_station_without_certificate_says_how_to_get_one)
{
    struct error err = ERROR_INIT;
    char path[PATH_MAX];
    struct rig r;

    rig_start(&r, &plain_order, 0);
    rig_path(r.dir, "station.cert", path);
    ck_assert_int_eq(unlink(path), 0);
    ASSERT_FAILS(start_vault(&r, &err), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "station-auth.pub"));
    rig_drop(&r);
}
END_TEST

static const struct {
    const char *station, *environment;
    bool own_key;
    const char *part;
} certificates[] = {
    {"line-2", RIG_ENVIRONMENT, true, "another station"},
    {"line-", RIG_ENVIRONMENT, true, "another station"},
    {RIG_NAME, "production", true, "another environment"},
    {RIG_NAME, "tes", true, "another environment"},
    {RIG_NAME, RIG_ENVIRONMENT, false, "another key"},
};

START_TEST(a_certificate_of_another_station_is_refused)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    ck_assert_int_eq(rig_certify(&r.config, r.hsm, certificates[_i].station,
                                 certificates[_i].environment, certificates[_i].own_key),
                     0);
    ASSERT_FAILS(start_vault(&r, &err), ERR_SIGNATURE);
    ck_assert_msg(strstr(err.text, certificates[_i].part) != NULL, "%s", err.text);
    ck_assert_int_eq(rig_certify(&r.config, r.hsm, RIG_NAME, RIG_ENVIRONMENT, true), 0);
    ASSERT_OK(start_vault(&r, &err), err);
    rig_end(&r);
}
END_TEST

START_TEST(a_certificate_that_is_cut_or_longer_is_refused)
{
    struct error err = ERROR_INIT;
    struct buf good;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    buf_init(&good, 8192);
    buf_put(&good, r.v.station_cert.data, r.v.station_cert.len);
    for (size_t len = 0; len < good.len; len++) {
        write_station_file(&r, "station.cert", good.data, len);
        ASSERT_FAILS(start_vault(&r, &err), ERR_FORMAT);
        ck_assert_ptr_nonnull(strstr(err.text, "station.cert"));
    }
    buf_put_u8(&good, 0);
    write_station_file(&r, "station.cert", good.data, good.len);
    ASSERT_FAILS(start_vault(&r, &err), ERR_FORMAT);
    memset(buf_grow(&good, 4096), 0, 4096);
    write_station_file(&r, "station.cert", good.data, good.len);
    ASSERT_FAILS(start_vault(&r, &err), ERR_FORMAT);
    buf_done(&good);
    rig_drop(&r);
}
END_TEST

/* A process that holds the PIN is not read by another one of the same user. */
START_TEST(a_process_with_an_open_token_cannot_be_dumped)
{
    struct rig r;

    rig_start(&r, &plain_order, 0);
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
    rig_end(&r);
}
END_TEST

RIG_MAIN("station", ONCE(an_order_of_another_environment_is_refused),
         ONCE(a_station_without_its_issuing_ca_does_not_serve),
         ONCE(a_certificate_of_another_authority_is_not_the_issuing_ca),
         ONCE(a_database_that_fails_is_not_an_order_without_credentials),
         ONCE(a_station_without_certificate_says_how_to_get_one),
         EACH_ROW(a_certificate_of_another_station_is_refused, certificates),
         ONCE(a_certificate_that_is_cut_or_longer_is_refused),
         ONCE(a_process_with_an_open_token_cannot_be_dumped))
