/* Issuing CAs that may not sign what they signed: other times, path lengths, names and usages. */
#include "damage_catalogue.h"

#include "base/codec.h"
#include "base/file.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define DAY 86400L

static void sign(X509 *cert, EVP_PKEY *key)
{
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
}

static X509 *issuing_from(long from, long until)
{
    X509 *ca = kit_issuing_ca(&kit, kit.device_root_key, kit.device_root_cert);

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
    put(kit_issuing_ca(&kit, key, between), between);
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

/* An extension with these bytes, be it there already or not. */
static void add_raw(X509 *cert, int nid, const void *bytes, int len)
{
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    X509_EXTENSION *e;

    ck_assert_int_eq(ASN1_OCTET_STRING_set(octets, bytes, len), 1);
    e = X509_EXTENSION_create_by_NID(NULL, nid, 0, octets);
    ck_assert_int_eq(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
    ASN1_OCTET_STRING_free(octets);
}

static const uint8_t client[] = {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06,
                                 0x01, 0x05, 0x05, 0x07, 0x03, 0x02};

/* The first certificate of manifest 2 has this in addition, and its issuer signs it. */
static void change_leaf(int nid, const void *bytes, int len)
{
    static const char member[] = "\"cert\":\"";
    uint8_t der[8192], *out = NULL, text[12288];
    const uint8_t *p = der;
    char path[PATH_MAX];
    struct buf was, is;
    size_t from, size;
    X509 *cert;

    buf_init(&was, STATEMENT_MAX);
    buf_init(&is, STATEMENT_MAX);
    ASSERT_OK(file_join(path, sizeof path, two, DEVICES, &err), err);
    ASSERT_OK(file_read(path, &was, &err), err);
    buf_put_u8(&was, 0);
    from = (size_t)(strstr((char *)was.data, member) - (char *)was.data) + strlen(member);
    size = strcspn((char *)was.data + from, "\"");
    cert = d2i_X509(NULL, &p, EVP_DecodeBlock(der, was.data + from, (int)size));
    ck_assert_ptr_nonnull(cert);
    add_raw(cert, nid, bytes, len);
    sign(cert, kit.ca_key);
    len = i2d_X509(cert, &out);
    buf_put(&is, was.data, from);
    buf_put(&is, text, (size_t)EVP_EncodeBlock(text, out, len));
    buf_put(&is, was.data + from + size, was.len - 1 - from - size);
    ASSERT_OK(file_write(path, is.data, is.len, 0644, &err), err);
    OPENSSL_free(out);
    X509_free(cert);
    buf_done(&was);
    buf_done(&is);
}

/* Which of the two counts is every reader's own choice. */
static void extension_twice(void)
{
    static const uint8_t empty[] = {0x16, 0x00};

    change_leaf(NID_netscape_comment, empty, sizeof empty);
    change_leaf(NID_netscape_comment, empty, sizeof empty);
}

static void put_with_usage(const void *bytes, int len, bool twice)
{
    X509 *ca = issuing_from(-20 * DAY, 20 * DAY);

    add_raw(ca, NID_ext_key_usage, bytes, len);
    if (twice)
        add_raw(ca, NID_ext_key_usage, bytes, len);
    sign(ca, kit.device_root_key);
    put(ca, NULL);
}

static void usages_of_the_issuer_twice(void)
{
    put_with_usage(client, sizeof client, true);
}

static void usages_of_the_issuer_malformed(void)
{
    put_with_usage(client, sizeof client - 1, false);
}

static void usages_malformed_below_the_issuers(void)
{
    put_with_usage(client, sizeof client, false);
    change_leaf(NID_ext_key_usage, client, sizeof client - 1);
}

const struct damage damage_chain[] = {
    {D(issuer_expired_before), ALL_KEYS, ERR_SIGNATURE, "valid from"},
    {D(issuer_began_after), ALL_KEYS, ERR_SIGNATURE, "valid from"},
    {D(ca_above_expired_before), ALL_KEYS, ERR_SIGNATURE, "valid from"},
    {D(path_length_above_the_issuer), ALL_KEYS, ERR_SIGNATURE, "has path length 0"},
    {D(names_that_the_issuer_may_not_give), ALL_KEYS, ERR_SIGNATURE, "name constraints"},
    {D(extension_twice), ALL_KEYS, ERR_FORMAT, "malformed"},
    {D(usages_of_the_issuer_twice), ALL_KEYS, ERR_SIGNATURE, "does not lead to the pinned"},
    {D(usages_of_the_issuer_malformed), ALL_KEYS, ERR_SIGNATURE, "does not lead to the pinned"},
    {D(usages_malformed_below_the_issuers), ALL_KEYS, ERR_SIGNATURE, "malformed, or there twice"},
};

const size_t damage_chain_count = sizeof damage_chain / sizeof *damage_chain;
