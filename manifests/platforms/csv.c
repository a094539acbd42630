/* Espressif and nRF Cloud, both CSV with the certificate as a quoted PEM: docs/exports.md. */
#include "manifests/platforms/formats.h"
#include "manifests/platforms/text.h"

#include <stdio.h>
#include <string.h>

#define MAC_SIZE     6
#define NRF_PER_FILE 1000

/* No text that gets here holds a quote: serials and settings are checked, PEM has none. */
static void put_quoted_pem(struct buf *out, X509 *cert)
{
    buf_put_u8(out, '"');
    text_pem(out, cert);
    buf_put_str(out, "\"\n");
}

/* ---- Espressif: MAC,cn,cert ---- */

static const char *espressif_refuses(const char *serial)
{
    return text_is(serial, TEXT_ALPHANUMERIC ":_-", 64)
               ? NULL
               : "what imports this file names a thing by it: 1 to 64 letters, digits and : _ -";
}

static const char *espressif_refuses_device(const struct platform_run *run,
                                            const struct platform_device *d)
{
    (void)run;
    if (d->record->chip_len != MAC_SIZE)
        return "its chip id is not a MAC address of six bytes";
    return NULL;
}

static void espressif_head(struct buf *out)
{
    buf_put_str(out, "MAC,cn,cert\n");
}

static int espressif_device(const struct platform_run *run, const struct platform_device *d,
                            uint64_t n, struct buf *out, struct error *err)
{
    (void)run;
    (void)n;
    for (size_t i = 0; i < MAC_SIZE; i++)
        buf_printf(out, "%02X", d->record->chip[i]);
    buf_printf(out, ",%s,", d->cn);
    put_quoted_pem(out, d->cert);
    return buf_check(out, "a row", err);
}

const struct export_format platform_espressif = {
    .name = "espressif",
    .help = "CSV with MAC, cn and cert, as Espressif ships it",
    .extension = "csv",
    .names_by_cn = true,
    .keys = PLATFORM_P256 | PLATFORM_P384 | PLATFORM_P521 | PLATFORM_RSA,
    .refuses = espressif_refuses,
    .refuses_device = espressif_refuses_device,
    .head = espressif_head,
    .device = espressif_device,
};

/* ---- nRF Cloud: deviceId,subType,tags,fwTypes,"PEM", no header ---- */

static const char *nrf_refuses(const char *serial)
{
    return text_is(serial, TEXT_ALPHANUMERIC "_-", 63)
               ? NULL
               : "a device id is 1 to 63 letters, digits, _ and -";
}

#define NRF_LIST TEXT_ALPHANUMERIC "_-|:. "

static const char *nrf_refuses_settings(const struct platform_run *run)
{
    const char *type = platform_value(run, "sub-type"), *tags = platform_value(run, "tags");
    const char *fw = platform_value(run, "fw-types");

    if ((*type && !text_is(type, NRF_LIST, 63)) || (*tags && !text_is(tags, NRF_LIST, 799)))
        return "sub-type and tags are letters, digits and _ - : . and '|' between two tags";
    while (*fw) {
        static const char *const known[] = {"APP", "MODEM", "BOOT", "SOFTDEVICE", "BOOTLOADER"};
        size_t len = strcspn(fw, "|"), i = 0;

        while (i < 5 && (strlen(known[i]) != len || strncmp(known[i], fw, len)))
            i++;
        if (i == 5)
            return "fw-types are of APP, MODEM, BOOT, SOFTDEVICE and BOOTLOADER, with '|' between "
                   "two";
        fw += len + (fw[len] == '|');
    }
    return NULL;
}

static int nrf_device(const struct platform_run *run, const struct platform_device *d, uint64_t n,
                      struct buf *out, struct error *err)
{
    (void)n;
    buf_printf(out, "%s,%s,%s,%s,", d->record->sn, platform_value(run, "sub-type"),
               platform_value(run, "tags"), platform_value(run, "fw-types"));
    put_quoted_pem(out, d->cert);
    return buf_check(out, "a row", err);
}

static const struct platform_setting nrf_settings[] = {
    {"sub-type", "", "the product, as nRF Cloud is to show it"},
    {"tags", "", "names of groups, with '|' between two"},
    {"fw-types", "APP|MODEM", "what may be updated over the air, with '|' between two"},
    {NULL, NULL, NULL}};

const struct export_format platform_nrf_cloud = {
    .name = "nrf-cloud",
    .help = "nRF Cloud, CSV of at most 1,000 devices a file",
    .extension = "csv",
    .per_file = NRF_PER_FILE,
    .keys = PLATFORM_P256,
    .settings = nrf_settings,
    .refuses = nrf_refuses,
    .refuses_settings = nrf_refuses_settings,
    .device = nrf_device,
};
