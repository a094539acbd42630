/*
 * Preloaded into imprint-gadget: pulls the cable after so many bytes of both directions.
 *
 * PULL_AFTER is the number of bytes, PULL_FILE the soft_connect of the board's USB controller. A read is
 * cut to whole packets and a write to the byte, so that the cable is out in the middle of a transfer. The
 * program goes on: a board that has a battery.
 */
#include <dlfcn.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/usb/functionfs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

typedef ssize_t read_call(int fd, void *out, size_t len);
typedef ssize_t write_call(int fd, const void *bytes, size_t len);

/* dlsym gives an object pointer, and C no way to say that it is a function. */
union call {
    void *object;
    read_call *read;
    write_call *write;
};

static size_t left; /* bytes until the cable is pulled; 0: it is not, or was */

__attribute__((constructor)) static void start(void)
{
    const char *after = getenv("PULL_AFTER");

    left = after ? strtoul(after, NULL, 10) : 0;
}

/* Endpoints 1 and 2 of FunctionFS, and the serial port of a gadget. */
static bool is_cable(int fd)
{
    char name[64], path[256];
    ssize_t n;

    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    n = readlink(name, path, sizeof path - 1);
    if (n < 4)
        return false;
    path[n] = 0;
    return strcmp(path + n - 4, "/ep1") == 0 || strcmp(path + n - 4, "/ep2") == 0 ||
           strstr(path, "ttyGS");
}

static void count(size_t moved)
{
    const char *file = getenv("PULL_FILE");
    int fd;

    if (moved < left) {
        left -= moved;
        return;
    }
    left = 0;
    fd = file ? open(file, O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        abort();
    if (dprintf(fd, "disconnect") < 0)
        abort();
    close(fd);
}

/* A read that ended within a packet would be the board's fault, not the cable's. */
static size_t whole_packets(int fd, size_t len)
{
    struct usb_endpoint_descriptor d;
    size_t packet = 1;

    if (ioctl(fd, FUNCTIONFS_ENDPOINT_DESC, &d) == 0)
        packet = le16toh(d.wMaxPacketSize);
    return (len + packet - 1) / packet * packet;
}

static size_t at_most(size_t len, size_t limit)
{
    return len < limit ? len : limit;
}

ssize_t read(int fd, void *out, size_t len)
{
    union call real = {.object = dlsym(RTLD_NEXT, "read")};
    ssize_t n;

    if (!left || !is_cable(fd))
        return real.read(fd, out, len);
    n = real.read(fd, out, at_most(len, whole_packets(fd, left)));
    if (n > 0)
        count((size_t)n);
    return n;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    union call real = {.object = dlsym(RTLD_NEXT, "write")};
    ssize_t n;

    if (!left || !is_cable(fd) || len == 0)
        return real.write(fd, bytes, len);
    n = real.write(fd, bytes, at_most(len, left));
    if (n > 0)
        count((size_t)n);
    return n;
}
