/*
 * usb: USB devices with a vendor-specific bulk interface, over libusb: lists them, and moves the bytes of
 * those that were opened between their endpoints and a socket each.
 *
 * Invariants
 *  1. Listing opens no device: what it tells, the kernel knows already.
 *  2. The interface is claimed until it is released, a kernel driver on it is detached before and
 *     attached again after: one process holds a device.
 *  3. What is written to the socket at once and whose length is a multiple of the endpoint's packets is
 *     followed by a packet of length 0: without it the device would wait for the rest.
 *  4. Nothing waits: transfers are asynchronous, and a device that takes nothing, or whose reader takes
 *     nothing, holds up itself alone. No more than one transfer each way and one socket buffer lie
 *     between the two.
 *  5. A device that is unplugged or fails closes its socket; who closes the socket gives the device back.
 *  6. Bytes are moved and never looked at.
 */
#ifndef STATION_LINE_USB_H
#define STATION_LINE_USB_H

#include "base/error.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define USB_PATH_MAX   31 /* "1-2.3": bus, and the port of each hub down to the device */
#define USB_DRIVER_MAX 31

struct usb_info {
    char path[USB_PATH_MAX + 1];
    int vid, pid;
    int bus, address;
    bool bulk; /* has an interface that usb_hub_open takes */
    char driver[USB_DRIVER_MAX +
                1]; /* the kernel's, of the first interface that has one; or empty */
};

/*
 * Calls each for every USB device, in no order, until it returns non-zero, which is then returned. It
 * reads what the kernel shows in /sys, for libusb's own list needs a socket and a thread. A machine without
 * USB has none. Errors: ERR_IO when the system's list cannot be read.
 */
MUST_USE int usb_list(int (*each)(void *context, const struct usb_info *info), void *context,
                      struct error *err);

/* The devices that are open. */
struct usb_hub;

/* NULL on a machine without USB. */
struct usb_hub *usb_hub_new(void);
void usb_hub_free(struct usb_hub *hub); /* NULL is fine; every device is given back */

/*
 * Opens the first vendor-specific interface (class 255) that has a bulk endpoint each way. name: for
 * messages. *fd is the caller's end of a stream socket that never blocks. Errors: ERR_MISSING no such device;
 * ERR_BUSY another process holds the interface; ERR_REFUSED no such interface; ERR_IO anything else,
 * permission included.
 */
MUST_USE int usb_hub_open(struct usb_hub *hub, const char *name, int bus, int address, int *fd,
                          struct error *err);

/* What to wait for before usb_hub_work; returns how many of at most max were filled in. */
size_t usb_hub_poll(struct usb_hub *hub, struct pollfd *fds, size_t max);

/* Moves what can be moved and gives back what ended. Never waits. */
void usb_hub_work(struct usb_hub *hub);

#endif
