/* Issuing CAs that may not sign what they signed: other times, path lengths, names and usages. */
#include "damage_catalogue.h"

#include "base/codec.h"
#include "base/file.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define DAY 86400L

static const char *const ca_extensions[] = {"basicConstraints",
                                            "critical,CA:TRUE,pathlen:0",
                                            "keyUsage",
                                            "critical,keyCertSign,cRLSign",
                                            "subjectKeyIdentifier",
                                            "hash",
                                            "authorityKeyIdentifier",
                                            "keyid",
                                            NULL};

static void sign(X509 *cert, EVP_PKEY *key)
{
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
}

static X509 *issuing(EVP_PKEY *key, X509 *above)
{
    return kit_certificate(kit.ca_key, "Issuing CA line1", key, above, ca_extensions);
}

static X509 *issuing_from(long from, long until)
{
    X509 *ca = issuing(kit.device_root_key, kit.device_root_cert);

    X509_gmtime_adj(X509_getm_notBefore(ca), from);
    X509_gmtime_adj(X509_getm_notAfter(ca), until);
    sign(ca, kit.device_root_key);
    return ca;
}

static void hash_text(X509 *ca, char text[2 * SHA256_SIZE + 1])
{
    uint8_t *der = NULL, hash[SHA256_SIZE];
    int len = i2d_X509(ca, &der);

    ck_assert_int_gt(len, 0);
    sha256(der, (size_t)len, hash);
    OPENSSL_free(der);
    hex_encode(hash, sizeof hash, text);
}

/* Manifest 2 says that this CA is the issuer, and its chain.pem has it and the one above. */
static void put(X509 *ca, X509 *above)
{
    char was[2 * SHA256_SIZE + 1], is[2 * SHA256_SIZE + 1], path[PATH_MAX];
    struct buf bytes;
    BIO *out;

    hash_text(kit.ca, was);
    hash_text(ca, is);
    buf_init(&bytes, STATEMENT_MAX);
    ASSERT_OK(file_join(path, sizeof path, two, DEVICES, &err), err);
    ASSERT_OK(file_read(path, &bytes, &err), err);
    for (uint8_t *at; (at = memmem(bytes.data, bytes.len, was, strlen(was)));)
        memcpy(at, is, strlen(is));
    ASSERT_OK(file_write(path, bytes.data, bytes.len, 0644, &err), err);
    buf_done(&bytes);
    ASSERT_OK(file_join(path, sizeof path, two, "chain.pem", &err), err);
    out = BIO_new_file(path, "w");
    ck_assert_int_eq(PEM_write_bio_X509(out, ca), 1);
    if (above)
        ck_assert_int_eq(PEM_write_bio_X509(out, above), 1);
    BIO_free(out);
    X509_free(ca);
}

/* Devices of the kit begin a day ago. */
static void issuer_expired_before(void)
{
    put(issuing_from(-20 * DAY, -2 * DAY), NULL);
}

static void issuer_began_after(void)
{
    put(issuing_from(-DAY / 2, 20 * DAY), NULL);
}

void damage_chain_expired_since(void)
{
    put(issuing_from(-20 * DAY, -DAY / 2), NULL);
    kit_repair(&kit, two, ALL_KEYS);
}

/* A CA between the root and the issuing CA. */
static X509 *make_between(EVP_PKEY *key, const char *basic)
{
    const char *extensions[] = {
        "basicConstraints",     basic,  "keyUsage", "critical,keyCertSign,cRLSign",
        "subjectKeyIdentifier", "hash", NULL};

    return kit_certificate(key, "Company CA", kit.device_root_key, kit.device_root_cert,
                           extensions);
}

static void under(X509 *between, EVP_PKEY *key)
{
    put(issuing(key, between), between);
    X509_free(between);
    EVP_PKEY_free(key);
}

static void path_length_above_the_issuer(void)
{
    EVP_PKEY *key = kit_key();

    under(make_between(key, "critical,CA:TRUE,pathlen:0"), key);
}

static void ca_above_expired_before(void)
{
    EVP_PKEY *key = kit_key();
    X509 *between = make_between(key, "critical,CA:TRUE,pathlen:1");

    X509_gmtime_adj(X509_getm_notAfter(between), -2 * DAY);
    sign(between, kit.device_root_key);
    under(between, key);
}

/* permitted: directory names below O=Another */
static NAME_CONSTRAINTS *of_another(void)
{
    NAME_CONSTRAINTS *names = NAME_CONSTRAINTS_new();
    GENERAL_SUBTREE *tree = GENERAL_SUBTREE_new();
    X509_NAME *name = X509_NAME_new();

    ck_assert_int_eq(
        X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const uint8_t *)"Another", -1, -1, 0),
        1);
    GENERAL_NAME_set0_value(tree->base, GEN_DIRNAME, name);
    names->permittedSubtrees = sk_GENERAL_SUBTREE_new_null();
    ck_assert_int_gt(sk_GENERAL_SUBTREE_push(names->permittedSubtrees, tree), 0);
    return names;
}

static void names_that_the_issuer_may_not_give(void)
{
    X509 *ca = issuing_from(-20 * DAY, 20 * DAY);
    NAME_CONSTRAINTS *names = of_another();

    ck_assert_int_eq(X509_add1_ext_i2d(ca, NID_name_constraints, names, 1, 0), 1);
    sign(ca, kit.device_root_key);
    NAME_CONSTRAINTS_free(names);
    put(ca, NULL);
}

const struct damage damage_chain[] = {
    {D(issuer_expired_before), ALL_KEYS, ERR_SIGNATURE, "valid from"},
    {D(issuer_began_after), ALL_KEYS, ERR_SIGNATURE, "valid from"},
    {D(ca_above_expired_before), ALL_KEYS, ERR_SIGNATURE, "valid from"},
    {D(path_length_above_the_issuer), ALL_KEYS, ERR_SIGNATURE, "has path length 0"},
    {D(names_that_the_issuer_may_not_give), ALL_KEYS, ERR_SIGNATURE, "name constraints"},
};

const size_t damage_chain_count = sizeof damage_chain / sizeof *damage_chain;
