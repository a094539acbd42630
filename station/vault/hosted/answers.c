#include "station/vault/hosted/answers.h"

#include "base/buf.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/tar.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

#define HEAD_SIZE  TAR_BLOCK /* octets that are looked at to tell what it is */
#define LABEL_MAX  40
#define RUN_MIN    64 /* characters of base64; a certificate has more */
#define BASE64_MAX (ANSWERS_CERT_MAX / 3 * 4 + 4)

/* A file, or one in an archive: so many octets of a stream. */
struct source {
    FILE *in;
    uint64_t left; /* UINT64_MAX: to the end of the stream */
    const char *name;
    const struct answers_sink *sink;
    struct error *err;
    uint8_t head[HEAD_SIZE];
    size_t head_len, head_at;
    uint64_t line; /* of text, from 1; 0: it is none */
    uint64_t found;
};

/* ---- octets ---- */

static int next_of_stream(struct source *s)
{
    int c = s->left ? getc(s->in) : EOF;

    if (c != EOF && s->left != UINT64_MAX)
        s->left--;
    return c;
}

static int next(struct source *s)
{
    int c = s->head_at < s->head_len ? s->head[s->head_at++] : next_of_stream(s);

    if (c == '\n' && s->line)
        s->line++;
    return c;
}

/* The octet that next will return. */
static int peek(struct source *s)
{
    int c = s->head_at < s->head_len ? s->head[s->head_at] : s->left ? getc(s->in) : EOF;

    if (s->head_at == s->head_len && c != EOF)
        ungetc(c, s->in);
    return c;
}

static void read_head(struct source *s)
{
    int c;

    s->head_len = s->head_at = 0;
    while (s->head_len < sizeof s->head && (c = next_of_stream(s)) != EOF)
        s->head[s->head_len++] = (uint8_t)c;
}

static int check_stream(const struct source *s)
{
    if (!ferror(s->in))
        return 0;
    return error_set_errno(s->err, errno, "cannot read '%s'", s->name);
}

/* ---- telling ---- */

static void place_of(const struct source *s, char place[ANSWERS_PLACE_SIZE])
{
    if (s->line)
        snprintf(place, ANSWERS_PLACE_SIZE, "%.480s:%llu", s->name, (unsigned long long)s->line);
    else
        snprintf(place, ANSWERS_PLACE_SIZE, "%.500s", s->name);
}

static int problem(const struct source *s, const char *text)
{
    char place[ANSWERS_PLACE_SIZE];

    place_of(s, place);
    return s->sink->problem(s->sink->context, place, text, s->err);
}

static int certificate(struct source *s, const uint8_t *der, size_t len)
{
    char place[ANSWERS_PLACE_SIZE];

    s->found++;
    place_of(s, place);
    return s->sink->certificate(s->sink->context, place, der, len, s->err);
}

/* ---- DER ---- */

/* The length of the SEQUENCE that begins here, with its header; 0: none, or it is cut off. */
static size_t sequence_length(const uint8_t *p, size_t len)
{
    size_t octets, n = 0;

    if (len < 4 || p[0] != 0x30 || p[1] < 0x81 || p[1] > 0x84)
        return 0;
    octets = p[1] & 0x7fu;
    if (len < 2 + octets)
        return 0;
    for (size_t i = 0; i < octets; i++)
        n = n << 8 | p[2 + i];
    return n <= len - 2 - octets ? n + 2 + octets : 0;
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

static int take_one_of(struct source *s, X509 *cert)
{
    uint8_t *der = NULL;
    int len = i2d_X509(cert, &der);
    int rc;

    if (len <= 0 || len > ANSWERS_CERT_MAX)
        rc = problem(s, "a certificate of the PKCS#7 is too long");
    else
        rc = certificate(s, der, (size_t)len);
    OPENSSL_free(der);
    return rc;
}

static int take_pkcs7(struct source *s, const uint8_t *der, size_t len)
{
    const uint8_t *p = der;
    PKCS7 *message = d2i_PKCS7(NULL, &p, (long)len);
    STACK_OF(X509) * certs;
    int rc = 0;

    ERR_clear_error();
    if (!message || !PKCS7_type_is_signed(message) || !message->d.sign) {
        PKCS7_free(message);
        return problem(s, "this PKCS#7 cannot be read: it is damaged, or cut off");
    }
    certs = message->d.sign->cert;
    if (sk_X509_num(certs) <= 0)
        rc = problem(s, "this PKCS#7 holds no certificate");
    for (int i = 0; rc == 0 && i < sk_X509_num(certs); i++)
        rc = take_one_of(s, sk_X509_value(certs, i));
    PKCS7_free(message);
    return rc;
}

/* One SEQUENCE, whole. */
static int take_der(struct source *s, const uint8_t *der, size_t len)
{
    if (is_pkcs7(der, len))
        return take_pkcs7(s, der, len);
    if (len > ANSWERS_CERT_MAX)
        return problem(s, "this is longer than a certificate of a device can be");
    if (is_request(der, len))
        return 0;
    return certificate(s, der, len);
}

static int read_der(struct source *s)
{
    struct buf all;
    int c, rc = 0;

    buf_init(&all, ANSWERS_PKCS7_MAX);
    while ((c = next(s)) != EOF && all.len < ANSWERS_PKCS7_MAX)
        buf_put_u8(&all, (uint8_t)c);
    if (c != EOF)
        rc = problem(s, "this file of DER has more than 4 MB: split it, or send PEM");
    for (size_t at = 0; rc == 0 && c == EOF && at < all.len;) {
        size_t len = sequence_length(all.data + at, all.len - at);

        if (len == 0) {
            rc = problem(s, "this DER is damaged, or cut off");
            break;
        }
        rc = take_der(s, all.data + at, len);
        at += len;
    }
    buf_done(&all);
    return rc ? rc : check_stream(s);
}

/* ---- text ---- */

static bool is_base64(int c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
}

/* Base64 of a certificate, or of something that is none. */
static int take_base64(struct source *s, const struct buf *text, size_t most)
{
    struct buf der;
    int rc;

    buf_init(&der, most);
    if (base64_decode((const char *)text->data, text->len, &der) ||
        buf_check(&der, "a certificate", NULL) || sequence_length(der.data, der.len) != der.len ||
        der.len == 0)
        rc = problem(s, "what begins as a certificate is damaged, or cut off");
    else
        rc = take_der(s, der.data, der.len);
    buf_done(&der);
    return rc;
}

/* A word of so many characters outside of PEM: a certificate in a table begins with "MI". */
static int end_run(struct source *s, struct buf *run, bool too_long)
{
    int rc = 0;

    if (run->len >= RUN_MIN && memcmp(run->data, "MI", 2) == 0)
        rc = too_long ? problem(s, "this is longer than a certificate of a device can be")
                      : take_base64(s, run, ANSWERS_CERT_MAX);
    buf_reset(run);
    return rc;
}

/* Whether these characters come next; what does not fit is read as well. */
static bool read_word(struct source *s, const char *word)
{
    while (*word && next(s) == (unsigned char)*word)
        word++;
    return *word == 0;
}

/* The label after "-----BEGIN ", up to its five dashes; false when it is none. */
static bool read_label(struct source *s, char label[LABEL_MAX + 1])
{
    size_t len = 0, dashes = 0;
    int c;

    while (dashes < 5 && (c = next(s)) != EOF) {
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
static bool read_base64(struct source *s, struct buf *body, bool *too_long)
{
    size_t dashes = 0;
    int c;

    while (dashes < 5 && (c = next(s)) != EOF) {
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
static bool read_body(struct source *s, const char *label, struct buf *body, bool *too_long,
                      bool *another)
{
    char end[LABEL_MAX + 1];

    if (!read_base64(s, body, too_long))
        return false;
    *another = peek(s) == 'B';
    return !*another && read_word(s, "END ") && read_label(s, end) && strcmp(label, end) == 0;
}

static bool is_one_of(const char *label, const char *const *names)
{
    while (*names && strcmp(label, *names))
        names++;
    return *names != NULL;
}

static int take_block(struct source *s, const char *label, bool *another)
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
        rc = problem(s, "this PEM block is damaged, or cut off");
    else if (is_one_of(label, left_out))
        rc = 0;
    else if (!bundle && !is_one_of(label, certs)) {
        snprintf(text, sizeof text, "a '%s' is no certificate", label);
        rc = problem(s, text);
    } else if (too_long)
        rc = problem(s, bundle ? "this PKCS#7 has more than 4 MB: split it"
                               : "this is longer than a certificate of a device can be");
    else
        rc = take_base64(s, &body, bundle ? ANSWERS_PKCS7_MAX : ANSWERS_CERT_MAX);
    buf_done(&body);
    return rc;
}

/* After five dashes: "BEGIN " and a label, or something else. */
static int after_dashes(struct source *s)
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

static int read_text(struct source *s)
{
    bool too_long = false;
    size_t dashes = 0;
    struct buf run;
    int c, rc = 0;

    s->line = 1;
    buf_init(&run, BASE64_MAX);
    while (rc == 0 && (c = next(s)) != EOF) {
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
    return rc ? rc : check_stream(s);
}

/* ---- what it is ---- */

static int read_content(struct source *s)
{
    uint64_t before = s->found;
    int rc;

    if (s->head_len >= 2 && s->head[0] == 0x30 && s->head[1] >= 0x81 && s->head[1] <= 0x84)
        rc = read_der(s);
    else
        rc = read_text(s);
    if (rc == 0 && s->found == before) {
        s->line = 0;
        rc = problem(s, "no certificate was found in it");
    }
    return rc;
}

/* ---- archives ---- */

/* A whole block; false at the end of the stream. */
static bool read_block(struct source *s, uint8_t block[TAR_BLOCK])
{
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        int c = next(s);

        if (c == EOF)
            return false;
        block[i] = (uint8_t)c;
    }
    return true;
}

static bool skip(struct source *s, uint64_t octets)
{
    while (octets > 0 && next(s) != EOF)
        octets--;
    return octets == 0;
}

/* One file of the archive, whose octets come next. */
static int read_entry(struct source *archive, const struct tar_entry *e)
{
    char name[ANSWERS_PLACE_SIZE];
    struct source s = {.in = archive->in,
                       .left = e->size,
                       .name = name,
                       .sink = archive->sink,
                       .err = archive->err};
    int rc;

    snprintf(name, sizeof name, "%.380s: %s", archive->name, e->name);
    read_head(&s);
    rc = read_content(&s);
    archive->found += s.found;
    if (rc == 0 && !skip(archive, s.left + tar_padding(e->size)))
        rc = problem(archive, "the archive is cut off");
    return rc;
}

static int read_tar(struct source *s)
{
    uint8_t block[TAR_BLOCK];
    struct tar_entry e;
    int rc = 0;

    while (rc == 0) {
        if (!read_block(s, block)) {
            rc = check_stream(s);
            return rc ? rc : problem(s, "the archive is cut off");
        }
        if (tar_parse(block, &e))
            return problem(s, "the archive is damaged: what follows is not read");
        if (e.end)
            break;
        if (e.regular)
            rc = read_entry(s, &e);
        else if (!skip(s, e.size + tar_padding(e.size)))
            rc = problem(s, "the archive is cut off");
    }
    if (rc == 0 && s->found == 0)
        rc = problem(s, "no certificate was found in it");
    return rc;
}

/* ---- files and folders ---- */

int answers_read_stream(FILE *in, const char *name, const struct answers_sink *sink,
                        struct error *err)
{
    struct source s = {.in = in, .left = UINT64_MAX, .name = name, .sink = sink, .err = err};
    struct tar_entry first;

    read_head(&s);
    if (s.head_len == TAR_BLOCK && tar_parse(s.head, &first) == 0 && !first.end)
        return read_tar(&s);
    return read_content(&s);
}

static int read_file(const char *path, const struct answers_sink *sink, struct error *err)
{
    FILE *in;
    int rc = file_open_regular(path, &in, NULL, err);

    if (rc)
        return rc;
    rc = answers_read_stream(in, path, sink, err);
    fclose(in);
    return rc;
}

/* What is no file is told, and the others are read. */
static int read_member(const char *dir, const char *name, const struct answers_sink *sink,
                       struct error *err)
{
    char path[PATH_MAX];
    struct stat st;
    int rc = file_join(path, sizeof path, dir, name, err);

    if (rc)
        return rc;
    if (lstat(path, &st) || !S_ISREG(st.st_mode))
        return sink->problem(sink->context, path, "it is no file: it is left out", err);
    return read_file(path, sink, err);
}

static int read_folder(DIR *dir, const char *path, const struct answers_sink *sink,
                       struct error *err)
{
    struct dirent *entry;
    int rc = 0;

    while (rc == 0) {
        errno = 0;
        entry = readdir(dir);
        if (!entry)
            return errno ? error_set_errno(err, errno, "cannot read '%s'", path) : 0;
        if (entry->d_name[0] != '.')
            rc = read_member(path, entry->d_name, sink, err);
    }
    return rc;
}

int answers_read(const char *path, const struct answers_sink *sink, struct error *err)
{
    DIR *dir = opendir(path);
    int rc;

    if (!dir && errno == ENOTDIR)
        return read_file(path, sink, err);
    if (!dir)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    rc = read_folder(dir, path, sink, err);
    closedir(dir);
    return rc;
}
