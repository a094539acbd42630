/* Reads Microchip Trust Platform manifests, versions 1 to 3: docs/exports.md. */
#include "manifests/platforms/jws.h"
#include "manifests/platforms/text.h"
#include "manifests/platforms/vendor.h"

#include "base/codec.h"
#include "base/file.h"
#include "pki/digest.h"
#include "pki/ec.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#define PART_MAX (1 << 20)

/* A base64url text as JSON; NULL when it is neither. */
static json_t *decode_json(const char *text)
{
    struct buf bytes;
    json_t *value = NULL;

    buf_init(&bytes, PART_MAX);
    if (text && text_base64url_decode(text, strlen(text), &bytes) == 0)
        value = json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    buf_done(&bytes);
    return value;
}

static bool same_base64url(const char *text, const void *bytes, size_t len)
{
    struct buf own;
    bool same;

    buf_init(&own, 256);
    text_base64url(&own, bytes, len);
    same = text && !buf_failed(&own) && strlen(text) == own.len &&
           memcmp(text, own.data, own.len) == 0;
    buf_done(&own);
    return same;
}

/* The header must name a pinned certificate by both of its names. */
static bool names(const json_t *header, X509 *pin)
{
    const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(pin);
    uint8_t hash[SHA256_SIZE];

    return ski && X509_digest(pin, EVP_sha256(), hash, NULL) == 1 &&
           same_base64url(json_string_value(json_object_get(header, "kid")),
                          ASN1_STRING_get0_data(ski), (size_t)ASN1_STRING_length(ski)) &&
           same_base64url(json_string_value(json_object_get(header, "x5t#S256")), hash,
                          sizeof hash);
}

static int verify(const struct vendor_reader *r, const json_t *entry, struct error *err)
{
    const char *protected = json_string_value(json_object_get(entry, "protected"));
    const char *payload = json_string_value(json_object_get(entry, "payload"));
    const char *signature = json_string_value(json_object_get(entry, "signature"));
    json_t *header = decode_json(protected);
    const char *alg = json_string_value(json_object_get(header, "alg"));
    int rc = error_set(err, ERR_SIGNATURE, "none of the pinned certificates signed it");

    if (!header || !payload || !signature || !alg || strcmp(alg, "ES256") ||
        json_object_get(header, "crit"))
        rc = error_set(err, ERR_FORMAT, "it is not a JSON Web Signature with ES256");
    else
        for (int i = 0; i < sk_X509_num(r->pins); i++)
            if (names(header, sk_X509_value(r->pins, i))) {
                rc = jws_verify(protected, payload, signature, sk_X509_value(r->pins, i), err);
                break;
            }
    json_decref(header);
    return rc;
}

/* A member of 32 bytes in base64url. */
static int coordinate(const json_t *jwk, const char *member, uint8_t out[32])
{
    const char *text = json_string_value(json_object_get(jwk, member));
    struct buf bytes;
    int rc;

    buf_init(&bytes, 64);
    rc = text ? text_base64url_decode(text, strlen(text), &bytes) : ERR_FORMAT;
    if (rc == 0 && bytes.len != 32)
        rc = ERR_FORMAT;
    if (rc == 0)
        memcpy(out, bytes.data, 32);
    buf_done(&bytes);
    return rc;
}

static int read_certificate(const json_t *jwk, X509 **cert)
{
    const json_t *text = json_array_get(json_object_get(jwk, "x5c"), 0);
    const unsigned char *p;
    struct buf der;
    int rc = 0;

    if (!text)
        return 0;
    buf_init(&der, PART_MAX);
    if (!json_is_string(text) ||
        base64_decode(json_string_value(text), json_string_length(text), &der))
        rc = ERR_FORMAT;
    p = der.data;
    if (rc == 0 && (!(*cert = d2i_X509(NULL, &p, (long)der.len)) || p != der.data + der.len))
        rc = ERR_FORMAT;
    buf_done(&der);
    ERR_clear_error();
    return rc;
}

/* The first key, which is that of slot 0; its certificate must be of the same key. */
static int read_key(const json_t *payload, struct vendor_device *d, struct error *err)
{
    const json_t *keys = json_object_get(json_object_get(payload, "publicKeySet"), "keys");
    const json_t *jwk = json_array_get(keys, 0);
    const char *curve = json_string_value(json_object_get(jwk, "crv"));
    uint8_t point[EC_POINT_SIZE] = {4}, certified[EC_POINT_SIZE];

    if (!jwk)
        return 0; /* version 2 */
    if (!curve || strcmp(curve, "P-256") || coordinate(jwk, "x", point + 1) ||
        coordinate(jwk, "y", point + 33) || ec_public_key(point, &d->key, NULL))
        return error_set(err, ERR_FORMAT, "its first key is not one on P-256");
    if (read_certificate(jwk, &d->cert) ||
        (d->cert && (ec_point(X509_get0_pubkey(d->cert), certified, NULL) ||
                     memcmp(certified, point, sizeof point))))
        return error_set(err, ERR_FORMAT, "its certificate is not one of its key");
    return 0;
}

static int read_payload(const json_t *entry, const json_t *payload, struct vendor_device *d,
                        struct error *err)
{
    const char *id = json_string_value(json_object_get(payload, "uniqueId"));
    const char *outside =
        json_string_value(json_object_get(json_object_get(entry, "header"), "uniqueId"));
    json_int_t version = json_integer_value(json_object_get(payload, "version"));

    if (version < 1 || version > 3)
        return error_set(err, ERR_FORMAT, "its version is not 1, 2 or 3");
    if (!id || !outside || strcmp(id, outside))
        return error_set(err, ERR_FORMAT, "its uniqueId is not the one of its header");
    if (vendor_serial(d, id, strlen(id), err))
        return ERR_FORMAT;
    if (hex_decode_any(id, d->chip, sizeof d->chip, &d->chip_len))
        d->chip_len = 0;
    return read_key(payload, d, err);
}

static int take_entry(const struct vendor_reader *r, const json_t *entry, struct error *err)
{
    struct vendor_device d = {.chip_len = 0};
    json_t *payload = NULL;
    int rc = json_is_object(entry) ? verify(r, entry, err)
                                   : error_set(err, ERR_FORMAT, "it is not an object");

    if (rc == 0) {
        payload = decode_json(json_string_value(json_object_get(entry, "payload")));
        rc = read_payload(entry, payload, &d, err);
    }
    if (rc == 0)
        rc = r->take(r->context, &d, err);
    json_decref(payload);
    X509_free(d.cert);
    EVP_PKEY_free(d.key);
    return rc;
}

/* The next character that is no blank, or EOF. */
static int next_char(FILE *in)
{
    int c;

    do
        c = getc(in);
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t');
    return c;
}

/* One entry after the other: the file may be larger than memory. */
int vendor_parse_microchip(const struct vendor_reader *r, FILE *in, struct error *err)
{
    uint64_t number = 0;
    int c = next_char(in);

    if (c != '[')
        return error_set(err, ERR_FORMAT, "it is not a list");
    c = next_char(in);
    if (c == ']')
        return 0;
    ungetc(c, in);
    do {
        json_t *entry = json_loadf(in, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, NULL);
        int rc = take_entry(r, entry, err);

        json_decref(entry);
        if (rc)
            return error_prefix(err, "entry %" PRIu64, number);
        number++;
        c = next_char(in);
    } while (c == ',');
    return c == ']' && next_char(in) == EOF
               ? 0
               : error_set(err, ERR_FORMAT, "the list does not end after entry %" PRIu64,
                           number - 1);
}

int vendor_read_microchip(const struct vendor_reader *r, const char *path, struct error *err)
{
    FILE *in;
    int rc = file_open_regular(path, &in, NULL, err);

    if (rc)
        return rc;
    rc = vendor_parse_microchip(r, in, err);
    fclose(in);
    return rc;
}
