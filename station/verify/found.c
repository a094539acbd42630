#include "station/verify/found.h"

#include "base/codec.h"
#include "manifests/folder.h"
#include "station/verify/folders.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#define ISSUERS_MAX (1 << 20) /* bytes of chain.pem */

struct search {
    struct found *found;
    char member[2 * IMPRINT_TX_SIZE + sizeof "\"tx\":\"\""];
};

/* A line of a kind that names the transaction, while take does not want it. */
static int each_line(const struct search *s, const char *dir, const char *kind,
                     const struct statement *st,
                     int (*take)(struct found *f, const char *line, size_t len, struct error *err),
                     bool *taken, struct error *err)
{
    struct folder_lines lines;
    const char *line;
    size_t len;
    int rc = folder_lines_open(&lines, dir, kind, st, err);

    *taken = false;
    while (rc == 0 && !*taken && (rc = folder_lines_next(&lines, &line, &len, err)) == 1) {
        rc = 0;
        if (!memmem(line, len, s->member, strlen(s->member)))
            continue;
        rc = take(s->found, line, len, err);
        *taken = rc == 1;
        rc = rc < 0 ? rc : 0;
    }
    folder_lines_close(&lines);
    return rc;
}

static int take_record(struct found *f, const char *line, size_t len, struct error *err)
{
    int rc = record_parse(line, len, &f->record, err);

    if (rc)
        return rc;
    if (f->record.t == RECORD_ADD || f->record.t == RECORD_REPLACE)
        return 1;
    record_done(&f->record);
    f->record = (struct record){0};
    return 0;
}

static int take_evidence(struct found *f, const char *line, size_t len, struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    int rc;

    sha256(line, len, hash);
    if (!sha256_equal(hash, f->record.ev))
        return 0;
    rc = evidence_parse(line, len, &f->evidence, err);
    return rc ? rc : 1;
}

static void put_issuer(struct buf *out, const X509 *cert)
{
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);

    buf_put_lp(out, der, len > 0 ? (size_t)len : 0);
    OPENSSL_free(der);
}

static int read_issuers(const char *dir, const struct statement *st, struct buf *out,
                        struct error *err)
{
    struct buf pem;
    X509 *cert;
    BIO *in;
    int rc;

    if (!statement_file(st, MANIFEST_CHAIN))
        return 0;
    buf_init(&pem, ISSUERS_MAX);
    buf_init(out, ISSUERS_MAX);
    rc = folder_read(dir, MANIFEST_CHAIN, &pem, err);
    in = rc ? NULL : BIO_new_mem_buf(pem.data, (int)pem.len);
    while (in && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL))) {
        put_issuer(out, cert);
        X509_free(cert);
    }
    ERR_clear_error(); /* the end of the file is an error to OpenSSL */
    BIO_free(in);
    buf_done(&pem);
    return rc ? rc : buf_check(out, "the issuers", err);
}

static int match(const struct search *s, const char *dir, const struct statement *st,
                 struct error *err)
{
    bool record, evidence = false, verified;
    int rc = each_line(s, dir, "devices", st, take_record, &record, err);

    if (rc || !record)
        return rc;
    rc = each_line(s, dir, "evidence", st, take_evidence, &evidence, err);
    if (rc == 0 && !evidence)
        rc = error_set(err, ERR_INTEGRITY, "'%s': the evidence of '%s' is not there", dir,
                       s->found->record.sn);
    if (rc == 0)
        rc = evidence_verify(&s->found->evidence, &s->found->record, st->environment, NULL,
                             &verified, err);
    if (rc == 0)
        rc = read_issuers(dir, st, &s->found->issuers, err);
    s->found->found = rc == 0;
    return rc ? rc : 1;
}

static int search_folder(void *context, const char *dir, struct error *err)
{
    const struct search *s = context;
    struct statement st = {0};
    struct buf bytes;
    int rc;

    buf_init(&bytes, STATEMENT_MAX);
    rc = folder_read(dir, MANIFEST_NAME, &bytes, err);
    if (rc == 0)
        rc = statement_parse(bytes.data, bytes.len, &st, err);
    if (rc == 0)
        rc = match(s, dir, &st, err);
    statement_done(&st);
    buf_done(&bytes);
    return rc;
}

int found_search(const char *manifests, const uint8_t tx[IMPRINT_TX_SIZE], struct found *f,
                 struct error *err)
{
    char hex[2 * IMPRINT_TX_SIZE + 1];
    struct search s = {.found = f};

    hex_encode(tx, IMPRINT_TX_SIZE, hex);
    snprintf(s.member, sizeof s.member, "\"tx\":\"%s\"", hex);
    return folders_each(manifests, search_folder, &s, err);
}

void found_done(struct found *f)
{
    record_done(&f->record);
    evidence_done(&f->evidence);
    buf_done(&f->issuers);
    *f = (struct found){0};
}
