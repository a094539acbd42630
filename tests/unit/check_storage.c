/* Storage keys on a real token, and what somebody who has the PIN can do with them. */
#include "credential_bench.h"
#include "p256_util.h"

static const uint8_t order_b[SHA256_SIZE] = {0xb1, 2, 3};

START_TEST(a_storage_key_serves_one_order_and_is_inert_once_destroyed)
{
    struct bench b;
    struct hsm_rewrap *r = NULL;
    char name[HSM_STORAGE_NAME_SIZE], second[HSM_STORAGE_NAME_SIZE];
    uint8_t station_pub[EC_POINT_SIZE], point[EC_POINT_SIZE];

    bench_init(&b);
    ck_assert_str_eq(b.storage, "storage:ec:a102030000000000");
    ASSERT_FAILS(hsm_storage_create(b.h, order_a, KEY_P256, name, &b.err), ERR_EXISTS);
    ASSERT_FAILS(hsm_storage_find(b.h, order_b, KEY_P256, name, &b.err), ERR_MISSING);
    ASSERT_OK(hsm_storage_find(b.h, order_a, KEY_P256, name, &b.err), b.err);
    ck_assert_str_eq(name, b.storage);
    ASSERT_OK(hsm_storage_create(b.h, order_b, KEY_P256, second, &b.err), b.err);
    ASSERT_FAILS(rewrap_begin_p256(b.h, second, b.wrapped.data, b.wrapped.len, b.point, &r,
                                   station_pub, &b.err),
                 ERR_INTEGRITY);
    ASSERT_OK(hsm_storage_destroy(b.h, order_a, &b.err), b.err);
    ASSERT_FAILS(hsm_storage_destroy(b.h, order_a, &b.err), ERR_MISSING);
    ASSERT_FAILS(begin(&b, &r, station_pub), ERR_MISSING);
    ASSERT_OK(hsm_storage_create(b.h, order_a, KEY_P256, name, &b.err), b.err);
    ASSERT_FAILS(begin(&b, &r, station_pub), ERR_INTEGRITY);
    ASSERT_FAILS(make_p256(b.h, "storage", point, &b.wrapped, &b.err), ERR_MISSING);
    ASSERT_FAILS(make_p256(b.h, "ledger-hmac", point, &b.wrapped, &b.err), ERR_MISSING);
    bench_done(&b);
}
END_TEST

START_TEST(an_order_whose_hash_only_begins_alike_does_not_get_the_key)
{
    struct bench b;
    uint8_t alike[SHA256_SIZE];
    char name[HSM_STORAGE_NAME_SIZE];

    bench_init(&b);
    memcpy(alike, order_a, sizeof alike);
    alike[31] ^= 1;
    ASSERT_FAILS(hsm_storage_find(b.h, alike, KEY_P256, name, &b.err), ERR_HSM);
    ck_assert_ptr_nonnull(strstr(b.err.text, "CKA_ID"));
    ASSERT_FAILS(hsm_storage_create(b.h, alike, KEY_P256, name, &b.err), ERR_HSM);
    bench_done(&b);
}
END_TEST

/* A key named as a storage key, without its templates. */
static void forge_storage(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session, const char *name)
{
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG size = 32;
    CK_MECHANISM_TYPE wrap = CKM_AES_KEY_WRAP_PAD;
    CK_ATTRIBUTE template[] = {{CKA_LABEL, (void *)(uintptr_t)name, strlen(name)},
                               {CKA_ID, (void *)(uintptr_t)order_b, sizeof order_b},
                               {CKA_VALUE_LEN, &size, sizeof size},
                               {CKA_TOKEN, &yes, 1},
                               {CKA_PRIVATE, &yes, 1},
                               {CKA_SENSITIVE, &yes, 1},
                               {CKA_EXTRACTABLE, &no, 1},
                               {CKA_MODIFIABLE, &no, 1},
                               {CKA_COPYABLE, &no, 1},
                               {CKA_WRAP, &yes, 1},
                               {CKA_UNWRAP, &yes, 1},
                               {CKA_ENCRYPT, &no, 1},
                               {CKA_DECRYPT, &no, 1},
                               {CKA_SIGN, &no, 1},
                               {CKA_VERIFY, &no, 1},
                               {CKA_DERIVE, &no, 1},
                               {CKA_ALLOWED_MECHANISMS, &wrap, sizeof wrap}};
    CK_OBJECT_HANDLE key;

    ck_assert_uint_eq(
        p11->C_GenerateKey(session, &mechanism, template, sizeof template / sizeof *template, &key),
        CKR_OK);
}

START_TEST(a_storage_key_without_its_templates_is_not_used)
{
    struct bench b;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    char name[HSM_STORAGE_NAME_SIZE];
    uint8_t point[EC_POINT_SIZE];

    bench_init(&b);
    forge_storage(p11, softhsm_session(p11), "storage:ec:b102030000000000");
    ASSERT_FAILS(hsm_storage_find(b.h, order_b, KEY_P256, name, &b.err), ERR_HSM);
    ck_assert_ptr_nonnull(strstr(b.err.text, "CKA_UNWRAP_TEMPLATE"));
    ASSERT_FAILS(make_p256(b.h, "storage:ec:b102030000000000", point, &b.wrapped, &b.err), ERR_HSM);
    bench_done(&b);
}
END_TEST

/* An AES key whose bytes somebody knows, dressed as the storage key of order_b. */
static void plant_storage(CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session, const char *name)
{
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY, private = CKO_PRIVATE_KEY;
    CK_KEY_TYPE aes = CKK_AES, ec = CKK_EC;
    CK_MECHANISM_TYPE wrap = CKM_AES_KEY_WRAP_PAD;
    uint8_t known[32] = {7};
    CK_ATTRIBUTE unwrap_template[] = {{CKA_CLASS, &private, sizeof private},
                                      {CKA_KEY_TYPE, &ec, sizeof ec},
                                      {CKA_TOKEN, &no, 1},
                                      {CKA_PRIVATE, &yes, 1},
                                      {CKA_SENSITIVE, &yes, 1},
                                      {CKA_EXTRACTABLE, &yes, 1}};
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &secret, sizeof secret},
                               {CKA_KEY_TYPE, &aes, sizeof aes},
                               {CKA_VALUE, known, sizeof known},
                               {CKA_LABEL, (void *)(uintptr_t)name, strlen(name)},
                               {CKA_ID, (void *)(uintptr_t)order_b, sizeof order_b},
                               {CKA_TOKEN, &yes, 1},
                               {CKA_PRIVATE, &yes, 1},
                               {CKA_SENSITIVE, &yes, 1},
                               {CKA_EXTRACTABLE, &no, 1},
                               {CKA_MODIFIABLE, &no, 1},
                               {CKA_COPYABLE, &no, 1},
                               {CKA_WRAP, &yes, 1},
                               {CKA_UNWRAP, &yes, 1},
                               {CKA_ENCRYPT, &no, 1},
                               {CKA_DECRYPT, &no, 1},
                               {CKA_SIGN, &no, 1},
                               {CKA_VERIFY, &no, 1},
                               {CKA_DERIVE, &no, 1},
                               {CKA_UNWRAP_TEMPLATE, unwrap_template, sizeof unwrap_template},
                               {CKA_WRAP_TEMPLATE, unwrap_template, 2 * sizeof(CK_ATTRIBUTE)},
                               {CKA_ALLOWED_MECHANISMS, &wrap, sizeof wrap}};
    CK_OBJECT_HANDLE key;

    ck_assert_uint_eq(
        p11->C_CreateObject(session, template,
                            softhsm_template(template, sizeof template / sizeof *template), &key),
        CKR_OK);
}

START_TEST(a_storage_key_whose_bytes_came_from_outside_is_not_used)
{
    struct bench b;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    char name[HSM_STORAGE_NAME_SIZE];

    bench_init(&b);
    plant_storage(p11, softhsm_session(p11), "storage:ec:b102030000000000");
    ASSERT_FAILS(hsm_storage_find(b.h, order_b, KEY_P256, name, &b.err), ERR_HSM);
    ck_assert_ptr_nonnull(strstr(b.err.text, "CKA_ALWAYS_SENSITIVE"));
    bench_done(&b);
}
END_TEST

/* Unwraps the stored blob with one attribute changed or left out; the CKR_* of it. */
static CK_RV steal(struct bench *b, CK_FUNCTION_LIST_PTR p11, CK_SESSION_HANDLE session,
                   CK_ATTRIBUTE_TYPE flip, CK_ATTRIBUTE_TYPE omit, CK_MECHANISM_TYPE how)
{
    CK_MECHANISM mechanism = {how, NULL, 0};
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_OBJECT_CLASS private = CKO_PRIVATE_KEY;
    CK_KEY_TYPE ec = CKK_EC;
    CK_ATTRIBUTE all[] = {{CKA_CLASS, &private, sizeof private},
                          {CKA_KEY_TYPE, &ec, sizeof ec},
                          {CKA_TOKEN, &no, 1},
                          {CKA_PRIVATE, &yes, 1},
                          {CKA_SENSITIVE, &yes, 1},
                          {CKA_EXTRACTABLE, &yes, 1}};
    CK_ATTRIBUTE used[6];
    CK_ULONG count = 0;
    CK_OBJECT_HANDLE key;

    for (size_t i = 0; i < 6; i++) {
        if (all[i].type == omit)
            continue;
        used[count] = all[i];
        if (all[i].type == flip)
            used[count].pValue = all[i].pValue == &yes ? &no : &yes;
        count++;
    }
    return p11->C_UnwrapKey(session, &mechanism,
                            softhsm_find(p11, session, CKO_SECRET_KEY, b->storage), b->wrapped.data,
                            b->wrapped.len, used, count, &key);
}

START_TEST(somebody_with_the_pin_cannot_unwrap_a_stored_key_readable)
{
    struct bench b;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session;
    CK_MECHANISM_TYPE pad = CKM_AES_KEY_WRAP_PAD;

    bench_init(&b);
    session = softhsm_session(p11);
    ck_assert_uint_eq(steal(&b, p11, session, CKA_SENSITIVE, 0xffff, pad),
                      CKR_TEMPLATE_INCONSISTENT);
    ck_assert_uint_eq(steal(&b, p11, session, CKA_TOKEN, 0xffff, pad), CKR_TEMPLATE_INCONSISTENT);
    ck_assert_uint_eq(steal(&b, p11, session, 0xffff, CKA_SENSITIVE, pad),
                      CKR_TEMPLATE_INCONSISTENT);
    ck_assert_uint_eq(steal(&b, p11, session, 0xffff, 0xffff, CKM_AES_KEY_WRAP),
                      CKR_MECHANISM_INVALID);
    /* And as a check of the check: what hsm/ itself does passes. */
    ck_assert_uint_eq(steal(&b, p11, session, 0xffff, 0xffff, pad), CKR_OK);
    bench_done(&b);
}
END_TEST

START_TEST(somebody_with_the_pin_cannot_turn_the_storage_key_against_its_keys)
{
    struct bench b;
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE storage, copy;
    CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0}, pad = {CKM_AES_KEY_WRAP_PAD, NULL, 0};
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE decrypt = {CKA_DECRYPT, &yes, 1}, session_copy = {CKA_TOKEN, &no, 1},
                 extractable = {CKA_EXTRACTABLE, &yes, 1};
    uint8_t value[64];
    CK_ATTRIBUTE read = {CKA_VALUE, value, sizeof value};
    CK_ULONG len = sizeof value;

    bench_init(&b);
    session = softhsm_session(p11);
    storage = softhsm_find(p11, session, CKO_SECRET_KEY, b.storage);
    ck_assert_uint_ne(storage, CK_INVALID_HANDLE);
    ck_assert_uint_eq(p11->C_GetAttributeValue(session, storage, &read, 1),
                      CKR_ATTRIBUTE_SENSITIVE);
    ck_assert_uint_ne(p11->C_DecryptInit(session, &ecb, storage), CKR_OK);
    ck_assert_uint_ne(p11->C_EncryptInit(session, &ecb, storage), CKR_OK);
    ck_assert_uint_eq(p11->C_SetAttributeValue(session, storage, &decrypt, 1),
                      CKR_ACTION_PROHIBITED);
    ck_assert_uint_eq(p11->C_SetAttributeValue(session, storage, &extractable, 1),
                      CKR_ACTION_PROHIBITED);
    ck_assert_uint_eq(p11->C_CopyObject(session, storage, &session_copy, 1, &copy),
                      CKR_ACTION_PROHIBITED);
    ck_assert_uint_ne(p11->C_WrapKey(session, &pad, storage, storage, value, &len), CKR_OK);
    bench_done(&b);
}
END_TEST

TOKEN_MAIN("storage",
           ON_ANY(a_storage_key_serves_one_order_and_is_inert_once_destroyed,
                  an_order_whose_hash_only_begins_alike_does_not_get_the_key,
                  a_storage_key_whose_bytes_came_from_outside_is_not_used),
           ON_SOFTHSM(a_storage_key_without_its_templates_is_not_used,
                      somebody_with_the_pin_cannot_unwrap_a_stored_key_readable,
                      somebody_with_the_pin_cannot_turn_the_storage_key_against_its_keys))
