/* AWS IoT Core: docs/exports.md names the documents. */
#include "manifests/platforms/formats.h"
#include "manifests/platforms/text.h"

#define AWS_KEYS (PLATFORM_P256 | PLATFORM_P384 | PLATFORM_P521 | PLATFORM_RSA)

static const char *refuses(const char *serial)
{
    return text_is(serial, TEXT_ALPHANUMERIC ":_-", 128)
               ? NULL
               : "a thing name is 1 to 128 letters, digits and : _ -";
}

/* ---- bulk registration: one object of template parameters a line ---- */

static int bulk_device(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                       struct buf *out, struct error *err)
{
    (void)run;
    (void)n;
    buf_put_str(out, "{\"ThingName\":");
    text_json(out, d->record->sn);
    buf_put_str(out, ",\"SerialNumber\":");
    text_json(out, d->record->sn);
    buf_put_str(out, ",\"CertificatePem\":");
    text_pem_json(out, d->cert);
    buf_put_str(out, ",\"CACertificatePem\":");
    text_pem_json(out, d->issuer);
    buf_put_str(out, "}\n");
    return buf_check(out, "a line of the bulk registration", err);
}

static void bulk_template(const struct platform_run *run, struct buf *out)
{
    buf_put_str(
        out,
        "{\"Parameters\":{\"ThingName\":{\"Type\":\"String\"},\"SerialNumber\":{\"Type\":"
        "\"String\"},\"CertificatePem\":{\"Type\":\"String\"},\"CACertificatePem\":{\"Type\":"
        "\"String\"}},\"Resources\":{\"thing\":{\"Type\":\"AWS::IoT::Thing\",\"Properties\":"
        "{\"ThingName\":{\"Ref\":\"ThingName\"},\"AttributePayload\":{\"serialNumber\":{\"Ref\":"
        "\"SerialNumber\"}}}},\"certificate\":{\"Type\":\"AWS::IoT::Certificate\",\"Properties\":"
        "{\"CertificatePem\":{\"Ref\":\"CertificatePem\"},\"CACertificatePem\":{\"Ref\":"
        "\"CACertificatePem\"},\"Status\":\"ACTIVE\"}},\"policy\":{\"Type\":\"AWS::IoT::Policy\","
        "\"Properties\":{\"PolicyName\":");
    text_json(out, platform_value(run, "policy"));
    buf_put_str(out, "}}}}\n");
}

static const struct platform_setting bulk_settings[] = {
    {"policy", NULL, "name of the AWS IoT policy that the devices get; it must exist"},
    {NULL, NULL, NULL}};

const struct export_format platform_aws_iot = {
    .name = "aws-iot",
    .help = "AWS IoT bulk registration: parameters, one device a line, and template.json",
    .extension = "jsonl",
    .extra = "template.json",
    .keys = AWS_KEYS,
    .settings = bulk_settings,
    .refuses = refuses,
    .device = bulk_device,
    .make_extra = bulk_template,
};

/* ---- RegisterCertificateWithoutCA: the body of one call a line ---- */

static int single_device(const struct platform_run *run, const struct platform_device *d,
                         uint64_t n, struct buf *out, struct error *err)
{
    (void)run;
    (void)n;
    buf_put_str(out, "{\"certificatePem\":");
    text_pem_json(out, d->cert);
    buf_put_str(out, ",\"status\":\"ACTIVE\"}\n");
    return buf_check(out, "a certificate to register", err);
}

const struct export_format platform_aws_iot_no_ca = {
    .name = "aws-iot-no-ca",
    .help = "AWS IoT, certificates registered without a CA, the body of one call a line",
    .extension = "jsonl",
    .keys = AWS_KEYS,
    .refuses = refuses,
    .device = single_device,
};
