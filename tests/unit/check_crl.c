/* Revocation lists: their form, their size, and what is refused. OpenSSL reads them as the judge. */
#include "check_util.h"

#include "base/file.h"
#include "pki/authority.h"
#include "pki/crl.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MANY 100000

static struct error err;
static char top[64], path[PATH_MAX];
static EVP_PKEY *key;
static X509 *issuer;

static void begin(void)
{
    struct authority_name name = {"Example", NULL, "Issuing CA"};

    strcpy(top, "/tmp/check_crl_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(path, sizeof path, "%s/list.crl", top);
    key = EVP_EC_gen("P-256");
    ASSERT_OK(authority_root(&name, 1795000000, key, &issuer, &err), err);
}

static void end(void)
{
    EVP_PKEY_free(key);
    X509_free(issuer);
    ASSERT_OK(file_remove_tree(top, &err), err);
}

static int make(uint32_t count, int64_t number, int64_t made, EVP_PKEY *with)
{
    struct crl_head head = {issuer, number, made, made + 86400};
    struct ca_signer signer;
    struct crl *crl;

    ASSERT_OK(crl_open(path, &crl, &err), err);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t octets[17] = {0x01, 0x80};
        struct crl_entry e = {octets, sizeof octets, made - 60, i % 2 ? CRL_REASON_SUPERSEDED : 0};

        memcpy(octets + 13, &i, sizeof i);
        ASSERT_OK(crl_add(crl, &e, &err), err);
    }
    ck_assert_uint_eq(crl_count(crl), count);
    ASSERT_OK(ca_signer_of(with, &signer, &err), err);
    return crl_finish(crl, &head, &signer, &err);
}

static X509_CRL *load(void)
{
    BIO *in = BIO_new_file(path, "rb");
    X509_CRL *crl = d2i_X509_CRL_bio(in, NULL);

    ck_assert_ptr_nonnull(crl);
    ck_assert_int_eq(BIO_pending(in), 0);
    BIO_free(in);
    ck_assert_int_eq(X509_CRL_verify(crl, X509_get0_pubkey(issuer)), 1);
    return crl;
}

static const struct {
    uint32_t count;
    int64_t number, made;
} lists[] = {
    {0, 1, 1795000000},
    {1, 127, 1795000000},
    {2, 128, 1795000000},
    {3, 255, 2524607999 - 86400},
    /* the last second of 2049 */ {4, 256, 2524608000},
    {5, 65536, 4102444800},
    {700, INT64_C(1) << 40, 1795000000},
};

START_TEST(openssl_reads_what_was_written)
{
    AUTHORITY_KEYID *authority;
    ASN1_INTEGER *number;
    X509_CRL *crl;

    begin();
    ASSERT_OK(make(lists[_i].count, lists[_i].number, lists[_i].made, key), err);
    crl = load();
    ck_assert_int_eq(X509_CRL_get_version(crl), 1);
    ck_assert_int_eq(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)),
                     lists[_i].count ? (int)lists[_i].count : -1);
    number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    ck_assert_int_eq(ASN1_INTEGER_get(number), lists[_i].number);
    authority = X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, NULL, NULL);
    ck_assert_ptr_nonnull(authority);
    AUTHORITY_KEYID_free(authority);
    for (uint32_t i = 0; i < lists[_i].count; i++) {
        X509_REVOKED *r = sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl), (int)i);
        ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(r, NID_crl_reason, NULL, NULL);

        ck_assert_int_eq(reason != NULL, i % 2);
        ck_assert(!reason || ASN1_ENUMERATED_get(reason) == CRL_REASON_SUPERSEDED);
        ck_assert_int_eq(ASN1_STRING_length(X509_REVOKED_get0_serialNumber(r)), 17);
        ASN1_ENUMERATED_free(reason);
    }
    ASN1_INTEGER_free(number);
    X509_CRL_free(crl);
    end();
}
END_TEST

START_TEST(memory_does_not_grow_with_the_list)
{
    struct rusage before, after;
    X509_CRL *crl;

    begin();
    ASSERT_OK(make(10, 1, 1795000000, key), err);
    getrusage(RUSAGE_SELF, &before);
    ASSERT_OK(make(MANY, 2, 1795000000, key), err);
    getrusage(RUSAGE_SELF, &after);
    printf("%d entries: %ld KiB more\n", MANY, after.ru_maxrss - before.ru_maxrss);
#ifndef __SANITIZE_ADDRESS__
    ck_assert_int_le(after.ru_maxrss - before.ru_maxrss, 1024);
#endif
    crl = load();
    ck_assert_int_eq(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)), MANY);
    X509_CRL_free(crl);
    end();
}
END_TEST

START_TEST(what_cannot_be_a_list_is_refused)
{
    EVP_PKEY *other = EVP_EC_gen("P-256");
    struct crl_entry none = {(const uint8_t *)"", 0, 0, 0},
                     long_one = {(const uint8_t *)top, 21, 0, 0};
    struct crl *crl;

    begin();
    ASSERT_OK(crl_open(path, &crl, &err), err);
    ASSERT_FAILS(crl_add(crl, &none, &err), ERR_INPUT);
    ASSERT_FAILS(crl_add(crl, &long_one, &err), ERR_INPUT);
    crl_abort(crl);
    ASSERT_FAILS(make(1, 1, 1795000000, other), ERR_SIGNATURE);
    ck_assert(!file_exists(path));
    ASSERT_FAILS(crl_open("/nowhere/list.crl", &crl, &err), ERR_MISSING);
    EVP_PKEY_free(other);
    end();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("crl");

    tcase_add_loop_test(tcase, openssl_reads_what_was_written, 0,
                        (int)(sizeof lists / sizeof *lists));
    tcase_add_test(tcase, memory_does_not_grow_with_the_list);
    tcase_add_test(tcase, what_cannot_be_a_list_is_refused);
    return check_run_case("crl", tcase, 300);
}
