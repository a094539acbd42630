/* Symmetric keys of devices, for who onboards them: docs/exports.md names the documents. */
#include "base/codec.h"
#include "manifests/platforms/formats.h"
#include "manifests/platforms/text.h"

#include <openssl/evp.h>
#include <string.h>

#define KEYS_PER_FILE 10000
#define KEY_TEXT      45 /* base64 of PLATFORM_KEY_SIZE bytes, with its NUL */

static void put_key(struct buf *out, const struct platform_device *d)
{
    unsigned char text[KEY_TEXT];

    EVP_EncodeBlock(text, d->key, PLATFORM_KEY_SIZE);
    buf_printf(out, "\"%s\"", (const char *)text);
    explicit_bzero(text, sizeof text);
}

/* ---- one object a line ---- */

static const char *refuses(const char *serial)
{
    size_t len = strlen(serial);

    return len > 0 && len <= IMPRINT_SERIAL_MAX ? NULL : "a serial has 1 to 64 characters";
}

static int line_device(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                       struct buf *out, struct error *err)
{
    char order[2 * SHA256_SIZE + 1];

    (void)run;
    (void)n;
    hex_encode(d->record->order, SHA256_SIZE, order);
    buf_put_str(out, "{\"key\":");
    put_key(out, d);
    buf_printf(out, ",\"order\":\"%s\",\"prod\":", order);
    text_json(out, d->record->prod);
    buf_put_str(out, ",\"sn\":");
    text_json(out, d->record->sn);
    buf_put_str(out, "}\n");
    return buf_check(out, "the line of a key", err);
}

const struct export_format platform_symmetric_keys = {
    .name = "symmetric-keys",
    .help = "symmetric keys, a JSON object a line, encrypted (CMS EnvelopedData)",
    .extension = "cms",
    .per_file = KEYS_PER_FILE,
    .secret = true,
    .refuses = refuses,
    .device = line_device,
};

/* ---- DPS: individual enrolments with symmetric keys, the body of one call a line ---- */

static int dps_device(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                      struct buf *out, struct error *err)
{
    (void)run;
    azure_dps_open(out, d->record->sn, n);
    buf_put_str(out, "\"symmetricKey\",\"symmetricKey\":{\"primaryKey\":");
    put_key(out, d);
    buf_put_str(out, ",\"secondaryKey\":"); /* a device has one; DPS wants both or none */
    put_key(out, d);
    buf_put_str(out, "}},\"provisioningStatus\":\"enabled\"}");
    return buf_check(out, "an enrolment", err);
}

const struct export_format platform_azure_dps_keys = {
    .name = "azure-dps-keys",
    .help = "Azure DPS, individual enrolments with symmetric keys, encrypted (CMS EnvelopedData)",
    .extension = "cms",
    .per_file = KEYS_PER_FILE,
    .folds_case = true,
    .secret = true,
    .refuses = azure_dps_refuses,
    .device = dps_device,
    .tail = azure_dps_tail,
};
