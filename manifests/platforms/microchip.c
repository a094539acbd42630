/* Microchip Trust Platform manifest, version 3: docs/exports.md names the document. */
#include "base/clock.h"
#include "base/codec.h"
#include "manifests/platforms/formats.h"
#include "manifests/platforms/jws.h"
#include "manifests/platforms/text.h"
#include "pki/ec.h"

#include <openssl/x509v3.h>
#include <string.h>

#define PER_FILE    10000 /* its importers read a file whole: about 30 MB */
#define PAYLOAD_MAX 65536

static const char *refuses(const char *serial)
{
    return text_is(serial, TEXT_ALPHANUMERIC ":_-", 128)
               ? NULL
               : "a uniqueId becomes a thing name: 1 to 128 letters, digits and : _ -";
}

static const char *refuses_settings(const struct platform_run *run)
{
    const char *id = platform_value(run, "id");

    return strcmp(id, "chip") && strcmp(id, "serial") ? "the setting 'id' is chip or serial" : NULL;
}

/* The document's uniqueId is the serial number of the secure element, hexadecimal: here the chip's
 * id. */
static void put_id(const struct platform_run *run, const struct platform_device *d, struct buf *out)
{
    char hex[2 * IMPRINT_CHIP_ID_MAX + 1];

    if (strcmp(platform_value(run, "id"), "serial") == 0) {
        text_json(out, d->record->sn);
        return;
    }
    hex_encode(d->record->chip, d->record->chip_len, hex);
    text_json(out, hex);
}

static void put_organization(const struct platform_run *run, const char *member, struct buf *out)
{
    buf_printf(out, ",\"%s\":{\"organizationName\":", member);
    text_json(out, platform_value(run, "organization"));
    buf_put_str(out, ",\"organizationalUnitName\":");
    text_json(out, platform_value(run, "unit"));
    buf_put_u8(out, '}');
}

static int put_key(const struct platform_device *d, struct buf *out, struct error *err)
{
    uint8_t point[EC_POINT_SIZE];
    int rc = ec_point(X509_get0_pubkey(d->cert), point, err);

    if (rc)
        return rc;
    buf_put_str(out, ",\"publicKeySet\":{\"keys\":[{\"kid\":\"0\",\"kty\":\"EC\",\"crv\":\"P-256\","
                     "\"x\":\"");
    text_base64url(out, point + 1, 32);
    buf_put_str(out, "\",\"y\":\"");
    text_base64url(out, point + 33, 32);
    buf_put_str(out, "\",\"x5c\":[\"");
    text_der_base64(out, d->cert);
    buf_put_str(out, "\",\"");
    text_der_base64(out, d->issuer);
    buf_put_str(out, "\"]}]}");
    return 0;
}

static int make_payload(const struct platform_run *run, const struct platform_device *d,
                        struct buf *out, struct error *err)
{
    char ts[CLOCK_TEXT_SIZE];

    clock_text(d->record->ts, ts);
    buf_put_str(out, "{\"version\":3,\"model\":");
    text_json(out, platform_value(run, "model"));
    buf_put_str(out, ",\"partNumber\":");
    text_json(out, platform_value(run, "part"));
    put_organization(run, "manufacturer", out);
    put_organization(run, "provisioner", out);
    put_organization(run, "distributor", out);
    if (*platform_value(run, "group")) {
        buf_put_str(out, ",\"groupId\":");
        text_json(out, platform_value(run, "group"));
    }
    buf_printf(out, ",\"provisioningTimestamp\":\"%.*s.000Z\",\"uniqueId\":", (int)strlen(ts) - 1,
               ts);
    put_id(run, d, out);
    if (put_key(d, out, err))
        return ERR_CRYPTO;
    buf_put_u8(out, '}');
    return buf_check(out, "a SecureElement", err);
}

static int make_header(const struct platform_run *run, struct buf *out, struct error *err)
{
    X509 *cert = run->signer->cert;
    const ASN1_OCTET_STRING *ski = X509_get0_subject_key_id(cert);
    uint8_t hash[SHA256_SIZE];

    if (!ski)
        return error_set(err, ERR_INPUT,
                         "the signer's certificate has no subjectKeyIdentifier, which importers "
                         "look for");
    if (X509_digest(cert, EVP_sha256(), hash, NULL) != 1)
        return error_set(err, ERR_CRYPTO, "cannot hash the signer's certificate");
    buf_put_str(out, "{\"typ\":\"JWT\",\"alg\":\"ES256\",\"kid\":\"");
    text_base64url(out, ASN1_STRING_get0_data(ski), (size_t)ASN1_STRING_length(ski));
    buf_put_str(out, "\",\"x5t#S256\":\"");
    text_base64url(out, hash, sizeof hash);
    buf_put_str(out, "\"}");
    return buf_check(out, "a protected header", err);
}

static void head(struct buf *out)
{
    buf_put_str(out, "[\n");
}

static int device(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                  struct buf *out, struct error *err)
{
    struct buf payload, header;
    struct jws jws = {.dot = 0};
    int rc;

    buf_init(&payload, PAYLOAD_MAX);
    buf_init(&header, PAYLOAD_MAX);
    rc = make_payload(run, d, &payload, err);
    if (rc == 0)
        rc = make_header(run, &header, err);
    if (rc == 0)
        rc = jws_sign(&jws, &header, &payload, run->signer->key, err);
    if (rc == 0) {
        buf_put_str(out, n ? ",\n{" : "{");
        jws_put_payload(out, &jws);
        buf_put_u8(out, ',');
        jws_put_protected(out, &jws);
        buf_put_str(out, ",\"header\":{\"uniqueId\":");
        put_id(run, d, out);
        buf_put_str(out, "},");
        jws_put_signature(out, &jws);
        buf_put_u8(out, '}');
    }
    jws_done(&jws);
    buf_done(&payload);
    buf_done(&header);
    return rc ? rc : buf_check(out, "an entry", err);
}

static void tail(uint64_t count, struct buf *out)
{
    buf_put_str(out, count ? "\n]\n" : "]\n");
}

static const struct platform_setting settings[] = {
    {"organization", NULL, "maker, provisioner and distributor, as the entries name them"},
    {"unit", "", "their organizational unit"},
    {"model", NULL, "the part's base model"},
    {"part", NULL, "the orderable part number"},
    {"group", "", "a globally unique id of the group; left out without it"},
    {"id", "chip", "uniqueId: chip, the chip's id in hexadecimal digits, or serial"},
    {NULL, NULL, NULL}};

const struct export_format platform_microchip = {
    .name = "microchip",
    .help = "Microchip Trust Platform manifest, each entry signed",
    .extension = "json",
    .per_file = PER_FILE,
    .keys = PLATFORM_P256,
    .signs = true,
    .settings = settings,
    .refuses = refuses,
    .refuses_settings = refuses_settings,
    .head = head,
    .device = device,
    .tail = tail,
};
