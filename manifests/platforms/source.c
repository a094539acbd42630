#include "manifests/platforms/source.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#define CHAIN_MAX     (1 << 20)
#define ISSUERS_MAX   256
#define PROGRESS_STEP 4096

struct pass {
    const char *dir;
    const struct source_policy *policy;
    struct export *e;
    struct statement s;
    X509 *issuers[ISSUERS_MAX];
    uint8_t hashes[ISSUERS_MAX][SHA256_SIZE];
    size_t issuer_count;
};

static int take_issuers(struct pass *p, const struct buf *pem, struct error *err)
{
    BIO *in = BIO_new_mem_buf(pem->len ? (const void *)pem->data : "", (int)pem->len);
    X509 *cert;
    int rc = in ? 0 : error_set(err, ERR_INTERNAL, "out of memory");

    while (rc == 0 && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
        if (p->issuer_count == ISSUERS_MAX) {
            X509_free(cert);
            rc = error_set(err, ERR_FORMAT, "chain.pem has more than %d certificates", ISSUERS_MAX);
            break;
        }
        X509_digest(cert, EVP_sha256(), p->hashes[p->issuer_count], NULL);
        p->issuers[p->issuer_count++] = cert;
    }
    BIO_free(in);
    ERR_clear_error(); /* the end of the text is an error to OpenSSL */
    return rc;
}

static int read_issuers(struct pass *p, struct error *err)
{
    struct buf pem;
    int rc;

    if (!statement_file(&p->s, MANIFEST_CHAIN))
        return 0;
    buf_init(&pem, CHAIN_MAX);
    rc = folder_read(p->dir, MANIFEST_CHAIN, &pem, err);
    if (rc == 0)
        rc = take_issuers(p, &pem, err);
    buf_done(&pem);
    return rc;
}

static X509 *issuer_of(const struct pass *p, const struct record *r)
{
    for (size_t i = 0; i < p->issuer_count; i++)
        if (memcmp(p->hashes[i], r->iss, SHA256_SIZE) == 0)
            return p->issuers[i];
    return NULL;
}

static int take_certificate(struct pass *p, const struct record *r, struct error *err)
{
    X509 *issuer = issuer_of(p, r);

    if (!issuer)
        return error_set(err, ERR_INCOMPLETE, "'%s/%s' lacks the issuer of '%s'", p->dir,
                         MANIFEST_CHAIN, r->sn);
    return export_device(p->e, r, issuer, err);
}

static int take_key(struct pass *p, const struct record *r, struct error *err)
{
    uint8_t key[PLATFORM_KEY_SIZE];
    int answer = SOURCE_TAKE, rc = p->policy->key(p->policy->context, r, key, &answer, err);

    if (rc == 0 && answer == SOURCE_TAKE)
        rc = export_key(p->e, r, key, err);
    else if (rc == 0)
        export_leave(p->e, (enum export_left)answer);
    explicit_bzero(key, sizeof key);
    return rc;
}

static int take_record(struct pass *p, const struct record *r, uint64_t index, struct error *err)
{
    const char *product = p->policy->product;
    int answer = SOURCE_SKIP, rc;

    if ((r->t != RECORD_ADD && r->t != RECORD_REPLACE) || (product && strcmp(product, r->prod)))
        return 0;
    rc = p->policy->judge(p->policy->context, r, index, &answer, err);
    if (rc || answer == SOURCE_SKIP)
        return rc;
    if (answer == SOURCE_TAKE && !p->policy->key && !r->cert.p)
        answer = EXPORT_WITHOUT_CERTIFICATE;
    if (answer != SOURCE_TAKE) {
        export_leave(p->e, (enum export_left)answer);
        return 0;
    }
    return p->policy->key ? take_key(p, r, err) : take_certificate(p, r, err);
}

static int take_line(struct pass *p, const char *line, size_t len, uint64_t index,
                     struct error *err)
{
    struct record r;
    int rc = record_parse(line, len, &r, err);

    if (rc)
        return rc;
    rc = take_record(p, &r, index, err);
    record_done(&r);
    return rc;
}

static int take_lines(struct pass *p, struct error *err)
{
    const struct folder_progress *progress = &p->policy->progress;
    struct folder_lines lines;
    const char *line;
    size_t len;
    int rc = folder_lines_open(&lines, p->dir, "devices", &p->s, err);

    while (rc == 0 && (rc = folder_lines_next(&lines, &line, &len, err)) > 0) {
        if (progress->report && lines.taken % PROGRESS_STEP == 0)
            progress->report(progress->ctx, "records", lines.taken, p->s.count);
        rc = take_line(p, line, len, p->s.first + lines.taken - 1, err);
    }
    folder_lines_close(&lines);
    return rc;
}

int source_export(const char *dir, const struct buf *manifest, const struct source_policy *policy,
                  struct export *e, struct error *err)
{
    struct pass p = {.dir = dir, .policy = policy, .e = e};
    uint8_t hash[SHA256_SIZE];
    int rc = statement_parse(manifest->data, manifest->len, &p.s, err);

    sha256(manifest->data, manifest->len, hash);
    if (rc == 0)
        rc = folder_check(dir, &p.s, &policy->progress, err);
    if (rc == 0)
        rc = export_source(e, p.s.origin, p.s.seq, hash, err);
    if (rc == 0)
        rc = read_issuers(&p, err);
    if (rc == 0)
        rc = take_lines(&p, err);
    for (size_t i = 0; i < p.issuer_count; i++)
        X509_free(p.issuers[i]);
    statement_done(&p.s);
    return rc;
}
