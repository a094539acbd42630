#include "station/vault/hosted/answer_pieces.h"

#include "base/buf.h"
#include "base/codec.h"

#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <string.h>

#define LABEL_MAX  40
#define RUN_MIN    64 /* characters of base64; a certificate has more */
#define BASE64_MAX (ANSWERS_CERT_MAX / 3 * 4 + 4)

/* ---- DER ---- */

/* The length of the SEQUENCE that begins here, with its header; 0: none, it is cut off, or its length is
 * not written as DER has it, in as few octets as it takes. */
static size_t sequence_length(const uint8_t *p, size_t len)
{
    size_t octets, n = 0;

    if (len < 4 || p[0] != 0x30 || p[1] < 0x81 || p[1] > 0x84)
        return 0;
    octets = p[1] & 0x7fu;
    if (len < 2 + octets || p[2] == 0)
        return 0;
    for (size_t i = 0; i < octets; i++)
        n = n << 8 | p[2 + i];
    return n >= 0x80 && n <= len - 2 - octets ? n + 2 + octets : 0;
}

/* What follows the header of a SEQUENCE: a certificate begins with another SEQUENCE, PKCS#7 with its OID. */
static bool is_pkcs7(const uint8_t *p, size_t len)
{
    static const uint8_t signed_data[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                          0xf7, 0x0d, 0x01, 0x07, 0x02};
    size_t header = 2 + (p[1] & 0x7fu);

    return len >= header + sizeof signed_data &&
           memcmp(p + header, signed_data, sizeof signed_data) == 0;
}

static bool is_request(const uint8_t *der, size_t len)
{
    const uint8_t *p = der;
    X509_REQ *request = d2i_X509_REQ(NULL, &p, (long)len);
    bool whole = request && p == der + len;

    X509_REQ_free(request);
    ERR_clear_error();
    return whole;
}

static int take_one_of(struct answer_source *s, X509 *cert)
{
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);
    int rc;

    if (len <= 0 || len > ANSWERS_CERT_MAX)
        rc = source_problem(s, "a certificate of the PKCS#7 is too long");
    else
        rc = source_certificate(s, der, (size_t)len);
    OPENSSL_free(der);
    return rc;
}

static int take_pkcs7(struct answer_source *s, const uint8_t *der, size_t len)
{
    const uint8_t *p = der;
    PKCS7 *message = d2i_PKCS7(NULL, &p, (long)len);
    STACK_OF(X509) * certs;
    int rc = 0;

    ERR_clear_error();
    if (!message || !PKCS7_type_is_signed(message) || !message->d.sign) {
        PKCS7_free(message);
        return source_problem(s, "this PKCS#7 cannot be read: it is damaged, or cut off");
    }
    certs = message->d.sign->cert;
    if (sk_X509_num(certs) <= 0)
        rc = source_problem(s, "this PKCS#7 holds no certificate");
    for (int i = 0; rc == 0 && i < sk_X509_num(certs); i++)
        rc = take_one_of(s, sk_X509_value(certs, i));
    PKCS7_free(message);
    return rc;
}

/* One SEQUENCE, whole. */
static int take_der(struct answer_source *s, const uint8_t *der, size_t len)
{
    if (is_pkcs7(der, len))
        return take_pkcs7(s, der, len);
    if (len > ANSWERS_CERT_MAX)
        return source_problem(s, "this is longer than a certificate of a device can be");
    if (is_request(der, len))
        return 0;
    return source_certificate(s, der, len);
}

bool pieces_are_der(const struct answer_source *s)
{
    return s->head_len >= 2 && s->head[0] == 0x30 && s->head[1] >= 0x81 && s->head[1] <= 0x84;
}

int pieces_read_der(struct answer_source *s)
{
    struct buf all;
    int c, rc = 0;

    buf_init(&all, ANSWERS_PKCS7_MAX);
    while ((c = source_next(s)) != EOF && all.len < ANSWERS_PKCS7_MAX)
        buf_put_u8(&all, (uint8_t)c);
    if (c != EOF)
        rc = source_problem(s, "this file of DER has more than 4 MB: split it, or send PEM");
    for (size_t at = 0; rc == 0 && c == EOF && at < all.len;) {
        size_t len = sequence_length(all.data + at, all.len - at);

        if (len == 0) {
            rc = source_problem(s, "this DER is damaged, or cut off");
            break;
        }
        rc = take_der(s, all.data + at, len);
        at += len;
    }
    buf_done(&all);
    return rc ? rc : source_check(s);
}

/* ---- text ---- */

static bool is_base64(int c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
}

/* Base64 of a certificate, or of something that is none. */
static int take_base64(struct answer_source *s, const struct buf *text, size_t most)
{
    struct buf der;
    int rc;

    buf_init(&der, most);
    if (base64_decode((const char *)text->data, text->len, &der) ||
        buf_check(&der, "a certificate", NULL) || sequence_length(der.data, der.len) != der.len ||
        der.len == 0)
        rc = source_problem(s, "what begins as a certificate is damaged, or cut off");
    else
        rc = take_der(s, der.data, der.len);
    buf_done(&der);
    return rc;
}

/* A word of so many characters outside of PEM: a certificate in a table begins with "MI". */
static int end_run(struct answer_source *s, struct buf *run, bool too_long)
{
    int rc = 0;

    if (run->len >= RUN_MIN && memcmp(run->data, "MI", 2) == 0)
        rc = too_long ? source_problem(s, "this is longer than a certificate of a device can be")
                      : take_base64(s, run, ANSWERS_CERT_MAX);
    buf_reset(run);
    return rc;
}

/* Whether these characters come next; what does not fit is read as well. */
static bool read_word(struct answer_source *s, const char *word)
{
    while (*word && source_next(s) == (unsigned char)*word)
        word++;
    return *word == 0;
}

/* The label after "-----BEGIN ", up to its five dashes; false when it is none. */
static bool read_label(struct answer_source *s, char label[LABEL_MAX + 1])
{
    size_t len = 0, dashes = 0;
    int c;

    while (dashes < 5 && (c = source_next(s)) != EOF) {
        if (c == '-') {
            dashes++;
            continue;
        }
        if (dashes || len == LABEL_MAX || c < ' ' || c > '~')
            return false;
        label[len++] = (char)c;
    }
    label[len] = 0;
    return dashes == 5;
}

/* The base64 of a block, up to the dashes of its end; blanks and line ends between do not count. False:
 * something else is in it, or it is not ended. */
static bool read_base64(struct answer_source *s, struct buf *body, bool *too_long)
{
    size_t dashes = 0;
    int c;

    while (dashes < 5 && (c = source_next(s)) != EOF) {
        if (c == '-') {
            dashes++;
            continue;
        }
        if (dashes || !(is_base64(c) || c == ' ' || c == '\t' || c == '\r' || c == '\n'))
            return false;
        if (is_base64(c) && body->len >= body->limit)
            *too_long = true;
        else if (is_base64(c))
            buf_put_u8(body, (uint8_t)c);
    }
    return dashes == 5;
}

/* *another: it was cut off, and the next block begins where its end should be. */
static bool read_body(struct answer_source *s, const char *label, struct buf *body, bool *too_long,
                      bool *another)
{
    char end[LABEL_MAX + 1];

    if (!read_base64(s, body, too_long))
        return false;
    *another = source_peek(s) == 'B';
    return !*another && read_word(s, "END ") && read_label(s, end) && strcmp(label, end) == 0;
}

static bool is_one_of(const char *label, const char *const *names)
{
    while (*names && strcmp(label, *names))
        names++;
    return *names != NULL;
}

static int take_block(struct answer_source *s, const char *label, bool *another)
{
    static const char *const certs[] = {"CERTIFICATE", "X509 CERTIFICATE", NULL};
    static const char *const bundles[] = {"PKCS7", "CMS", NULL};
    static const char *const left_out[] = {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", NULL};
    bool bundle = is_one_of(label, bundles), too_long = false, whole;
    char text[LABEL_MAX + 64];
    struct buf body;
    int rc = 0;

    buf_init(&body, bundle ? ANSWERS_PKCS7_MAX / 3 * 4 : BASE64_MAX);
    whole = read_body(s, label, &body, &too_long, another);
    if (!whole)
        rc = source_problem(s, "this PEM block is damaged, or cut off");
    else if (is_one_of(label, left_out))
        rc = 0;
    else if (!bundle && !is_one_of(label, certs)) {
        snprintf(text, sizeof text, "a '%s' is no certificate", label);
        rc = source_problem(s, text);
    } else if (too_long)
        rc = source_problem(s, bundle ? "this PKCS#7 has more than 4 MB: split it"
                                      : "this is longer than a certificate of a device can be");
    else
        rc = take_base64(s, &body, bundle ? ANSWERS_PKCS7_MAX : ANSWERS_CERT_MAX);
    buf_done(&body);
    return rc;
}

/* After five dashes: "BEGIN " and a label, or something else. */
static int after_dashes(struct answer_source *s)
{
    char label[LABEL_MAX + 1];
    bool another;
    int rc;

    do {
        another = false;
        if (!read_word(s, "BEGIN ") || !read_label(s, label))
            return 0;
        rc = take_block(s, label, &another);
    } while (rc == 0 && another);
    return rc;
}

int pieces_read_text(struct answer_source *s)
{
    bool too_long = false;
    size_t dashes = 0;
    struct buf run;
    int c, rc = 0;

    s->line = 1;
    buf_init(&run, BASE64_MAX);
    while (rc == 0 && (c = source_next(s)) != EOF) {
        dashes = c == '-' ? dashes + 1 : 0;
        if (is_base64(c) && run.len < BASE64_MAX)
            buf_put_u8(&run, (uint8_t)c);
        else if (is_base64(c))
            too_long = true;
        else {
            rc = end_run(s, &run, too_long);
            too_long = false;
        }
        if (rc == 0 && dashes == 5) {
            rc = after_dashes(s);
            dashes = 0;
        }
    }
    if (rc == 0)
        rc = end_run(s, &run, too_long);
    buf_done(&run);
    return rc ? rc : source_check(s);
}
