/* Keys of every type and every way to sign: forms, certificates by template, revocation lists. */
#include "check_util.h"

#include "base/clock.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "pki/crl.h"
#include "pki/template.h"
#include "station/profile/profile.h"

#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const algorithms[] = {
    "p256", "p384", "rsa2048-pss", "rsa3072-pss", "rsa2048-pkcs1", "rsa3072-pkcs1", "ed25519"};
static const enum key_type types[KEY_TYPES] = {KEY_P256, KEY_P384, KEY_RSA_2048, KEY_RSA_3072,
                                               KEY_ED25519};

static struct error err;

static EVP_PKEY *generate(enum key_type type, struct public_key *public)
{
    EVP_PKEY *key = NULL;

    ASSERT_OK(key_generate(type, &key, &err), err);
    ASSERT_OK(key_of(key, public, &err), err);
    return key;
}

START_TEST(a_key_has_one_form)
{
    enum key_type type = types[_i], named;
    struct public_key key, again;
    EVP_PKEY *handle = generate(type, &key), *opened;
    const uint8_t *stored;
    size_t len;

    ck_assert_int_eq(key.type, type);
    ck_assert(key_type_named(key_type_name(type), &named) && named == type);
    ASSERT_OK(key_parse(key.spki, key.len, &again, &err), err);
    ck_assert(key_same(&key, &again));
    stored = key_stored(&key, &len);
    ck_assert_uint_eq(len, key_stored_length(type));
    ASSERT_OK(key_from_stored(stored, len, &again, &err), err);
    ck_assert(key_same(&key, &again));
    ASSERT_OK(key_open(&key, &opened, &err), err);
    ck_assert_int_eq(EVP_PKEY_eq(handle, opened), 1);
    ASSERT_FAILS(key_parse(key.spki, key.len - 1, &again, &err), ERR_FORMAT);
    key.spki[4] ^= 1; /* within the head */
    ASSERT_FAILS(key_parse(key.spki, key.len, &again, &err), ERR_FORMAT);
    for (int other = 0; other < KEY_TYPES; other++)
        ck_assert(other == _i ||
                  key_stored_length((enum key_type)other) != key_stored_length(type));
    EVP_PKEY_free(handle);
    EVP_PKEY_free(opened);
}
END_TEST

/* Another exponent, a modulus that is even or too short, an Ed25519 key of other parameters. */
START_TEST(a_key_of_another_form_is_refused)
{
    struct public_key key, out;
    EVP_PKEY *rsa = generate(KEY_RSA_2048, &key);

    key.spki[key.len - 1] = 3;
    ASSERT_FAILS(key_parse(key.spki, key.len, &out, &err), ERR_FORMAT);
    EVP_PKEY_free(rsa);
    rsa = generate(KEY_RSA_2048, &key);
    key.spki[33] &= 0x7f;
    ASSERT_FAILS(key_parse(key.spki, key.len, &out, &err), ERR_FORMAT);
    key.spki[33] |= 0x80;
    key.spki[33 + 255] &= 0xfe;
    ASSERT_FAILS(key_parse(key.spki, key.len, &out, &err), ERR_FORMAT);
    EVP_PKEY_free(rsa);
    rsa = EVP_RSA_gen(4096);
    ASSERT_FAILS(key_of(rsa, &out, &err), ERR_CRYPTO);
    EVP_PKEY_free(rsa);
}
END_TEST

static struct ca_signer signer_of(const struct ca_algorithm *algorithm, EVP_PKEY **key)
{
    struct public_key public;
    struct ca_signer signer;

    *key = generate(algorithm->key, &public);
    ASSERT_OK(ca_signer_of(*key, &signer, &err), err);
    signer.scheme = algorithm->scheme;
    return signer;
}

START_TEST(a_signature_is_good_for_its_message_key_and_scheme_alone)
{
    struct ca_algorithm algorithm;
    struct ca_signer signer;
    struct signature sig;
    EVP_PKEY *key;

    ck_assert(ca_algorithm_named(algorithms[_i], &algorithm));
    signer = signer_of(&algorithm, &key);
    ASSERT_OK(ca_sign(&signer, "message", 7, &sig, &err), err);
    ck_assert_uint_le(sig.len, scheme_longest(algorithm.key));
    ASSERT_OK(scheme_verify(key, signer.scheme, "message", 7, sig.bytes, sig.len, &err), err);
    ASSERT_FAILS(scheme_verify(key, signer.scheme, "massage", 7, sig.bytes, sig.len, &err),
                 ERR_SIGNATURE);
    for (int s = 0; s < SCHEMES; s++)
        if (s != (int)signer.scheme)
            ASSERT_FAILS(
                scheme_verify(key, (enum sig_scheme)s, "message", 7, sig.bytes, sig.len, &err),
                ERR_SIGNATURE);
    sig.bytes[sig.len / 2] ^= 1;
    ASSERT_FAILS(scheme_verify(key, signer.scheme, "message", 7, sig.bytes, sig.len, &err),
                 ERR_SIGNATURE);
    EVP_PKEY_free(key);
}
END_TEST

/* What a device sends of ECDSA is r ‖ s. */
START_TEST(a_raw_signature_verifies_and_a_changed_one_does_not)
{
    enum key_type type = types[_i];
    const struct ca_algorithm algorithm = {type, scheme_of(type)};
    struct ca_signer signer;
    struct signature sig;
    uint8_t raw[SCHEME_SIG_MAX];
    size_t len = scheme_raw_length(type);
    EVP_PKEY *key;

    signer = signer_of(&algorithm, &key);
    ASSERT_OK(ca_sign(&signer, "message", 7, &sig, &err), err);
    if (type == KEY_P256 || type == KEY_P384)
        ck_assert_int_eq(scheme_der_to_raw(sig.bytes, sig.len, len / 2, raw), 0);
    else
        memcpy(raw, sig.bytes, sig.len);
    ASSERT_OK(scheme_verify_raw(&signer.key, "message", 7, raw, len, &err), err);
    ASSERT_FAILS(scheme_verify_raw(&signer.key, "message", 7, raw, len - 1, &err), ERR_SIGNATURE);
    raw[len - 1] ^= 1;
    ASSERT_FAILS(scheme_verify_raw(&signer.key, "message", 7, raw, len, &err), ERR_SIGNATURE);
    EVP_PKEY_free(key);
}
END_TEST

/* Both CAs of an algorithm. */
struct cas {
    struct ca_signer root_signer, signer;
    EVP_PKEY *root_key, *key;
    X509 *root, *issuing;
};

static void cas_init(struct cas *c, const char *name)
{
    const struct authority_name top = {"Acme", NULL, "Root"}, below = {"Acme", NULL, "Issuing"};
    struct ca_algorithm algorithm;

    ck_assert(ca_algorithm_named(name, &algorithm));
    c->root_signer = signer_of(&algorithm, &c->root_key);
    c->signer = signer_of(&algorithm, &c->key);
    ASSERT_OK(authority_root_by(&top, 1700000000, &c->root_signer, &c->root, &err), err);
    ASSERT_OK(authority_issuing_by(&below, 1700000000, &c->signer.key, c->root, &c->root_signer,
                                   &c->issuing, &err),
              err);
}

static void cas_done(struct cas *c)
{
    EVP_PKEY_free(c->root_key);
    EVP_PKEY_free(c->key);
    X509_free(c->root);
    X509_free(c->issuing);
}

/* By template, judged by OpenSSL, with the size that was promised. */
static void issue(const struct cas *c, enum key_type type, const struct cert_profile *profile)
{
    struct cert_template_params params = {
        .profile = profile, .issuer = c->issuing, .key = type, .scheme = c->signer.scheme};
    struct cert_subject s = {
        .number = {1}, .serial = "A1-0000001", .not_before = 1750000000, .chip_id = NULL};
    struct cert_expect expect = {s.number, s.serial, &s.key, profile, {NULL}, c->signer.scheme};
    struct cert_template *t = NULL;
    struct buf tbs, der;
    size_t size;

    params.values[VALUE_ENVIRONMENT] = expect.values[VALUE_ENVIRONMENT] = "test";
    params.values[VALUE_ORGANIZATION] = expect.values[VALUE_ORGANIZATION] = "Acme";
    buf_init(&tbs, CERT_DER_MAX);
    buf_init(&der, CERT_DER_MAX);
    ASSERT_OK(cert_template_new(&params, 10, &t, &err), err);
    ASSERT_OK(key_random(type, &s.key, &err), err);
    ASSERT_OK(cert_template_tbs(t, &s, &tbs, &err), err);
    ASSERT_OK(cert_template_size(t, &s, &size, &err), err);
    ASSERT_OK(ca_sign_tbs(&c->signer, &tbs, &der, &err), err);
    ck_assert_uint_le(der.len, size);
    ck_assert_uint_ge(der.len + 10, size);
    ASSERT_OK(cert_check(der.data, der.len, CHAIN(c->issuing, c->root), &expect, &err), err);
    expect.scheme = (enum sig_scheme)((c->signer.scheme + 1) % SCHEMES);
    ASSERT_FAILS(cert_check(der.data, der.len, CHAIN(c->issuing, c->root), &expect, &err),
                 ERR_INTEGRITY);
    s.key.type = (enum key_type)((type + 1) % KEY_TYPES);
    ASSERT_FAILS(cert_template_tbs(t, &s, &tbs, &err), ERR_INPUT);
    cert_template_free(t);
    buf_done(&tbs);
    buf_done(&der);
}

START_TEST(each_ca_certifies_keys_of_each_type)
{
    struct cert_profile profile;
    struct cas c;

    ASSERT_OK(profile_find("tls-client", &profile, &err), err);
    cas_init(&c, algorithms[_i]);
    for (int type = 0; type < KEY_TYPES; type++)
        issue(&c, (enum key_type)type, &profile);
    cas_done(&c);
}
END_TEST

START_TEST(each_ca_signs_its_revocation_list)
{
    char path[] = "/tmp/check_scheme_XXXXXX";
    const uint8_t number[17] = {1};
    const struct crl_entry entry = {number, sizeof number, 1750000000, 1};
    struct crl_head head = {.number = 7, .made = 1750000000, .next = 1760000000};
    struct crl *crl;
    struct cas c, other;
    X509_CRL *list;
    FILE *in;

    cas_init(&c, algorithms[_i]);
    cas_init(&other, algorithms[_i]);
    head.issuer = c.issuing;
    close(mkstemp(path));
    ASSERT_OK(crl_open(path, &crl, &err), err);
    ASSERT_OK(crl_add(crl, &entry, &err), err);
    ASSERT_OK(crl_finish(crl, &head, &c.signer, &err), err);
    in = fopen(path, "r");
    list = d2i_X509_CRL_fp(in, NULL);
    ck_assert_ptr_nonnull(list);
    ck_assert_int_eq(X509_CRL_verify(list, X509_get0_pubkey(c.issuing)), 1);
    ck_assert_int_ne(X509_CRL_verify(list, X509_get0_pubkey(other.issuing)), 1);
    ASSERT_OK(crl_open(path, &crl, &err), err);
    ASSERT_FAILS(crl_finish(crl, &head, &other.signer, &err), ERR_SIGNATURE);
    fclose(in);
    X509_CRL_free(list);
    unlink(path);
    cas_done(&c);
    cas_done(&other);
}
END_TEST

START_TEST(a_profile_is_for_the_keys_and_signatures_that_it_names)
{
    struct cert_profile p;

    ASSERT_OK(profile_find("aws-iot", &p, &err), err);
    ASSERT_OK(cert_profile_allows(&p, KEY_RSA_2048, SCHEME_RSA_PKCS1_SHA256, &err), err);
    ASSERT_FAILS(cert_profile_allows(&p, KEY_ED25519, SCHEME_ECDSA_SHA256, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "is not for keys of type ed25519"));
    ASSERT_FAILS(cert_profile_allows(&p, KEY_P256, SCHEME_ED25519, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "signed with ed25519"));
    ASSERT_OK(profile_find("wisun", &p, &err), err);
    p.key_count = 0; /* its keyAgreement says as much */
    ASSERT_OK(cert_profile_allows(&p, KEY_P384, SCHEME_ECDSA_SHA256, &err), err);
    ASSERT_FAILS(cert_profile_allows(&p, KEY_RSA_2048, SCHEME_ECDSA_SHA256, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "keyAgreement"));
}
END_TEST

CHECK_ITEMS_MAIN("scheme", EACH_ROW(a_key_has_one_form, types),
                 ONCE(a_key_of_another_form_is_refused),
                 EACH_ROW(a_signature_is_good_for_its_message_key_and_scheme_alone, algorithms),
                 EACH_ROW(a_raw_signature_verifies_and_a_changed_one_does_not, types),
                 EACH_ROW(each_ca_certifies_keys_of_each_type, algorithms),
                 EACH_ROW(each_ca_signs_its_revocation_list, algorithms),
                 ONCE(a_profile_is_for_the_keys_and_signatures_that_it_names))
