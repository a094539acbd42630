/*
 * Lists of makers of parts, and receipts: byte 0 chooses a Microchip manifest (certificates in PEM, a
 * zero byte, then the list), Espressif's CSV, that of nRF Cloud, or the content of a receipt. What is
 * taken of a list can be a record; a receipt is written again to the same bytes.
 */
#include "fuzz.h"

#include "manifests/platforms/vendor.h"
#include "manifests/receipt.h"
#include "pki/signed.h"

#include <stdlib.h>
#include <string.h>

static struct error err;

static int take(void *context, const struct vendor_device *d, struct error *e)
{
    (void)context;
    (void)e;
    FUZZ_ASSERT(*d->serial && strlen(d->serial) <= IMPRINT_SERIAL_MAX);
    FUZZ_ASSERT(strspn(d->serial, " ") == 0 && d->chip_len <= IMPRINT_CHIP_ID_MAX);
    return 0;
}

static void fuzz_microchip(const uint8_t *p, size_t len)
{
    const uint8_t *end = memchr(p, 0, len);
    struct vendor_reader r = {.format = "microchip", .take = take};
    struct buf pem;
    FILE *in;

    if (!end || (size_t)(end + 1 - p) == len)
        return;
    buf_init(&pem, len);
    buf_put(&pem, p, (size_t)(end - p));
    in = fmemopen((void *)(uintptr_t)(end + 1), len - (size_t)(end + 1 - p), "r");
    FUZZ_ASSERT(in);
    if (signed_pins_parse(&pem, "pins", &r.pins, &err) == 0 && vendor_parse_microchip(&r, in, &err))
        FUZZ_ASSERT(*err.text);
    signed_pins_free(r.pins);
    fclose(in);
    buf_done(&pem);
}

static void fuzz_csv(const char *format, const uint8_t *p, size_t len)
{
    struct vendor_reader r = {.format = format, .take = take};
    char *text = malloc(len + 1);

    FUZZ_ASSERT(text);
    memcpy(text, p, len);
    text[len] = 0;
    if (vendor_parse_csv(&r, text, len, &err))
        FUZZ_ASSERT(*err.text);
    free(text);
}

static void fuzz_receipt(const uint8_t *p, size_t len)
{
    struct receipt r;
    struct buf again;

    if (receipt_parse(p, len, &r, &err))
        return;
    buf_init(&again, RECEIPT_MAX);
    FUZZ_ASSERT(receipt_write(&r, &again, &err) == 0);
    FUZZ_ASSERT(again.len == len && memcmp(again.data, p, len) == 0);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    err = (struct error)ERROR_INIT;
    switch (data[0]) {
    case 'm':
        fuzz_microchip(data + 1, size - 1);
        break;
    case 'e':
        fuzz_csv("espressif", data + 1, size - 1);
        break;
    case 'n':
        fuzz_csv("nrf-cloud", data + 1, size - 1);
        break;
    case 'r':
        fuzz_receipt(data + 1, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
