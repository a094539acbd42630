#include "station/profile/sample.h"

#include "pki/cert.h"
#include "pki/profile_build.h"
#include "pki/template.h"
#include "station/profile/profile.h"

#include <openssl/rand.h>
#include <string.h>

#define CA_OF(cn, below)                                                                           \
    {                                                                                              \
        .name = "sample-ca", .version = 3, .validity = {"issuance", PROFILE_NOT_AFTER},            \
        .subject = {{"CN", cn}}, .subject_count = 1,                                               \
        .constraints = {.critical = true, .ca = true, .path_length = below}, .has_constraints = 1, \
        .key_usage = {.critical = true, .bits = {"keyCertSign", "cRLSign"}, .count = 2},           \
        .subject_key_id = true, .authority_key_id = true                                           \
    }

static const struct cert_profile root_profile = CA_OF("Sample Root", 1);
static const struct cert_profile issuing_profile = CA_OF("Sample CA", 0);

void sample_values(const char *values[VALUE_COUNT])
{
    values[VALUE_SERIAL] = "A1-0000001";
    values[VALUE_CHIP_ID] = "0123456789abcdef";
    values[VALUE_UDI] = "0109506000134352";
    values[VALUE_PRODUCT] = "09506000134352";
    values[VALUE_ORDER] = "ACME-2026-0142";
    values[VALUE_ENVIRONMENT] = "production";
    values[VALUE_ORGANIZATION] = "Acme";
    values[VALUE_HARDWARE_TYPE] = "1.3.6.1.4.1.32473.1.7";
    values[VALUE_VENDOR_ID] = "FFF1";
    values[VALUE_PRODUCT_ID] = "8000";
}

/* A certificate that OpenSSL builds and signs. issuer NULL: key signs its own. */
static int build_ca(const struct cert_profile *profile, const char *const values[VALUE_COUNT],
                    int64_t issued, X509 *issuer, const struct ca_signer *signer, EVP_PKEY *key,
                    X509 **out, struct error *err)
{
    uint8_t number[CERT_NUMBER_SIZE];
    struct public_key public;
    struct profile_input input = {number, &public, issued, values, issuer};
    X509 *cert;
    int rc = RAND_bytes(number, sizeof number) == 1
                 ? key_of(key, &public, err)
                 : error_set(err, ERR_CRYPTO, "OpenSSL makes no random number");

    number[0] = 0x01;
    if (rc == 0)
        rc = profile_build(profile, &input, &cert, err);
    if (rc)
        return rc;
    rc = ca_sign_cert(signer, &cert, err);
    if (rc)
        X509_free(cert);
    else
        *out = cert;
    return rc;
}

/* Through the template, as on the line, and judged. */
static int make_device(const struct cert_profile *profile, const char *const values[VALUE_COUNT],
                       int64_t issued, const struct ca_signer *signer, struct sample *s,
                       struct error *err)
{
    struct cert_template_params params = {
        .profile = profile, .issuer = s->issuing, .scheme = signer->scheme};
    struct cert_subject subject = {.serial = values[VALUE_SERIAL],
                                   .chip_id = values[VALUE_CHIP_ID],
                                   .udi = values[VALUE_UDI],
                                   .not_before = issued};
    struct cert_expect expect = {subject.number, subject.serial, &subject.key,
                                 profile,        {NULL},         signer->scheme};
    struct cert_template *t = NULL;
    struct buf tbs, der;
    uint8_t random[CERT_RANDOM_SIZE];
    int rc = key_of(s->key, &subject.key, err);

    buf_init(&tbs, CERT_DER_MAX);
    buf_init(&der, CERT_DER_MAX);
    params.key = subject.key.type;
    memcpy(params.values, values, sizeof params.values);
    memcpy(expect.values, values, sizeof expect.values);
    if (rc == 0 && RAND_bytes(random, sizeof random) != 1)
        rc = error_set(err, ERR_CRYPTO, "OpenSSL makes no random number");
    cert_number(random, 1, subject.number);
    if (rc == 0)
        rc = serial_valid(subject.serial, err);
    if (rc == 0)
        rc = cert_template_new(&params, strlen(subject.serial), &t, err);
    if (rc == 0)
        rc = cert_template_tbs(t, &subject, &tbs, err);
    if (rc == 0)
        rc = ca_sign_tbs(signer, &tbs, &der, err);
    if (rc == 0)
        rc = cert_check(der.data, der.len, &(struct ca_chain){{s->issuing, s->root}, 2}, &expect,
                        err);
    if (rc == 0)
        rc = cert_from_der(der.data, der.len, &s->cert, err);
    cert_template_free(t);
    buf_done(&tbs);
    buf_done(&der);
    return rc;
}

/* The keys above a sample: both CAs are of one algorithm. */
struct cas {
    EVP_PKEY *keys[2];
    struct ca_signer signers[2];
};

static int make_chain(const struct cert_profile *profile, const char *const values[VALUE_COUNT],
                      int64_t issued, const struct cas *cas, struct sample *s, struct error *err)
{
    static struct cert_profile named;
    const struct cert_profile *issuer = &issuing_profile;
    int rc = build_ca(&root_profile, values, issued, NULL, &cas->signers[0], cas->keys[0], &s->root,
                      err);

    if (rc == 0 && profile->constraints.ca)
        return build_ca(profile, values, issued, s->root, &cas->signers[0], s->key, &s->cert, err);
    if (rc == 0 && *profile->issuer) {
        rc = profile_find(profile->issuer, &named, err);
        issuer = &named;
    }
    if (rc == 0)
        rc = build_ca(issuer, values, issued, s->root, &cas->signers[0], cas->keys[1], &s->issuing,
                      err);
    return rc ? rc : make_device(profile, values, issued, &cas->signers[1], s, err);
}

static int make_cas(const struct ca_algorithm *algorithm, struct cas *cas, struct error *err)
{
    int rc = 0;

    for (int i = 0; rc == 0 && i < 2; i++) {
        rc = key_generate(algorithm->key, &cas->keys[i], err);
        if (rc == 0)
            rc = ca_signer_of(cas->keys[i], &cas->signers[i], err);
        cas->signers[i].scheme = algorithm->scheme;
    }
    return rc;
}

struct ca_algorithm sample_ca(const struct cert_profile *profile)
{
    for (int i = 0; i < KEY_TYPES; i++) {
        struct ca_algorithm a = {(enum key_type)i, scheme_of((enum key_type)i)};

        if (cert_profile_signs(profile, a.scheme))
            return a;
    }
    return (struct ca_algorithm){KEY_RSA_2048, SCHEME_RSA_PKCS1_SHA256};
}

int sample_make(const struct cert_profile *profile, const char *const values[VALUE_COUNT],
                int64_t issued, const struct sample_algorithms *algorithms, struct sample *out,
                struct error *err)
{
    struct cas cas = {0};
    int rc = cert_profile_allows(profile, algorithms->key, algorithms->ca.scheme, err);

    *out = (struct sample){NULL};
    if (rc == 0)
        rc = make_cas(&algorithms->ca, &cas, err);
    if (rc == 0)
        rc = key_generate(algorithms->key, &out->key, err);
    if (rc == 0)
        rc = make_chain(profile, values, issued, &cas, out, err);
    EVP_PKEY_free(cas.keys[0]);
    EVP_PKEY_free(cas.keys[1]);
    return rc;
}

void sample_done(struct sample *s)
{
    X509_free(s->root);
    X509_free(s->issuing);
    X509_free(s->cert);
    EVP_PKEY_free(s->key);
}
