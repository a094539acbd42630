/* Tickets of OPC 10000-21 (Device Onboarding) 1.05, sections 8.1 and 8.2: docs/exports.md. */
#include "base/clock.h"
#include "manifests/platforms/formats.h"
#include "manifests/platforms/jws.h"
#include "manifests/platforms/text.h"

#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define PAYLOAD_MAX 65536
#define URI_MAX     512

/* The URI of the certificate's subjectAltName, which a registrar compares with the ticket's. */
static bool san_uri(X509 *cert, char out[URI_MAX])
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; !found && names && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_URI || ASN1_STRING_length(name->d.ia5) >= URI_MAX)
            continue;
        snprintf(out, URI_MAX, "%.*s", ASN1_STRING_length(name->d.ia5),
                 (const char *)ASN1_STRING_get0_data(name->d.ia5));
        found = *out != 0;
    }
    GENERAL_NAMES_free(names);
    return found;
}

static bool product_uri(const struct platform_run *run, const struct platform_device *d,
                        char out[URI_MAX])
{
    const char *prefix = platform_value(run, "uri-prefix");

    if (san_uri(d->cert, out))
        return true;
    return *prefix && snprintf(out, URI_MAX, "%s%s", prefix, d->record->sn) < URI_MAX;
}

static const char *refuses(const char *serial)
{
    return *serial ? NULL : "a serial number is not empty";
}

static const char *refuses_device(const struct platform_run *run, const struct platform_device *d)
{
    char uri[URI_MAX];

    return product_uri(run, d, uri) ? NULL
                                    : "its certificate has no URI for the ProductInstanceUri: use "
                                      "a profile with one, or the setting 'uri-prefix'";
}

/* Members that are empty are left out, as the standard's JSON encoding does. */
static void put_text(struct buf *out, const char *member, const char *value)
{
    if (!*value)
        return;
    buf_printf(out, ",\"%s\":", member);
    text_json(out, value);
}

static int make_ticket(const struct platform_run *run, const struct platform_device *d,
                       struct buf *out, struct error *err)
{
    char made[CLOCK_TEXT_SIZE], uri[URI_MAX] = "";

    clock_text(d->record->ts, made);
    (void)product_uri(run, d, uri);
    buf_put_str(out, "{\"manufacturerName\":");
    text_json(out, platform_value(run, "manufacturer"));
    put_text(out, "modelName", platform_value(run, "model"));
    put_text(out, "modelVersion", platform_value(run, "model-version"));
    put_text(out, "hardwareRevision", platform_value(run, "hardware"));
    put_text(out, "softwareRevision", d->record->fw.version);
    put_text(out, "serialNumber", d->record->sn);
    buf_printf(out, ",\"manufactureDate\":\"%s\",\"authorities\":[{\"authorityCertificate\":\"",
               made);
    text_der_base64(out, d->issuer);
    buf_put_str(out, "\"}],\"productInstanceUri\":");
    text_json(out, uri);
    buf_put_u8(out, '}');
    return buf_check(out, "a ticket", err);
}

/* x5c: the signing certificate, then its issuers. */
static int make_header(const struct platform_run *run, struct buf *out, struct error *err)
{
    buf_put_str(out, "{\"alg\":\"ES256\",\"x5c\":[\"");
    text_der_base64(out, run->signer->cert);
    buf_put_u8(out, '"');
    for (int i = 0; i < sk_X509_num(run->signer->chain); i++) {
        buf_put_str(out, ",\"");
        text_der_base64(out, sk_X509_value(run->signer->chain, i));
        buf_put_u8(out, '"');
    }
    buf_put_str(out, "],\"cty\":\"opc-ticket+json;type=DeviceIdentityTicketType\"}");
    return buf_check(out, "a protected header", err);
}

static int device(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                  struct buf *out, struct error *err)
{
    struct buf ticket, header;
    struct jws jws = {.dot = 0};
    int rc;

    (void)n;
    buf_init(&ticket, PAYLOAD_MAX);
    buf_init(&header, PAYLOAD_MAX);
    rc = make_ticket(run, d, &ticket, err);
    if (rc == 0)
        rc = make_header(run, &header, err);
    if (rc == 0)
        rc = jws_sign(&jws, &header, &ticket, run->signer->key, err);
    if (rc == 0) {
        buf_put_u8(out, '{');
        jws_put_payload(out, &jws);
        buf_put_str(out, ",\"signatures\":[{");
        jws_put_protected(out, &jws);
        buf_put_u8(out, ',');
        jws_put_signature(out, &jws);
        buf_put_str(out, "}]}\n");
    }
    jws_done(&jws);
    buf_done(&ticket);
    buf_done(&header);
    return rc ? rc : buf_check(out, "a signed ticket", err);
}

static const struct platform_setting settings[] = {
    {"manufacturer", NULL, "the manufacturer's name"},
    {"model", "", "the model's name"},
    {"model-version", "", "its version"},
    {"hardware", "", "the hardware's revision"},
    {"uri-prefix", "", "ProductInstanceUri without the serial, for certificates without a URI"},
    {NULL, NULL, NULL}};

const struct export_format platform_opc_ua = {
    .name = "opc-ua",
    .help = "OPC UA Part 21 device identity tickets, a signed ticket a line",
    .extension = "jsonl",
    .keys = PLATFORM_P256 | PLATFORM_P384 | PLATFORM_P521 | PLATFORM_RSA,
    .signs = true,
    .settings = settings,
    .refuses = refuses,
    .refuses_device = refuses_device,
    .device = device,
};
