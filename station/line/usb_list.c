#include "station/line/usb.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libusb.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER          "/sys/bus/usb/devices"
#define DESCRIPTORS_MAX 4096

/* What the kernel keeps of a device in a file; returns its size, -1 without one. */
static ssize_t read_file(const char *device, const char *name, void *out, size_t size)
{
    char path[PATH_MAX];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, FOLDER "/%s/%s", device, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, out, size);
    close(fd);
    return n;
}

static bool read_number(const char *device, const char *name, int base, int *out)
{
    char text[32];
    ssize_t n = read_file(device, name, text, sizeof text - 1);

    if (n <= 0)
        return false;
    text[n] = 0;
    *out = (int)strtol(text, NULL, base);
    return true;
}

/* Names of devices are places, "1-2.3"; interfaces have a colon in them, root hubs no number before. */
static bool is_place(const char *name)
{
    return isdigit((unsigned char)*name) && strchr(name, '-') && !strchr(name, ':') &&
           strlen(name) <= USB_PATH_MAX;
}

/* Whether an interface has a bulk endpoint each way, collected as its endpoints pass. */
struct ways {
    bool vendor, in, out;
};

static void see_endpoint(struct ways *w, const uint8_t *d)
{
    if ((d[3] & LIBUSB_TRANSFER_TYPE_MASK) != LIBUSB_TRANSFER_TYPE_BULK)
        return;
    if (d[2] & LIBUSB_ENDPOINT_IN)
        w->in = true;
    else
        w->out = true;
}

/*
 * Walks a device's descriptors, which it wrote itself, for a vendor-specific interface of the active
 * configuration with a bulk endpoint each way.
 */
static bool has_bulk(const uint8_t *d, size_t len, int active)
{
    struct ways w = {false, false, false};
    bool counts = false;

    for (; len >= 2 && d[0] >= 2 && d[0] <= len; len -= d[0], d += d[0]) {
        if (d[1] == LIBUSB_DT_CONFIG && d[0] >= LIBUSB_DT_CONFIG_SIZE)
            counts = d[5] == active;
        else if (d[1] == LIBUSB_DT_INTERFACE && d[0] >= LIBUSB_DT_INTERFACE_SIZE)
            w = (struct ways){.vendor = d[5] == LIBUSB_CLASS_VENDOR_SPEC && d[3] == 0};
        else if (d[1] == LIBUSB_DT_ENDPOINT && d[0] >= LIBUSB_DT_ENDPOINT_SIZE)
            see_endpoint(&w, d);
        if (counts && w.vendor && w.in && w.out)
            return true;
    }
    return false;
}

/* The driver of one interface, which lies in the device's folder as "1-2.3:1.0"; false without one. */
static bool read_driver(const char *device, const char *interface, char out[USB_DRIVER_MAX + 1])
{
    char path[PATH_MAX], target[PATH_MAX];
    const char *name;
    ssize_t n;

    snprintf(path, sizeof path, FOLDER "/%s/%s/driver", device, interface);
    n = readlink(path, target, sizeof target - 1);
    if (n <= 0)
        return false;
    target[n] = 0;
    name = strrchr(target, '/');
    snprintf(out, USB_DRIVER_MAX + 1, "%.*s", USB_DRIVER_MAX, name ? name + 1 : target);
    return true;
}

static void find_driver(const char *device, char out[USB_DRIVER_MAX + 1])
{
    size_t len = strlen(device);
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *folder;

    snprintf(path, sizeof path, FOLDER "/%s", device);
    folder = opendir(path);
    while (folder && (entry = readdir(folder)))
        if (strncmp(entry->d_name, device, len) == 0 && entry->d_name[len] == ':' &&
            read_driver(device, entry->d_name, out))
            break;
    if (folder)
        closedir(folder);
}

/* False for what is no device, or is on its way out. */
static bool describe(const char *name, struct usb_info *info)
{
    uint8_t descriptors[DESCRIPTORS_MAX];
    int active = -1;
    ssize_t n;

    memset(info, 0, sizeof *info);
    if (!is_place(name) || !read_number(name, "idVendor", 16, &info->vid) ||
        !read_number(name, "idProduct", 16, &info->pid) ||
        !read_number(name, "busnum", 10, &info->bus) ||
        !read_number(name, "devnum", 10, &info->address))
        return false;
    strcpy(info->path, name);
    n = read_file(name, "descriptors", descriptors, sizeof descriptors);
    (void)!read_number(name, "bConfigurationValue", 10, &active);
    find_driver(name, info->driver);
    info->bulk = n > 0 && has_bulk(descriptors, (size_t)n, active);
    return true;
}

int usb_list(int (*each)(void *context, const struct usb_info *info), void *context,
             struct error *err)
{
    DIR *folder = opendir(FOLDER);
    struct dirent *entry;
    struct usb_info info;
    int rc = 0;

    if (!folder && errno == ENOENT)
        return 0; /* a kernel without USB */
    if (!folder)
        return error_set(err, ERR_IO, "cannot list the USB devices of this machine: %s",
                         strerror(errno));
    while (rc == 0 && (entry = readdir(folder)))
        if (describe(entry->d_name, &info))
            rc = each(context, &info);
    closedir(folder);
    return rc;
}
