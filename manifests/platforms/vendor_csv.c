/* Reads CSV as Espressif (MAC,cn,cert) and nRF Cloud (deviceId,subType,tags,fwTypes,PEM) have it. */
#include "manifests/platforms/vendor.h"

#include "base/file.h"
#include "pki/signed.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX      (256 << 20)
#define SIGNATURE_MAX (1 << 20)
#define FIELDS_MAX    5
#define MAC_SIZE      6

/* A row of RFC 4180; the fields are taken apart in place. */
struct row {
    char *field[FIELDS_MAX];
    size_t count;
};

/* The field that begins at p, with a NUL behind it; returns what follows, NULL when it is malformed. */
static char *take_field(char *p, char *end, char **field, int *delimiter)
{
    char *to = p;

    *field = p;
    if (p < end && *p == '"') {
        for (p++; p < end && (*p != '"' || (p + 1 < end && p[1] == '"')); p++) {
            p += *p == '"';
            *to++ = *p;
        }
        if (p >= end)
            return NULL;
        p++;
    } else {
        while (p < end && *p != ',' && *p != '\n' && *p != '\r' && *p != '"')
            *to++ = *p++;
    }
    if (p < end && *p == '\r')
        p++;
    *delimiter = p < end ? *p : '\n';
    if (*delimiter != ',' && *delimiter != '\n')
        return NULL;
    *to = 0; /* at the latest where the delimiter was */
    return p < end ? p + 1 : end;
}

static char *take_row(char *p, char *end, struct row *row)
{
    int delimiter = ',';

    row->count = 0;
    while (p && delimiter == ',') {
        if (row->count == FIELDS_MAX)
            return NULL;
        p = take_field(p, end, &row->field[row->count++], &delimiter);
    }
    return p;
}

static int read_pem(const char *pem, struct vendor_device *d, struct error *err)
{
    BIO *in = BIO_new_mem_buf(pem, -1);

    d->cert = in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
    d->key = d->cert ? X509_get_pubkey(d->cert) : NULL;
    BIO_free(in);
    ERR_clear_error();
    return d->key ? 0 : error_set(err, ERR_FORMAT, "it has no certificate in PEM");
}

static int read_mac(const char *text, struct vendor_device *d, struct error *err)
{
    bool good = strlen(text) == 2 * MAC_SIZE;

    for (size_t i = 0; good && i < 2 * MAC_SIZE; i++)
        good = isxdigit((unsigned char)text[i]);
    if (!good)
        return error_set(err, ERR_FORMAT, "its MAC is not 12 hexadecimal digits");
    for (size_t i = 0; i < MAC_SIZE; i++) {
        const char pair[3] = {text[2 * i], text[2 * i + 1], 0};

        d->chip[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    d->chip_len = MAC_SIZE;
    return 0;
}

static int take_device(const struct vendor_reader *r, const struct row *row, struct error *err)
{
    bool espressif = strcmp(r->format, "espressif") == 0;
    struct vendor_device d = {.chip_len = 0};
    const char *name = row->field[espressif ? 1 : 0];
    int rc = 0;

    if (row->count != (espressif ? 3 : 5))
        return error_set(err, ERR_FORMAT, "it has %zu fields", row->count);
    if (espressif)
        rc = read_mac(row->field[0], &d, err);
    if (rc == 0)
        rc = vendor_serial(&d, name, strlen(name), err);
    if (rc == 0)
        rc = read_pem(row->field[row->count - 1], &d, err);
    if (rc == 0)
        rc = r->take(r->context, &d, err);
    X509_free(d.cert);
    EVP_PKEY_free(d.key);
    return rc;
}

static bool is_header(const struct row *row)
{
    return row->count == 3 && strcmp(row->field[0], "MAC") == 0 &&
           strcmp(row->field[1], "cn") == 0 && strcmp(row->field[2], "cert") == 0;
}

int vendor_parse_csv(const struct vendor_reader *r, char *p, size_t len, struct error *err)
{
    bool espressif = strcmp(r->format, "espressif") == 0;
    char *end = p + len;
    uint64_t number = 0;

    if (memchr(p, 0, len))
        return error_set(err, ERR_FORMAT, "it is not text");

    while (p < end) {
        struct row row;
        int rc = 0;

        p = take_row(p, end, &row);
        number++;
        if (!p)
            rc = error_set(err, ERR_FORMAT, "it is not a row of CSV");
        else if (espressif && number == 1)
            rc = is_header(&row) ? 0 : error_set(err, ERR_FORMAT, "it is not MAC,cn,cert");
        else
            rc = take_device(r, &row, err);
        if (rc)
            return error_prefix(err, "row %" PRIu64, number);
    }
    return 0;
}

/* <path>.p7s, by one of the pins. */
static int verify(const struct vendor_reader *r, const char *path, const struct buf *bytes,
                  struct error *err)
{
    char name[PATH_MAX];
    struct buf der;
    int rc = ERR_SIGNATURE;

    if ((size_t)snprintf(name, sizeof name, "%s.p7s", path) >= sizeof name)
        return error_set(err, ERR_INPUT, "the path is too long");
    buf_init(&der, SIGNATURE_MAX);
    if (file_read_regular(name, &der, err))
        rc = error_prefix(err, "a CSV file is imported with a signature beside it");
    else
        for (int i = 0; rc && i < sk_X509_num(r->pins); i++)
            rc = signed_detached(der.data, der.len, bytes->data, bytes->len,
                                 sk_X509_value(r->pins, i), err);
    buf_done(&der);
    return rc == ERR_SIGNATURE
               ? error_set(err, ERR_SIGNATURE, "none of the pinned certificates signed it")
               : rc;
}

int vendor_read_csv(const struct vendor_reader *r, const char *path, struct error *err)
{
    struct buf bytes;
    int rc;

    buf_init(&bytes, FILE_MAX);
    rc = file_read_regular(path, &bytes, err);
    if (rc == 0)
        rc = verify(r, path, &bytes, err);
    buf_put_u8(&bytes, 0); /* room for the NUL of the last field */
    if (rc == 0 && buf_failed(&bytes))
        rc = error_set(err, ERR_FORMAT, "it is larger than %d bytes", FILE_MAX - 1);
    if (rc == 0)
        rc = vendor_parse_csv(r, (char *)bytes.data, bytes.len - 1, err);
    buf_done(&bytes);
    return rc;
}
