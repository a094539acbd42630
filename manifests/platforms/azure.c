/* Azure IoT Hub and its Device Provisioning Service: docs/exports.md names the documents. */
#include "base/codec.h"
#include "manifests/platforms/formats.h"
#include "manifests/platforms/text.h"

#include <stdio.h>
#include <string.h>

#define DPS_CALL   10 /* enrolments that one call may have */
#define AZURE_KEYS (PLATFORM_P256 | PLATFORM_P384 | PLATFORM_P521 | PLATFORM_RSA)

/* ---- IoT Hub: devices.txt of the bulk import ---- */

static const char *hub_refuses(const char *serial)
{
    if (!text_is(serial, TEXT_ALPHANUMERIC "-.+%_#*?!(),=@$'", 128))
        return "a device id of IoT Hub is 1 to 128 letters, digits and - . + % _ # * ? ! ( ) , = @ "
               "$ '";
    return NULL;
}

static int hub_device(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                      struct buf *out, struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];

    (void)run;
    (void)n;
    sha256(d->record->cert.p, d->record->cert.len, hash);
    hex_encode(hash, sizeof hash, hex);
    for (char *c = hex; *c; c++)
        *c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
    buf_put_str(out, "{\"id\":");
    text_json(out, d->record->sn);
    buf_printf(out,
               ",\"importMode\":\"create\",\"status\":\"enabled\",\"authentication\":{\"type\":"
               "\"selfSigned\",\"x509Thumbprint\":{\"primaryThumbprint\":\"%s\","
               "\"secondaryThumbprint\":null}}}\n",
               hex);
    return buf_check(out, "a line of devices.txt", err);
}

const struct export_format platform_azure_iot_hub = {
    .name = "azure-iot-hub",
    .help = "Azure IoT Hub, devices.txt of the bulk import",
    .file = "devices.txt",
    .keys = AZURE_KEYS,
    .refuses = hub_refuses,
    .device = hub_device,
};

/* ---- DPS: individual enrolments, the body of one call a line ---- */

const char *azure_dps_refuses(const char *serial)
{
    if (!text_is(serial, TEXT_ALPHANUMERIC "-._:", 64))
        return "a registration id is a common name of 1 to 64 letters, digits and - . _ :";
    if (!strchr(TEXT_ALPHANUMERIC "-", serial[strlen(serial) - 1]))
        return "a registration id ends with a letter, a digit or '-'";
    return NULL;
}

void azure_dps_open(struct buf *out, const char *serial, uint64_t n)
{
    if (n % DPS_CALL == 0)
        buf_printf(out, "%s{\"mode\":\"create\",\"enrollments\":[", n ? "]}\n" : "");
    else
        buf_put_u8(out, ',');
    buf_put_str(out, "{\"registrationId\":");
    text_json(out, serial);
    buf_put_str(out, ",\"deviceId\":");
    text_json(out, serial);
    buf_put_str(out, ",\"attestation\":{\"type\":");
}

static int dps_device(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                      struct buf *out, struct error *err)
{
    (void)run;
    azure_dps_open(out, d->record->sn, n);
    buf_put_str(out, "\"x509\",\"x509\":{\"clientCertificates\":{\"primary\":{\"certificate\":");
    text_pem_json(out, d->cert);
    buf_put_str(out, "}}}},\"provisioningStatus\":\"enabled\"}");
    return buf_check(out, "an enrolment", err);
}

void azure_dps_tail(uint64_t count, struct buf *out)
{
    if (count)
        buf_put_str(out, "]}\n");
}

const struct export_format platform_azure_dps = {
    .name = "azure-dps",
    .help = "Azure DPS, individual enrolments, ten a call, the body of one call a line",
    .extension = "jsonl",
    .keys = AZURE_KEYS,
    .folds_case = true,
    .names_by_cn = true,
    .refuses = azure_dps_refuses,
    .device = dps_device,
    .tail = azure_dps_tail,
};

/* ---- DPS: one enrolment group for each issuing CA ---- */

/* by_issuer: called once for each. */
static int group_device(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                        struct buf *out, struct error *err)
{
    char hex[2 * SHA256_SIZE + 1];

    (void)run;
    (void)n;
    hex_encode(d->record->iss, SHA256_SIZE, hex);
    buf_printf(out,
               "{\"enrollmentGroupId\":\"ca-%.16s\",\"attestation\":{\"type\":\"x509\",\"x509\":"
               "{\"signingCertificates\":{\"primary\":{\"certificate\":",
               hex);
    text_pem_json(out, d->issuer);
    buf_put_str(out, "}}}},\"provisioningStatus\":\"enabled\"}\n");
    return buf_check(out, "an enrolment group", err);
}

const struct export_format platform_azure_dps_group = {
    .name = "azure-dps-group",
    .help = "Azure DPS, an enrolment group of each issuing CA, the body of one call a line",
    .extension = "jsonl",
    .keys = AZURE_KEYS,
    .folds_case = true,
    .names_by_cn = true,
    .by_issuer = true,
    .refuses = azure_dps_refuses,
    .device = group_device,
};
