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
                    int64_t issued, X509 *issuer, EVP_PKEY *signer, EVP_PKEY *key, X509 **out,
                    struct error *err)
{
    uint8_t number[CERT_NUMBER_SIZE], point[EC_POINT_SIZE];
    struct profile_input input = {number, point, issued, values, issuer};
    X509 *cert;
    int rc = RAND_bytes(number, sizeof number) == 1
                 ? ec_point(key, point, err)
                 : error_set(err, ERR_CRYPTO, "OpenSSL makes no random number");

    number[0] = 0x01;
    if (rc == 0)
        rc = profile_build(profile, &input, &cert, err);
    if (rc)
        return rc;
    if (X509_sign(cert, signer, EVP_sha256()) <= 0) {
        X509_free(cert);
        return error_set(err, ERR_CRYPTO, "OpenSSL does not sign a sample");
    }
    *out = cert;
    return 0;
}

/* Through the template, as on the line, and judged. */
static int make_device(const struct cert_profile *profile, const char *const values[VALUE_COUNT],
                       int64_t issued, EVP_PKEY *signer, struct sample *s, struct error *err)
{
    struct cert_template_params params = {.profile = profile, .issuer = s->issuing};
    struct cert_subject subject = {.serial = values[VALUE_SERIAL],
                                   .chip_id = values[VALUE_CHIP_ID],
                                   .udi = values[VALUE_UDI],
                                   .not_before = issued};
    struct cert_expect expect = {subject.number, subject.serial, subject.point, profile, {NULL}};
    struct cert_template *t = NULL;
    struct buf tbs, der;
    uint8_t random[CERT_RANDOM_SIZE], sig[EC_SIG_SIZE];
    int rc = ec_point(s->key, subject.point, err);

    buf_init(&tbs, CERT_DER_MAX);
    buf_init(&der, CERT_DER_MAX);
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
        rc = ec_sign(signer, tbs.data, tbs.len, sig, err);
    if (rc == 0)
        rc = cert_assemble(&tbs, sig, &der, err);
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

static int make_chain(const struct cert_profile *profile, const char *const values[VALUE_COUNT],
                      int64_t issued, EVP_PKEY *keys[2], struct sample *s, struct error *err)
{
    static struct cert_profile named;
    const struct cert_profile *issuer = &issuing_profile;
    int rc = build_ca(&root_profile, values, issued, NULL, keys[0], keys[0], &s->root, err);

    if (rc == 0 && profile->constraints.ca)
        return build_ca(profile, values, issued, s->root, keys[0], s->key, &s->cert, err);
    if (rc == 0 && *profile->issuer) {
        rc = profile_find(profile->issuer, &named, err);
        issuer = &named;
    }
    if (rc == 0)
        rc = build_ca(issuer, values, issued, s->root, keys[0], keys[1], &s->issuing, err);
    return rc ? rc : make_device(profile, values, issued, keys[1], s, err);
}

int sample_make(const struct cert_profile *profile, const char *const values[VALUE_COUNT],
                int64_t issued, struct sample *out, struct error *err)
{
    EVP_PKEY *keys[2] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-256")};
    int rc;

    *out = (struct sample){.key = EVP_EC_gen("P-256")};
    rc = keys[0] && keys[1] && out->key ? make_chain(profile, values, issued, keys, out, err)
                                        : error_set(err, ERR_CRYPTO, "OpenSSL makes no key");
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
    return rc;
}

void sample_done(struct sample *s)
{
    X509_free(s->root);
    X509_free(s->issuing);
    X509_free(s->cert);
    EVP_PKEY_free(s->key);
}
