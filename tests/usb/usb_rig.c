#include "usb_rig.h"

#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <umockdev.h>
#include <unistd.h>

/* Device, configuration and its one interface, as the device would send them. */
#define DEVICE_DESCRIPTOR "12010002000000400912010000010102030109022000010100803209040000"
#define INTERFACE_BULK    "02FF000000"
#define INTERFACE_HID     "0203000000"
#define ENDPOINTS         "0705010200020007058102000200"
#define DESCRIPTORS(kind) DEVICE_DESCRIPTOR kind ENDPOINTS

#define USB_FOLDER "/devices/pci0000:00/0000:00:14.0/usb1"

/* A transfer that the host asked for. */
struct urb {
    UMockdevIoctlData *urb, *bytes; /* bytes: NULL for an empty one */
};

struct rig_usb {
    int number, fd;
    atomic_bool gone, stalled, claimed, driver;
    atomic_uint empty_packets;
    atomic_uint left;     /* bytes until it is unplugged; 0: it is not */
    GQueue waiting, done; /* of struct urb */
};

static UMockdevTestbed *testbed;

static struct usbdevfs_urb *urb_of(const struct urb *u)
{
    return (struct usbdevfs_urb *)(void *)u->urb->data;
}

static void finish(struct rig_usb *d, struct urb *u, int status, int length)
{
    urb_of(u)->status = status;
    urb_of(u)->actual_length = length;
    g_queue_push_tail(&d->done, u);
}

static bool can(int fd, short what)
{
    struct pollfd p = {.fd = fd, .events = what};

    return poll(&p, 1, 0) == 1 && p.revents & (what | POLLHUP);
}

static void count(struct rig_usb *d, unsigned moved)
{
    if (d->left == 0)
        return;
    d->left -= moved;
    if (d->left == 0)
        d->gone = true;
}

/* Moves what can be moved; true when the transfer is over. */
static bool move(struct rig_usb *d, struct urb *u)
{
    bool in = urb_of(u)->endpoint & 0x80;
    size_t len = (size_t)urb_of(u)->buffer_length;
    size_t most = d->left && d->left < len ? d->left : len;
    ssize_t n = 0;

    if (d->gone) {
        finish(d, u, -ESHUTDOWN, 0);
        return true;
    }
    if (d->stalled || !can(d->fd, in ? POLLIN : POLLOUT))
        return false;
    if (!in && len == 0)
        d->empty_packets++;
    else if (in)
        n = read(d->fd, u->bytes->data, most);
    else
        n = write(d->fd, u->bytes->data, most);
    if (n < 0 || (n == 0 && len > 0)) {
        d->gone = true;
        n = 0;
    }
    count(d, (unsigned)n);
    finish(d, u, d->gone ? -ESHUTDOWN : 0, (int)n);
    return true;
}

static void pump(struct rig_usb *d)
{
    for (GList *l = d->waiting.head, *next; l; l = next) {
        next = l->next;
        if (move(d, l->data))
            g_queue_delete_link(&d->waiting, l);
    }
}

static void submit(struct rig_usb *d, UMockdevIoctlData *data)
{
    struct urb *u = g_new0(struct urb, 1);
    size_t len;

    u->urb = g_object_ref(data);
    len = (size_t)urb_of(u)->buffer_length;
    if (len)
        u->bytes = umockdev_ioctl_data_resolve(data, G_STRUCT_OFFSET(struct usbdevfs_urb, buffer),
                                               len, NULL);
    g_queue_push_tail(&d->waiting, u);
    pump(d);
}

/* The argument is where the host has the transfer. */
static int discard(struct rig_usb *d, const UMockdevIoctlData *argument)
{
    for (GList *l = d->waiting.head; l; l = l->next) {
        struct urb *u = l->data;

        if (u->urb->client_addr != *(const gulong *)(const void *)argument->data)
            continue;
        g_queue_delete_link(&d->waiting, l);
        finish(d, u, -ENOENT, 0);
        return 0;
    }
    return EINVAL;
}

static int reap(struct rig_usb *d, UMockdevIoctlData *data)
{
    struct urb *u;

    pump(d);
    u = g_queue_pop_head(&d->done);
    if (!u)
        return EAGAIN;
    umockdev_ioctl_data_set_ptr(data, 0, u->urb);
    g_object_unref(u->urb);
    g_free(u);
    return 0;
}

static int claim(struct rig_usb *d)
{
    if (atomic_exchange(&d->claimed, true))
        return EBUSY;
    d->driver = false;
    return 0;
}

/* Returns 0 or an errno. */
static int answer(struct rig_usb *d, gulong request, UMockdevIoctlData *data)
{
    switch (request) {
    case USBDEVFS_GET_CAPABILITIES:
        *(guint32 *)(void *)data->data = USBDEVFS_CAP_BULK_CONTINUATION;
        return 0;
    case USBDEVFS_CONNECTINFO:
        ((struct usbdevfs_connectinfo *)(void *)data->data)->devnum = (unsigned)d->number;
        return 0;
    case USBDEVFS_CLAIMINTERFACE:
        return d->driver ? EBUSY : claim(d);
    case USBDEVFS_DISCONNECT_CLAIM: /* not another usbfs */
        return claim(d);
    case USBDEVFS_IOCTL: /* the driver gets its interface back */
        d->driver = true;
        return 0;
    case USBDEVFS_RELEASEINTERFACE:
        d->claimed = false;
        return 0;
    case USBDEVFS_GETDRIVER:
        return d->driver || d->claimed ? 0 : ENODATA;
    case USBDEVFS_SUBMITURB:
        submit(d, data);
        return 0;
    case USBDEVFS_DISCARDURB:
        return discard(d, data);
    case USBDEVFS_REAPURB:
    case USBDEVFS_REAPURBNDELAY:
        return reap(d, data);
    default:
        return ENOTTY;
    }
}

/* What a kernel still does when the device is gone, until there is no transfer left. */
static bool ends_transfer(gulong request)
{
    return request == USBDEVFS_DISCARDURB || request == USBDEVFS_REAPURB ||
           request == USBDEVFS_REAPURBNDELAY;
}

static gboolean on_ioctl(UMockdevIoctlBase *handler, UMockdevIoctlClient *client, gpointer context)
{
    struct rig_usb *d = context;
    gulong request = umockdev_ioctl_client_get_request(client);
    UMockdevIoctlData *data = umockdev_ioctl_client_get_arg(client);
    int failed;

    (void)handler;
    if (_IOC_SIZE(request))
        data = umockdev_ioctl_data_resolve(data, 0, _IOC_SIZE(request), NULL);
    failed = d->gone && !ends_transfer(request) ? ENODEV : answer(d, request, data);
    umockdev_ioctl_client_complete(client, failed ? -1 : 0, failed);
    return TRUE;
}

static void add(char *text)
{
    GError *failure = NULL;

    if (!umockdev_testbed_add_from_string(testbed, text, &failure))
        g_error("%s", failure->message);
    g_free(text);
}

/* Every Linux has a terminal; libserialport cannot list the ports of one that has none. */
void rig_usb_start(void)
{
    testbed = umockdev_testbed_new();
    add(g_strdup("P: /devices/virtual/tty/tty0\nE: DEVNAME=/dev/tty0\nE: SUBSYSTEM=tty\n"));
}

struct rig_usb *rig_usb_plug(int number, enum rig_usb_kind kind, int fd)
{
    const char *descriptors =
        kind == RIG_USB_BULK ? DESCRIPTORS(INTERFACE_BULK) : DESCRIPTORS(INTERFACE_HID);
    struct rig_usb *d = g_new0(struct rig_usb, 1);
    UMockdevIoctlBase *handler = g_object_new(UMOCKDEV_TYPE_IOCTL_BASE, NULL);
    char node[64];
    GError *failure = NULL;

    d->number = number;
    d->fd = fd;
    snprintf(node, sizeof node, "/dev/bus/usb/001/%03d", number);
    add(g_strdup_printf("P: " USB_FOLDER "/1-%d\nN: %s=%s\nE: DEVNAME=%s\nE: DEVTYPE=usb_device\n"
                        "E: SUBSYSTEM=usb\nE: BUSNUM=001\nE: DEVNUM=%03d\nE: PRODUCT=1209/1/100\n"
                        "A: busnum=1\\n\nA: devnum=%d\\n\nA: speed=480\\n\n"
                        "A: bConfigurationValue=1\\n\nA: idVendor=1209\\n\nA: idProduct=0001\\n\n"
                        "H: descriptors=%s\n",
                        number, node + 5, descriptors, node, number, number, descriptors));
    g_signal_connect(handler, "handle-ioctl", G_CALLBACK(on_ioctl), d);
    if (!umockdev_testbed_attach_ioctl(testbed, node, handler, &failure))
        g_error("%s", failure->message);
    return d;
}

void rig_usb_add_tty(int number)
{
    (void)rig_usb_plug(number, RIG_USB_BULK, -1);
    add(g_strdup_printf("P: " USB_FOLDER "/1-%d/1-%d:1.0/tty/ttyACM%d\nN: ttyACM%d\n"
                        "E: DEVNAME=/dev/ttyACM%d\nE: SUBSYSTEM=tty\n"
                        "L: device=../../../1-%d:1.0\n",
                        number, number, number, number, number, number));
}

void rig_usb_unplug(struct rig_usb *device)
{
    device->gone = true;
}

void rig_usb_remove(struct rig_usb *device)
{
    char node[64], *folder = g_strdup_printf("/sys" USB_FOLDER "/1-%d", device->number);

    device->gone = true;
    snprintf(node, sizeof node, "/dev/bus/usb/001/%03d", device->number);
    umockdev_testbed_detach_ioctl(testbed, node, NULL);
    umockdev_testbed_remove_device(testbed, folder);
    close(device->fd);
    g_free(folder);
}

void rig_usb_unplug_after(struct rig_usb *device, unsigned bytes)
{
    device->left = bytes;
}

void rig_usb_stall(struct rig_usb *device)
{
    device->stalled = true;
}

unsigned rig_usb_empty_packets(const struct rig_usb *device)
{
    return device->empty_packets;
}

void rig_usb_bind_driver(struct rig_usb *device)
{
    device->driver = true;
}

bool rig_usb_has_driver(const struct rig_usb *device)
{
    return device->driver;
}

bool rig_usb_claimed(const struct rig_usb *device)
{
    return device->claimed;
}
