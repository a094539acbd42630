/* The audit on real SoftHSM2 tokens that somebody with the PIN has altered: one attribute at a time. */
#include "softhsm.h"

#include "hsm/anchor.h"
#include "hsm/audit.h"
#include "hsm/mark.h"
#include "hsm/policy.h"

static const uint8_t order[SHA256_SIZE] = {0xab, 0xcd, 1}, other_order[SHA256_SIZE] = {0x77};
static const struct hsm_anchor first_state = {.sequence = 1};

/* A token as a ceremony and one order leave it, and a bare session beside it. */
struct bench {
    struct hsm *h;
    CK_FUNCTION_LIST_PTR p11;
    CK_SESSION_HANDLE session;
    char storage[HSM_STORAGE_NAME_SIZE];
    struct hsm_audit audit;
};

static void bench_start(struct bench *b)
{
    struct error err = ERROR_INIT;

    memset(b, 0, sizeof *b);
    b->h = softhsm_open();
    for (int key = 0; key < HSM_KEY_COUNT; key++)
        ASSERT_OK(hsm_key_create(b->h, (enum hsm_key)key, &err), err);
    ASSERT_OK(hsm_anchor_create(b->h, &first_state, &err), err);
    ASSERT_OK(hsm_storage_create(b->h, order, KEY_P256, b->storage, &err), err);
    b->p11 = softhsm_raw();
    b->session = softhsm_session(b->p11);
}

static void bench_end(struct bench *b)
{
    hsm_audit_done(&b->audit);
    hsm_close(b->h);
}

static void audit(struct bench *b)
{
    struct error err = ERROR_INIT;

    hsm_audit_done(&b->audit);
    ASSERT_OK(hsm_audit_run(b->h, &order, 1, &b->audit, &err), err);
}

static const struct hsm_finding *find(const struct bench *b, enum hsm_finding_kind kind,
                                      const char *key, const char *attribute)
{
    for (size_t i = 0; i < b->audit.count; i++) {
        const struct hsm_finding *f = &b->audit.findings[i];

        if (f->kind == kind && strcmp(f->key, key) == 0 && strcmp(f->attribute, attribute) == 0)
            return f;
    }
    return NULL;
}

static void assert_found(const struct bench *b, enum hsm_finding_kind kind, const char *key,
                         const char *attribute)
{
    ck_assert_msg(find(b, kind, key, attribute) != NULL, "%s %s of '%s' is not among %zu findings",
                  hsm_finding_name(kind), attribute, key, b->audit.count);
}

static size_t faults(const struct bench *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->audit.count; i++)
        n += hsm_finding_is_fault(b->audit.findings[i].kind);
    return n;
}

/* Every finding is about this key or a half of it. */
static void assert_only(const struct bench *b, const char *key)
{
    for (size_t i = 0; i < b->audit.count; i++)
        ck_assert_msg(strncmp(b->audit.findings[i].key, key, strlen(key)) == 0, "'%s': %s",
                      b->audit.findings[i].key, b->audit.findings[i].text);
}

static void assert_clean(struct bench *b)
{
    audit(b);
    ck_assert_msg(b->audit.count == 0, "%s: %s", b->audit.findings[0].key,
                  b->audit.findings[0].text);
}

static void destroy(const struct bench *b, CK_OBJECT_CLASS class, const char *label)
{
    CK_OBJECT_HANDLE object = softhsm_find(b->p11, b->session, class, label);

    ck_assert_uint_ne(object, CK_INVALID_HANDLE);
    ck_assert_uint_eq(b->p11->C_DestroyObject(b->session, object), CKR_OK);
}

/* ---- keys made anew, one attribute of them altered ---- */

static CK_BBOOL flipped;
static CK_ULONG shorter = 16;
static CK_MECHANISM_TYPE other_mechanisms[] = {CKM_SHA_1, CKM_ECDSA};
static char other_id[] = "somebody else";

/* False when the policy does not let the row be altered in a template. */
static bool alter(struct policy_attributes *attributes, const struct policy_row *row)
{
    for (CK_ULONG i = 0; i < attributes->count; i++) {
        CK_ATTRIBUTE *a = &attributes->list[i];

        if (a->type != row->type)
            continue;
        if (a->type == CKA_ALLOWED_MECHANISMS) {
            *a = (CK_ATTRIBUTE){a->type, other_mechanisms, sizeof other_mechanisms};
        } else if (a->type == CKA_ID) {
            *a = (CK_ATTRIBUTE){a->type, other_id, sizeof other_id - 1};
        } else if (row->use & USE_NESTED) {
            *a = attributes->list[--attributes->count];
        } else if (a->type == CKA_VALUE_LEN) {
            a->pValue = &shorter;
        } else if (a->ulValueLen == sizeof flipped && a->type != CKA_TOKEN) {
            flipped = *(CK_BBOOL *)a->pValue ? CK_FALSE : CK_TRUE;
            a->pValue = &flipped;
        } else {
            return false;
        }
        return true;
    }
    return false;
}

/* row is NULL for a key as the policy wants it. */
static bool make_pair(struct bench *b, const struct key_policy *policy,
                      const struct policy_row *row, bool in_public)
{
    CK_MECHANISM mechanism = {policy->generate, NULL, 0};
    struct policy_fill fill = key_policy_fill(policy, DIALECT_STRICT);
    struct policy_attributes own, public;
    CK_OBJECT_HANDLE made, made_public;

    policy_template(policy->rows, &fill, &own);
    if (policy->public_rows)
        policy_template(policy->public_rows, &fill, &public);
    if (row && !alter(in_public ? &public : &own, row))
        return false;
    destroy(b, policy->class, policy->label);
    if (!policy->public_rows) {
        ck_assert_uint_eq(b->p11->C_GenerateKey(b->session, &mechanism, own.list, own.count, &made),
                          CKR_OK);
        return true;
    }
    destroy(b, CKO_PUBLIC_KEY, policy->label);
    ck_assert_uint_eq(b->p11->C_GenerateKeyPair(b->session, &mechanism, public.list, public.count,
                                                own.list, own.count, &made_public, &made),
                      CKR_OK);
    return true;
}

static int alter_each(struct bench *b, const struct key_policy *policy,
                      const struct policy_row *rows, bool in_public)
{
    char name[64];
    int altered = 0;

    snprintf(name, sizeof name, "%s%s", policy->label, in_public ? " (public half)" : "");
    for (; rows->name; rows++) {
        if (!make_pair(b, policy, rows, in_public))
            continue;
        audit(b);
        assert_found(b, HSM_FINDING_DIFFERS, name, rows->name);
        assert_only(b, policy->label);
        ck_assert_uint_gt(faults(b), 0);
        altered++;
    }
    ck_assert(make_pair(b, policy, NULL, false));
    assert_clean(b);
    return altered;
}

START_TEST(each_altered_attribute_of_a_key_of_the_ceremony_is_told)
{
    const struct key_policy *policy = &key_policies[_i];
    struct bench b;

    bench_start(&b);
    assert_clean(&b);
    ck_assert_int_ge(alter_each(&b, policy, policy->rows, false), 12);
    if (policy->public_rows)
        ck_assert_int_ge(alter_each(&b, policy, policy->public_rows, true), 9);
    bench_end(&b);
}
END_TEST

/* A key without pair, made by its rows: the anchors and a storage key. */
static bool make_secret(struct bench *b, const char *label, const struct policy_row *rows,
                        const struct policy_fill *fill, const struct policy_row *row)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    struct policy_attributes attributes;
    CK_OBJECT_HANDLE made;

    policy_template(rows, fill, &attributes);
    if (row && !alter(&attributes, row))
        return false;
    destroy(b, CKO_SECRET_KEY, label);
    ck_assert_uint_eq(
        b->p11->C_GenerateKey(b->session, &mechanism, attributes.list, attributes.count, &made),
        CKR_OK);
    return true;
}

START_TEST(each_altered_attribute_of_a_storage_key_is_told)
{
    const struct policy_row *rows = policy_storage;
    struct bench b;
    struct policy_fill fill = {.label = b.storage, .id = order, .id_len = sizeof order};
    int altered = 0;

    bench_start(&b);
    fill.wrap = hsm_wrap_mechanism(b.h);
    for (; rows->name; rows++) {
        if (!make_secret(&b, b.storage, policy_storage, &fill, rows))
            continue;
        audit(&b);
        assert_found(&b, HSM_FINDING_DIFFERS, b.storage, rows->name);
        assert_only(&b, b.storage);
        altered++;
    }
    ck_assert_int_ge(altered, 17);
    bench_end(&b);
}
END_TEST

START_TEST(each_altered_attribute_of_a_mark_is_told)
{
    static const char *const prefixes[] = {"it1:", "ic1:"};
    char label[] = "it1:abababababababababababababababababababababababababababababababab";
    uint8_t hash[SHA256_SIZE];
    struct policy_fill fill = {.label = label, .id = hash, .id_len = sizeof hash};
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    struct policy_attributes attributes;
    CK_OBJECT_HANDLE made;
    int altered = 0;
    struct bench b;

    memset(hash, 0xab, sizeof hash);
    bench_start(&b);
    memcpy(label, prefixes[_i], 4);
    ASSERT_OK(hsm_mark_set(b.h, (enum hsm_mark)_i, hash, NULL), (struct error)ERROR_INIT);
    audit(&b);
    assert_clean(&b);
    for (const struct policy_row *rows = policy_mark; rows->name; rows++) {
        if (rows->type == CKA_LABEL || rows->type == CKA_ID ||
            !make_secret(&b, label, policy_mark, &fill, rows))
            continue;
        audit(&b);
        assert_found(&b, HSM_FINDING_DIFFERS, label, rows->name);
        assert_only(&b, label);
        altered++;
    }
    ck_assert_int_ge(altered, 13);
    destroy(&b, CKO_SECRET_KEY, label);
    label[4] = 'c'; /* not the id's */
    policy_template(policy_mark, &fill, &attributes);
    ck_assert_uint_eq(
        b.p11->C_GenerateKey(b.session, &mechanism, attributes.list, attributes.count, &made),
        CKR_OK);
    audit(&b);
    assert_found(&b, HSM_FINDING_EXTRA, label, "");
    label[4] = 'a';
    ck_assert_ptr_null(find(&b, HSM_FINDING_DIFFERS, label, "CKA_LABEL"));
    bench_end(&b);
}
END_TEST

START_TEST(each_altered_attribute_of_an_anchor_is_told)
{
    static const char label[] =
        "ia1:0000000000000001:0000000000000000000000000000000000000000000000000000000000000000";
    struct policy_fill fill = {.label = label, .id = (const uint8_t *)"anchor-0", .id_len = 8};
    int altered = 0;
    struct bench b;

    bench_start(&b);
    destroy(&b, CKO_SECRET_KEY, label); /* whichever is found first: make both anew */
    destroy(&b, CKO_SECRET_KEY, label);
    audit(&b);
    assert_found(&b, HSM_FINDING_MISSING, "anchor-0", "");
    ck_assert_ptr_nonnull(
        strstr(find(&b, HSM_FINDING_MISSING, "anchor-1", "")->text, "nothing tells how new"));
    ASSERT_OK(hsm_anchor_create(b.h, &first_state, NULL), (struct error)ERROR_INIT);
    destroy(&b, CKO_SECRET_KEY, label);
    destroy(&b, CKO_SECRET_KEY, label);
    for (const struct policy_row *rows = policy_anchor; rows->name; rows++) {
        CK_OBJECT_HANDLE made;
        CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
        struct policy_attributes attributes;

        policy_template(policy_anchor, &fill, &attributes);
        if (rows->type == CKA_ID || !alter(&attributes, rows))
            continue;
        ck_assert_uint_eq(
            b.p11->C_GenerateKey(b.session, &mechanism, attributes.list, attributes.count, &made),
            CKR_OK);
        audit(&b);
        assert_found(&b, HSM_FINDING_DIFFERS, "anchor-0", rows->name);
        assert_found(&b, HSM_FINDING_MISSING, "anchor-1", "");
        assert_only(&b, "anchor-");
        ck_assert_uint_eq(b.p11->C_DestroyObject(b.session, made), CKR_OK);
        altered++;
    }
    ck_assert_int_ge(altered, 13);
    bench_end(&b);
}
END_TEST

/* What no template can say: a value that somebody brought along. */
START_TEST(a_key_that_somebody_knows_is_told)
{
    static const char label[] = "ledger-hmac";
    struct policy_fill fill = key_policy_fill(&key_policies[HSM_KEY_LEDGER_HMAC], DIALECT_STRICT);
    struct policy_attributes attributes;
    uint8_t value[32] = {1, 2, 3};
    CK_OBJECT_HANDLE made;
    struct bench b;

    bench_start(&b);
    destroy(&b, CKO_SECRET_KEY, label);
    policy_template(policy_hmac, &fill, &attributes);
    for (CK_ULONG i = 0; i < attributes.count; i++)
        if (attributes.list[i].type == CKA_VALUE_LEN)
            attributes.list[i] = (CK_ATTRIBUTE){CKA_VALUE, value, sizeof value};
    ck_assert_uint_eq(b.p11->C_CreateObject(b.session, attributes.list, attributes.count, &made),
                      CKR_OK);
    audit(&b);
    assert_found(&b, HSM_FINDING_DIFFERS, label, "CKA_LOCAL");
    assert_found(&b, HSM_FINDING_DIFFERS, label, "CKA_ALWAYS_SENSITIVE");
    assert_found(&b, HSM_FINDING_DIFFERS, label, "CKA_NEVER_EXTRACTABLE");
    ck_assert_ptr_nonnull(
        strstr(find(&b, HSM_FINDING_DIFFERS, label, "CKA_LOCAL")->text, "somebody who knows it"));
    ck_assert_uint_eq(faults(&b), 3);
    bench_end(&b);
}
END_TEST

START_TEST(all_that_is_missing_is_told_at_once)
{
    struct error err = ERROR_INIT;
    struct bench b;

    bench_start(&b);
    destroy(&b, CKO_PRIVATE_KEY, "root-ca");
    destroy(&b, CKO_PUBLIC_KEY, "root-ca");
    destroy(&b, CKO_PUBLIC_KEY, "log-sign");
    destroy(&b, CKO_PRIVATE_KEY, "station-auth");
    destroy(&b, CKO_SECRET_KEY, "ledger-hmac");
    destroy(&b, CKO_SECRET_KEY, "derivation-master");
    destroy(&b, CKO_SECRET_KEY, b.storage);
    audit(&b);
    assert_found(&b, HSM_FINDING_MISSING, "root-ca", "");
    assert_found(&b, HSM_FINDING_MISSING, "log-sign", "");
    assert_found(&b, HSM_FINDING_MISSING, "station-auth", "");
    assert_found(&b, HSM_FINDING_MISSING, "ledger-hmac", "");
    assert_found(&b, HSM_FINDING_MISSING, b.storage, "");
    assert_found(&b, HSM_FINDING_NOTE, "derivation-master", ""); /* as an old ceremony left it */
    ck_assert_uint_eq(b.audit.count, 6);
    bench_end(&b);
    ASSERT_FAILS(softhsm_try_open(TEST_TOKEN, TEST_PIN, &err), ERR_HSM);
}
END_TEST

START_TEST(objects_that_the_station_did_not_make_are_told)
{
    CK_OBJECT_CLASS class = CKO_DATA;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE data[] = {{CKA_CLASS, &class, sizeof class},
                           {CKA_TOKEN, &yes, sizeof yes},
                           {CKA_PRIVATE, &no, sizeof no},
                           {CKA_LABEL, (void *)(uintptr_t) "nota\nbene", 9}};
    struct policy_fill planted = {.label = "planted", .id = (const uint8_t *)"x", .id_len = 1};
    struct policy_attributes attributes;
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    char name[HSM_STORAGE_NAME_SIZE];
    struct error err = ERROR_INIT;
    CK_OBJECT_HANDLE made;
    struct bench b;

    bench_start(&b);
    ck_assert_uint_eq(b.p11->C_CreateObject(b.session, data, 4, &made), CKR_OK);
    policy_template(policy_anchor, &planted, &attributes);
    ck_assert_uint_eq(
        b.p11->C_GenerateKey(b.session, &mechanism, attributes.list, attributes.count, &made),
        CKR_OK);
    planted = key_policy_fill(&key_policies[HSM_KEY_LEDGER_HMAC], DIALECT_STRICT);
    mechanism.mechanism = CKM_GENERIC_SECRET_KEY_GEN;
    policy_template(policy_hmac, &planted, &attributes);
    ck_assert_uint_eq(
        b.p11->C_GenerateKey(b.session, &mechanism, attributes.list, attributes.count, &made),
        CKR_OK);
    ASSERT_OK(hsm_storage_create(b.h, other_order, KEY_P256, name, &err), err);
    audit(&b);
    assert_found(&b, HSM_FINDING_EXTRA, "nota?bene", "");
    assert_found(&b, HSM_FINDING_EXTRA, "planted", "");
    assert_found(&b, HSM_FINDING_EXTRA, "ledger-hmac", "");
    assert_found(&b, HSM_FINDING_NOTE, name, "");
    ck_assert_uint_eq(b.audit.count, 4);
    ck_assert_uint_eq(faults(&b), 3);
    bench_end(&b);
}
END_TEST

/* Two keys of good attributes whose halves were exchanged. */
START_TEST(a_public_half_of_another_pair_is_told)
{
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    const struct key_policy *policy = &key_policies[HSM_KEY_LOG_SIGN];
    struct policy_fill fill = key_policy_fill(policy, DIALECT_STRICT);
    struct policy_attributes own, public;
    CK_OBJECT_HANDLE made, made_public;
    struct bench b;

    bench_start(&b);
    policy_template(policy->rows, &fill, &own);
    policy_template(policy->public_rows, &fill, &public);
    destroy(&b, CKO_PUBLIC_KEY, policy->label);
    ck_assert_uint_eq(b.p11->C_GenerateKeyPair(b.session, &mechanism, public.list, public.count,
                                               own.list, own.count, &made_public, &made),
                      CKR_OK);
    ck_assert_uint_eq(b.p11->C_DestroyObject(b.session, made), CKR_OK);
    audit(&b);
    assert_found(&b, HSM_FINDING_DIFFERS, policy->label, "");
    ck_assert_uint_eq(b.audit.count, 1);
    bench_end(&b);
}
END_TEST

/* hsm_open says which key is wrong and no more; unchecked, the rest can be looked at. */
START_TEST(a_token_that_is_refused_can_be_audited)
{
    struct error err = ERROR_INIT;
    struct secret *pin = softhsm_secret(TEST_PIN);
    const struct policy_row *row = policy_hmac;
    struct bench b;

    bench_start(&b);
    while (row->type != CKA_VERIFY)
        row++;
    ck_assert(make_pair(&b, &key_policies[HSM_KEY_LEDGER_HMAC], row, false));
    bench_end(&b);
    ASSERT_FAILS(softhsm_try_open(TEST_TOKEN, TEST_PIN, &err), ERR_HSM);
    ck_assert_ptr_nonnull(
        strstr(err.text, "attribute CKA_VERIFY is 'true' on the token, the policy says 'false'"));
    ASSERT_OK(hsm_open_unchecked(&softhsm_config, pin, &b.h, &err), err);
    audit(&b);
    assert_found(&b, HSM_FINDING_DIFFERS, "ledger-hmac", "CKA_VERIFY");
    ck_assert_uint_eq(b.audit.count, 1);
    bench_end(&b);
    secret_free(pin);
}
END_TEST

/* ---- what a ceremony writes down ---- */

static void describe(struct bench *b, struct buf *text)
{
    struct error err = ERROR_INIT;
    struct jcs j;

    buf_reset(text);
    jcs_init(&j, text);
    jcs_object(&j, NULL);
    ASSERT_OK(hsm_describe_token(b->h, &j, &err), err);
    ASSERT_OK(hsm_describe_keys(b->h, &j, &err), err);
    jcs_end(&j);
    buf_put_u8(text, 0);
    ck_assert(!buf_failed(text));
}

START_TEST(a_description_tells_every_key_and_changes_with_it_alone)
{
    static const struct hsm_anchor next = {.sequence = 2};
    struct error err = ERROR_INIT;
    struct buf before, after;
    struct bench b;

    bench_start(&b);
    buf_init(&before, 200000);
    buf_init(&after, 200000);
    describe(&b, &before);
    for (int key = 0; key < HSM_KEYS_OF_CEREMONY; key++) {
        char label[64];

        snprintf(label, sizeof label, "\"label\":\"%s\"", hsm_key_label((enum hsm_key)key));
        ck_assert_msg(strstr((char *)before.data, label) != NULL, "%s", label);
    }
    ck_assert_ptr_nonnull(strstr((char *)before.data, "\"label\":\"anchor-1\""));
    ck_assert_ptr_nonnull(strstr((char *)before.data, "\"class\":\"software\""));
    ck_assert_ptr_nonnull(strstr((char *)before.data, "\"CKA_EXTRACTABLE\":\"false\""));
    ASSERT_OK(hsm_anchor_write(b.h, &next, &err), err);
    describe(&b, &after);
    ck_assert_str_eq((char *)before.data, (char *)after.data);
    for (int key = 0; key < HSM_KEYS_OF_CEREMONY; key++) {
        ck_assert(make_pair(&b, &key_policies[key], NULL, false));
        ASSERT_OK(hsm_recycle(b.h, &err), err);
        b.session = softhsm_session(b.p11);
        describe(&b, &after);
        ck_assert_str_ne((char *)before.data, (char *)after.data);
        describe(&b, &before);
    }
    buf_done(&before);
    buf_done(&after);
    bench_end(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("audit");
    TCase *tcase = tcase_create("audit");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, softhsm_setup, softhsm_teardown);
    tcase_add_loop_test(tcase, each_altered_attribute_of_a_key_of_the_ceremony_is_told, 0,
                        HSM_KEY_COUNT);
    tcase_add_test(tcase, each_altered_attribute_of_a_storage_key_is_told);
    tcase_add_loop_test(tcase, each_altered_attribute_of_a_mark_is_told, 0, HSM_MARK_COUNT);
    tcase_add_test(tcase, each_altered_attribute_of_an_anchor_is_told);
    tcase_add_test(tcase, a_key_that_somebody_knows_is_told);
    tcase_add_test(tcase, all_that_is_missing_is_told_at_once);
    tcase_add_test(tcase, objects_that_the_station_did_not_make_are_told);
    tcase_add_test(tcase, a_public_half_of_another_pair_is_told);
    tcase_add_test(tcase, a_token_that_is_refused_can_be_audited);
    tcase_add_test(tcase, a_description_tells_every_key_and_changes_with_it_alone);
    tcase_set_timeout(tcase, 300);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
