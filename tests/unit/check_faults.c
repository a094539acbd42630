/* A token that fails: each call of each operation in turn, and what the station does then. */
#include "faulty_station.h"

#include "hsm/credential.h"
#include "hsm/worker.h"

#define BATCH 3

static const struct rig_order plain_order = {.lock = false};

/* ---- opening a token ---- */

static unsigned good_suites, good_limits;

static int open_body(struct rig *r, struct error *err)
{
    struct hsm_config config = {
        .module = r->config.module, .token = TEST_TOKEN, .arguments = r->config.module_arguments};
    struct secret *pin = softhsm_secret(TEST_PIN);
    struct hsm *h = NULL;
    int rc = hsm_open(&config, pin, &h, err);

    ck_assert(rc == 0 ? h != NULL : h == NULL);
    /* A token that refuses an operation of the probe cannot do it; it has no more than it has. */
    if (h)
        ck_assert_uint_eq(hsm_suites(h) & ~good_suites, 0);
    hsm_close(h);
    secret_free(pin);
    return rc;
}

static void open_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    int again = vault_open_hsm(&r->config, &r->hsm, &err);

    (void)rc;
    ck_assert_msg(again == 0, "%s: then %s", after, err.text);
    ck_assert_uint_eq(hsm_suites(r->hsm), good_suites);
    ck_assert_uint_eq(hsm_unenforced(r->hsm), good_limits);
    assert_no_session_objects(r, after);
    hsm_close(r->hsm);
    r->hsm = NULL;
}

START_TEST(a_token_that_fails_while_it_is_opened_opens_the_next_time)
{
    static const struct sweep sweep = {
        .name = "hsm_open", .body = open_body, .verify = open_verify, .stride = 20};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    good_suites = hsm_suites(r.hsm);
    good_limits = hsm_unenforced(r.hsm);
    ck_assert_uint_ne(good_suites, 0);
    hsm_close(r.hsm);
    r.hsm = NULL;
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    rig_drop(&r);
}
END_TEST

/* ---- a batch ---- */

static int64_t had, made;

/* An order of its own each time, so that its storage key is made, too. */
static void batch_prepare(struct rig *r)
{
    uint8_t *hash = r->v.history.row.hash;

    hash[0]++;
    if (hash[0] == 0)
        hash[1]++;
    had = rig_int(r, "SELECT count(*) FROM credentials");
}

static int batch_body(struct rig *r, struct error *err)
{
    return generate_credentials(&r->v, BATCH, RIG_THREADS, &rig_watch, &made, err);
}

static void batch_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    int64_t rest = BATCH - made;
    int again;

    ck_assert_msg(rc != 0 || made == BATCH, "%s", after);
    ck_assert_msg(rig_int(r, "SELECT count(*) FROM credentials") == had + made,
                  "%s: %d were said to be made", after, (int)made);
    again = generate_credentials(&r->v, rest, RIG_THREADS, &rig_watch, &made, &err);
    ck_assert_msg(again == 0, "%s: then %s", after, err.text);
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials"), had + BATCH);
    ck_assert_int_eq(rig_int(r, "SELECT count(DISTINCT serial) FROM credentials"), had + BATCH);
    ck_assert_int_eq(rig_int(r, "SELECT count(DISTINCT point) FROM credentials"), had + BATCH);
    ck_assert_int_eq(rig_int(r, "SELECT next - 1 FROM counters"), had + BATCH);
    ASSERT_OK(store_settle(r->store, &err), err); /* as the next batch would */
    assert_anchored(r, after);
    assert_no_session_objects(r, after);
    ASSERT_OK(hsm_storage_destroy(r->hsm, r->v.history.row.hash, &err), err);
}

START_TEST(a_batch_that_fails_is_there_whole_or_not_at_all)
{
    static const struct sweep sweep = {"generate", batch_prepare, batch_body, batch_verify, 4};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    rig_end(&r);
}
END_TEST

/* ---- a device ---- */

static struct device dut;
static bool dut_served; /* it was given the blob */

static void device_prepare(struct rig *r)
{
    static uint8_t number[2];

    if (++number[0] == 0)
        number[1]++;
    if (rig_state(r, CREDENTIAL_AVAILABLE) == 0 && r->job.serials.source == SOURCE_ASSIGNED)
        rig_generate(r, softhsm_is_nss() ? 20 : 200);
    device_done(&dut);
    device_init(&dut, 0xa1);
    memcpy(dut.chip, number, sizeof number);
    dut_served = false;
}

/* As deliver and pass of played_device.h, but it ends at the first refusal. */
static int device_body(struct rig *r, struct error *err)
{
    struct line l;
    uint8_t verdict = 0;
    int rc;

    line_init(&l, r);
    rc = meet(&l, &dut);
    if (rc == 0 && l.plan.action == WIRE_DELIVER) {
        ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM claims WHERE state = 0"), 1);
        device_take(&dut, &l);
        device_commit(&dut, &l);
        dut_served = true;
    }
    if (rc == 0)
        rc = prove(&l, &dut, &verdict);
    if (rc)
        *err = l.said;
    if (rc == 0)
        rc = line_result(&l, 0, "");
    line_done(&l);
    return rc;
}

static void device_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    int64_t burned = rig_state(r, CREDENTIAL_BURNED);
    int again;

    if (dut_served)
        ck_assert_int_ge(dut.tx_state, IMPRINT_TX_OPEN);
    if (rc) {
        again = device_body(r, &err);
        ck_assert_msg(again == 0, "%s: then %s", after, err.text);
    }
    /* One device took one credential, and none was lost over it. */
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM claims WHERE state = 0"), 0);
    ck_assert_msg(burned == 0, "%s: a credential was burned", after);
    ck_assert_int_eq(rig_state(r, CREDENTIAL_PROVEN), rig_records(r));
    ck_assert_int_eq(rig_claims(r), rig_records(r));
    assert_anchored(r, after);
    assert_no_session_objects(r, after);
}

START_TEST(a_device_whose_session_fails_is_provisioned_the_next_time)
{
    static const struct sweep sweep = {"a device", device_prepare, device_body, device_verify, 4};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

/* The same where the certificate is signed at the claim: every other time over a key made ahead. */
static void chip_prepare(struct rig *r)
{
    static unsigned runs;

    if (runs++ % 2)
        rig_generate(r, 1);
    device_prepare(r);
}

static void chip_verify(struct rig *r, int rc, const char *after)
{
    device_verify(r, rc, after);
    /* No certificate is without its device, and no key was used twice or lost. */
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM credentials"), rig_claims(r));
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM spare_keys WHERE state = 0"),
                     r->v.counts.spares);
    ck_assert_int_eq(rig_int(r, "SELECT count(DISTINCT point) FROM credentials"), rig_claims(r));
}

START_TEST(a_certificate_of_the_claim_fails_and_comes_with_it)
{
    static const struct sweep sweep = {"a device and its certificate", chip_prepare, device_body,
                                       chip_verify, 4};
    const struct rig_order order = {.source = SOURCE_DEVICE, .serials = "{\"prefix\":\"\"}"};
    struct rig r;

    faulty_start(&r, &order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

/* ---- sealing ---- */

static int64_t manifests;

static void seal_prepare(struct rig *r)
{
    device_prepare(r);
    provision(r, &dut);
    manifests = rig_int(r, "SELECT count(*) FROM manifests");
}

static int seal_body(struct rig *r, struct error *err)
{
    struct sealed sealed;

    return sealing_run(&r->config, r->store, r->hsm, NULL, &sealed, err);
}

static void seal_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    struct verify_policy policy;
    struct verify_report report;
    char paths[3][PATH_MAX], name[64], dir[PATH_MAX];
    int again = seal_body(r, &err);

    (void)rc;
    ck_assert_msg(again == 0, "%s: then %s", after, err.text);
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM manifests"), manifests + 1);
    ck_assert_int_eq(rig_int(r, "SELECT count(*) FROM manifests WHERE published = 0"), 0);
    ck_assert_int_eq(rig_int(r, "SELECT sum(count) FROM manifests"), rig_records(r));
    snprintf(name, sizeof name, "manifests/%06d", (int)manifests + 1);
    rig_path(r->dir, name, dir);
    rig_pins(r, &policy, paths);
    ASSERT_OK(manifest_verify(dir, &policy, &report, &err), err);
    assert_anchored(r, after);
    assert_no_session_objects(r, after);
}

START_TEST(a_sealing_that_fails_is_finished_with_the_same_bytes)
{
    static const struct sweep sweep = {"sealing", seal_prepare, seal_body, seal_verify, 10};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    device_done(&dut);
    rig_end(&r);
}
END_TEST

/* ---- the ceremony ---- */

static struct ceremony founding;

static void ceremony_prepare(struct rig *r)
{
    static char signers[PATH_MAX];

    rig_path(r->dir, CONFIG_ORDER_SIGNERS, signers);
    founding = (struct ceremony){.config = r->config, .order_signers = signers, .own_token = true};
    rig_path(r->dir, "founded", founding.config.dir);
}

static int ceremony_body(struct rig *r, struct error *err)
{
    int rc;

    (void)r;
    founding.pin = softhsm_secret(TEST_PIN);
    founding.so_pin = softhsm_secret(TEST_SO_PIN);
    rc = ceremony_run(&founding, err);
    secret_free(founding.pin);
    secret_free(founding.so_pin);
    return rc;
}

/* A station that is there has all of its keys; one that failed left nothing, and is made anew. */
static void ceremony_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    char making[PATH_MAX + 8], pin[PATH_MAX];
    struct hsm *h;

    snprintf(making, sizeof making, "%s.making", founding.config.dir);
    ck_assert_msg(!file_exists(making), "%s: '%s' is left", after, making);
    ck_assert_msg(file_exists(founding.config.dir) == (rc == 0), "%s", after);
    if (rc)
        ASSERT_OK(ceremony_body(r, &err), err);
    rig_path(founding.config.dir, "pin", pin);
    ASSERT_OK(file_write(pin, TEST_PIN "\n", strlen(TEST_PIN "\n"), 0600, &err), err);
    ck_assert_msg(vault_open_hsm(&founding.config, &h, &err) == 0, "%s: then %s", after, err.text);
    for (enum hsm_key key = 0; key < HSM_KEY_COUNT; key++)
        ASSERT_OK(hsm_key_check(h, key, &err), err);
    hsm_close(h);
    ASSERT_OK(file_remove_tree(founding.config.dir, &err), err);
}

START_TEST(a_ceremony_that_fails_leaves_nothing_and_succeeds_the_next_time)
{
    static const struct sweep sweep = {"ceremony", ceremony_prepare, ceremony_body, ceremony_verify,
                                       150};
    struct rig r;

    if (softhsm_is_nss()) /* the token is not the station's own there */
        return;
    faulty_start(&r, &plain_order, 0);
    rig_close(&r);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    rig_open(&r);
    rig_end(&r);
}
END_TEST

/* ---- the anchor ---- */

static struct hsm_anchor before, next;

static void anchor_prepare(struct rig *r)
{
    struct error err = ERROR_INIT;

    ASSERT_OK(hsm_anchor_read(r->hsm, &before, &err), err);
    next.sequence = before.sequence + 1;
    memset(next.head, (int)next.sequence, sizeof next.head);
}

static int anchor_body(struct rig *r, struct error *err)
{
    struct hsm_anchor got;
    int rc = hsm_anchor_write(r->hsm, &next, err);

    if (rc == 0)
        rc = hsm_anchor_read(r->hsm, &got, err);
    if (rc == 0)
        ck_assert(got.sequence == next.sequence);
    return rc;
}

static void anchor_verify(struct rig *r, int rc, const char *after)
{
    struct error err = ERROR_INIT;
    struct hsm_anchor got;

    ASSERT_OK(hsm_anchor_read(r->hsm, &got, &err), err);
    ck_assert_msg(got.sequence == next.sequence || (rc && got.sequence == before.sequence),
                  "%s: the anchor is at %lu", after, (unsigned long)got.sequence);
    ASSERT_OK(anchor_body(r, &err), err);
    assert_no_session_objects(r, after);
}

START_TEST(an_anchor_that_fails_is_the_old_one_or_the_new_one)
{
    static const struct sweep sweep = {"anchor", anchor_prepare, anchor_body, anchor_verify, 4};
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    fault_sweep(&sweep, &r, &fault_kinds[_i]);
    rig_drop(&r);
}
END_TEST

static unsigned long write_calls(struct rig *r)
{
    struct error err = ERROR_INIT;

    no_fault();
    next.sequence++;
    ASSERT_OK(hsm_anchor_write(r->hsm, &next, &err), err);
    return proxy_state().calls;
}

START_TEST(both_keys_are_checked_once_for_each_time_the_token_is_opened)
{
    enum { LOOK_AND_WRITE = 2 };
    struct error err = ERROR_INIT;
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    anchor_prepare(&r);
    ck_assert_uint_eq(write_calls(&r), LOOK_AND_WRITE);
    ck_assert_uint_eq(write_calls(&r), LOOK_AND_WRITE);
    ASSERT_OK(hsm_recycle(r.hsm, &err), err);
    ck_assert_uint_gt(write_calls(&r), 2 * LOOK_AND_WRITE);
    ck_assert_uint_eq(write_calls(&r), LOOK_AND_WRITE);
    rig_drop(&r);
}
END_TEST

/* While a worker is open nothing is opened anew that would make the station look again. */
START_TEST(an_anchor_whose_answer_was_lost_does_not_go_back)
{
    struct error err = ERROR_INIT;
    struct hsm *worker;
    struct rig r;

    faulty_start(&r, &plain_order, 0);
    anchor_prepare(&r);
    ASSERT_OK(hsm_worker_open(r.hsm, &worker, &err), err);
    next.sequence++;
    proxy_set(&(struct p11proxy_fault){
        .function = "C_SetAttributeValue", .at = 1, .rv = CKR_GENERAL_ERROR, .how = P11PROXY_DONE});
    ASSERT_FAILS(hsm_anchor_write(r.hsm, &next, &err), ERR_HSM);
    no_fault();
    next.sequence--;
    ASSERT_FAILS(hsm_anchor_write(r.hsm, &next, &err), ERR_ROLLBACK);
    hsm_worker_close(worker);
    rig_drop(&r);
}
END_TEST

/* ---- PINs ---- */

static void fault_at(const char *function, unsigned long at, CK_RV rv, bool for_ever)
{
    proxy_set(
        &(struct p11proxy_fault){.function = function, .at = at, .rv = rv, .for_ever = for_ever});
}

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
    seal_prepare(&r);
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
    seal_prepare(&r);
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

RIG_MAIN("faults", EACH_ROW(a_token_that_fails_while_it_is_opened_opens_the_next_time, fault_kinds),
         EACH_ROW(a_batch_that_fails_is_there_whole_or_not_at_all, fault_kinds),
         EACH_ROW(a_device_whose_session_fails_is_provisioned_the_next_time, fault_kinds),
         EACH_ROW(a_certificate_of_the_claim_fails_and_comes_with_it, fault_kinds),
         EACH_ROW(a_sealing_that_fails_is_finished_with_the_same_bytes, fault_kinds),
         EACH_ROW(a_ceremony_that_fails_leaves_nothing_and_succeeds_the_next_time, fault_kinds),
         EACH_ROW(an_anchor_that_fails_is_the_old_one_or_the_new_one, fault_kinds),
         ONCE(both_keys_are_checked_once_for_each_time_the_token_is_opened),
         ONCE(an_anchor_whose_answer_was_lost_does_not_go_back),
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
