/*
 * usb: a USB device's vendor-specific bulk interface as a transport, over libusb.
 *
 * Invariants
 *  1. Listing opens no device: what it tells, the kernel knows already.
 *  2. The interface is claimed until it is closed, a kernel driver on it is detached before and
 *     attached again after: one process holds a device.
 *  3. A write whose length is a multiple of the endpoint's packets ends with a packet of length 0:
 *     without it the device would wait for the rest.
 *  4. The device's node is opened by usb_open, and nothing later opens any: a confined process can
 *     go on with it.
 *  5. After the first usb_open a process lists nothing any more: no thread and no socket of
 *     libusb watches the machine's devices from then on.
 */
#ifndef STATION_LINE_USB_H
#define STATION_LINE_USB_H

#include "link/transport.h"

#include <stdbool.h>

#define USB_PATH_MAX 31 /* "1-2.3": bus, and the port of each hub down to the device */

struct usb_info {
    char path[USB_PATH_MAX + 1];
    int vid, pid;
    int bus, address;
    bool bulk; /* has an interface that usb_open takes */
};

/*
 * Calls each for every USB device, in no order, until it returns non-zero, which is then returned. A
 * machine without USB has none. Errors: ERR_IO when the system's list cannot be read.
 */
MUST_USE int usb_list(int (*each)(void *context, const struct usb_info *info), void *context,
                      struct error *err);

/*
 * Opens the first vendor-specific interface (class 255) that has a bulk endpoint each way. name: for
 * messages. The caller closes *out with transport_close. Errors: ERR_MISSING no such device;
 * ERR_BUSY another process holds the interface; ERR_REFUSED no such interface; ERR_IO anything else,
 * permission included.
 */
MUST_USE int usb_open(const char *name, int bus, int address, struct transport **out,
                      struct error *err);

#endif
