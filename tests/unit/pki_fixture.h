/*
 * pki_fixture: both certificate hierarchies with keys in memory, and device certificates made by
 * template.
 */
#ifndef TESTS_PKI_FIXTURE_H
#define TESTS_PKI_FIXTURE_H

#include "check_util.h"

#include "base/clock.h"
#include "pki/authority.h"
#include "pki/cert.h"
#include "pki/template.h"
#include "station/profile/profile.h"

#include <string.h>

#define HW_TYPE "1.3.6.1.4.1.99999.1.2"

static const struct authority_name root_name = {"Acme", "production", "Acme Device Root"},
                                   station_name = {"Acme", "production", "Acme Station line1"},
                                   manifest_name = {"Acme", "production", "Acme Manifest Root"},
                                   signer_name = {"Acme", "production", "Acme Manifest line1"};

/* Both hierarchies, with keys in memory. */
struct pki {
    struct error err;
    int64_t now;
    EVP_PKEY *root_key, *issuing_key, *manifest_key, *signer_key;
    X509 *root, *issuing, *manifest_root, *signer;
};

static inline EVP_PKEY *new_key(uint8_t point[EC_POINT_SIZE])
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    struct error err = ERROR_INIT;

    ck_assert_ptr_nonnull(key);
    if (point)
        ASSERT_OK(ec_point(key, point, &err), err);
    return key;
}

static inline void pki_init(struct pki *p)
{
    uint8_t issuing[EC_POINT_SIZE], signer[EC_POINT_SIZE];

    *p = (struct pki){.now = clock_utc()};
    p->root_key = new_key(NULL);
    p->manifest_key = new_key(NULL);
    p->issuing_key = new_key(issuing);
    p->signer_key = new_key(signer);
    ASSERT_OK(authority_root(&root_name, p->now, p->root_key, &p->root, &p->err), p->err);
    ASSERT_OK(authority_issuing(&station_name, p->now, issuing, p->root, p->root_key, &p->issuing,
                                &p->err),
              p->err);
    ASSERT_OK(authority_manifest_root(&manifest_name, p->now, p->manifest_key, &p->manifest_root,
                                      &p->err),
              p->err);
    ASSERT_OK(authority_manifest_signer(&signer_name, p->now, signer, p->manifest_root,
                                        p->manifest_key, &p->signer, &p->err),
              p->err);
}

static inline void pki_done(struct pki *p)
{
    EVP_PKEY_free(p->root_key);
    EVP_PKEY_free(p->issuing_key);
    EVP_PKEY_free(p->manifest_key);
    EVP_PKEY_free(p->signer_key);
    X509_free(p->root);
    X509_free(p->issuing);
    X509_free(p->manifest_root);
    X509_free(p->signer);
}

/* The shipped profile, and values for it. */
static inline const struct cert_profile *idevid_profile(void)
{
    static struct cert_profile profile;
    struct error err = ERROR_INIT;

    if (!*profile.name)
        ASSERT_OK(profile_find("idevid", &profile, &err), err);
    return &profile;
}

static inline void idevid_values(const char *values[VALUE_COUNT])
{
    values[VALUE_ORGANIZATION] = "Acme";
    values[VALUE_HARDWARE_TYPE] = HW_TYPE;
}

/* A device certificate, and all that it was made of. */
struct made {
    struct cert_subject subject;
    EVP_PKEY *key;
    struct buf der;
    struct cert_expect expect;
};

static inline struct cert_template *new_template(struct pki *p, size_t serial_len)
{
    struct cert_template_params params = {.profile = idevid_profile(), .issuer = p->issuing};
    struct cert_template *t = NULL;

    idevid_values(params.values);

    ASSERT_OK(cert_template_new(&params, serial_len, &t, &p->err), p->err);
    return t;
}

static inline void make(struct pki *p, struct cert_template *t, const char *serial, struct made *m)
{
    static const uint8_t random[CERT_RANDOM_SIZE] = {0xff, 0, 0x80, 1, 2, 3, 4, 5, 6, 7};
    uint8_t point[EC_POINT_SIZE];
    struct ca_signer signer;
    struct buf tbs;

    *m = (struct made){.subject = {.serial = serial, .not_before = p->now}};
    m->key = new_key(point);
    m->subject.key = key_p256(point);
    cert_number(random, 42, m->subject.number);
    m->expect = (struct cert_expect){m->subject.number, serial, &m->subject.key,
                                     idevid_profile(),  {NULL}, SCHEME_ECDSA_SHA256};
    idevid_values(m->expect.values);
    buf_init(&tbs, CERT_DER_MAX);
    buf_init(&m->der, CERT_DER_MAX);
    ASSERT_OK(cert_template_tbs(t, &m->subject, &tbs, &p->err), p->err);
    ASSERT_OK(ca_signer_of(p->issuing_key, &signer, &p->err), p->err);
    ASSERT_OK(ca_sign_tbs(&signer, &tbs, &m->der, &p->err), p->err);
    buf_done(&tbs);
}

static inline void made_done(struct made *m)
{
    EVP_PKEY_free(m->key);
    buf_done(&m->der);
}

static inline int judge(struct pki *p, const struct made *m)
{
    return cert_check(m->der.data, m->der.len, CHAIN(p->issuing, p->root), &m->expect, &p->err);
}

#endif
