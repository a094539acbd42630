/* The agent's port for Mbed TLS: published vectors, what must be refused, and OpenSSL's port as its
 * counterpart. */
#include "check_util.h"
#include "rig_port.h"

#include "agent/port_mbedtls.h"
#include "agent/port_openssl.h"
#include "base/codec.h"

#include <string.h>

static struct imprint_agent_crypto ours, theirs;

static void begin(void)
{
    ck_assert(rig_port_init(&ours));
    ck_assert(imprint_agent_port_openssl_init(&theirs));
}

static void end(void)
{
    rig_port_done(&ours);
    imprint_agent_port_openssl_done(&theirs);
}

static void unhex(const char *text, uint8_t *out, size_t len)
{
    ck_assert_int_eq(hex_decode(text, out, len), 0);
}

/* RFC 6979, A.2.5: P-256, SHA-256, message "sample". */
#define RFC6979_KEY    "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
#define RFC6979_DIGEST "af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf"
#define RFC6979_PUBLIC                                                                             \
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"                           \
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
#define RFC6979_SIGNATURE                                                                          \
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"                             \
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"

START_TEST(a_signature_is_the_one_of_rfc_6979)
{
    uint8_t key[32], digest[32], point[65], expected_point[65], sig[64], expected[64];

    begin();
    unhex(RFC6979_KEY, key, 32);
    unhex(RFC6979_DIGEST, digest, 32);
    unhex(RFC6979_PUBLIC, expected_point, 65);
    unhex(RFC6979_SIGNATURE, expected, 64);
    ck_assert(ours.p256_public(ours.context, key, point));
    ck_assert_mem_eq(point, expected_point, 65);
    ck_assert(ours.p256_sign(ours.context, key, digest, sig));
    ck_assert_mem_eq(sig, expected, 64);
    ck_assert(ours.p256_verify(ours.context, point, digest, sig));
    end();
}
END_TEST

START_TEST(aes_256_is_that_of_fips_197)
{
    uint8_t key[32], plain[16], expected[16], block[16];

    begin();
    unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", key, 32);
    unhex("00112233445566778899aabbccddeeff", plain, 16);
    unhex("8ea2b7ca516745bfeafc49904b496089", expected, 16);
    memcpy(block, plain, 16);
    ck_assert(ours.aes256_encrypt(ours.context, key, block, block));
    ck_assert_mem_eq(block, expected, 16);
    ck_assert(ours.aes256_decrypt(ours.context, key, block, block));
    ck_assert_mem_eq(block, plain, 16);
    end();
}
END_TEST

START_TEST(a_digest_may_come_in_parts_and_begin_anew)
{
    uint8_t digest[32], expected[32];

    begin();
    unhex(RFC6979_DIGEST, expected, 32);
    ours.sha256_init(ours.context);
    ours.sha256_update(ours.context, "what is given up", 16);
    for (int i = 0; i < 2; i++) {
        ours.sha256_init(ours.context);
        ours.sha256_update(ours.context, "sam", 3);
        ours.sha256_update(ours.context, "", 0);
        ours.sha256_update(ours.context, "ple", 3);
        ck_assert(ours.sha256_final(ours.context, digest));
        ck_assert_mem_eq(digest, expected, 32);
    }
    end();
}
END_TEST

START_TEST(both_ports_agree_with_each_other)
{
    uint8_t a[32], b[32], pa[65], pb[65], same[65], za[32], zb[32], sig[64];

    begin();
    for (int i = 0; i < 20; i++) {
        ck_assert(ours.random(ours.context, a, 32) && theirs.random(theirs.context, b, 32));
        a[0] = b[0] = 0x7f; /* below n */
        ck_assert(ours.p256_public(ours.context, a, pa));
        ck_assert(theirs.p256_public(theirs.context, a, same));
        ck_assert_mem_eq(pa, same, 65);
        ck_assert(theirs.p256_public(theirs.context, b, pb));
        ck_assert(ours.p256_ecdh(ours.context, a, pb, za));
        ck_assert(theirs.p256_ecdh(theirs.context, b, pa, zb));
        ck_assert_mem_eq(za, zb, 32);
        ck_assert(ours.p256_sign(ours.context, a, za, sig));
        ck_assert(theirs.p256_verify(theirs.context, pa, za, sig));
        ck_assert(theirs.p256_sign(theirs.context, b, za, sig));
        ck_assert(ours.p256_verify(ours.context, pb, za, sig));
        za[31] ^= 1;
        ck_assert(!ours.p256_verify(ours.context, pb, za, sig));
    }
    end();
}
END_TEST

START_TEST(a_point_that_is_not_on_the_curve_is_refused)
{
    uint8_t key[32], digest[32], good[65], bad[65], x[32], sig[64];

    begin();
    unhex(RFC6979_KEY, key, 32);
    unhex(RFC6979_DIGEST, digest, 32);
    unhex(RFC6979_PUBLIC, good, 65);
    unhex(RFC6979_SIGNATURE, sig, 64);
    for (int i = 0; i < 4; i++) {
        memcpy(bad, good, 65);
        if (i == 0)
            bad[64] ^= 1;
        else if (i == 1)
            bad[0] = 0x02; /* compressed */
        else if (i == 2)
            memset(bad, 0, 65); /* the point at infinity */
        else
            memset(bad + 1, 0xff, 32); /* x is not below p */
        ck_assert(!ours.p256_ecdh(ours.context, key, bad, x));
        ck_assert(!ours.p256_verify(ours.context, bad, digest, sig));
    }
    ck_assert(ours.p256_ecdh(ours.context, key, good, x));
    end();
}
END_TEST

START_TEST(a_signature_out_of_range_is_refused)
{
    uint8_t digest[32], point[65], good[64], bad[64];

    begin();
    unhex(RFC6979_DIGEST, digest, 32);
    unhex(RFC6979_PUBLIC, point, 65);
    unhex(RFC6979_SIGNATURE, good, 64);
    for (int half = 0; half < 2; half++) {
        for (int value = 0; value <= 0xff; value += 0xff) {
            memcpy(bad, good, 64);
            memset(bad + 32 * half, value, 32);
            ck_assert(!ours.p256_verify(ours.context, point, digest, bad));
        }
    }
    ck_assert(ours.p256_verify(ours.context, point, digest, good));
    end();
}
END_TEST

START_TEST(a_key_out_of_range_is_refused)
{
    uint8_t key[32], point[65], digest[32] = {1}, sig[64];

    begin();
    for (int value = 0; value <= 0xff; value += 0xff) {
        memset(key, value, 32);
        ck_assert(!ours.p256_public(ours.context, key, point));
        ck_assert(!ours.p256_sign(ours.context, key, digest, sig));
    }
    end();
}
END_TEST

START_TEST(random_bytes_differ)
{
    uint8_t a[32] = {0}, b[32] = {0};

    begin();
    ck_assert(ours.random(ours.context, a, 32) && ours.random(ours.context, b, 32));
    ck_assert_mem_ne(a, b, 32);
    end();
}
END_TEST

static int broken_entropy(void *context, unsigned char *out, size_t len)
{
    (void)context;
    memset(out, 0, len);
    return -1;
}

START_TEST(without_entropy_there_is_no_port)
{
    struct imprint_agent_port_mbedtls port;
    struct imprint_agent_crypto crypto;

    ck_assert(!imprint_agent_port_mbedtls_init(&crypto, &port, broken_entropy, NULL));
    imprint_agent_port_mbedtls_done(&port);
}
END_TEST

CHECK_MAIN("port", a_signature_is_the_one_of_rfc_6979, aes_256_is_that_of_fips_197,
           a_digest_may_come_in_parts_and_begin_anew, both_ports_agree_with_each_other,
           a_point_that_is_not_on_the_curve_is_refused, a_signature_out_of_range_is_refused,
           a_key_out_of_range_is_refused, random_bytes_differ, without_entropy_there_is_no_port)
