#include "manifests/chain.h"

#include "base/clock.h"
#include "pki/ca_chain.h"
#include "pki/serial_name.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct issuer {
    uint8_t sha256[SHA256_SIZE];
    uint8_t *subject; /* DER name */
    size_t subject_len;
    EVP_PKEY *key;
    enum key_type type;
    STACK_OF(X509) * path; /* itself first, then each above the one before, the root last */
    int64_t begin, end;    /* when all of them are valid */
    bool constrains;       /* one of them says what certificates below it may hold */
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

/* RFC 5280 section 4.2.1.9: how many CAs may be between this one and a device. Those that have the
 * name of their issuer do not count. */
static int check_lengths(STACK_OF(X509) * path, struct error *err)
{
    char name[CA_NAME_SIZE];
    long below = 0;

    for (int i = 0; i < sk_X509_num(path); i++) {
        X509 *ca = sk_X509_value(path, i);
        long most = X509_get_pathlen(ca);

        ca_name(ca, name);
        if (most >= 0 && most < below)
            return error_set(err, ERR_SIGNATURE,
                             "'%s' in chain.pem or above it has path length %ld, and %ld CAs are "
                             "below it",
                             name, most, below);
        below += !ca_issued(ca, ca);
    }
    return 0;
}

/* The times of a CA are judged with each certificate below it. */
static int prove(X509 *cert, STACK_OF(X509) * certs, X509_STORE *store, STACK_OF(X509) * *path,
                 struct error *err)
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
    if (rc == 0 && !(*path = X509_STORE_CTX_get1_chain(ctx)))
        rc = error_set(err, ERR_INTERNAL, "out of memory for a chain of certificates");
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return rc ? rc : check_lengths(*path, err);
}

static int read_path(struct issuer *i, struct error *err)
{
    i->begin = INT64_MIN;
    i->end = INT64_MAX;
    for (int n = 0; n < sk_X509_num(i->path); n++) {
        X509 *ca = sk_X509_value(i->path, n);
        int64_t begin, end;

        if (!ca_times(ca, &begin, &end))
            return error_set(err, ERR_SIGNATURE, "a CA in chain.pem or above it has no validity");
        i->begin = begin > i->begin ? begin : i->begin;
        i->end = end < i->end ? end : i->end;
        i->constrains |= X509_get_ext_by_NID(ca, NID_name_constraints, -1) >= 0 ||
                         X509_get_ext_by_NID(ca, NID_ext_key_usage, -1) >= 0;
    }
    return 0;
}

/* Takes the path. */
static int add_issuer(struct chain *chain, X509 *cert, STACK_OF(X509) * path, struct error *err)
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
    i->path = path;
    chain->count++;
    if (i->key && key_of(i->key, &key, NULL) == 0)
        i->type = key.type;
    else
        len = 0;
    if (len <= 0 || name_len <= 0)
        return error_set(err, ERR_SIGNATURE, "an issuer in chain.pem has a key of unknown kind");
    return read_path(i, err);
}

static X509_STORE *make_store(STACK_OF(X509) * roots)
{
    X509_STORE *store = X509_STORE_new();
    bool good = store != NULL;

    for (int i = 0; good && i < sk_X509_num(roots); i++)
        good = X509_STORE_add_cert(store, sk_X509_value(roots, i)) == 1;
    if (!good) {
        X509_STORE_free(store);
        return NULL;
    }
    X509_STORE_set_flags(store, X509_V_FLAG_NO_CHECK_TIME);
    return store;
}

static int add_proven(struct chain *chain, X509 *cert, STACK_OF(X509) * certs, X509_STORE *store,
                      struct error *err)
{
    STACK_OF(X509) *path = NULL;
    int rc = prove(cert, certs, store, &path, err);

    if (rc == 0)
        return add_issuer(chain, cert, path, err);
    sk_X509_pop_free(path, X509_free);
    return rc;
}

int chain_load(const void *pem, size_t len, STACK_OF(X509) * roots, struct chain **chain,
               struct error *err)
{
    STACK_OF(X509) *certs = read_certificates(pem, len);
    X509_STORE *store = make_store(roots);
    struct chain *made = calloc(1, sizeof *made);
    int rc = 0, count = certs ? sk_X509_num(certs) : 0;

    if (!certs || !store || !made)
        rc = error_set(err, ERR_INTERNAL, "out of memory for the certificates of chain.pem");
    else if (count == 0 || count > CHAIN_MAX)
        rc = error_set(err, ERR_FORMAT, "chain.pem does not hold 1 to %d certificates in PEM",
                       CHAIN_MAX);
    for (int i = 0; rc == 0 && i < count; i++)
        rc = add_proven(made, sk_X509_value(certs, i), certs, store, err);
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
        sk_X509_pop_free(chain->issuers[i].path, X509_free);
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

/* sha256() spares OpenSSL looking the algorithm up for each certificate. */
static bool hash_tbs(const struct cert *cert, uint8_t digest[EVP_MAX_MD_SIZE], unsigned *len)
{
    const EVP_MD *md = scheme_digest(cert->scheme);

    if (!EVP_MD_is_a(md, "SHA2-256"))
        return EVP_Digest(cert->tbs.p, cert->tbs.len, digest, len, md, NULL) == 1;
    sha256(cert->tbs.p, cert->tbs.len, digest);
    *len = SHA256_SIZE;
    return true;
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
    good = ctx && hash_tbs(cert, digest, &len) &&
           EVP_PKEY_verify(ctx, cert->signature.p, cert->signature.len, digest, len) == 1;
    ERR_clear_error();
    return good;
}

static int check_times(const struct issuer *issuer, const struct cert *c, const char *sn,
                       struct error *err)
{
    char begins[CLOCK_TEXT_SIZE], from[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];

    if (c->not_before >= issuer->begin && c->not_before <= issuer->end)
        return 0;
    clock_text(c->not_before, begins);
    clock_text(issuer->begin, from);
    clock_text(issuer->end, until);
    return error_set(err, ERR_SIGNATURE,
                     "the certificate of '%s' begins on %s, and its issuers are valid from %s to "
                     "%s only",
                     sn, begins, from, until);
}

/* Only where a CA on the way says anything: it costs as much as half a signature. */
static int check_constraints(const struct issuer *issuer, const struct record *r, struct error *err)
{
    const uint8_t *der = r->cert.p;
    X509 *cert = d2i_X509(NULL, &der, (long)r->cert.len);
    struct error why = ERROR_INIT;
    int rc = 0;

    if (!cert)
        rc = error_set(err, ERR_FORMAT, "the certificate of '%s' is malformed", r->sn);
    for (int i = 0; rc == 0 && i < sk_X509_num(issuer->path); i++) {
        const struct ca_chain one = {{sk_X509_value(issuer->path, i)}, 1};

        if (ca_chain_check_names(&one, cert, &why))
            rc = error_set(err, ERR_SIGNATURE, "the certificate of '%s': %s", r->sn, why.text);
    }
    X509_free(cert);
    ERR_clear_error();
    return rc;
}

static int check_path(const struct issuer *issuer, const struct cert *c, const struct record *r,
                      struct error *err)
{
    int rc = check_times(issuer, c, r->sn, err);

    return rc || !issuer->constrains ? rc : check_constraints(issuer, r, err);
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
    if (check_path(issuer, &c, r, err))
        return err ? err->code : ERR_SIGNATURE;
    *cert = c;
    return 0;
}
