/* Symmetric device keys on a real token, from the master key to a device that OpenSSL plays. */
#include "device_play.h"
#include "softhsm.h"

#include "hsm/derived_work.h"

#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>

static const uint8_t context[HSM_CONTEXT_SIZE] = "a context of thirty-two bytes..";
static const unsigned suites[] = {IMPRINT_SUITE_ECB, IMPRINT_SUITE_X963};

#define LABEL "imprint derive v1"

/* label ‖ 00 ‖ context ‖ 00 00 01 00 */
static size_t make_input(const char *of, uint8_t input[HSM_DERIVED_INPUT_MAX])
{
    static const uint8_t bits[] = {0, 0, 1, 0};
    size_t len = sizeof LABEL;

    memcpy(input, LABEL, sizeof LABEL);
    memcpy(input + len, of, strlen(of));
    len += strlen(of);
    memcpy(input + len, bits, sizeof bits);
    return len + sizeof bits;
}

struct bench {
    struct hsm *h;
    struct error err;
    uint8_t input[HSM_DERIVED_INPUT_MAX];
    size_t len;
};

static void bench_init(struct bench *b)
{
    *b = (struct bench){.h = softhsm_open()};
    b->len = make_input("PUMP-000001", b->input);
    ASSERT_OK(hsm_key_create(b->h, HSM_KEY_DERIVATION, &b->err), b->err);
}

static void export_key(struct bench *b, const char *of, uint8_t key[HSM_DERIVED_SIZE])
{
    uint8_t input[HSM_DERIVED_INPUT_MAX];
    size_t len = make_input(of, input);
    struct secret *made;

    ASSERT_OK(hsm_derived_export(b->h, input, len, &made, &b->err), b->err);
    ck_assert_uint_eq(secret_len(made), HSM_DERIVED_SIZE);
    memcpy(key, secret_bytes(made), HSM_DERIVED_SIZE);
    secret_free(made);
}

static void assert_nothing_left(const struct bench *b)
{
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_SESSION_HANDLE session = softhsm_session(p11);

    (void)b;
    ck_assert_uint_eq(softhsm_session_objects(p11, session), 0);
}

START_TEST(each_token_derives_in_its_own_way)
{
    struct bench b;

    bench_init(&b);
    ASSERT_OK(hsm_can_derive(b.h, &b.err), b.err);
    ck_assert_int_eq(hsm_derivation(b.h),
                     softhsm_is_nss() ? HSM_DERIVES_INSIDE : HSM_DERIVES_IN_VAULT);
    hsm_close(b.h);
}
END_TEST

/* The KDF of OpenSSL, told label and context: it adds counter, zero byte and length itself. */
static void kbkdf(uint8_t *master, const char *of, uint8_t key[HSM_DERIVED_SIZE])
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, (char[]){"counter"}, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, (char[]){"HMAC"}, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, master, HSM_DERIVED_SIZE),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (char[]){LABEL}, sizeof LABEL - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)of, strlen(of)),
        OSSL_PARAM_END};

    ck_assert_int_eq(EVP_KDF_derive(ctx, key, HSM_DERIVED_SIZE, params), 1);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
}

START_TEST(a_key_is_what_the_kdf_of_sp_800_108_gives)
{
    uint8_t master[HSM_DERIVED_SIZE] = "a master key that is known here.", expected[32], mac[32],
            is[32];
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_HANDLE planted, key;
    struct bench b;

    bench_init(&b);
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},
        {CKA_KEY_TYPE, &type, sizeof type},
        {softhsm_is_nss() ? CKA_DERIVE : CKA_SIGN, &yes, sizeof yes},
        {CKA_VALUE, master, sizeof master},
    };
    ck_assert_uint_eq(b.h->module.p11->C_CreateObject(b.h->session, template, 4, &planted), CKR_OK);
    ASSERT_OK(derived_make(b.h, hsm_derivation(b.h), planted, b.input, b.len, &key, &b.err), b.err);
    ASSERT_OK(session_mac(b.h, key, "message", 7, mac, &b.err), b.err);
    kbkdf(master, "PUMP-000001", expected);
    ck_assert_ptr_nonnull(HMAC(EVP_sha256(), expected, sizeof expected,
                               (const unsigned char *)"message", 7, is, NULL));
    ck_assert_mem_eq(mac, is, sizeof mac);
    hsm_close(b.h);
}
END_TEST

START_TEST(check_value_and_macs_are_those_of_the_key_that_is_exported)
{
    uint8_t key[32], same[32], other[32], check[32], mac[32], expected[32];
    struct bench b;

    bench_init(&b);
    export_key(&b, "PUMP-000001", key);
    export_key(&b, "PUMP-000001", same);
    export_key(&b, "PUMP-000002", other);
    ck_assert_mem_eq(key, same, sizeof key);
    ck_assert_mem_ne(key, other, sizeof key);
    ASSERT_OK(hsm_derived_check(b.h, b.input, b.len, check, &b.err), b.err);
    HMAC(EVP_sha256(), key, sizeof key, (const unsigned char *)"imprint kcv v1", 15, expected,
         NULL);
    ck_assert_mem_eq(check, expected, sizeof check);
    ASSERT_OK(hsm_derived_mac(b.h, b.input, b.len, "proof", 5, mac, &b.err), b.err);
    HMAC(EVP_sha256(), key, sizeof key, (const unsigned char *)"proof", 5, expected, NULL);
    ck_assert_mem_eq(mac, expected, sizeof mac);
    ASSERT_OK(hsm_recycle(b.h, &b.err), b.err);
    export_key(&b, "PUMP-000001", same);
    ck_assert_mem_eq(key, same, sizeof key);
    assert_nothing_left(&b);
    hsm_close(b.h);
}
END_TEST

/* What a device unwraps, or -1. */
static int deliver(struct bench *b, struct device *d, unsigned suite,
                   const uint8_t shown[HSM_CONTEXT_SIZE], uint8_t payload[BLOB_MAX])
{
    uint8_t station_pub[EC_POINT_SIZE], kek[IMPRINT_KEK_SIZE];
    struct hsm_rewrap *r;
    struct buf blob;
    int len;

    buf_init(&blob, BLOB_MAX);
    ASSERT_OK(hsm_derived_begin(b->h, &r, station_pub, &b->err), b->err);
    ASSERT_OK(hsm_derived_wrap(r, suite, d->pub, context, b->input, b->len, &blob, &b->err),
              b->err);
    hsm_credential_rewrap_abort(r);
    ck_assert_uint_eq(blob.len, HSM_DERIVED_WRAPPED);
    device_kek(d, suite, station_pub, shown, kek);
    len = device_unwrap(kek, &blob, payload);
    buf_done(&blob);
    return len;
}

START_TEST(a_device_opens_what_was_wrapped_for_it_and_another_context_does_not)
{
    uint8_t key[32], payload[BLOB_MAX], other[HSM_CONTEXT_SIZE];
    struct device d;
    struct bench b;

    bench_init(&b);
    device_init(&d);
    memcpy(other, context, sizeof other);
    other[0] ^= 1;
    export_key(&b, "PUMP-000001", key);
    for (size_t i = 0; i < 2; i++) {
        if (!(hsm_suites(b.h) >> suites[i] & 1))
            continue;
        ck_assert_int_eq(deliver(&b, &d, suites[i], context, payload), HSM_DERIVED_SIZE);
        ck_assert_mem_eq(payload, key, sizeof key);
        ck_assert_int_eq(deliver(&b, &d, suites[i], other, payload), -1);
    }
    assert_nothing_left(&b);
    EVP_PKEY_free(d.key);
    hsm_close(b.h);
}
END_TEST

/* Both keys of a bundle are wrapped under one key encryption key: the device derives one. */
START_TEST(a_symmetric_key_travels_beside_a_private_one)
{
    static const uint8_t order[SHA256_SIZE] = {1};
    uint8_t key[32], payload[BLOB_MAX], station_pub[EC_POINT_SIZE], kek[IMPRINT_KEK_SIZE];
    struct public_key public;
    char storage[HSM_STORAGE_NAME_SIZE];
    struct buf stored, private, symmetric;
    struct hsm_rewrap *r;
    struct device d;
    struct bench b;

    bench_init(&b);
    device_init(&d);
    buf_init(&stored, BLOB_MAX);
    buf_init(&private, BLOB_MAX);
    buf_init(&symmetric, BLOB_MAX);
    export_key(&b, "PUMP-000001", key);
    ASSERT_OK(hsm_storage_create(b.h, order, KEY_P256, storage, &b.err), b.err);
    ASSERT_OK(hsm_credential_make(b.h, storage, KEY_P256, &public, &stored, &b.err), b.err);
    ASSERT_OK(hsm_credential_rewrap_begin(b.h, storage, stored.data, stored.len, &public, &r,
                                          station_pub, &b.err),
              b.err);
    ASSERT_OK(
        hsm_derived_wrap(r, IMPRINT_SUITE_ECB, d.pub, context, b.input, b.len, &symmetric, &b.err),
        b.err);
    ASSERT_OK(hsm_credential_rewrap_finish(r, IMPRINT_SUITE_ECB, d.pub, context, &private, &b.err),
              b.err);
    device_kek(&d, IMPRINT_SUITE_ECB, station_pub, context, kek);
    ck_assert_int_eq(device_unwrap(kek, &symmetric, payload), HSM_DERIVED_SIZE);
    ck_assert_mem_eq(payload, key, sizeof key);
    ck_assert_int_gt(device_unwrap(kek, &private, payload), HSM_DERIVED_SIZE);
    assert_nothing_left(&b);
    buf_done(&stored);
    buf_done(&private);
    buf_done(&symmetric);
    EVP_PKEY_free(d.key);
    hsm_close(b.h);
}
END_TEST

START_TEST(a_transport_key_that_is_no_point_gets_nothing)
{
    uint8_t station_pub[EC_POINT_SIZE], no_point[EC_POINT_SIZE] = {4, 1};
    struct hsm_rewrap *r;
    struct buf blob;
    struct bench b;

    bench_init(&b);
    buf_init(&blob, BLOB_MAX);
    ASSERT_OK(hsm_derived_begin(b.h, &r, station_pub, &b.err), b.err);
    ASSERT_FAILS(
        hsm_derived_wrap(r, IMPRINT_SUITE_ECB, no_point, context, b.input, b.len, &blob, &b.err),
        ERR_PROTOCOL);
    ASSERT_FAILS(hsm_derived_wrap(r, 3, no_point, context, b.input, b.len, &blob, &b.err),
                 ERR_REFUSED);
    hsm_credential_rewrap_abort(r);
    ck_assert_uint_eq(blob.len, 0);
    buf_done(&blob);
    hsm_close(b.h);
}
END_TEST

START_TEST(without_the_master_key_nothing_is_derived)
{
    struct hsm *h = softhsm_open();
    struct error err = ERROR_INIT;
    uint8_t check[32], too_much[HSM_DERIVED_INPUT_MAX + 1] = {0};

    ASSERT_FAILS(hsm_derived_check(h, "x", 1, check, &err), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "derivation-master"));
    ASSERT_OK(hsm_key_create(h, HSM_KEY_DERIVATION, &err), err);
    ASSERT_FAILS(hsm_derived_check(h, too_much, sizeof too_much, check, &err), ERR_INTERNAL);
    hsm_close(h);
}
END_TEST

/* A token with the function out of order, as the program that is told so by its environment sees it. */
START_TEST(a_token_that_cannot_derive_is_refused_by_name_and_mechanism)
{
    struct hsm_config config = {
        .module = P11PROXY, .token = TEST_TOKEN, .arguments = softhsm_arguments};
    struct secret *pin = softhsm_secret(TEST_PIN);
    struct error err = ERROR_INIT;
    uint8_t check[32];
    struct hsm *h;

    setenv("P11PROXY_MODULE", softhsm_module, 1);
    setenv("P11PROXY_FUNCTION", "C_CreateObject", 1);
    setenv("P11PROXY_FAIL_AT", "1", 1);
    setenv("P11PROXY_RV", "0x54", 1);
    setenv("P11PROXY_FOR_EVER", "1", 1);
    ASSERT_OK(hsm_open(&config, pin, &h, &err), err);
    ck_assert_int_eq(hsm_derivation(h), HSM_DERIVES_NOT);
    ck_assert_uint_ne(hsm_suites(h), 0);
    ASSERT_FAILS(hsm_derived_check(h, "x", 1, check, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "token 'line1'"));
    ck_assert_ptr_nonnull(strstr(err.text, "CKM_HKDF_DERIVE gave CKR_"));
    ck_assert_ptr_nonnull(
        strstr(err.text, "CKM_SHA256_HMAC with C_CreateObject CKR_FUNCTION_NOT_SUPPORTED"));
    hsm_close(h);
    secret_free(pin);
}
END_TEST

/* A MAC by the master key is a device's key: a token that derives makes none. */
START_TEST(the_master_key_has_one_use)
{
    CK_FUNCTION_LIST_PTR p11 = softhsm_raw();
    CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0};
    CK_OBJECT_HANDLE master;
    struct bench b;

    bench_init(&b);
    ASSERT_OK(session_find(b.h, CKO_SECRET_KEY, "derivation-master", NULL, 0, &master, &b.err),
              b.err);
    ck_assert_int_eq(p11->C_SignInit(b.h->session, &hmac, master) == CKR_OK, !softhsm_is_nss());
    hsm_close(b.h);
}
END_TEST

SOFTHSM_MAIN("derived", each_token_derives_in_its_own_way,
             a_key_is_what_the_kdf_of_sp_800_108_gives,
             check_value_and_macs_are_those_of_the_key_that_is_exported,
             a_device_opens_what_was_wrapped_for_it_and_another_context_does_not,
             a_symmetric_key_travels_beside_a_private_one,
             a_transport_key_that_is_no_point_gets_nothing,
             without_the_master_key_nothing_is_derived,
             a_token_that_cannot_derive_is_refused_by_name_and_mechanism,
             the_master_key_has_one_use)
