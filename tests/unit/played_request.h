/*
 * played_request: a played device (played_device.h) that makes its own key and asks for a certificate,
 * honestly or not.
 */
#ifndef TESTS_PLAYED_REQUEST_H
#define TESTS_PLAYED_REQUEST_H

#include "played_device.h"

#include <openssl/x509v3.h>

static inline void device_init_making(struct device *d, uint8_t mark)
{
    device_init(d, mark);
    d->modes = IMPRINT_MODE_HSM | IMPRINT_MODE_DEVICE;
}

/* ---- requests, made with OpenSSL ---- */

/* What a request is to be; zero: an honest one. */
struct wish {
    const char *cn;    /* another subject */
    const char *usage; /* an extension request */
    EVP_PKEY *key;     /* another key than d->made */
    bool no_statement; /* of the enrolment key */
};

static inline void make_request(struct device *d, const struct line *l, const struct wish *w,
                                struct buf *csr)
{
    const uint8_t *p = l->plan.subject;
    X509_NAME *name = d2i_X509_NAME(NULL, &p, l->plan.subject_len);
    X509_REQ *req = X509_REQ_new();
    uint8_t *der = NULL;
    int len;

    if (!d->made)
        d->made = EVP_EC_gen("P-256");
    if (w->cn)
        ck_assert(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)w->cn, -1,
                                             -1, 0));
    ck_assert(X509_REQ_set_subject_name(req, name));
    ck_assert(X509_REQ_set_pubkey(req, w->key ? w->key : d->made));
    if (w->usage) {
        STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();

        sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, w->usage));
        ck_assert(X509_REQ_add_extensions(req, list));
        sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    }
    ck_assert(X509_REQ_sign(req, w->key ? w->key : d->made, EVP_sha256()) > 0);
    len = i2d_X509_REQ(req, &der);
    buf_reset(csr);
    buf_put(csr, der, (size_t)len);
    OPENSSL_free(der);
    X509_REQ_free(req);
    X509_NAME_free(name);
}

/* The enrolment key's statement over the key of the request. */
static inline void make_statement(const struct device *d, const struct line *l, EVP_PKEY *of,
                                  uint8_t sig[EC_SIG_SIZE])
{
    struct error err = ERROR_INIT;
    struct public_key made;
    struct link_facts facts;
    struct buf message;

    device_facts(d, &facts);
    buf_init(&message, 1024);
    ASSERT_OK(key_of(of, &made, &err), err);
    ASSERT_OK(link_attest_key_message(&facts, l->plan.station_nonce, &made, &message, &err), err);
    ASSERT_OK(ec_sign(d->enrolment, message.data, message.len, sig, &err), err);
    buf_done(&message);
}

/* It was erased: neither transaction nor keys. */
static inline void device_forget(struct device *d)
{
    d->tx_state = IMPRINT_TX_NONE;
    EVP_PKEY_free(d->made);
    d->made = NULL;
    device_new_transport(d);
}

/* KEYGEN as a device checks it, then its request. */
static inline int request(struct line *l, struct device *d, const struct wish *w)
{
    static const struct wish honest;
    uint8_t sig[EC_SIG_SIZE];
    struct buf csr;
    int rc;

    ck_assert_int_eq(l->plan.action, WIRE_KEYGEN);
    ck_assert_int_eq(l->plan.suite, IMPRINT_SUITE_NONE);
    ck_assert_int_eq(l->plan.key_alg, IMPRINT_ALG_P256);
    memcpy(d->tx, l->plan.tx, sizeof d->tx);
    d->tx_state = IMPRINT_TX_OPEN;
    buf_init(&csr, IMPRINT_CSR_MAX);
    make_request(d, l, w ? w : &honest, &csr);
    if (d->enrolment)
        make_statement(d, l, d->made, sig);
    rc = line_request(l, csr.data, csr.len, d->enrolment && !(w && w->no_statement) ? sig : NULL);
    buf_done(&csr);
    return rc;
}

static inline void provision_made(struct rig *r, struct device *d)
{
    struct line l;

    line_init(&l, r);
    ASSERT_ANSWER(&l, meet(&l, d));
    ASSERT_ANSWER(&l, request(&l, d, NULL));
    device_take(d, &l);
    device_commit(d, &l);
    pass(&l, d);
    ASSERT_ANSWER(&l, line_result(&l, 0, ""));
    line_done(&l);
}

/* OPEN, HELLO and a request, on a channel of its own. */
static inline int ask_once(struct rig *r, struct device *d, const struct wish *w,
                           struct error *said)
{
    struct line l;
    int rc;

    line_init(&l, r);
    ASSERT_ANSWER(&l, meet(&l, d));
    rc = request(&l, d, w);
    *said = l.said;
    ck_assert_int_eq(l.fatal, 0);
    line_done(&l);
    return rc;
}

#endif
