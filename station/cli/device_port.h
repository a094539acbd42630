/*
 * device_port: the one port of `imprint conform` and `imprint verify`: opened here, because who asks the
 * device can open nothing, and opened again after the device was turned off and on.
 */
#ifndef STATION_CLI_DEVICE_PORT_H
#define STATION_CLI_DEVICE_PORT_H

#include "station/line/usb.h"
#include "station/wire/offer.h"

struct device_port {
    const char *name; /* /dev/ttyUSB0, usb:1209:0001, usb_path:1-2.3, tcp:HOST:PORT or unix:/PATH */
    int baud;
    struct usb_hub *hub; /* moves the bytes of a USB device; NULL: it is none */
};

/* Opens the port. *fd is the caller's. Errors: those of serial_open, usb_hub_open and ports_find;
 * ERR_MISSING, ERR_IO for an address where nobody listens. */
MUST_USE int device_port_open(struct device_port *p, enum offer_kind *kind, int *fd,
                              struct error *err);

/* As device_port_open, and waits for a device that is starting, at most DEVICE_PORT_WAIT_MS. */
#define DEVICE_PORT_WAIT_MS 15000
MUST_USE int device_port_wait(struct device_port *p, enum offer_kind *kind, int *fd,
                              struct error *err);

/* Gives a USB device back. */
void device_port_close(struct device_port *p);

#endif
