#include "manifests/platforms/vendor.h"

#include <string.h>

static const struct {
    const char *name;
    int (*read)(const struct vendor_reader *r, const char *path, struct error *err);
} formats[] = {{"microchip", vendor_read_microchip},
               {"espressif", vendor_read_csv},
               {"nrf-cloud", vendor_read_csv}};

int vendor_read(const struct vendor_reader *r, const char *path, struct error *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(formats[i].name, r->format) == 0)
            return formats[i].read(r, path, err) ? error_prefix(err, "'%s'", path) : 0;
    return error_set(err, ERR_USAGE,
                     "there is no format '%s' to import: there are microchip, espressif, nrf-cloud",
                     r->format);
}

int vendor_serial(struct vendor_device *d, const char *text, size_t len, struct error *err)
{
    bool good = len > 0 && len < sizeof d->serial;

    for (size_t i = 0; good && i < len; i++)
        good = text[i] > 0x20 && text[i] < 0x7f;
    if (!good)
        return error_set(err, ERR_FORMAT,
                         "the device's name is not 1 to %d printable characters without blanks",
                         IMPRINT_SERIAL_MAX);
    memcpy(d->serial, text, len);
    d->serial[len] = 0;
    return 0;
}
