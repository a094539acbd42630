/* The HSM room on a real token: opening it, its long-lived keys, recycling. */
#include "softhsm.h"

#include "agent/ids.h"
#include "hsm/keys.h"

static int open_module(const char *path, struct error *err)
{
    struct hsm_config config = {.module = path, .token = TEST_TOKEN};
    struct secret *pin = softhsm_secret(TEST_PIN);
    struct hsm *h = NULL;
    int rc = hsm_open(&config, pin, &h, err);

    ck_assert_ptr_null(h);
    secret_free(pin);
    return rc;
}

START_TEST(a_module_that_does_not_load_is_named_with_the_reason)
{
    struct error err = ERROR_INIT;
    char path[128];

    ASSERT_FAILS(open_module("/nonexistent/p11.so", &err), ERR_MODULE);
    ck_assert_ptr_nonnull(strstr(err.text, "'/nonexistent/p11.so'"));
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
    ck_assert(snprintf(path, sizeof path, "%s/text.so", softhsm_dir) > 0);
    ASSERT_OK(file_write(path, "hello", 5, 0700, &err), err);
    ASSERT_FAILS(open_module(path, &err), ERR_MODULE);
}
END_TEST

START_TEST(a_library_that_is_no_pkcs11_module_is_refused)
{
    struct error err = ERROR_INIT;

    ASSERT_FAILS(open_module("libm.so.6", &err), ERR_MODULE);
    ck_assert_ptr_nonnull(strstr(err.text, "no PKCS#11 module"));
}
END_TEST

START_TEST(a_module_that_does_not_initialise_is_refused)
{
    struct error err = ERROR_INIT;

    setenv("SOFTHSM2_CONF", "/nonexistent/softhsm2.conf", 1);
    ASSERT_FAILS(open_module(softhsm_module, &err), ERR_MODULE);
    ck_assert_ptr_nonnull(strstr(err.text, "does not initialise"));
}
END_TEST

START_TEST(a_module_is_opened_once_in_a_process)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();

    ASSERT_FAILS(softhsm_try_open(TEST_TOKEN, TEST_PIN, &err), ERR_MODULE);
    ck_assert_ptr_nonnull(strstr(err.text, "in use in this process"));
    ASSERT_FAILS(hsm_key_check(h, HSM_KEY_ROOT, &err), ERR_MISSING);
    hsm_close(h);
    ASSERT_OK(softhsm_try_open(TEST_TOKEN, TEST_PIN, &err), err);
}
END_TEST

START_TEST(a_token_that_is_missing_is_reported_with_those_that_are_there)
{
    struct error err = ERROR_INIT;

    softhsm_init_token("line2");
    ASSERT_FAILS(softhsm_try_open("line", TEST_PIN, &err), ERR_TOKEN);
    ck_assert_ptr_nonnull(strstr(err.text, "no token 'line'"));
    ck_assert_ptr_nonnull(strstr(err.text, "'line1'"));
    ck_assert_ptr_nonnull(strstr(err.text, "'line2'"));
    ASSERT_FAILS(softhsm_try_open("", TEST_PIN, &err), ERR_TOKEN);
}
END_TEST

START_TEST(a_wrong_pin_is_an_error_of_its_own)
{
    static const char *const wrong[] = {"123457", "1234567", "12345", "1234568901234567890"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error err = ERROR_INIT;

        ASSERT_FAILS(softhsm_try_open(TEST_TOKEN, wrong[i], &err), ERR_PIN);
        ck_assert_int_eq(err.native, CKR_PIN_INCORRECT);
        ck_assert_ptr_null(strstr(err.text, wrong[i]));
    }
}
END_TEST

START_TEST(a_token_is_found_by_its_uri)
{
    static const struct {
        const char *uri;
        int rc;
    } cases[] = {
        {"pkcs11:token=line1", 0},
        {"pkcs11:token=line1;manufacturer=SoftHSM%20project;model=SoftHSM%20v2", 0},
        {"pkcs11:token=line2", ERR_TOKEN},
        {"pkcs11:token=line1;model=other", ERR_TOKEN},
        {"pkcs11:token=line1;serial=0000000000000000", ERR_TOKEN},
        {"pkcs11:token=line1;slot-id=7", ERR_TOKEN},
        {"pkcs11:token=line1;colour=red", ERR_INPUT},
        {"pkcs11:token=line1?pin-value=123456", ERR_INPUT},
        {"pkcs11:token=line1?pin-source=file:/etc/pin", 0},
        {"pkcs11:token=line1?pin-source=file:/etc/pin&pin-value=123456", ERR_INPUT},
        {"pkcs11:token=%zz", ERR_INPUT},
        {"pkcs11:nonsense", ERR_INPUT},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_INIT;
        int rc = softhsm_try_open(cases[i].uri, TEST_PIN, &err);

        ck_assert_msg(rc == cases[i].rc, "%s: %s: %s", cases[i].uri, error_name(rc), err.text);
        ck_assert_ptr_null(strstr(err.text, TEST_PIN));
    }
}
END_TEST

START_TEST(the_pin_source_of_a_uri_is_a_file)
{
    static const struct {
        const char *token, *path; /* NULL: refused */
    } cases[] = {
        {"line1", ""},
        {"pkcs11:token=line1", ""},
        {"pkcs11:token=line1?pin-source=/etc/pin", "/etc/pin"},
        {"pkcs11:token=line1?pin-source=file:/etc/pin", "/etc/pin"},
        {"pkcs11:token=line1?pin-source=file:///etc/a%20pin", "/etc/a pin"},
        {"pkcs11:token=line1?pin-source=pin", "pin"},
        {"pkcs11:token=line1?pin-source=file:pin", "pin"},
        {"pkcs11:token=line1?pin-source=file://host/pin", NULL},
        {"pkcs11:token=line1?pin-source=%7Ccat%20pin", NULL},
        {"pkcs11:token=line1?pin-source=https:%2F%2Fx%2Fpin", NULL},
        {"pkcs11:token=line1?pin-source=", NULL},
        {"pkcs11:token=line1?pin-source=a-very-long-name-of-a-file", NULL},
        {"pkcs11:token=line1?pin-value=123456", NULL},
        {"pkcs11:token=line1?pin-source=/etc/pin&pin-value=123456", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_INIT;
        char path[20];
        int rc = hsm_pin_source(cases[i].token, path, sizeof path, &err);

        ck_assert_msg(rc == (cases[i].path ? 0 : ERR_INPUT), "%s: %s", cases[i].token, err.text);
        if (cases[i].path)
            ck_assert_str_eq(path, cases[i].path);
        ck_assert_ptr_null(strstr(err.text, "123456"));
    }
}
END_TEST

START_TEST(a_token_tells_that_somebody_gave_a_wrong_pin)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();

    ck_assert(!hsm_pin_was_wrong(h));
    hsm_close(h);
    ASSERT_FAILS(softhsm_try_open(TEST_TOKEN, "000000", &err), ERR_PIN);
    h = softhsm_open();
    ck_assert(hsm_pin_was_wrong(h));
    hsm_close(h);
    h = softhsm_open();
    ck_assert(!hsm_pin_was_wrong(h));
    hsm_close(h);
}
END_TEST

START_TEST(a_uri_that_matches_two_tokens_is_ambiguous)
{
    struct error err = ERROR_INIT;

    softhsm_init_token("line2");
    ASSERT_FAILS(softhsm_try_open("pkcs11:model=SoftHSM%20v2", TEST_PIN, &err), ERR_TOKEN);
    ck_assert_ptr_nonnull(strstr(err.text, "matches 2 tokens"));
}
END_TEST

static int try_init(const char *label, const char *so_pin, const char *user_pin, struct error *err)
{
    struct secret *so = softhsm_secret(so_pin), *user = softhsm_secret(user_pin);
    int rc = hsm_token_init(&softhsm_config, label, so, user, err);

    secret_free(so);
    secret_free(user);
    return rc;
}

START_TEST(a_token_is_initialised_once_and_whole_or_not_at_all)
{
    static const char *const bad_labels[] = {
        "", " a", "a ", "tab\t", "pkcs11:token=a", "123456789012345678901234567890123"};
    struct error err = ERROR_INIT;

    ASSERT_FAILS(try_init(TEST_TOKEN, TEST_SO_PIN, TEST_PIN, &err), ERR_EXISTS);
    for (size_t i = 0; i < sizeof bad_labels / sizeof *bad_labels; i++)
        ASSERT_FAILS(try_init(bad_labels[i], TEST_SO_PIN, TEST_PIN, &err), ERR_INPUT);
    ASSERT_FAILS(try_init("new", TEST_SO_PIN, "123", &err), ERR_PIN);
    ASSERT_FAILS(try_init("new", "123", TEST_PIN, &err), ERR_PIN);
    ASSERT_OK(try_init("12345678901234567890123456789012", TEST_SO_PIN, TEST_PIN, &err), err);
    ASSERT_OK(try_init("new", TEST_SO_PIN, TEST_PIN, &err), err);
    ASSERT_OK(softhsm_try_open("new", TEST_PIN, &err), err);
}
END_TEST

START_TEST(softhsm_is_software_carries_suite_1_and_enforces_the_storage_policy)
{
    struct hsm *h = softhsm_open();

    ck_assert_str_eq(hsm_class(h), "software");
    ck_assert_uint_eq(hsm_suites(h), 1u << IMPRINT_SUITE_ECB);
    ck_assert_uint_eq(hsm_wrap_mechanism(h), CKM_AES_KEY_WRAP_PAD);
    ck_assert_uint_eq(hsm_unenforced(h), 0);
    hsm_close(h);
}
END_TEST

START_TEST(what_a_token_does_not_keep_or_enforce_is_told)
{
    struct hsm *h = softhsm_open();
    const char *meaning;
    unsigned count = 0;

    while (hsm_unkept(h, count, &meaning)) {
        ck_assert(*meaning);
        count++;
    }
    ck_assert_uint_eq(count, softhsm_is_nss() ? 6 : 0);
    for (unsigned i = 0; i <= 4; i++)
        ck_assert_str_ne(hsm_limit_text((enum hsm_limit)(1u << i)), "unknown limit");
    ASSERT_OK(hsm_can_host(h, NULL), ((struct error)ERROR_INIT));
    if (softhsm_is_nss()) {
        ck_assert_str_eq(hsm_class(h), "software");
        ck_assert_uint_eq(hsm_suites(h), 1u << IMPRINT_SUITE_ECB | 1u << IMPRINT_SUITE_X963);
        ck_assert_uint_eq(hsm_wrap_mechanism(h), 0x210b);
        ck_assert_uint_eq(hsm_unenforced(h), HSM_LIMIT_UNWRAP_TEMPLATE | HSM_LIMIT_WRAP_TEMPLATE);
    }
    hsm_close(h);
}
END_TEST

START_TEST(a_key_that_is_not_there_is_missing_for_every_use)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();
    uint8_t out[EC_POINT_SIZE];

    for (enum hsm_key key = 0; key < HSM_KEY_COUNT; key++)
        ASSERT_FAILS(hsm_key_check(h, key, &err), ERR_MISSING);
    ASSERT_FAILS(hsm_sign(h, HSM_KEY_ROOT, "m", 1, out, &err), ERR_MISSING);
    ASSERT_FAILS(hsm_key_point(h, HSM_KEY_LOG_SIGN, out, &err), ERR_MISSING);
    ASSERT_FAILS(hsm_hmac(h, "m", 1, out, &err), ERR_MISSING);
    ASSERT_FAILS(hsm_hmac_verify(h, "m", 1, out, &err), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "ledger-hmac"));
    hsm_close(h);
}
END_TEST

START_TEST(keys_are_made_once_and_found_again)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();
    uint8_t point[EC_POINT_SIZE], again[EC_POINT_SIZE], other[EC_POINT_SIZE];

    for (enum hsm_key key = 0; key < HSM_KEY_COUNT; key++) {
        ASSERT_OK(hsm_key_create(h, key, &err), err);
        ASSERT_FAILS(hsm_key_create(h, key, &err), ERR_EXISTS);
    }
    ASSERT_OK(hsm_key_point(h, HSM_KEY_ISSUING_CA, point, &err), err);
    ASSERT_OK(hsm_key_point(h, HSM_KEY_ROOT, other, &err), err);
    ck_assert_mem_ne(point, other, sizeof point);
    ASSERT_FAILS(hsm_key_point(h, HSM_KEY_LEDGER_HMAC, other, &err), ERR_INTERNAL);
    hsm_close(h);
    h = softhsm_open();
    for (enum hsm_key key = 0; key < HSM_KEY_COUNT; key++)
        ASSERT_OK(hsm_key_check(h, key, &err), err);
    ASSERT_OK(hsm_key_point(h, HSM_KEY_ISSUING_CA, again, &err), err);
    ck_assert_mem_eq(point, again, sizeof point);
    hsm_close(h);
}
END_TEST

START_TEST(a_signature_verifies_for_its_message_and_key_alone)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();
    uint8_t point[EC_POINT_SIZE], other[EC_POINT_SIZE], sig[EC_SIG_SIZE];

    ASSERT_OK(hsm_key_create(h, HSM_KEY_LOG_SIGN, &err), err);
    ASSERT_OK(hsm_key_create(h, HSM_KEY_STATION_AUTH, &err), err);
    ASSERT_OK(hsm_key_point(h, HSM_KEY_LOG_SIGN, point, &err), err);
    ASSERT_OK(hsm_key_point(h, HSM_KEY_STATION_AUTH, other, &err), err);
    ASSERT_OK(hsm_sign(h, HSM_KEY_LOG_SIGN, "message", 7, sig, &err), err);
    ASSERT_OK(ec_verify(point, "message", 7, sig, &err), err);
    ASSERT_FAILS(ec_verify(point, "massage", 7, sig, &err), ERR_SIGNATURE);
    ASSERT_FAILS(ec_verify(other, "message", 7, sig, &err), ERR_SIGNATURE);
    ASSERT_FAILS(hsm_sign(h, HSM_KEY_LEDGER_HMAC, "message", 7, sig, &err), ERR_MISSING);
    ASSERT_OK(hsm_key_create(h, HSM_KEY_LEDGER_HMAC, &err), err);
    ASSERT_FAILS(hsm_sign(h, HSM_KEY_LEDGER_HMAC, "message", 7, sig, &err), ERR_HSM);
    hsm_close(h);
}
END_TEST

START_TEST(a_mac_is_refused_when_a_bit_of_it_or_of_the_message_changes)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();
    uint8_t mac[HSM_MAC_SIZE], again[HSM_MAC_SIZE], zero[HSM_MAC_SIZE] = {0};

    ASSERT_OK(hsm_key_create(h, HSM_KEY_LEDGER_HMAC, &err), err);
    ASSERT_OK(hsm_hmac(h, "entry 1", 7, mac, &err), err);
    ASSERT_OK(hsm_hmac(h, "entry 1", 7, again, &err), err);
    ck_assert_mem_eq(mac, again, sizeof mac);
    ASSERT_OK(hsm_hmac_verify(h, "entry 1", 7, mac, &err), err);
    ASSERT_FAILS(hsm_hmac_verify(h, "entry 2", 7, mac, &err), ERR_INTEGRITY);
    ASSERT_FAILS(hsm_hmac_verify(h, "entry 1", 6, mac, &err), ERR_INTEGRITY);
    ASSERT_FAILS(hsm_hmac_verify(h, "entry 1", 7, zero, &err), ERR_INTEGRITY);
    for (size_t i = 0; i < sizeof mac; i++) {
        mac[i] ^= 1;
        ASSERT_FAILS(hsm_hmac_verify(h, "entry 1", 7, mac, &err), ERR_INTEGRITY);
        mac[i] ^= 1;
    }
    hsm_close(h);
}
END_TEST

START_TEST(random_bytes_differ)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();
    uint8_t a[32] = {0}, b[32] = {0};

    ASSERT_OK(hsm_random(h, a, sizeof a, &err), err);
    ASSERT_OK(hsm_random(h, b, sizeof b, &err), err);
    ck_assert_mem_ne(a, b, sizeof a);
    hsm_close(h);
}
END_TEST

/* A pair as the policy wants it but for what flip says, made by hand. */
static void forge_pair(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session, const char *label,
                       const char *public_label, CK_ATTRIBUTE_TYPE flip)
{
    static uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_MECHANISM_TYPE ecdsa = CKM_ECDSA;
    CK_ATTRIBUTE pub[] = {{CKA_LABEL, (void *)(uintptr_t)public_label, strlen(public_label)},
                          {CKA_ID, (void *)(uintptr_t)public_label, strlen(public_label)},
                          {CKA_EC_PARAMS, p256, sizeof p256},
                          {CKA_TOKEN, &yes, 1},
                          {CKA_PRIVATE, &yes, 1},
                          {CKA_MODIFIABLE, &no, 1},
                          {CKA_COPYABLE, &no, 1},
                          {CKA_VERIFY, &yes, 1},
                          {CKA_VERIFY_RECOVER, &no, 1},
                          {CKA_ENCRYPT, &no, 1},
                          {CKA_WRAP, &no, 1},
                          {CKA_DERIVE, &no, 1}};
    CK_ATTRIBUTE priv[] = {{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                           {CKA_ID, (void *)(uintptr_t)label, strlen(label)},
                           {CKA_TOKEN, &yes, 1},
                           {CKA_PRIVATE, &yes, 1},
                           {CKA_SENSITIVE, &yes, 1},
                           {CKA_EXTRACTABLE, &no, 1},
                           {CKA_MODIFIABLE, &no, 1},
                           {CKA_COPYABLE, &no, 1},
                           {CKA_SIGN, &yes, 1},
                           {CKA_SIGN_RECOVER, &no, 1},
                           {CKA_DECRYPT, &no, 1},
                           {CKA_UNWRAP, &no, 1},
                           {CKA_DERIVE, &no, 1},
                           {CKA_ALLOWED_MECHANISMS, &ecdsa, sizeof ecdsa}};
    CK_ULONG count = sizeof priv / sizeof *priv;
    CK_OBJECT_HANDLE public, private;

    for (CK_ULONG i = 0; i < count; i++)
        if (priv[i].type == flip && priv[i].ulValueLen == 1)
            priv[i].pValue = priv[i].pValue == &yes ? &no : &yes;
    if (flip == CKA_ALLOWED_MECHANISMS)
        count--;
    ck_assert_uint_eq(p11->C_GenerateKeyPair(session, &mechanism, pub,
                                             softhsm_template(pub, sizeof pub / sizeof *pub), priv,
                                             softhsm_template(priv, count), &public, &private),
                      CKR_OK);
}

START_TEST(a_key_made_by_hand_as_the_policy_says_is_accepted)
{
    struct error err = ERROR_INIT;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session = softhsm_raw_login(p11);
    struct hsm *h;

    forge_pair(p11, session, "issuing-ca", "issuing-ca", 0);
    p11->C_Finalize(NULL);
    h = softhsm_open();
    ASSERT_OK(hsm_key_check(h, HSM_KEY_ISSUING_CA, &err), err);
    hsm_close(h);
}
END_TEST

START_TEST(a_token_whose_key_differs_in_one_attribute_is_not_opened)
{
    static const struct {
        CK_ATTRIBUTE_TYPE flip;
        const char *name;
        bool nss; /* which does not keep two of them (hsm_unkept), and does not make such a key */
    } cases[] = {{CKA_EXTRACTABLE, "CKA_EXTRACTABLE", true},
                 {CKA_MODIFIABLE, "CKA_MODIFIABLE", true},
                 {CKA_COPYABLE, "CKA_COPYABLE", false},
                 {CKA_SENSITIVE, "CKA_SENSITIVE", false},
                 {CKA_DERIVE, "CKA_DERIVE", true},
                 {CKA_DECRYPT, "CKA_DECRYPT", false},
                 {CKA_UNWRAP, "CKA_UNWRAP", true},
                 {CKA_SIGN, "CKA_SIGN", true},
                 {CKA_ALLOWED_MECHANISMS, "CKA_ALLOWED_MECHANISMS", false}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_INIT;
        CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
        CK_SESSION_HANDLE session;
        int rc;

        if (softhsm_is_nss() && !cases[i].nss)
            continue;
        session = softhsm_raw_login(p11);
        forge_pair(p11, session, "issuing-ca", "issuing-ca", cases[i].flip);
        p11->C_Finalize(NULL);
        rc = softhsm_try_open(TEST_TOKEN, TEST_PIN, &err);
        ck_assert_msg(rc == ERR_HSM && strstr(err.text, cases[i].name) &&
                          strstr(err.text, "'issuing-ca'"),
                      "%s: %s: %s", cases[i].name, error_name(rc), err.text);
        softhsm_teardown();
        softhsm_setup();
    }
}
END_TEST

START_TEST(a_second_key_of_the_same_label_is_noticed)
{
    struct error err = ERROR_INIT;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session = softhsm_raw_login(p11);

    forge_pair(p11, session, "root-ca", "root-ca", 0);
    forge_pair(p11, session, "root-ca", "something else", 0);
    p11->C_Finalize(NULL);
    ASSERT_FAILS(softhsm_try_open(TEST_TOKEN, TEST_PIN, &err), ERR_HSM);
    ck_assert_ptr_nonnull(strstr(err.text, "several keys 'root-ca'"));
}
END_TEST

START_TEST(half_a_key_is_neither_used_nor_completed)
{
    static const CK_OBJECT_CLASS halves[] = {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY};

    for (size_t i = 0; i < 2; i++) {
        struct error err = ERROR_INIT;
        struct hsm *h = softhsm_open();
        CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
        CK_SESSION_HANDLE session = softhsm_session(p11);

        forge_pair(p11, session, "log-sign", "log-sign", 0);
        ck_assert_uint_eq(
            p11->C_DestroyObject(session, softhsm_find(p11, session, halves[i], "log-sign")),
            CKR_OK);
        ASSERT_FAILS(hsm_key_check(h, HSM_KEY_LOG_SIGN, &err), ERR_HSM);
        ck_assert_ptr_nonnull(strstr(err.text, i == 0 ? "public half" : "private half"));
        ASSERT_FAILS(hsm_key_create(h, HSM_KEY_LOG_SIGN, &err), ERR_HSM);
        hsm_close(h);
        softhsm_teardown();
        softhsm_setup();
    }
}
END_TEST

START_TEST(a_public_key_of_another_pair_is_noticed)
{
    struct error err = ERROR_INIT;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session = softhsm_raw_login(p11);

    forge_pair(p11, session, "station-auth", "mine", 0);
    forge_pair(p11, session, "mine", "station-auth", 0);
    p11->C_Finalize(NULL);
    ASSERT_FAILS(softhsm_try_open(TEST_TOKEN, TEST_PIN, &err), ERR_HSM);
    ck_assert_ptr_nonnull(strstr(err.text, "belongs to another key"));
}
END_TEST

START_TEST(a_lost_session_or_module_is_restored_once)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SLOT_ID slot = softhsm_slot(p11, TEST_TOKEN);
    uint8_t sig[EC_SIG_SIZE], mac[HSM_MAC_SIZE];

    ASSERT_OK(hsm_key_create(h, HSM_KEY_ROOT, &err), err);
    ASSERT_OK(hsm_key_create(h, HSM_KEY_LEDGER_HMAC, &err), err);
    ck_assert_uint_eq(p11->C_CloseAllSessions(slot), CKR_OK);
    ASSERT_OK(hsm_sign(h, HSM_KEY_ROOT, "m", 1, sig, &err), err);
    ck_assert_uint_eq(hsm_recycle_count(h), 1);
    ck_assert_uint_eq(p11->C_Finalize(NULL), CKR_OK);
    ASSERT_OK(hsm_hmac(h, "m", 1, mac, &err), err);
    ck_assert_uint_eq(hsm_recycle_count(h), 2);
    ASSERT_OK(hsm_recycle(h, &err), err);
    ASSERT_OK(hsm_sign(h, HSM_KEY_ROOT, "m", 1, sig, &err), err);
    ck_assert_uint_eq(hsm_recycle_count(h), 3);
    hsm_close(h);
}
END_TEST

START_TEST(a_token_that_vanished_fails_and_comes_back)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    char moved[96];
    uint8_t out[8];

    ck_assert(snprintf(moved, sizeof moved, "%s.moved", softhsm_dir) > 0);
    ck_assert_int_eq(rename(softhsm_dir, moved), 0);
    ck_assert_uint_eq(p11->C_Finalize(NULL), CKR_OK);
    ck_assert_int_ne(hsm_random(h, out, sizeof out, &err), 0);
    ck_assert_int_ne(hsm_random(h, out, sizeof out, &err), 0);
    ck_assert_int_eq(rename(moved, softhsm_dir), 0);
    ASSERT_OK(hsm_random(h, out, sizeof out, &err), err);
    hsm_close(h);
}
END_TEST

START_TEST(a_pin_that_was_changed_behind_our_back_is_tried_once)
{
    struct error err = ERROR_INIT;
    struct hsm *h = softhsm_open();
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session = softhsm_session(p11);
    CK_UTF8CHAR old[] = TEST_PIN, new[] = "654321";

    ck_assert_uint_eq(p11->C_SetPIN(session, old, 6, new, 6), CKR_OK);
    ck_assert_uint_eq(p11->C_CloseAllSessions(softhsm_slot(p11, TEST_TOKEN)), CKR_OK);
    ASSERT_FAILS(hsm_key_check(h, HSM_KEY_ROOT, &err), ERR_PIN);
    ck_assert_int_eq(err.native, CKR_PIN_INCORRECT);
    ASSERT_FAILS(hsm_key_check(h, HSM_KEY_ROOT, &err), ERR_PIN);
    ck_assert_int_eq(err.native, 0); /* the token was not asked */
    hsm_close(h);
}
END_TEST

TOKEN_MAIN("hsm",
           ON_ANY(a_module_that_does_not_load_is_named_with_the_reason,
                  a_library_that_is_no_pkcs11_module_is_refused,
                  a_module_is_opened_once_in_a_process, a_wrong_pin_is_an_error_of_its_own,
                  a_key_that_is_not_there_is_missing_for_every_use,
                  keys_are_made_once_and_found_again,
                  a_signature_verifies_for_its_message_and_key_alone,
                  a_mac_is_refused_when_a_bit_of_it_or_of_the_message_changes, random_bytes_differ,
                  a_key_made_by_hand_as_the_policy_says_is_accepted,
                  a_token_whose_key_differs_in_one_attribute_is_not_opened,
                  half_a_key_is_neither_used_nor_completed, a_public_key_of_another_pair_is_noticed,
                  a_lost_session_or_module_is_restored_once,
                  a_pin_that_was_changed_behind_our_back_is_tried_once,
                  what_a_token_does_not_keep_or_enforce_is_told),
           ON_SOFTHSM(a_module_that_does_not_initialise_is_refused,
                      a_token_that_is_missing_is_reported_with_those_that_are_there,
                      a_token_is_found_by_its_uri, the_pin_source_of_a_uri_is_a_file,
                      a_token_tells_that_somebody_gave_a_wrong_pin,
                      a_uri_that_matches_two_tokens_is_ambiguous,
                      a_token_is_initialised_once_and_whole_or_not_at_all,
                      softhsm_is_software_carries_suite_1_and_enforces_the_storage_policy,
                      a_second_key_of_the_same_label_is_noticed,
                      a_token_that_vanished_fails_and_comes_back))
