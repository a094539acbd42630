/* The keys of certificate requests: what is taken of each type, and which are weak. */
#include "check_util.h"

#include "station/vault/csr_key.h"
#include "station/vault/csr_weak.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#define HALF 128 /* bytes of a prime of RSA with 2048 bits */

static struct error err;

static int read_key(const struct public_key *key, enum key_type type)
{
    struct public_key out;
    struct der d = {key->spki, key->len};
    int rc;

    err = (struct error)ERROR_INIT;
    rc = csr_key_read(&d, type, &out, &err);
    if (rc == 0)
        ck_assert(key_same(key, &out) && d.left == 0);
    return rc;
}

static void refused(const struct public_key *key, const char *why)
{
    ASSERT_FAILS(read_key(key, key->type), ERR_REFUSED);
    ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
}

static const enum key_type types[KEY_TYPES] = {KEY_P256, KEY_P384, KEY_RSA_2048, KEY_RSA_3072,
                                               KEY_ED25519};

START_TEST(a_key_is_taken_as_the_type_that_is_wanted_and_as_no_other)
{
    struct public_key key;
    EVP_PKEY *handle;

    ASSERT_OK(key_generate(types[_i], &handle, &err), err);
    ASSERT_OK(key_of(handle, &key, &err), err);
    for (int type = 0; type < KEY_TYPES; type++) {
        int rc = read_key(&key, (enum key_type)type);

        ck_assert_msg(rc == ((enum key_type)type == types[_i] ? 0 : ERR_REFUSED), "as %d: %s", type,
                      err.text);
    }
    EVP_PKEY_free(handle);
}
END_TEST

START_TEST(a_multiple_that_somebody_counted_up_to_is_weak_on_every_curve)
{
    static const char *const curves[] = {"P-256", "P-384"};

    for (int i = 0; i < 2; i++) {
        enum key_type type = i ? KEY_P384 : KEY_P256;
        EC_GROUP *group = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(curves[i]));
        EC_POINT *point = EC_POINT_new(group);
        BIGNUM *n = BN_new();
        struct public_key key;
        uint8_t raw[97];

        for (unsigned m = 1; m <= 1024; m += 341) {
            BN_set_word(n, m);
            EC_POINT_mul(group, point, n, NULL, NULL, NULL);
            EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, raw, sizeof raw, NULL);
            ASSERT_OK(key_from_raw(type, raw, key_raw_length(type), &key, &err), err);
            refused(&key, "a weak key");
        }
        key.spki[key.len - 1] ^= 1;
        refused(&key, "no point of the curve");
        BN_free(n);
        EC_POINT_free(point);
        EC_GROUP_free(group);
    }
}
END_TEST

/* The key of a modulus of 2048 bits. */
static struct public_key key_of_modulus(const BIGNUM *n)
{
    uint8_t raw[2 * HALF];
    struct public_key key;

    ck_assert_int_eq(BN_num_bits(n), 2048);
    BN_bn2binpad(n, raw, sizeof raw);
    ASSERT_OK(key_from_raw(KEY_RSA_2048, raw, sizeof raw, &key, &err), err);
    return key;
}

static bool has_small_factor(const BIGNUM *n)
{
    for (BN_ULONG d = 3; d < 2048; d += 2)
        if (BN_mod_word(n, d) == 0)
            return true;
    return false;
}

/* k·M + (65537^a mod M), of 1024 bits with the two highest set, and no small factor. */
static void roca_prime(BIGNUM *p, BN_CTX *ctx)
{
    BIGNUM *m = BN_new(), *k = BN_new(), *g = BN_new(), *a = BN_new();

    BN_one(m);
    for (BN_ULONG q = 2; q <= 701; q++) {
        BN_ULONG d = 2;

        while (d * d <= q && q % d)
            d++;
        if (d * d > q)
            BN_mul_word(m, q);
    }
    BN_set_word(g, 65537);
    do {
        BN_rand(k, 1024, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY);
        BN_rand(a, 62, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
        BN_div(k, NULL, k, m, ctx);
        BN_mul(p, k, m, ctx);
        BN_mod_exp(a, g, a, m, ctx);
        BN_add(p, p, a);
    } while (BN_num_bits(p) != 1024 || !BN_is_bit_set(p, 1022) || has_small_factor(p));
    BN_free(m);
    BN_free(k);
    BN_free(g);
    BN_free(a);
}

START_TEST(an_rsa_key_of_the_kind_of_infineons_library_is_weak)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *p = BN_new(), *q = BN_new(), *n = BN_new();
    struct public_key key;

    roca_prime(p, ctx);
    roca_prime(q, ctx);
    BN_mul(n, p, q, ctx);
    key = key_of_modulus(n);
    refused(&key, "ROCA");
    BN_add_word(n, 2);
    while (has_small_factor(n))
        BN_add_word(n, 2);
    key = key_of_modulus(n);
    ASSERT_OK(read_key(&key, KEY_RSA_2048), err); /* and its neighbour is not */
    BN_free(p);
    BN_free(q);
    BN_free(n);
    BN_CTX_free(ctx);
}
END_TEST

START_TEST(an_rsa_key_of_close_primes_or_small_factors_is_weak)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *p = BN_new(), *q = BN_new(), *n = BN_new(), *step = BN_new();
    struct public_key key;

    do {
        BN_rand(p, 1024, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD);
    } while (has_small_factor(p));
    BN_set_bit(step, 500);
    BN_add(q, p, step);
    while (has_small_factor(q))
        BN_add_word(q, 2);
    BN_mul(n, p, q, ctx);
    key = key_of_modulus(n);
    refused(&key, "close to each other");
    BN_sqr(n, p, ctx);
    key = key_of_modulus(n);
    refused(&key, "close to each other"); /* a square */
    BN_rand(n, 2038, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD);
    BN_mul_word(n, 1021);
    while (BN_num_bits(n) < 2048)
        BN_mul_word(n, 3);
    if (BN_num_bits(n) == 2048) {
        key = key_of_modulus(n);
        refused(&key, "has the factor");
    }
    BN_free(p);
    BN_free(q);
    BN_free(n);
    BN_free(step);
    BN_CTX_free(ctx);
}
END_TEST

START_TEST(an_rsa_key_of_another_exponent_or_length_is_refused_for_that)
{
    static const struct {
        unsigned bits;
        BN_ULONG exponent;
        const char *why;
    } keys[] = {{1024, 65537, "1024 bits, which is too short"},
                {2048, 3, "weak exponent"},
                {2048, 65539, "another exponent than 65537"},
                {4096, 65537, "4096 bits, and this job is for RSA-2048 keys"}};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
        BIGNUM *e = BN_new();
        EVP_PKEY *key = NULL;
        struct public_key out;
        uint8_t *der = NULL;
        struct der d;

        BN_set_word(e, keys[i].exponent);
        ck_assert(EVP_PKEY_keygen_init(ctx) == 1 &&
                  EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)keys[i].bits) == 1 &&
                  EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) == 1 &&
                  EVP_PKEY_generate(ctx, &key) == 1);
        d.left = (size_t)i2d_PUBKEY(key, &der);
        d.p = der;
        ASSERT_FAILS(csr_key_read(&d, KEY_RSA_2048, &out, &err), ERR_REFUSED);
        ck_assert_msg(strstr(err.text, keys[i].why) != NULL, "%s", err.text);
        OPENSSL_free(der);
        EVP_PKEY_free(key);
        EVP_PKEY_CTX_free(ctx);
        BN_free(e);
    }
}
END_TEST

/* RFC 8032: y = 1 is neutral, y = -1 has order 2, y = 0 order 4; one of order 8; y = p + 1 is y = 1 in
 * another form; y = 2 is on no point. */
START_TEST(an_ed25519_key_of_small_order_or_off_the_curve_is_refused)
{
    static const struct {
        uint8_t first, rest, last;
        const char *why;
    } simple[] = {{1, 0, 0, "a weak key"},
                  {0xec, 0xff, 0x7f, "a weak key"},
                  {0, 0, 0, "a weak key"},
                  {0, 0, 0x80, "a weak key"},
                  {0xee, 0xff, 0x7f, "no point of Ed25519"},
                  {2, 0, 0, "no point of Ed25519"}};
    static const uint8_t eight[32] = {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0,
                                      0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
                                      0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39,
                                      0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05};
    struct public_key key;

    for (size_t i = 0; i < sizeof simple / sizeof *simple; i++) {
        uint8_t raw[32];

        memset(raw, simple[i].rest, sizeof raw);
        raw[0] = simple[i].first;
        raw[31] = simple[i].last;
        ASSERT_OK(key_from_raw(KEY_ED25519, raw, sizeof raw, &key, &err), err);
        refused(&key, simple[i].why);
    }
    ASSERT_OK(key_from_raw(KEY_ED25519, eight, sizeof eight, &key, &err), err);
    refused(&key, "a weak key");
}
END_TEST

CHECK_ITEMS_MAIN("csr_key",
                 EACH_ROW(a_key_is_taken_as_the_type_that_is_wanted_and_as_no_other, types),
                 ONCE(a_multiple_that_somebody_counted_up_to_is_weak_on_every_curve),
                 ONCE(an_rsa_key_of_the_kind_of_infineons_library_is_weak),
                 ONCE(an_rsa_key_of_close_primes_or_small_factors_is_weak),
                 ONCE(an_rsa_key_of_another_exponent_or_length_is_refused_for_that),
                 ONCE(an_ed25519_key_of_small_order_or_off_the_curve_is_refused))
