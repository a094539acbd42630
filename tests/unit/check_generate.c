/* Generation: batches, serials, certificates, and what an interruption leaves. */
#include "vault_rig.h"

#include "pki/cert.h"
#include "station/vault/issue.h"

static const struct rig_order plain_order = {.lock = false};

/* How a run of generation is watched, and when it is stopped. */
struct watching {
    int64_t calls, last, stop_after;
};

static void count_progress(void *context, int64_t done)
{
    struct watching *w = context;

    ck_assert_int_gt(done, 0);
    ck_assert_int_ge(done, w->last);
    w->last = done;
    w->calls++;
}

static bool stop_after(void *context)
{
    const struct watching *w = context;

    return w->stop_after && w->last >= w->stop_after;
}

static int generate(struct rig *r, int64_t count, struct watching *w, int64_t *made,
                    struct error *err)
{
    struct generate_watch watch = {count_progress, stop_after, w};

    return generate_credentials(&r->v, count, RIG_THREADS, &watch, made, err);
}

#define rig_credentials(r) rig_int(r, "SELECT count(*) FROM credentials")
#define rig_batches(r)                                                                             \
    rig_int(r, "SELECT count(*) FROM ledger WHERE json_extract(body, '$.event') = 'generate'")

/* ---- batches ---- */

static const struct {
    int64_t count, batches;
} sizes[] = {{1, 1},
             {GENERATE_BATCH - 1, 1},
             {GENERATE_BATCH, 1},
             {GENERATE_BATCH + 1, 2},
             {2 * GENERATE_BATCH, 2}};

START_TEST(a_batch_is_one_transaction_and_one_entry)
{
    struct watching w = {0};
    struct error err = ERROR_INIT;
    int64_t made = 0, entries;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    ASSERT_OK(generate(&r, sizes[_i].count, &w, &made, &err), err);
    ck_assert_int_eq(made, sizes[_i].count);
    ck_assert_int_ge(w.calls, sizes[_i].batches);
    ck_assert_int_eq(w.last, sizes[_i].count);
    ck_assert_int_eq(rig_credentials(&r), sizes[_i].count);
    ck_assert_int_eq(rig_batches(&r), sizes[_i].batches);
    ck_assert_int_eq(rig_int(&r, "SELECT sum(length(hashes)) / 8 FROM key_recent"),
                     sizes[_i].count);
    ck_assert_int_eq(rig_int(&r, "SELECT max(id) FROM credentials"), sizes[_i].count);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"
                                 " WHERE serial <> printf('PUMP-%06d', id)"),
                     0);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) - count(DISTINCT point) FROM credentials"), 0);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) - count(DISTINCT wrapped) FROM credentials"), 0);
    ck_assert_int_eq(rig_int(&r, "SELECT count(DISTINCT storage) FROM credentials"), 1);
    ASSERT_OK(ledger_verify(r.store, &entries, &err), err);
    rig_end(&r);
}
END_TEST

START_TEST(nothing_is_made_of_nothing)
{
    struct watching w = {0};
    struct error err = ERROR_INIT;
    int64_t made = 7;
    char name[HSM_STORAGE_NAME_SIZE];
    struct rig r;

    rig_start(&r, &plain_order, 0);
    ASSERT_OK(generate(&r, 0, &w, &made, &err), err);
    ck_assert_int_eq(made, 0);
    ck_assert_int_eq(rig_batches(&r), 0);
    ASSERT_FAILS(hsm_storage_find(r.hsm, r.v.history.row.hash, KEY_P256, name, &err), ERR_MISSING);
    rig_end(&r);
}
END_TEST

START_TEST(a_second_run_goes_on_with_ids_and_serials)
{
    struct rig r;

    rig_start(&r, &plain_order, 7);
    rig_restart(&r);
    rig_generate(&r, 5);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"
                                 " WHERE serial = printf('PUMP-%06d', id)"),
                     12);
    ck_assert_int_eq(rig_int(&r, "SELECT next FROM counters"), 13);
    rig_end(&r);
}
END_TEST

START_TEST(two_orders_have_a_storage_key_each_and_share_the_serials_of_a_product)
{
    const struct rig_order other = {.id = "TEST-2"};
    struct rig r;

    rig_start(&r, &plain_order, 3);
    rig_use_order(&r, &other);
    rig_generate(&r, 2);
    ck_assert_int_eq(rig_int(&r, "SELECT count(DISTINCT storage) FROM credentials"), 2);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials WHERE order_id = 2"
                                 " AND serial IN ('PUMP-000004', 'PUMP-000005')"),
                     2);
    rig_end(&r);
}
END_TEST

/* The first number of a job is a floor: what was used is never used again. */
START_TEST(a_first_number_skips_ahead_and_never_back)
{
    struct rig r;

    rig_start(&r, &plain_order, 2);
    r.job.serials.first = 100;
    rig_generate(&r, 2);
    r.job.serials.first = 1;
    rig_generate(&r, 1);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials WHERE serial IN"
                                 " ('PUMP-000001', 'PUMP-000002', 'PUMP-000100', 'PUMP-000101',"
                                 " 'PUMP-000102')"),
                     5);
    rig_end(&r);
}
END_TEST

/* ---- threads ---- */

static const unsigned numbers_of_threads[] = {1, 2, 3, ISSUE_THREADS_MAX};

/* Every row is whole: its MAC is good, and the certificate has its number, serial and key. */
static void assert_rows_are_good(struct rig *r, int64_t count)
{
    struct error err = ERROR_INIT;
    struct credential c;

    credential_init(&c);
    for (int64_t id = 1; id <= count; id++) {
        const unsigned char *at;
        uint8_t point[EC_POINT_SIZE];
        const ASN1_INTEGER *number;
        X509 *cert;

        ASSERT_OK(credential_get(r->store, id, &c, &err), err);
        at = c.cert.data;
        cert = d2i_X509(NULL, &at, (long)c.cert.len);
        ck_assert_ptr_nonnull(cert);
        ASSERT_OK(ec_point(X509_get0_pubkey(cert), point, &err), err);
        ck_assert_mem_eq(point, key_point(&c.key), sizeof point);
        number = X509_get0_serialNumber(cert);
        ck_assert_int_eq(
            number->data[CERT_NUMBER_SIZE - 2] << 8 | number->data[CERT_NUMBER_SIZE - 1], id);
        ck_assert_ptr_nonnull(memmem(c.cert.data, c.cert.len, c.serial, strlen(c.serial)));
        X509_free(cert);
    }
    credential_done(&c);
}

static void assert_inventory(struct rig *r, int64_t count)
{
    struct error err = ERROR_INIT;
    int64_t entries;

    ck_assert_int_eq(rig_credentials(r), count);
    ck_assert_int_eq(rig_int(r, "SELECT max(id) FROM credentials"), count);
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials"
                                " WHERE serial <> printf('PUMP-%06d', id)"),
                     0);
    ck_assert_int_eq(rig_int(r, "SELECT count(DISTINCT point) FROM credentials"), count);
    ck_assert_int_eq(rig_int(r, "SELECT count(DISTINCT wrapped) FROM credentials"), count);
    assert_rows_are_good(r, count);
    ASSERT_OK(ledger_verify(r->store, &entries, &err), err);
}

START_TEST(ids_and_serials_are_in_order_whatever_the_number_of_threads)
{
    const int64_t count = 2 * GENERATE_BATCH + 7;
    struct error err = ERROR_INIT;
    int64_t made = 0;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    ASSERT_OK(generate_credentials(&r.v, count, numbers_of_threads[_i], &rig_watch, &made, &err),
              err);
    ck_assert_int_eq(made, count);
    ck_assert_int_eq(rig_batches(&r), 3);
    assert_inventory(&r, count);
    rig_end(&r);
}
END_TEST

/* The threads end, and begin again with a module that forgot its leak. */
START_TEST(the_module_is_recycled_between_two_batches)
{
    const int64_t count = 3 * GENERATE_BATCH + 1;
    struct error err = ERROR_INIT;
    int64_t made = 0;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    hsm_set_leak_limit(r.hsm, 1); /* a batch is more than that */
    ASSERT_OK(generate_credentials(&r.v, count, 2, &rig_watch, &made, &err), err);
    ck_assert_int_eq(made, count);
    ck_assert_uint_ge(hsm_recycle_count(r.hsm), 4);
    assert_inventory(&r, count);
    rig_end(&r);
}
END_TEST

/* ---- certificates ---- */

START_TEST(every_certificate_is_good_in_openssl_s_judgement)
{
    struct error err = ERROR_INIT;
    X509 *issuer, *root;
    char path[PATH_MAX];
    struct rig r;

    rig_start(&r, &plain_order, 0);
    rig_generate(&r, 40);
    rig_path(r.dir, "ca/issuing-ca.pem", path);
    ASSERT_OK(cert_read(path, &issuer, &err), err);
    rig_path(r.dir, "trust/device-root.pem", path);
    ASSERT_OK(cert_read(path, &root, &err), err);
    for (int64_t id = 1; id <= 40; id++) {
        uint8_t number[CERT_NUMBER_SIZE];
        struct cert_expect expect;
        struct credential c;
        const unsigned char *at;
        X509 *cert;
        const ASN1_INTEGER *serial;

        credential_init(&c);
        ASSERT_OK(credential_get(r.store, id, &c, &err), err);
        at = c.cert.data;
        cert = d2i_X509(NULL, &at, (long)c.cert.len);
        ck_assert_ptr_nonnull(cert);
        serial = X509_get0_serialNumber(cert);
        ck_assert_int_eq(serial->length, CERT_NUMBER_SIZE);
        memcpy(number, serial->data, sizeof number);
        ck_assert_int_eq(number[0], 1);
        ck_assert_int_eq(number[CERT_NUMBER_SIZE - 1], id); /* unique by construction */
        expect = (struct cert_expect){number,       c.serial, &c.key,
                                      &r.v.profile, {NULL},   r.v.issuer->scheme};
        job_values(&r.job, r.v.order, expect.values);
        ASSERT_OK(cert_check(c.cert.data, c.cert.len, CHAIN(issuer, root), &expect, &err), err);
        X509_free(cert);
        credential_done(&c);
    }
    X509_free(issuer);
    X509_free(root);
    rig_end(&r);
}
END_TEST

/* ---- refusals ---- */

START_TEST(a_pattern_without_numbers_left_makes_no_part_of_a_batch)
{
    struct watching w = {0}, again = {0};
    struct error err = ERROR_INIT;
    int64_t made = -1;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    r.job.serials = (struct job_serials){.prefix = "N", .digits = 1, .first = 1};
    ASSERT_FAILS(generate(&r, 10, &w, &made, &err), ERR_INPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "10 does not fit"));
    ck_assert_int_eq(made, 0);
    ck_assert_int_eq(rig_credentials(&r), 0);
    ck_assert_int_eq(rig_batches(&r), 0);
    rig_generate(&r, 9);
    ASSERT_FAILS(generate(&r, 1, &again, &made, &err), ERR_INPUT);
    ck_assert_int_eq(rig_credentials(&r), 9);
    rig_end(&r);
}
END_TEST

/* PUMP-0 and five digits writes the same texts as PUMP- and six. */
START_TEST(serials_that_another_pattern_wrote_are_refused)
{
    struct watching w = {0};
    struct error err = ERROR_INIT;
    int64_t made = -1;
    struct rig r;

    rig_start(&r, &plain_order, 3);
    r.job.serials = (struct job_serials){.prefix = "PUMP-0", .digits = 5, .first = 2};
    ASSERT_FAILS(generate(&r, 5, &w, &made, &err), ERR_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(err.text, "PUMP-000002"));
    ck_assert_int_eq(made, 0);
    ck_assert_int_eq(rig_credentials(&r), 3);
    rig_end(&r);
}
END_TEST

/* Lowered by an editor, a counter leads to serials that are there already. */
START_TEST(a_counter_that_was_set_back_repeats_no_serial)
{
    struct watching w = {0};
    struct error err = ERROR_INIT;
    int64_t made = -1;
    struct rig r;

    rig_start(&r, &plain_order, 3);
    rig_sql(&r, "UPDATE counters SET next = 1");
    ASSERT_FAILS(generate(&r, 1, &w, &made, &err), ERR_DUPLICATE);
    ck_assert_int_eq(rig_credentials(&r), 3);
    rig_end(&r);
}
END_TEST

/* A batch is looked up as a whole: what lies between its first and its last is no serial of it. */
START_TEST(serials_of_a_batch_are_found_in_any_case_and_no_others)
{
    static const struct {
        const char *known;
        int rc;
    } rows[] = {{"pump-000004", ERR_DUPLICATE},
                {"pump-0000025", 0},
                {"PUMP-000003x", 0},
                {"PUMP-000002", ERR_DUPLICATE},
                {"pump-000006", ERR_DUPLICATE},
                {"Pump-000007", 0}};
    struct error err = ERROR_INIT;
    struct rig r;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct watching w = {0};
        int64_t made = -1;
        char change[96];

        rig_start(&r, &plain_order, 1);
        snprintf(change, sizeof change, "UPDATE credentials SET serial = '%s'", rows[i].known);
        rig_sql(&r, change);
        ck_assert_msg(generate(&r, 5, &w, &made, &err) == rows[i].rc, "%s", rows[i].known);
        ck_assert_int_eq(rig_credentials(&r), rows[i].rc ? 1 : 6);
        rig_drop(&r);
    }
}
END_TEST

/* ---- interruptions ---- */

START_TEST(a_stop_ends_after_the_batch_at_hand)
{
    struct watching w = {.stop_after = 1}, again = {0};
    struct error err = ERROR_INIT;
    int64_t made = 0;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    ASSERT_FAILS(generate(&r, GENERATE_BATCH + 1, &w, &made, &err), ERR_INTERRUPTED);
    ck_assert_int_eq(made, GENERATE_BATCH);
    ck_assert_int_eq(rig_credentials(&r), GENERATE_BATCH);
    ASSERT_OK(generate(&r, 1, &again, &made, &err), err);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"
                                 " WHERE serial = printf('PUMP-%06d', id)"),
                     GENERATE_BATCH + 1);
    rig_end(&r);
}
END_TEST

/* The last batch before a recycle is stored while the next one is made: neither is lost or doubled. */
START_TEST(a_stop_beside_a_recycle_keeps_what_was_made)
{
    struct watching w = {.stop_after = 1}, again = {0};
    struct error err = ERROR_INIT;
    int64_t made = 0;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    hsm_set_leak_limit(r.hsm, 1);
    ASSERT_FAILS(generate(&r, 2 * GENERATE_BATCH, &w, &made, &err), ERR_INTERRUPTED);
    ck_assert_int_eq(made, GENERATE_BATCH);
    ASSERT_OK(generate(&r, GENERATE_BATCH + 2, &again, &made, &err), err);
    ck_assert_int_eq(made, GENERATE_BATCH + 2);
    assert_inventory(&r, 2 * GENERATE_BATCH + 2);
    rig_end(&r);
}
END_TEST

START_TEST(a_stop_that_comes_with_the_last_batch_is_no_interruption)
{
    struct watching w = {.stop_after = 1};
    struct error err = ERROR_INIT;
    int64_t made = 0;
    struct rig r;

    rig_start(&r, &plain_order, 0);
    ASSERT_OK(generate(&r, 3, &w, &made, &err), err);
    ck_assert_int_eq(made, 3);
    rig_end(&r);
}
END_TEST

static void die_in_the_second_batch(void *context, int64_t done)
{
    (void)context;
    if (done > GENERATE_BATCH)
        _exit(0);
}

START_TEST(a_batch_that_was_killed_is_not_there_at_all)
{
    const struct generate_watch watch = {die_in_the_second_batch, rig_no_stop, NULL};
    struct error err = ERROR_INIT;
    int64_t made = 0, entries;
    int status = -1;
    struct rig r;
    pid_t child;

    rig_copy(&r);
    rig_write_job(&r, &plain_order);
    child = fork();
    if (child == 0) {
        rig_open(&r);
        (void)!generate_credentials(&r.v, 2 * GENERATE_BATCH, RIG_THREADS, &watch, &made, &err);
        _exit(1); /* it should have died */
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    rig_open(&r);
    ck_assert_int_eq(rig_credentials(&r), GENERATE_BATCH);
    ck_assert_int_eq(rig_batches(&r), 1);
    ASSERT_OK(ledger_verify(r.store, &entries, &err), err);
    rig_generate(&r, 1);
    ck_assert_int_eq(rig_int(&r, "SELECT max(id) FROM credentials"), GENERATE_BATCH + 1);
    rig_end(&r);
}
END_TEST

RIG_MAIN("generate", EACH_ROW(a_batch_is_one_transaction_and_one_entry, sizes),
         ONCE(nothing_is_made_of_nothing), ONCE(a_second_run_goes_on_with_ids_and_serials),
         ONCE(two_orders_have_a_storage_key_each_and_share_the_serials_of_a_product),
         ONCE(a_first_number_skips_ahead_and_never_back),
         EACH_ROW(ids_and_serials_are_in_order_whatever_the_number_of_threads, numbers_of_threads),
         ONCE(the_module_is_recycled_between_two_batches),
         ONCE(every_certificate_is_good_in_openssl_s_judgement),
         ONCE(a_pattern_without_numbers_left_makes_no_part_of_a_batch),
         ONCE(serials_that_another_pattern_wrote_are_refused),
         ONCE(a_counter_that_was_set_back_repeats_no_serial),
         ONCE(serials_of_a_batch_are_found_in_any_case_and_no_others),
         ONCE(a_stop_ends_after_the_batch_at_hand),
         ONCE(a_stop_beside_a_recycle_keeps_what_was_made),
         ONCE(a_stop_that_comes_with_the_last_batch_is_no_interruption),
         ONCE(a_batch_that_was_killed_is_not_there_at_all))
