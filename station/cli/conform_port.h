/*
 * conform_port: the one port of `imprint conform`: opened here, because the judge can open nothing, and
 * opened again after the device was turned off and on.
 */
#ifndef STATION_CLI_CONFORM_PORT_H
#define STATION_CLI_CONFORM_PORT_H

#include "station/line/usb.h"
#include "station/wire/offer.h"

struct conform_port {
    const char *name; /* /dev/ttyUSB0, usb:1209:0001, usb_path:1-2.3, tcp:HOST:PORT or unix:/PATH */
    int baud;
    struct usb_hub *hub; /* moves the bytes of a USB device; NULL: it is none */
};

/* Opens the port. *fd is the caller's. Errors: those of serial_open, usb_hub_open and ports_find;
 * ERR_MISSING, ERR_IO for an address where nobody listens. */
MUST_USE int conform_port_open(struct conform_port *p, enum offer_kind *kind, int *fd,
                               struct error *err);

/* As conform_port_open, and waits for a device that is starting, at most CONFORM_PORT_WAIT_MS. */
#define CONFORM_PORT_WAIT_MS 15000
MUST_USE int conform_port_wait(struct conform_port *p, enum offer_kind *kind, int *fd,
                               struct error *err);

/* Gives a USB device back. */
void conform_port_close(struct conform_port *p);

#endif
