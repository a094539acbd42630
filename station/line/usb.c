#include "station/line/usb.h"

#include <errno.h>
#include <fcntl.h>
#include <libusb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_MAX_BYTES 64
#define IN_SIZE        4096 /* a multiple of every packet size: a shorter buffer may overflow */
#define OUT_SIZE       4096
#define SOCKET_BUFFER  4096 /* small: who writes learns soon that a device takes nothing */

/* Where the bytes of a device go in and out. */
struct bulk {
    int interface;
    uint8_t in, out;
    int out_packet;
};

/* A device that is open, and the bytes on their way. */
struct usb {
    struct usb *next;
    libusb_device_handle *handle;
    int fd;     /* its node */
    int socket; /* our end */
    struct bulk bulk;
    struct libusb_transfer *in, *out;
    bool in_busy, out_busy; /* libusb has the transfer */
    bool ended, cancelled;
    uint8_t in_bytes[IN_SIZE], out_bytes[OUT_SIZE];
    size_t in_at, in_end; /* what the device said and the reader did not take yet */
    char name[NAME_MAX_BYTES];
};

struct usb_hub {
    libusb_context *context;
    struct usb *first;
};

/* ---- interfaces ---- */

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

/* ---- bytes ---- */

static int submit(struct libusb_transfer *t, bool *busy, struct usb *u)
{
    *busy = libusb_submit_transfer(t) == 0;
    if (!*busy)
        u->ended = true;
    return *busy ? 0 : ERR_GONE;
}

static void LIBUSB_CALL on_in(struct libusb_transfer *t)
{
    struct usb *u = t->user_data;

    u->in_busy = false;
    u->in_at = 0;
    u->in_end = (size_t)t->actual_length;
    if (t->status != LIBUSB_TRANSFER_COMPLETED)
        u->ended = true;
}

/* A transfer of whole packets is followed by an empty one, which has length 0 and is followed by none. */
static void LIBUSB_CALL on_out(struct libusb_transfer *t)
{
    struct usb *u = t->user_data;
    bool whole = t->length > 0 && t->length % u->bulk.out_packet == 0;

    u->out_busy = false;
    if (t->status != LIBUSB_TRANSFER_COMPLETED || t->actual_length != t->length) {
        u->ended = true;
    } else if (whole && !u->ended) {
        t->length = 0;
        (void)!submit(t, &u->out_busy, u);
    }
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* From the device to the socket; then the next transfer from the device. */
static void move_in(struct usb *u)
{
    while (!u->in_busy && u->in_at < u->in_end && !u->ended) {
        ssize_t n = send(u->socket, u->in_bytes + u->in_at, u->in_end - u->in_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && would_block())
            return;
        if (n < 0)
            u->ended = true;
        else
            u->in_at += (size_t)n;
    }
    if (!u->in_busy && !u->ended)
        (void)!submit(u->in, &u->in_busy, u);
}

/* From the socket to the device. */
static void move_out(struct usb *u)
{
    ssize_t n;

    if (u->out_busy || u->ended)
        return;
    n = recv(u->socket, u->out_bytes, sizeof u->out_bytes, MSG_DONTWAIT);
    if (n < 0 && would_block())
        return;
    if (n <= 0) {
        u->ended = true;
        return;
    }
    u->out->length = (int)n;
    (void)!submit(u->out, &u->out_busy, u);
}

/* ---- opening and closing ---- */

/* Whatever stands, also of a device that did not open. libusb must have no transfer of it. */
static void release(struct usb *u)
{
    libusb_free_transfer(u->in);
    libusb_free_transfer(u->out);
    if (u->handle) {
        (void)libusb_release_interface(u->handle, u->bulk.interface);
        libusb_close(u->handle);
    }
    if (u->fd >= 0)
        close(u->fd); /* libusb leaves it to who opened it */
    if (u->socket >= 0)
        close(u->socket);
    free(u);
}

static void cancel(struct usb *u)
{
    if (u->cancelled)
        return;
    u->cancelled = true;
    (void)shutdown(u->socket, SHUT_RDWR);
    if (u->in_busy)
        (void)libusb_cancel_transfer(u->in);
    if (u->out_busy)
        (void)libusb_cancel_transfer(u->out);
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
    return rc ? error_set_native(err, ERR_IO, rc, "'%s': cannot claim its interface: %s", u->name,
                                 libusb_strerror(rc))
              : 0;
}

/* The node is opened here and libusb gets its descriptor: a name in /dev is opened once. */
static int acquire(struct usb_hub *hub, struct usb *u, int bus, int address, struct error *err)
{
    char path[64];
    int rc;

    snprintf(path, sizeof path, "/dev/bus/usb/%03d/%03d", bus, address);
    u->fd = open(path, O_RDWR | O_CLOEXEC);
    if (u->fd < 0)
        return fail_open(u, path, err);
    rc = libusb_wrap_sys_device(hub->context, u->fd, &u->handle);
    if (rc)
        return error_set_native(err, ERR_IO, rc, "cannot open '%s': %s", u->name,
                                libusb_strerror(rc));
    return claim(u, err);
}

/* The two transfers, and the socket; *fd is the other end. */
static int prepare(struct usb *u, int *fd, struct error *err)
{
    int ends[2], size = SOCKET_BUFFER;

    u->in = libusb_alloc_transfer(0);
    u->out = libusb_alloc_transfer(0);
    if (!u->in || !u->out)
        return error_set(err, ERR_INTERNAL, "out of memory");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return error_set_errno(err, errno, "cannot create a socket pair");
    for (int i = 0; i < 2; i++)
        (void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    libusb_fill_bulk_transfer(u->in, u->handle, u->bulk.in, u->in_bytes, IN_SIZE, on_in, u, 0);
    libusb_fill_bulk_transfer(u->out, u->handle, u->bulk.out, u->out_bytes, 0, on_out, u, 0);
    u->socket = ends[0];
    *fd = ends[1];
    return 0;
}

int usb_hub_open(struct usb_hub *hub, const char *name, int bus, int address, int *fd,
                 struct error *err)
{
    struct usb *u = calloc(1, sizeof *u);
    int rc;

    if (!u)
        return error_set(err, ERR_INTERNAL, "out of memory");
    u->fd = u->socket = -1;
    snprintf(u->name, sizeof u->name, "%s", name);
    rc = acquire(hub, u, bus, address, err);
    if (rc == 0)
        rc = prepare(u, fd, err);
    if (rc) {
        release(u);
        return rc;
    }
    u->next = hub->first;
    hub->first = u;
    move_in(u);
    return 0;
}

struct usb_hub *usb_hub_new(void)
{
    struct usb_hub *hub = calloc(1, sizeof *hub);

    /* It looks for no device: it has no thread, and no socket of the system's events. */
    (void)libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
    if (hub && libusb_init(&hub->context)) {
        free(hub);
        return NULL;
    }
    return hub;
}

static size_t poll_sockets(const struct usb_hub *hub, struct pollfd *fds, size_t max)
{
    size_t count = 0;

    for (const struct usb *u = hub->first; u && count < max; u = u->next) {
        bool pending = !u->in_busy && u->in_at < u->in_end;

        if (u->ended)
            continue;
        fds[count++] = (struct pollfd){
            .fd = u->socket,
            .events = (short)((u->out_busy ? 0 : POLLIN) | (pending ? POLLOUT : 0))};
    }
    return count;
}

size_t usb_hub_poll(struct usb_hub *hub, struct pollfd *fds, size_t max)
{
    const struct libusb_pollfd **list = libusb_get_pollfds(hub->context);
    size_t count = poll_sockets(hub, fds, max);

    for (size_t i = 0; list && list[i] && count < max; i++)
        fds[count++] = (struct pollfd){.fd = list[i]->fd, .events = list[i]->events};
    libusb_free_pollfds(list);
    return count;
}

/* Gives back the devices that ended and of which libusb has nothing any more. */
static void sweep(struct usb_hub *hub)
{
    struct usb **at = &hub->first;

    while (*at) {
        struct usb *u = *at;

        if (u->ended)
            cancel(u);
        if (u->ended && !u->in_busy && !u->out_busy) {
            *at = u->next;
            release(u);
        } else {
            at = &u->next;
        }
    }
}

void usb_hub_work(struct usb_hub *hub)
{
    struct timeval now = {0, 0};

    (void)libusb_handle_events_timeout_completed(hub->context, &now, NULL);
    for (struct usb *u = hub->first; u; u = u->next) {
        move_in(u);
        move_out(u);
    }
    sweep(hub);
}

void usb_hub_free(struct usb_hub *hub)
{
    struct timeval soon = {0, 100000};

    if (!hub)
        return;
    for (struct usb *u = hub->first; u; u = u->next)
        u->ended = true;
    for (sweep(hub); hub->first; sweep(hub))
        (void)libusb_handle_events_timeout_completed(hub->context, &soon, NULL);
    libusb_exit(hub->context);
    free(hub);
}
