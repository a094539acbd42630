/* A token that fails once or for good: what the station says then, and what it does not do. */
#include "swept_work.h"

/* ---- PINs ---- */

static const struct {
    CK_RV rv;
    const char *text;
} refused_pins[] = {
    {CKR_PIN_INCORRECT, "it is not tried again"},
    {CKR_PIN_INVALID, "it is not tried again"},
    {CKR_PIN_LEN_RANGE, "it is not tried again"},
    {CKR_PIN_LOCKED, "security officer has to set"},
    {CKR_PIN_EXPIRED, "security officer has to set"},
};

START_TEST(a_pin_that_is_refused_is_tried_once_and_says_who_can_help)
{
    struct error err = ERROR_INIT;
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    rig_close(&r);
    fault_at("C_Login", 1, refused_pins[_i].rv, true);
    ASSERT_FAILS(vault_open_hsm(&r.config, &r.hsm, &err), ERR_PIN);
    ck_assert_msg(strstr(err.text, refused_pins[_i].text) != NULL, "%s", err.text);
    ck_assert_int_eq(err.native, (long)refused_pins[_i].rv);
    ck_assert_uint_eq(proxy_state().calls, 1);
    no_fault();
    rig_open(&r);
    rig_end(&r);
}
END_TEST

/* Everything that a caller may repeat in a loop. */
static int anything(struct rig *r, int which, struct error *err)
{
    struct hsm_anchor anchor;
    struct sealed sealed;
    uint8_t out[EC_SIG_SIZE];

    switch (which) {
    case 0:
        return hsm_random(r->hsm, out, 1, err);
    case 1:
        return hsm_sign(r->hsm, HSM_KEY_STATION_AUTH, "m", 1, out, err);
    case 2:
        return hsm_anchor_read(r->hsm, &anchor, err);
    case 3:
        return generate_credentials(&r->v, 1, RIG_THREADS, &rig_watch, &made, err);
    case 4:
        return hsm_recycle(r->hsm, err);
    default:
        return sealing_run(&r->config, r->store, r->hsm, NULL, &sealed, err);
    }
}
enum { ANYTHING_HSM = 5, ANYTHING = 6 }; /* sealing may have nothing to do */

START_TEST(a_pin_that_is_refused_later_is_not_tried_again_by_any_loop)
{
    struct rig r;
    struct line l;

    faulty_start(&r, &plain_order, 2);
    device_prepare(&r);
    provision(&r, &dut);
    fault_at("C_Login", 1, refused_pins[_i].rv, true);
    ck_assert_uint_eq(softhsm_raw()->C_Finalize(NULL), CKR_OK);
    device_prepare(&r);
    line_init(&l, &r);
    /* NSS does not tell a missing session from a failure when it is asked for random bytes. */
    for (int i = softhsm_is_nss(); i < 5 * ANYTHING; i++) {
        struct error err = ERROR_INIT;

        ASSERT_FAILS(anything(&r, i % ANYTHING, &err), ERR_PIN);
        ck_assert(err.text[0]);
    }
    ck_assert_int_eq(meet(&l, &dut), ERR_PIN);
    ck_assert_int_eq(l.fatal, ERR_PIN);
    ck_assert_uint_eq(proxy_state().calls, 1);
    line_done(&l);
    no_fault();
    rig_restart(&r);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

/* ---- sessions and tokens that are not to be had ---- */

START_TEST(a_token_without_a_free_session_says_so)
{
    struct rig r;
    struct error err = ERROR_INIT;
    struct sealed sealed;

    faulty_start(&r, &plain_order, 2);
    device_prepare(&r);
    provision(&r, &dut);
    fault_at("C_OpenSession", 1, CKR_SESSION_COUNT, true);
    ASSERT_FAILS(hsm_recycle(r.hsm, &err), ERR_HSM);
    ASSERT_FAILS(sealing_run(&r.config, r.store, r.hsm, NULL, &sealed, &err), ERR_HSM);
    ck_assert_ptr_nonnull(strstr(err.text, "end other programs"));
    vault_done(&r.v);
    hsm_close(r.hsm);
    ASSERT_FAILS(vault_open_hsm(&r.config, &r.hsm, &err), ERR_HSM);
    ck_assert_int_eq(err.native, CKR_SESSION_COUNT);
    ck_assert_ptr_nonnull(strstr(err.text, "end other programs"));
    no_fault();
    store_close(r.store);
    rig_open(&r);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

static const unsigned long removed_at[] = {1, 8, 16, 24, 31};

START_TEST(a_token_that_is_removed_ends_the_session_and_says_what_to_do)
{
    struct error err = ERROR_INIT;
    struct rig r;
    int rc;

    faulty_start(&r, &plain_order, 2);
    device_prepare(&r);
    fault_at(NULL, removed_at[_i], CKR_DEVICE_REMOVED, true);
    rc = device_body(&r, &err);
    ck_assert_msg(rc == ERR_HSM, "%s: %s", error_name(rc), err.text);
    for (int i = 0; i < ANYTHING_HSM; i++) {
        rc = anything(&r, i, &err);
        ck_assert_msg(rc == ERR_HSM, "%s: %s", error_name(rc), err.text);
        ck_assert_msg(strstr(err.text, "see that it is there") != NULL, "%s", err.text);
    }
    no_fault();
    ASSERT_OK(device_body(&r, &err), err);
    ck_assert_int_eq(rig_claims(&r), 1);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

START_TEST(a_token_that_does_not_answer_is_no_missing_token)
{
    struct secret *so = softhsm_secret(TEST_SO_PIN), *user = softhsm_secret(TEST_PIN);
    struct error err = ERROR_INIT;
    struct hsm_config config = {.module = P11PROXY, .token = TEST_TOKEN};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    config.arguments = r.config.module_arguments;
    rig_close(&r);
    fault_at("C_GetTokenInfo", 1, CKR_DEVICE_ERROR, true);
    ASSERT_FAILS(vault_open_hsm(&r.config, &r.hsm, &err), ERR_HSM);
    ck_assert_ptr_null(strstr(err.text, "initialise"));
    /* Nor is its label free for a second token. */
    ASSERT_FAILS(hsm_token_init(&config, TEST_TOKEN, so, user, &err), ERR_HSM);
    no_fault();
    secret_free(so);
    secret_free(user);
    rig_open(&r);
    rig_end(&r);
}
END_TEST

/* ---- bugs that the sweeps found ---- */

START_TEST(a_key_whose_making_was_answered_late_is_not_a_foreign_one)
{
    static const uint8_t order[SHA256_SIZE] = {1};
    const struct p11proxy_fault fault = {
        .function = "C_GenerateKey", .at = 1, .rv = CKR_DEVICE_ERROR, .how = P11PROXY_DONE};
    char name[HSM_STORAGE_NAME_SIZE];
    struct error err = ERROR_INIT;
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    proxy_set(&fault);
    ASSERT_OK(hsm_storage_create(r.hsm, order, KEY_P256, name, &err), err);
    ck_assert_uint_eq(proxy_state().faults, 1);
    no_fault();
    ASSERT_FAILS(hsm_storage_create(r.hsm, order, KEY_P256, name, &err), ERR_EXISTS);
    rig_end(&r);
}
END_TEST

/* The module stays initialised: neither this handle nor the next takes that for another program. */
START_TEST(a_module_that_does_not_let_go_is_used_on)
{
    struct error err = ERROR_INIT;
    struct rig r;

    faulty_start(&r, &plain_order, 1);
    fault_at("C_Finalize", 1, CKR_GENERAL_ERROR, true);
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(hsm_recycle(r.hsm, &err), err);
        assert_no_session_objects(&r, "a recycle");
    }
    rig_generate(&r, 1);
    fault_at("C_Finalize", 1, CKR_GENERAL_ERROR, false);
    rig_restart(&r);
    no_fault();
    rig_end(&r);
}
END_TEST

/* An anchor that is refused for good: the claim is in the database and its blob stays there. */
static const struct {
    CK_RV rv;
    bool missing; /* both anchors deleted: ERR_ROLLBACK instead of ERR_HSM */
} lost_anchors[] = {{CKR_GENERAL_ERROR, false}, {CKR_DEVICE_ERROR, false}, {CKR_OK, true}};

static void delete_anchors(void)
{
    static const char *const ids[] = {"anchor-0", "anchor-1"};
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session = softhsm_session(p11);

    for (size_t i = 0; i < 2; i++) {
        CK_ATTRIBUTE query = {CKA_ID, (void *)(uintptr_t)ids[i], strlen(ids[i])};
        CK_OBJECT_HANDLE found;
        CK_ULONG count;

        ck_assert_uint_eq(p11->C_FindObjectsInit(session, &query, 1), CKR_OK);
        ck_assert_uint_eq(p11->C_FindObjects(session, &found, 1, &count), CKR_OK);
        ck_assert_uint_eq(p11->C_FindObjectsFinal(session), CKR_OK);
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(p11->C_DestroyObject(session, found), CKR_OK);
    }
}

START_TEST(a_claim_whose_anchor_failed_is_not_released)
{
    int expected = lost_anchors[_i].missing ? ERR_ROLLBACK : ERR_HSM;
    struct rig r;
    struct line l;

    faulty_start(&r, &plain_order, 2);
    if (lost_anchors[_i].missing)
        delete_anchors();
    else
        fault_at("C_SetAttributeValue", 1, lost_anchors[_i].rv, true);
    device_prepare(&r);
    for (int i = 0; i < 3; i++) {
        line_init(&l, &r);
        ck_assert_int_eq(meet(&l, &dut), expected);
        ck_assert_int_eq(l.fatal, expected);
        ck_assert_int_eq(rig_claims(&r), 1);
        line_done(&l);
    }
    no_fault();
    if (!lost_anchors[_i].missing)
        provision(&r, &dut); /* the claim that is there */
    ck_assert_int_eq(rig_claims(&r), 1);
    device_done(&dut);
    if (lost_anchors[_i].missing)
        rig_drop(&r);
    else
        rig_end(&r);
}
END_TEST

START_TEST(a_batch_whose_anchor_failed_is_counted_as_made)
{
    struct error err = ERROR_INIT;
    struct rig r;

    faulty_start(&r, &plain_order, 1);
    fault_at("C_SetAttributeValue", 1, CKR_GENERAL_ERROR, true);
    ASSERT_FAILS(generate_credentials(&r.v, BATCH, RIG_THREADS, &rig_watch, &made, &err), ERR_HSM);
    ck_assert_int_eq(made, BATCH);
    ASSERT_FAILS(generate_credentials(&r.v, BATCH, RIG_THREADS, &rig_watch, &made, &err), ERR_HSM);
    ck_assert_int_eq(made, 0); /* not begun: the one before is not anchored yet */
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), 1 + BATCH);
    no_fault();
    rig_generate(&r, 1);
    rig_end(&r);
}
END_TEST

/* Where a run of several batches by two threads fails, and with what. */
static const struct {
    const char *function;
    unsigned long at;
    CK_RV rv;
    enum p11proxy_how how;
    bool for_ever;
    int expected;
} threads_fail[] = {
    {"C_WrapKey", GENERATE_BATCH + 500, CKR_GENERAL_ERROR, P11PROXY_REFUSE, true, ERR_HSM},
    {"C_Sign", 3 * GENERATE_BATCH, CKR_GENERAL_ERROR, P11PROXY_REFUSE, false, ERR_HSM},
    {"C_GenerateKeyPair", GENERATE_BATCH + 10, CKR_DEVICE_REMOVED, P11PROXY_FINALIZE, true,
     ERR_HSM},
    {"C_GenerateKeyPair", GENERATE_BATCH + 10, CKR_SESSION_HANDLE_INVALID, P11PROXY_CLOSE, false,
     0},
    {"C_Sign", 100, CKR_CRYPTOKI_NOT_INITIALIZED, P11PROXY_FINALIZE, false, 0},
    {"C_DestroyObject", GENERATE_BATCH, CKR_DEVICE_ERROR, P11PROXY_DONE, false, 0},
    {"C_SetAttributeValue", 1, CKR_DEVICE_ERROR, P11PROXY_REFUSE, false, 0},
    {"C_SetAttributeValue", 3, CKR_SESSION_CLOSED, P11PROXY_CLOSE, false, 0},
};

/* Of what a run was to make, whole batches are there, and the rest is made by the next run. */
START_TEST(a_thread_that_fails_leaves_whole_batches)
{
    const int64_t count = 2 * GENERATE_BATCH + BATCH;
    struct error err = ERROR_INIT;
    int64_t entries;
    struct rig r;
    int rc;

    faulty_start(&r, &plain_order, 0);
    proxy_set(&(struct p11proxy_fault){.function = threads_fail[_i].function,
                                       .at = threads_fail[_i].at,
                                       .rv = threads_fail[_i].rv,
                                       .how = threads_fail[_i].how,
                                       .for_ever = threads_fail[_i].for_ever});
    rc = generate_credentials(&r.v, count, 2, &rig_watch, &made, &err);
    ck_assert_uint_gt(proxy_state().faults, 0);
    ck_assert_msg(rc == threads_fail[_i].expected, "%s: %s", error_name(rc), err.text);
    no_fault();
    ck_assert(rc ? made < count && made % GENERATE_BATCH == 0 : made == count);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"), made);
    ck_assert_int_eq(r.v.counts.by_state[CREDENTIAL_AVAILABLE], made);
    if (rc)
        rig_generate(&r, count - made);
    ck_assert_int_eq(rig_int(&r, "SELECT max(id) FROM credentials"), count);
    ck_assert_int_eq(rig_int(&r, "SELECT count(*) FROM credentials"
                                 " WHERE serial = printf('PUMP-%06d', id)"),
                     count);
    ck_assert_int_eq(rig_int(&r, "SELECT count(DISTINCT point) FROM credentials"), count);
    ASSERT_OK(ledger_verify(r.store, &entries, &err), err);
    assert_anchored(&r, threads_fail[_i].function);
    assert_no_session_objects(&r, threads_fail[_i].function);
    rig_end(&r);
}
END_TEST

START_TEST(a_vault_that_cannot_keep_its_token_files_closes_the_token)
{
    struct error err = ERROR_INIT;
    char path[PATH_MAX];
    struct rig r;

    if (softhsm_is_nss()) /* it keeps its files itself */
        return;
    faulty_start(&r, &plain_order, 0);
    rig_close(&r);
    rig_path(r.dir, "tokens.keep", path);
    ASSERT_OK(file_remove_tree(path, &err), err);
    ASSERT_OK(file_write(path, "", 0, 0600, &err), err);
    ck_assert_int_ne(vault_open_hsm(&r.config, &r.hsm, &err), 0);
    ck_assert_ptr_null(r.hsm);
    ck_assert_int_eq(unlink(path), 0);
    rig_open(&r);
    rig_end(&r);
}
END_TEST

START_TEST(the_environment_alone_makes_a_fault)
{
    struct error err = ERROR_INIT;
    struct rig r;

    ck_assert(setenv("P11PROXY_FUNCTION", "C_Login", 1) == 0 &&
              setenv("P11PROXY_FAIL_AT", "2", 1) == 0 &&
              setenv("P11PROXY_RV", "CKR_PIN_LOCKED", 1) == 0);
    faulty_start(&r, &plain_order, 0);
    ASSERT_FAILS(hsm_recycle(r.hsm, &err), ERR_PIN);
    ck_assert_int_eq(err.native, CKR_PIN_LOCKED);
    ck_assert_uint_eq(proxy_state().calls, 2);
    rig_restart(&r);
    rig_end(&r);
}
END_TEST

RIG_MAIN("faulty_token",
         EACH_ROW(a_pin_that_is_refused_is_tried_once_and_says_who_can_help, refused_pins),
         EACH_ROW(a_pin_that_is_refused_later_is_not_tried_again_by_any_loop, refused_pins),
         ONCE(a_token_without_a_free_session_says_so),
         EACH_ROW(a_token_that_is_removed_ends_the_session_and_says_what_to_do, removed_at),
         ONCE(a_token_that_does_not_answer_is_no_missing_token),
         ONCE(a_key_whose_making_was_answered_late_is_not_a_foreign_one),
         ONCE(a_module_that_does_not_let_go_is_used_on),
         EACH_ROW(a_claim_whose_anchor_failed_is_not_released, lost_anchors),
         ONCE(a_batch_whose_anchor_failed_is_counted_as_made),
         EACH_ROW(a_thread_that_fails_leaves_whole_batches, threads_fail),
         ONCE(a_vault_that_cannot_keep_its_token_files_closes_the_token),
         ONCE(the_environment_alone_makes_a_fault))
