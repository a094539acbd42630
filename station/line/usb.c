#include "station/line/usb.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <libusb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 64
#define HUBS_MAX       7    /* of USB: a path has no more ports */
#define IN_SIZE        4096 /* a multiple of every packet size: a shorter buffer may overflow */

/* Where the bytes of a device go in and out. */
struct bulk {
    int interface;
    uint8_t in, out;
    int out_packet;
};

struct usb {
    struct transport transport;
    libusb_context *context;
    libusb_device_handle *handle;
    int fd;
    struct bulk bulk;
    uint8_t held[IN_SIZE]; /* came with the last transfer and was not asked for yet */
    size_t held_at, held_end;
    char name[NAME_MAX_BYTES];
};

/* ---- listing ---- */

static bool is_bulk(const struct libusb_endpoint_descriptor *e)
{
    return (e->bmAttributes & LIBUSB_TRANSFER_TYPE_MASK) == LIBUSB_TRANSFER_TYPE_BULK;
}

static bool find_endpoints(const struct libusb_interface_descriptor *d, struct bulk *out)
{
    *out = (struct bulk){.interface = d->bInterfaceNumber};
    if (d->bInterfaceClass != LIBUSB_CLASS_VENDOR_SPEC)
        return false;
    for (int i = 0; i < d->bNumEndpoints; i++) {
        const struct libusb_endpoint_descriptor *e = &d->endpoint[i];

        if (is_bulk(e) && e->bEndpointAddress & LIBUSB_ENDPOINT_IN && !out->in) {
            out->in = e->bEndpointAddress;
        } else if (is_bulk(e) && !(e->bEndpointAddress & LIBUSB_ENDPOINT_IN) && !out->out) {
            out->out = e->bEndpointAddress;
            out->out_packet = e->wMaxPacketSize;
        }
    }
    return out->in && out->out && out->out_packet > 0;
}

/* The first fitting interface; false without one. */
static bool find_bulk(libusb_device *device, struct bulk *out)
{
    struct libusb_config_descriptor *config;
    bool found = false;

    if (libusb_get_active_config_descriptor(device, &config))
        return false;
    for (int i = 0; i < config->bNumInterfaces && !found; i++)
        found = config->interface[i].num_altsetting > 0 &&
                find_endpoints(&config->interface[i].altsetting[0], out);
    libusb_free_config_descriptor(config);
    return found;
}

/* False for a root hub, which has no path and is no device of anybody. */
static bool describe(libusb_device *device, struct usb_info *info)
{
    struct libusb_device_descriptor d;
    struct bulk unused;
    uint8_t ports[HUBS_MAX];
    int count = libusb_get_port_numbers(device, ports, HUBS_MAX), used;

    if (count <= 0 || libusb_get_device_descriptor(device, &d))
        return false;
    *info = (struct usb_info){.vid = d.idVendor,
                              .pid = d.idProduct,
                              .bus = libusb_get_bus_number(device),
                              .address = libusb_get_device_address(device),
                              .bulk = find_bulk(device, &unused)};
    used = snprintf(info->path, sizeof info->path, "%d-%d", info->bus, ports[0]);
    for (int i = 1; i < count; i++)
        used += snprintf(info->path + used, sizeof info->path - (size_t)used, ".%d", ports[i]);
    return true;
}

int usb_list(int (*each)(void *context, const struct usb_info *info), void *context,
             struct error *err)
{
    libusb_context *usb;
    libusb_device **list;
    struct usb_info info;
    ssize_t count;
    int rc = 0;

    if (libusb_init(&usb))
        return 0; /* a kernel without USB */
    count = libusb_get_device_list(usb, &list);
    if (count < 0)
        rc = error_set(err, ERR_IO, "cannot list the USB devices of this machine: %s",
                       libusb_strerror((int)count));
    for (ssize_t i = 0; i < count && rc == 0; i++)
        if (describe(list[i], &info))
            rc = each(context, &info);
    if (count >= 0)
        libusb_free_device_list(list, 1);
    libusb_exit(usb);
    return rc;
}

/* ---- bytes ---- */

/* The kernel answers this without asking the device. */
static bool is_gone(const struct usb *u)
{
    return libusb_kernel_driver_active(u->handle, u->bulk.interface) == LIBUSB_ERROR_NO_DEVICE;
}

/* A device that is pulled out may fail its last transfer in any way. */
static int fail(const struct usb *u, const char *what, int code, struct error *err)
{
    if (code == LIBUSB_ERROR_NO_DEVICE || is_gone(u))
        return error_set_native(err, ERR_GONE, code, "'%s': the device was unplugged", u->name);
    return error_set_native(err, ERR_IO, code, "'%s': cannot %s: %s", u->name, what,
                            libusb_strerror(code));
}

/* One transfer before the deadline, at least a millisecond: 0 would be no limit. */
static int transfer(const struct usb *u, uint8_t endpoint, uint8_t *bytes, int len, int *done,
                    int64_t deadline)
{
    int64_t left = deadline - clock_mono_ms();

    *done = 0;
    return libusb_bulk_transfer(u->handle, endpoint, bytes, len, done,
                                left > 0 ? (unsigned)left : 1);
}

static int send_all(const struct usb *u, const uint8_t *bytes, size_t len, int64_t deadline,
                    struct error *err)
{
    int done;
    /* libusb takes no pointer to const, and does not write through it. */
    int rc = transfer(u, u->bulk.out, (uint8_t *)(uintptr_t)bytes, (int)len, &done, deadline);

    if ((size_t)done == len && (rc == 0 || (rc == LIBUSB_ERROR_TIMEOUT && len > 0)))
        return 0;
    if (rc && rc != LIBUSB_ERROR_TIMEOUT)
        return fail(u, "write", rc, err);
    return is_gone(u) ? fail(u, "write", rc, err)
                      : error_set(err, ERR_TIMEOUT, "'%s' takes no bytes in time", u->name);
}

static int usb_write(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                     struct error *err)
{
    const struct usb *u = (struct usb *)t;
    int64_t deadline = clock_mono_ms() + timeout_ms;
    int rc = send_all(u, bytes, len, deadline, err);

    if (rc == 0 && len % (size_t)u->bulk.out_packet == 0)
        rc = send_all(u, bytes, 0, deadline, err);
    return rc;
}

/* Waits for one transfer from the device; an empty one is none. */
static int receive(struct usb *u, int timeout_ms, struct error *err)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;

    for (;;) {
        int done;
        int rc = transfer(u, u->bulk.in, u->held, sizeof u->held, &done, deadline);

        u->held_at = 0;
        u->held_end = (size_t)done;
        if (done > 0 && (rc == 0 || rc == LIBUSB_ERROR_TIMEOUT))
            return 0;
        if (rc && rc != LIBUSB_ERROR_TIMEOUT)
            return fail(u, "read", rc, err);
        if (is_gone(u))
            return fail(u, "read", rc, err);
        if (rc || clock_mono_ms() >= deadline)
            return error_set(err, ERR_TIMEOUT, "'%s' is silent for %d ms", u->name, timeout_ms);
    }
}

static int usb_read(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                    struct error *err)
{
    struct usb *u = (struct usb *)t;
    int rc = u->held_at == u->held_end ? receive(u, timeout_ms, err) : 0;
    size_t n = u->held_end - u->held_at;

    if (rc)
        return rc;
    *got = n < max ? n : max;
    memcpy(out, u->held + u->held_at, *got);
    u->held_at += *got;
    return 0;
}

/* ---- opening and closing ---- */

/* Whatever stands, also of a device that did not open. */
static void release(struct usb *u)
{
    if (u->handle) {
        (void)libusb_release_interface(u->handle, u->bulk.interface);
        libusb_close(u->handle);
    }
    if (u->context)
        libusb_exit(u->context);
    if (u->fd >= 0)
        close(u->fd); /* libusb leaves it to who opened it */
    free(u);
}

static void usb_close(struct transport *t)
{
    release((struct usb *)t);
}

static int fail_open(const struct usb *u, const char *path, struct error *err)
{
    int saved = errno;

    if (saved == ENOENT || saved == ENODEV)
        return error_set_native(err, ERR_MISSING, saved, "there is no USB device '%s'", u->name);
    if (saved == EACCES || saved == EPERM)
        return error_set_native(err, ERR_IO, saved,
                                "no permission to open '%s' (%s): install the station's udev rule "
                                "for this device",
                                u->name, path);
    return error_set_native(err, ERR_IO, saved, "cannot open '%s': %s", u->name, strerror(saved));
}

static int claim(struct usb *u, struct error *err)
{
    int rc;

    if (!find_bulk(libusb_get_device(u->handle), &u->bulk))
        return error_set(err, ERR_REFUSED,
                         "'%s' has no vendor-specific interface with a bulk endpoint each way: "
                         "check that this is the right device and firmware",
                         u->name);
    (void)libusb_set_auto_detach_kernel_driver(u->handle, 1); /* not everywhere there */
    rc = libusb_claim_interface(u->handle, u->bulk.interface);
    if (rc == LIBUSB_ERROR_BUSY)
        return error_set(err, ERR_BUSY, "'%s' is in use by another process", u->name);
    return rc ? fail(u, "claim its interface", rc, err) : 0;
}

/* The node is opened here and libusb gets its descriptor: it looks for no devices by itself. */
static int acquire(struct usb *u, int bus, int address, struct error *err)
{
    char path[64];
    int rc;

    snprintf(path, sizeof path, "/dev/bus/usb/%03d/%03d", bus, address);
    u->fd = open(path, O_RDWR | O_CLOEXEC);
    if (u->fd < 0)
        return fail_open(u, path, err);
    (void)libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
    rc = libusb_init(&u->context);
    if (rc == 0)
        rc = libusb_wrap_sys_device(u->context, u->fd, &u->handle);
    if (rc)
        return error_set_native(err, ERR_IO, rc, "cannot open '%s': %s", u->name,
                                libusb_strerror(rc));
    return claim(u, err);
}

int usb_open(const char *name, int bus, int address, struct transport **out, struct error *err)
{
    static const struct transport_ops ops = {usb_write, usb_read, usb_close};
    struct usb *u = calloc(1, sizeof *u);
    int rc;

    if (!u)
        return error_set(err, ERR_INTERNAL, "out of memory");
    u->fd = -1;
    snprintf(u->name, sizeof u->name, "%s", name);
    u->transport = (struct transport){&ops, u->name};
    rc = acquire(u, bus, address, err);
    if (rc) {
        release(u);
        return rc;
    }
    *out = &u->transport;
    return 0;
}
