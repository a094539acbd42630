/* CA keys and device keys of every kind on a real token. */
#include "softhsm.h"

#include "hsm/audit.h"
#include "hsm/credential.h"
#include "hsm/signer.h"
#include "hsm/worker.h"

static struct error err;

static struct hsm *open_token(void)
{
    struct secret *pin = softhsm_secret(TEST_PIN);
    struct hsm *h = NULL;

    softhsm_setup();
    ASSERT_OK(hsm_open(&softhsm_config, pin, &h, &err), err);
    secret_free(pin);
    return h;
}

static const char *const algorithms[] = {
    "p256", "p384", "rsa2048-pss", "rsa3072-pss", "rsa2048-pkcs1", "rsa3072-pkcs1", "ed25519"};

/* A kind comes back from the token alone, also after the module was started anew. */
START_TEST(the_token_tells_the_kind_of_a_ca)
{
    struct hsm *h = open_token(), *worker;
    struct ca_algorithm algorithm;
    struct ca_signer signer;
    struct signature sig;

    ck_assert(ca_algorithm_named(algorithms[_i], &algorithm));
    ASSERT_OK(hsm_key_can(h, HSM_KEY_ISSUING_CA, algorithm.key, algorithm.scheme, &err), err);
    ASSERT_OK(hsm_key_create_as(h, HSM_KEY_ISSUING_CA, algorithm.key, algorithm.scheme, &err), err);
    ASSERT_OK(hsm_recycle(h, &err), err);
    ASSERT_OK(hsm_key_check(h, HSM_KEY_ISSUING_CA, &err), err);
    ASSERT_OK(hsm_worker_open(h, &worker, &err), err);
    ASSERT_OK(hsm_ca_signer(worker, HSM_KEY_ISSUING_CA, &signer, &err), err);
    ck_assert(signer.key.type == algorithm.key && signer.scheme == algorithm.scheme);
    ASSERT_OK(ca_sign(&signer, "message", 7, &sig, &err), err);
    ASSERT_OK(scheme_verify_key(&signer.key, signer.scheme, "message", 7, sig.bytes, sig.len, &err),
              err);
    ASSERT_FAILS(hsm_certify(worker, HSM_KEY_ISSUING_CA,
                             (enum sig_scheme)((signer.scheme + 1) % SCHEMES), "message", 7, false,
                             &sig, &err),
                 ERR_HSM);
    hsm_worker_close(worker);
    hsm_close(h);
    softhsm_teardown();
}
END_TEST

START_TEST(only_keys_of_the_ca_are_of_another_kind)
{
    struct hsm *h = open_token();

    ASSERT_FAILS(hsm_key_create_as(h, HSM_KEY_STATION_AUTH, KEY_P384, SCHEME_ECDSA_SHA384, &err),
                 ERR_INTERNAL);
    ASSERT_FAILS(hsm_key_create_as(h, HSM_KEY_ROOT, KEY_P384, SCHEME_ECDSA_SHA256, &err),
                 ERR_INPUT);
    hsm_close(h);
    softhsm_teardown();
}
END_TEST

static const enum key_type carried[] = {KEY_P256, KEY_P384, KEY_RSA_2048, KEY_RSA_3072};

/* What is stored of one key does not open as another's, nor under the storage key of other types. */
START_TEST(a_device_key_of_each_type_is_stored_and_rewrapped)
{
    static const uint8_t order[SHA256_SIZE] = {0xa1}, context[HSM_CONTEXT_SIZE] = {7};
    enum key_type type = carried[_i];
    struct hsm *h = open_token();
    char storage[HSM_STORAGE_NAME_SIZE];
    uint8_t station_pub[EC_POINT_SIZE], dev_pub[EC_POINT_SIZE];
    EVP_PKEY *device = EVP_EC_gen("P-256");
    struct public_key key, other;
    struct hsm_rewrap *r;
    struct buf wrapped, out;

    buf_init(&wrapped, 2048);
    buf_init(&out, 2048);
    ASSERT_OK(ec_point(device, dev_pub, &err), err);
    ASSERT_OK(hsm_credential_can(h, type, &err), err);
    ASSERT_OK(hsm_storage_create(h, order, type, storage, &err), err);
    ASSERT_OK(hsm_credential_make(h, storage, type, &key, &wrapped, &err), err);
    ck_assert_int_eq(key.type, type);
    ASSERT_OK(hsm_credential_rewrap_begin(h, storage, wrapped.data, wrapped.len, &key, &r,
                                          station_pub, &err),
              err);
    ASSERT_OK(hsm_credential_rewrap_finish(r, 1, dev_pub, context, &out, &err), err);
    ck_assert_uint_eq(out.len, wrapped.len);
    ASSERT_OK(key_random(type, &other, &err), err);
    ASSERT_FAILS(hsm_credential_rewrap_begin(h, storage, wrapped.data, wrapped.len, &other, &r,
                                             station_pub, &err),
                 ERR_INTEGRITY);
    ASSERT_OK(hsm_storage_destroy(h, order, &err), err);
    ASSERT_FAILS(hsm_storage_find(h, order, type, storage, &err), ERR_MISSING);
    buf_done(&wrapped);
    buf_done(&out);
    EVP_PKEY_free(device);
    hsm_close(h);
    softhsm_teardown();
}
END_TEST

/* What a key is asked to sign, and what became of it. */
struct asked {
    struct public_key key;
    enum sig_scheme scheme;
    struct signature sig;
    bool refuse;
};

static int sign_request(void *context, const struct ca_signer *signer, struct error *e)
{
    struct asked *a = context;

    a->key = signer->key;
    a->scheme = signer->scheme;
    return a->refuse ? error_set(e, ERR_INPUT, "no request")
                     : ca_sign(signer, "ask", 3, &a->sig, e);
}

/* A key that signed a request is stored as one that did not, and can be delivered. */
START_TEST(a_key_signs_a_request_before_it_is_wrapped)
{
    static const uint8_t order[SHA256_SIZE] = {0xa1};
    enum key_type type = carried[_i];
    struct hsm *h = open_token();
    char storage[HSM_STORAGE_NAME_SIZE];
    uint8_t station_pub[EC_POINT_SIZE];
    struct asked asked = {.refuse = false};
    struct public_key key;
    struct hsm_rewrap *r;
    struct buf wrapped;

    buf_init(&wrapped, 2048);
    ASSERT_OK(hsm_storage_create(h, order, type, storage, &err), err);
    ASSERT_OK(
        hsm_credential_make_asking(h, storage, type, sign_request, &asked, &key, &wrapped, &err),
        err);
    ck_assert(key.type == type && key_same(&key, &asked.key));
    ck_assert_int_eq(asked.scheme, type == KEY_RSA_2048 || type == KEY_RSA_3072
                                       ? SCHEME_RSA_PKCS1_SHA256
                                       : scheme_of(type));
    ASSERT_OK(scheme_verify_key(&key, asked.scheme, "ask", 3, asked.sig.bytes, asked.sig.len, &err),
              err);
    ASSERT_OK(hsm_credential_rewrap_begin(h, storage, wrapped.data, wrapped.len, &key, &r,
                                          station_pub, &err),
              err);
    hsm_credential_rewrap_abort(r);
    asked.refuse = true;
    buf_reset(&wrapped);
    ASSERT_FAILS(
        hsm_credential_make_asking(h, storage, type, sign_request, &asked, &key, &wrapped, &err),
        ERR_INPUT);
    ck_assert_uint_eq(wrapped.len, 0);
    ASSERT_OK(hsm_storage_destroy(h, order, &err), err);
    buf_done(&wrapped);
    hsm_close(h);
    softhsm_teardown();
}
END_TEST

START_TEST(an_order_has_a_storage_key_for_ec_and_one_for_rsa)
{
    static const uint8_t order[SHA256_SIZE] = {0xa1, 2};
    struct hsm *h = open_token();
    char ec[HSM_STORAGE_NAME_SIZE], rsa[HSM_STORAGE_NAME_SIZE], name[HSM_STORAGE_NAME_SIZE];
    uint8_t(*hashes)[SHA256_SIZE];
    struct public_key key;
    struct buf wrapped;
    size_t count;

    buf_init(&wrapped, 2048);
    ASSERT_OK(hsm_storage_create(h, order, KEY_P384, ec, &err), err);
    ASSERT_OK(hsm_storage_create(h, order, KEY_RSA_3072, rsa, &err), err);
    ck_assert_str_eq(ec, "storage:ec:a102000000000000");
    ck_assert_str_eq(rsa, "storage:rsa:a102000000000000");
    ASSERT_OK(hsm_storage_find(h, order, KEY_RSA_2048, name, &err), err);
    ck_assert_str_eq(name, rsa);
    ASSERT_FAILS(hsm_credential_make(h, ec, KEY_RSA_2048, &key, &wrapped, &err), ERR_HSM);
    ASSERT_FAILS(hsm_credential_make(h, rsa, KEY_P256, &key, &wrapped, &err), ERR_HSM);
    ASSERT_OK(hsm_storage_list(h, &hashes, &count, &err), err);
    ck_assert_uint_eq(count, 1);
    free(hashes);
    ASSERT_OK(hsm_storage_destroy(h, order, &err), err);
    ASSERT_FAILS(hsm_storage_destroy(h, order, &err), ERR_MISSING);
    buf_done(&wrapped);
    hsm_close(h);
    softhsm_teardown();
}
END_TEST

START_TEST(a_type_that_the_token_cannot_wrap_is_refused_by_name)
{
    struct hsm *h = open_token();

    ASSERT_FAILS(hsm_credential_can(h, KEY_ED25519, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "token '" TEST_TOKEN "'"));
    ck_assert_ptr_nonnull(strstr(err.text, "CKR_"));
    hsm_close(h);
    softhsm_teardown();
}
END_TEST

CHECK_ITEMS_MAIN("kinds", EACH_ROW(the_token_tells_the_kind_of_a_ca, algorithms),
                 ONCE(only_keys_of_the_ca_are_of_another_kind),
                 EACH_ROW(a_device_key_of_each_type_is_stored_and_rewrapped, carried),
                 EACH_ROW(a_key_signs_a_request_before_it_is_wrapped, carried),
                 ONCE(an_order_has_a_storage_key_for_ec_and_one_for_rsa),
                 ONCE(a_type_that_the_token_cannot_wrap_is_refused_by_name))
