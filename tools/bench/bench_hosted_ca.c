#include "bench_hosted_ca.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define ROW_MAX 16384

static int failed(const char *what, struct error *err)
{
    return error_set(err, ERR_CRYPTO, "cannot %s", what);
}

static int open_file(const char *path, const char *mode, FILE **out, struct error *err)
{
    *out = fopen(path, mode);
    return *out ? 0 : error_set_errno(err, errno, "cannot open '%s'", path);
}

/* ---- signing ---- */

static bool set_number(X509 *cert)
{
    uint8_t bytes[16];
    BIGNUM *number = NULL;
    bool done = RAND_bytes(bytes, sizeof bytes) == 1;

    bytes[0] = 1;
    number = BN_bin2bn(bytes, sizeof bytes, NULL);
    done = done && number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return done;
}

static bool add_extensions(const struct bench_station *s, X509 *cert, X509_REQ *request)
{
    STACK_OF(X509_EXTENSION) *wanted = X509_REQ_get_extensions(request);
    X509_EXTENSION *above;
    X509V3_CTX ctx;
    bool done = wanted != NULL;

    for (int i = 0; done && i < sk_X509_EXTENSION_num(wanted); i++)
        done = X509_add_ext(cert, sk_X509_EXTENSION_value(wanted, i), -1) == 1;
    sk_X509_EXTENSION_pop_free(wanted, X509_EXTENSION_free);
    X509V3_set_ctx(&ctx, s->hosted, cert, NULL, NULL, 0);
    above = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    done = done && above && X509_add_ext(cert, above, -1) == 1;
    X509_EXTENSION_free(above);
    return done;
}

/* What the bench's profile describes: from now on, without an end. */
static bool fill(const struct bench_station *s, X509 *cert, X509_REQ *request)
{
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_number(cert) &&
           X509_set_issuer_name(cert, X509_get_subject_name(s->hosted)) == 1 &&
           X509_set_subject_name(cert, X509_REQ_get_subject_name(request)) == 1 &&
           X509_set_pubkey(cert, X509_REQ_get0_pubkey(request)) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)clock_utc()) &&
           ASN1_TIME_set_string(X509_getm_notAfter(cert), "99991231235959Z") == 1 &&
           add_extensions(s, cert, request);
}

static int answer(const struct bench_station *s, const struct buf *der, FILE *out,
                  struct error *err)
{
    const uint8_t *p = der->data;
    X509_REQ *request = d2i_X509_REQ(NULL, &p, (long)der->len);
    X509 *cert = X509_new();
    int rc = 0;

    if (!request || !cert || !fill(s, cert, request) ||
        X509_sign(cert, s->hosted_key, EVP_sha256()) <= 0 || PEM_write_X509(out, cert) != 1)
        rc = failed("sign a certificate", err);
    X509_free(cert);
    X509_REQ_free(request);
    return rc;
}

/* serial,sha256,base64 */
static int answer_row(const struct bench_station *s, char *row, FILE *out, struct error *err)
{
    char *base64 = strrchr(row, ',');
    struct buf der;
    int rc;

    buf_init(&der, ROW_MAX);
    row[strcspn(row, "\r\n")] = 0;
    rc = base64 ? base64_decode(base64 + 1, strlen(base64 + 1), &der) : ERR_FORMAT;
    rc = rc ? error_set(err, ERR_FORMAT, "a row of the table holds no request")
            : answer(s, &der, out, err);
    buf_done(&der);
    return rc;
}

int bench_hosted_sign(const struct bench_station *s, const char *csv, const char *pem,
                      struct error *err)
{
    FILE *in = NULL, *out = NULL;
    char row[ROW_MAX];
    int rc = open_file(csv, "re", &in, err);

    if (rc == 0)
        rc = open_file(pem, "we", &out, err);
    if (rc == 0 && !fgets(row, sizeof row, in)) /* its head */
        rc = error_set(err, ERR_FORMAT, "'%s' is empty", csv);
    while (rc == 0 && fgets(row, sizeof row, in))
        rc = answer_row(s, row, out, err);
    if (in)
        fclose(in);
    if (out && fclose(out) && rc == 0)
        rc = error_set_errno(err, errno, "cannot write '%s'", pem);
    return rc;
}

/* ---- verifying ---- */

int bench_hosted_verify(const struct bench_station *s, const char *pem, struct bench_time *took,
                        struct error *err)
{
    struct bench_time begun = bench_now();
    FILE *in;
    X509 *cert;
    int rc = open_file(pem, "re", &in, err);

    while (rc == 0 && (cert = PEM_read_X509(in, NULL, NULL, NULL))) {
        if (X509_verify(cert, s->hosted_key) != 1)
            rc = failed("verify a certificate", err);
        X509_free(cert);
    }
    if (in)
        fclose(in);
    *took = bench_since(begun);
    return rc;
}
