#include "pki/crl.h"

#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_MAX  65536
#define BLOCK     (64 * 1024)
#define SEQUENCE  0x30
#define EXPLICIT0 0xa0

struct crl {
    char path[PATH_MAX];
    FILE *entries; /* without a name: a killed process leaves nothing */
    uint64_t count, bytes;
};

static void put_algorithm(struct buf *out, enum sig_scheme scheme)
{
    size_t len;
    const uint8_t *der = scheme_algorithm(scheme, &len);

    buf_put(out, der, len);
}

static void put_header(struct buf *out, uint8_t tag, uint64_t len)
{
    uint8_t size[8];
    unsigned n = 0;

    buf_put_u8(out, tag);
    if (len < 0x80)
        return buf_put_u8(out, (uint8_t)len);
    for (uint64_t rest = len; rest; rest >>= 8)
        n++;
    buf_put_u8(out, (uint8_t)(0x80 | n));
    for (unsigned i = 0; i < n; i++)
        size[i] = (uint8_t)(len >> (8 * (n - 1 - i)));
    buf_put(out, size, n);
}

/* UTCTime until 2049, then GeneralizedTime (RFC 5280 section 5.1.2.4). */
static int put_time(struct buf *out, int64_t at, struct error *err)
{
    ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)at);
    uint8_t *der = NULL;
    int len = t ? i2d_ASN1_TIME(t, &der) : -1;

    if (len > 0)
        buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
    ASN1_TIME_free(t);
    return len > 0 ? 0 : error_set(err, ERR_CRYPTO, "a time of a revocation list is not possible");
}

int crl_open(const char *path, struct crl **crl, struct error *err)
{
    struct crl *made = calloc(1, sizeof *made);
    char dir[PATH_MAX];
    int fd;

    if (!made || strlen(path) >= sizeof made->path - 8) {
        free(made);
        return error_set(err, ERR_INTERNAL, "out of memory, or the path of the list is too long");
    }
    strcpy(made->path, path);
    strcpy(dir, path);
    fd = open(dirname(dir), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    made->entries = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (!made->entries) {
        int saved = errno;

        if (fd >= 0)
            close(fd);
        free(made);
        return error_set_errno(err, saved, "cannot write beside '%s'", path);
    }
    *crl = made;
    return 0;
}

void crl_abort(struct crl *crl)
{
    if (!crl)
        return;
    fclose(crl->entries);
    free(crl);
}

uint64_t crl_count(const struct crl *crl)
{
    return crl->count;
}

static void put_reason(struct buf *out, int reason)
{
    const uint8_t der[] = {0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55,
                           0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, (uint8_t)reason};

    if (reason)
        buf_put(out, der, sizeof der);
}

int crl_add(struct crl *crl, const struct crl_entry *entry, struct error *err)
{
    struct buf body, whole;
    int rc;

    if (entry->number_len < 1 || entry->number_len > CRL_NUMBER_MAX)
        return error_set(err, ERR_INPUT, "a certificate's number has %zu octets, not 1 to %d",
                         entry->number_len, CRL_NUMBER_MAX);
    buf_init(&body, 256);
    buf_init(&whole, 256);
    put_header(&body, V_ASN1_INTEGER, entry->number_len);
    buf_put(&body, entry->number, entry->number_len);
    rc = put_time(&body, entry->since, err);
    put_reason(&body, entry->reason);
    put_header(&whole, SEQUENCE, body.len);
    buf_put(&whole, body.data, body.len);
    if (rc == 0)
        rc = buf_check(&whole, "an entry of a revocation list", err);
    if (rc == 0 && fwrite(whole.data, 1, whole.len, crl->entries) != whole.len)
        rc = error_set_errno(err, errno, "cannot write beside '%s'", crl->path);
    crl->bytes += whole.len;
    crl->count += rc == 0;
    buf_done(&body);
    buf_done(&whole);
    return rc;
}

static bool put_extension(struct buf *out, int nid, void *value)
{
    X509_EXTENSION *e = value ? X509V3_EXT_i2d(nid, 0, value) : NULL;
    uint8_t *der = NULL;
    int len = e ? i2d_X509_EXTENSION(e, &der) : -1;

    if (len > 0)
        buf_put(out, der, (size_t)len);
    OPENSSL_free(der);
    X509_EXTENSION_free(e);
    return len > 0;
}

static bool put_extensions(struct buf *out, const struct crl_head *head)
{
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(head->issuer);
    AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    struct buf list, sequence;
    bool good = authority && number && ASN1_INTEGER_set_int64(number, head->number) &&
                (authority->keyid = ASN1_OCTET_STRING_dup(id));

    buf_init(&list, 1024);
    buf_init(&sequence, 1024);
    good = good && put_extension(&list, NID_authority_key_identifier, authority) &&
           put_extension(&list, NID_crl_number, number);
    put_header(&sequence, SEQUENCE, list.len);
    buf_put(&sequence, list.data, list.len);
    put_header(out, EXPLICIT0, sequence.len);
    buf_put(out, sequence.data, sequence.len);
    buf_done(&list);
    buf_done(&sequence);
    AUTHORITY_KEYID_free(authority);
    ASN1_INTEGER_free(number);
    return good;
}

/* What stands before the entries, but for the outer header: up to the header of their list, which is
 * absent when there are none. */
static int put_head(const struct crl *crl, const struct crl_head *head, enum sig_scheme scheme,
                    struct buf *out, struct error *err)
{
    uint8_t *name = NULL;
    int len = i2d_X509_NAME(X509_get_subject_name(head->issuer), &name), rc;

    buf_put(out, (const uint8_t[]){0x02, 0x01, 0x01}, 3); /* version 2 */
    put_algorithm(out, scheme);
    if (len > 0)
        buf_put(out, name, (size_t)len);
    OPENSSL_free(name);
    rc = put_time(out, head->made, err);
    if (rc == 0)
        rc = put_time(out, head->next, err);
    if (crl->count)
        put_header(out, SEQUENCE, crl->bytes);
    if (rc == 0 && len <= 0)
        rc = error_set(err, ERR_CRYPTO, "cannot encode the name of a revocation list's issuer");
    return rc;
}

/* The bytes that are signed go to take(), in order. */
struct parts {
    struct buf start, end; /* before and behind the entries; start has the outer header */
};

typedef int take_fn(void *context, const void *bytes, size_t len, struct error *err);

static int each_part(const struct crl *crl, const struct parts *p, take_fn *take, void *context,
                     struct error *err)
{
    uint8_t block[BLOCK];
    size_t n;
    int rc = take(context, p->start.data, p->start.len, err);

    if (fflush(crl->entries) || fseek(crl->entries, 0, SEEK_SET))
        return error_set_errno(err, errno, "cannot read beside '%s'", crl->path);
    while (rc == 0 && (n = fread(block, 1, sizeof block, crl->entries)) > 0)
        rc = take(context, block, n, err);
    if (rc == 0 && ferror(crl->entries))
        rc = error_set_errno(err, errno, "cannot read beside '%s'", crl->path);
    return rc ? rc : take(context, p->end.data, p->end.len, err);
}

static int make_parts(const struct crl *crl, const struct crl_head *head, enum sig_scheme scheme,
                      struct parts *p, struct error *err)
{
    struct buf body;
    int rc;

    buf_init(&body, HEAD_MAX);
    rc = put_head(crl, head, scheme, &body, err);
    if (rc == 0 && !put_extensions(&p->end, head))
        rc = error_set(err, ERR_CRYPTO, "cannot encode the extensions of a revocation list");
    put_header(&p->start, SEQUENCE, body.len + crl->bytes + p->end.len);
    buf_put(&p->start, body.data, body.len);
    buf_done(&body);
    if (rc == 0)
        rc = buf_check(&p->start, "a revocation list", err);
    return rc ? rc : buf_check(&p->end, "a revocation list", err);
}

static int take_into_digest(void *context, const void *bytes, size_t len, struct error *err)
{
    if (EVP_DigestUpdate(context, bytes, len) != 1)
        return error_set(err, ERR_CRYPTO, "cannot hash a revocation list");
    return 0;
}

static int take_into_buf(void *context, const void *bytes, size_t len, struct error *err)
{
    (void)err;
    buf_put(context, bytes, len);
    return 0;
}

/* What is handed to the signer: the digest of what is signed, or of Ed25519 all of it. */
static int gather(const struct crl *crl, const struct parts *p, const EVP_MD *digest,
                  struct buf *out, struct error *err)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int rc;

    if (!digest) {
        rc = each_part(crl, p, take_into_buf, out, err);
    } else if (!hash || EVP_DigestInit_ex(hash, digest, NULL) != 1) {
        rc = error_set(err, ERR_INTERNAL, "out of memory for a revocation list");
    } else {
        rc = each_part(crl, p, take_into_digest, hash, err);
        if (rc == 0 && EVP_DigestFinal_ex(hash, bytes, &size) != 1)
            rc = error_set(err, ERR_CRYPTO, "cannot hash a revocation list");
        buf_put(out, bytes, size);
    }
    EVP_MD_CTX_free(hash);
    if (rc == 0 && buf_failed(out))
        rc = error_set(err, ERR_INPUT,
                       "the revocation list of a CA that signs with Ed25519 has at most %u octets",
                       SCHEME_MESSAGE_MAX);
    return rc;
}

static int verify(const struct crl_head *head, enum sig_scheme scheme, const struct buf *bytes,
                  const struct signature *sig, struct error *err)
{
    EVP_PKEY *key = X509_get0_pubkey(head->issuer);
    EVP_PKEY_CTX *ctx = scheme_digest(scheme) ? scheme_verifier(key, scheme) : NULL;
    bool good =
        scheme_digest(scheme)
            ? ctx && EVP_PKEY_verify(ctx, sig->bytes, sig->len, bytes->data, bytes->len) == 1
            : scheme_verify(key, scheme, bytes->data, bytes->len, sig->bytes, sig->len, NULL) == 0;

    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return good ? 0
                : error_set(err, ERR_SIGNATURE,
                            "the revocation list was not signed with the key of its issuer");
}

/* Signs, and verifies the signature under the issuer's certificate. */
static int sign(const struct crl *crl, const struct crl_head *head, const struct parts *p,
                const struct ca_signer *signer, struct signature *sig, struct error *err)
{
    const EVP_MD *digest = scheme_digest(signer->scheme);
    struct buf bytes;
    int rc;

    buf_init(&bytes, digest ? EVP_MAX_MD_SIZE : SCHEME_MESSAGE_MAX);
    rc = gather(crl, p, digest, &bytes, err);
    if (rc == 0)
        rc = signer->sign(signer->context, signer->scheme, bytes.data, bytes.len, digest != NULL,
                          sig, err);
    if (rc == 0)
        rc = verify(head, signer->scheme, &bytes, sig, err);
    buf_done(&bytes);
    return rc;
}

struct target {
    FILE *out;
    const char *path;
};

static int take_into_file(void *context, const void *bytes, size_t len, struct error *err)
{
    struct target *t = context;

    if (fwrite(bytes, 1, len, t->out) == len)
        return 0;
    return error_set_errno(err, errno, "cannot write '%s'", t->path);
}

/* CertificateList: what is signed, the algorithm, and the signature as a BIT STRING. */
static int write_parts(const struct crl *crl, const struct parts *p, enum sig_scheme scheme,
                       const struct signature *sig, struct target *t, struct error *err)
{
    struct buf outer, tail;
    int rc;

    buf_init(&outer, 64);
    buf_init(&tail, 1024);
    put_algorithm(&tail, scheme);
    put_header(&tail, V_ASN1_BIT_STRING, sig->len + 1);
    buf_put_u8(&tail, 0);
    buf_put(&tail, sig->bytes, sig->len);
    put_header(&outer, SEQUENCE, p->start.len + crl->bytes + p->end.len + tail.len);
    rc = take_into_file(t, outer.data, outer.len, err);
    if (rc == 0)
        rc = each_part(crl, p, take_into_file, t, err);
    if (rc == 0)
        rc = take_into_file(t, tail.data, tail.len, err);
    buf_done(&outer);
    buf_done(&tail);
    return rc;
}

static int write_file(const struct crl *crl, const struct parts *p, enum sig_scheme scheme,
                      const struct signature *sig, struct error *err)
{
    char temp[PATH_MAX + 8], dir[PATH_MAX];
    struct target t = {.path = temp};
    int rc;

    snprintf(temp, sizeof temp, "%s.new", crl->path);
    t.out = fopen(temp, "we");
    if (!t.out)
        return error_set_errno(err, errno, "cannot create '%s'", temp);
    (void)fchmod(fileno(t.out), 0644); /* it is for everybody */
    rc = write_parts(crl, p, scheme, sig, &t, err);
    if (rc == 0)
        rc = file_close(t.out, temp, err);
    else
        fclose(t.out);
    if (rc == 0 && rename(temp, crl->path))
        rc = error_set_errno(err, errno, "cannot rename '%s' to '%s'", temp, crl->path);
    if (rc) {
        (void)unlink(temp);
        return rc;
    }
    strcpy(dir, crl->path);
    return file_sync_dir(dirname(dir), err);
}

int crl_finish(struct crl *crl, const struct crl_head *head, const struct ca_signer *signer,
               struct error *err)
{
    struct parts p;
    struct signature sig;
    int rc = 0;

    buf_init(&p.start, HEAD_MAX);
    buf_init(&p.end, HEAD_MAX);
    if (!X509_get0_subject_key_id(head->issuer))
        rc = error_set(err, ERR_INPUT, "the issuer of a revocation list has no key identifier");
    if (rc == 0)
        rc = make_parts(crl, head, signer->scheme, &p, err);
    if (rc == 0)
        rc = sign(crl, head, &p, signer, &sig, err);
    if (rc == 0)
        rc = write_file(crl, &p, signer->scheme, &sig, err);
    buf_done(&p.start);
    buf_done(&p.end);
    crl_abort(crl);
    return rc;
}
