#include "manifests/chain.h"

#include "pki/serial_name.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct issuer {
    uint8_t sha256[SHA256_SIZE];
    uint8_t *subject; /* DER name */
    size_t subject_len;
    EVP_PKEY *key;
    enum key_type type;
};

struct chain {
    size_t count;
    struct issuer issuers[CHAIN_MAX];
};

/* One context for each issuer and way in which its key signs, set up once: starting anew costs as much
 * as half a signature. */
struct chain_checker {
    const struct chain *chain;
    EVP_PKEY_CTX *ctx[CHAIN_MAX][SCHEMES];
};

static STACK_OF(X509) * read_certificates(const void *pem, size_t len)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    BIO *in = len && len <= INT32_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
    X509 *cert;

    while (in && certs && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)))
        if (!sk_X509_push(certs, cert))
            X509_free(cert);
    BIO_free(in);
    ERR_clear_error();
    return certs;
}

static int prove(X509 *cert, STACK_OF(X509) * certs, X509_STORE *store, struct error *err)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    char subject[256] = "?";
    int rc = 0;

    X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof subject);
    if (!ctx || !X509_STORE_CTX_init(ctx, store, cert, certs))
        rc = error_set(err, ERR_INTERNAL, "out of memory for verifying a certificate");
    else if (X509_verify_cert(ctx) != 1)
        rc = error_set(err, ERR_SIGNATURE,
                       "'%.200s' in chain.pem does not lead to the pinned device root: %s", subject,
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    else if (X509_check_ca(cert) != 1)
        rc = error_set(err, ERR_SIGNATURE, "'%.200s' in chain.pem is not a CA", subject);
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return rc;
}

static int add_issuer(struct chain *chain, X509 *cert, struct error *err)
{
    struct issuer *i = &chain->issuers[chain->count];
    struct public_key key;
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der), name_len;

    if (len > 0)
        sha256(der, (size_t)len, i->sha256);
    OPENSSL_free(der);
    name_len = i2d_X509_NAME(X509_get_subject_name(cert), &i->subject);
    i->subject_len = name_len > 0 ? (size_t)name_len : 0;
    i->key = X509_get_pubkey(cert);
    chain->count++;
    if (i->key && key_of(i->key, &key, NULL) == 0)
        i->type = key.type;
    else
        len = 0;
    if (len <= 0 || name_len <= 0)
        return error_set(err, ERR_SIGNATURE, "an issuer in chain.pem has a key of unknown kind");
    return 0;
}

static X509_STORE *make_store(STACK_OF(X509) * roots, int64_t at)
{
    X509_STORE *store = X509_STORE_new();
    bool good = store != NULL;

    for (int i = 0; good && i < sk_X509_num(roots); i++)
        good = X509_STORE_add_cert(store, sk_X509_value(roots, i)) == 1;
    if (!good) {
        X509_STORE_free(store);
        return NULL;
    }
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)at);
    return store;
}

int chain_load(const void *pem, size_t len, STACK_OF(X509) * roots, int64_t at,
               struct chain **chain, struct error *err)
{
    STACK_OF(X509) *certs = read_certificates(pem, len);
    X509_STORE *store = make_store(roots, at);
    struct chain *made = calloc(1, sizeof *made);
    int rc = 0, count = certs ? sk_X509_num(certs) : 0;

    if (!certs || !store || !made)
        rc = error_set(err, ERR_INTERNAL, "out of memory for the certificates of chain.pem");
    else if (count == 0 || count > CHAIN_MAX)
        rc = error_set(err, ERR_FORMAT, "chain.pem does not hold 1 to %d certificates in PEM",
                       CHAIN_MAX);
    for (int i = 0; rc == 0 && i < count; i++) {
        rc = prove(sk_X509_value(certs, i), certs, store, err);
        if (rc == 0)
            rc = add_issuer(made, sk_X509_value(certs, i), err);
    }
    if (rc)
        chain_free(made);
    else
        *chain = made;
    X509_STORE_free(store);
    sk_X509_pop_free(certs, X509_free);
    return rc;
}

void chain_free(struct chain *chain)
{
    if (!chain)
        return;
    for (size_t i = 0; i < chain->count; i++) {
        OPENSSL_free(chain->issuers[i].subject);
        EVP_PKEY_free(chain->issuers[i].key);
    }
    free(chain);
}

/* Ed25519 signs no digest, and needs no context of its own. */
static bool make_contexts(struct chain_checker *c, size_t i)
{
    const struct issuer *issuer = &c->chain->issuers[i];

    for (int s = 0; s < SCHEMES; s++) {
        enum sig_scheme scheme = (enum sig_scheme)s;

        if (!scheme_fits(scheme, issuer->type) || !scheme_digest(scheme))
            continue;
        c->ctx[i][s] = scheme_verifier(issuer->key, scheme);
        if (!c->ctx[i][s])
            return false;
    }
    return true;
}

struct chain_checker *chain_checker_new(const struct chain *chain)
{
    struct chain_checker *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->chain = chain;
    for (size_t i = 0; chain && i < chain->count; i++)
        if (!make_contexts(c, i)) {
            chain_checker_free(c);
            return NULL;
        }
    return c;
}

void chain_checker_free(struct chain_checker *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < CHAIN_MAX; i++)
        for (int s = 0; s < SCHEMES; s++)
            EVP_PKEY_CTX_free(c->ctx[i][s]);
    free(c);
}

static const struct issuer *find_issuer(const struct chain *chain, const uint8_t *hash)
{
    for (size_t i = 0; i < chain->count; i++)
        if (sha256_equal(chain->issuers[i].sha256, hash))
            return &chain->issuers[i];
    return NULL;
}

static bool same(const struct record_bytes *a, const void *bytes, size_t len)
{
    return a->p && a->len == len && memcmp(a->p, bytes, len) == 0;
}

static bool signed_by(const struct chain_checker *c, const struct issuer *issuer,
                      const struct cert *cert)
{
    EVP_PKEY_CTX *ctx = c->ctx[issuer - c->chain->issuers][cert->scheme];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool good;

    if (!same(&cert->issuer, issuer->subject, issuer->subject_len))
        return false;
    if (!scheme_digest(cert->scheme))
        return scheme_verify(issuer->key, cert->scheme, cert->tbs.p, cert->tbs.len,
                             cert->signature.p, cert->signature.len, NULL) == 0;
    good = ctx &&
           EVP_Digest(cert->tbs.p, cert->tbs.len, digest, &len, scheme_digest(cert->scheme),
                      NULL) == 1 &&
           EVP_PKEY_verify(ctx, cert->signature.p, cert->signature.len, digest, len) == 1;
    ERR_clear_error();
    return good;
}

int chain_check(const struct chain_checker *checker, const struct record *r, struct cert *cert,
                struct error *err)
{
    const struct chain *chain = checker->chain;
    const struct issuer *issuer = chain ? find_issuer(chain, r->iss) : NULL;
    char name[SERIAL_NAME_MAX + 1];
    struct cert c;

    if (cert_parse(r->cert.p, r->cert.len, &c))
        return error_set(
            err, ERR_FORMAT,
            "the certificate of '%s' is malformed, or not signed with one of " SCHEME_NAMES, r->sn);
    if (!issuer)
        return error_set(err, ERR_SIGNATURE,
                         "the issuer that the record of '%s' names is not in chain.pem", r->sn);
    if (!signed_by(checker, issuer, &c))
        return error_set(err, ERR_SIGNATURE,
                         "the certificate of '%s' is not signed by the issuer that its record "
                         "names",
                         r->sn);
    if (c.is_ca)
        return error_set(err, ERR_SIGNATURE, "the certificate of '%s' is that of a CA", r->sn);
    if (!same(&c.spki, r->spki.p, r->spki.len))
        return error_set(err, ERR_INTEGRITY,
                         "the key in the record of '%s' is not that of its certificate", r->sn);
    if (serial_to_name(r->sn, name, NULL) || !same(&c.sn, name, strlen(name)))
        return error_set(
            err, ERR_INTEGRITY,
            "the serial of the record '%s' is not the one that the serialNumber in its "
            "certificate stands for",
            r->sn);
    *cert = c;
    return 0;
}
