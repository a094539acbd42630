#include "channel.h"

#include "function.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/usb/functionfs.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define AWAY_MS 100 /* how often a terminal whose host is away is tried again */

static int open_terminal(const char *path)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;

    if (fd >= 0 && tcgetattr(fd, &raw) == 0) {
        cfmakeraw(&raw); /* without echo above all */
        cfsetspeed(&raw, B115200);
        raw.c_cflag |= CLOCAL; /* a carrier that is lost is no hang-up */
        (void)tcsetattr(fd, TCSANOW, &raw);
    }
    return fd;
}

int channel_open_terminal(struct channel *c, const char *path, struct error *err)
{
    *c = (struct channel){.in = open_terminal(path), .control = -1, .path = path};
    c->out = c->in;
    return c->in < 0 ? error_set_errno(err, errno, "cannot open '%s'", path) : 0;
}

int channel_open_usb(struct channel *c, const char *folder, struct error *err)
{
    int rc;

    *c = (struct channel){.in = -1, .out = -1, .control = -1, .path = folder};
    rc = function_open(folder, &c->control, &c->in, &c->out, err);
    if (rc)
        channel_close(c);
    return rc;
}

static void wait_a_little(void)
{
    const struct timespec t = {.tv_nsec = AWAY_MS * 1000000L};

    (void)nanosleep(&t, NULL);
}

/* A terminal whose host went away is hung up for good: the next host is met on a new descriptor. */
static void open_again(struct channel *c)
{
    int fd = open_terminal(c->path);

    if (fd >= 0) {
        close(c->in);
        c->in = c->out = fd;
    }
}

/* 0 is the empty packet that ends a transfer. FunctionFS says ESHUTDOWN once, and waits for the next host. */
static bool comes_back_by_itself(const struct channel *c, ssize_t n)
{
    return (c->control >= 0 && n == 0) || (n < 0 && (errno == ESHUTDOWN || errno == EINTR));
}

size_t channel_read(struct channel *c, uint8_t *bytes, size_t size)
{
    for (;;) {
        ssize_t n = read(c->out, bytes, size);

        if (n > 0)
            return (size_t)n;
        if (comes_back_by_itself(c, n))
            continue;
        wait_a_little();
        if (c->control < 0)
            open_again(c);
    }
}

/* What a packet holds depends on the speed at which the host enumerated the board. */
static size_t packet_size(const struct channel *c)
{
    struct usb_endpoint_descriptor d;

    return ioctl(c->in, FUNCTIONFS_ENDPOINT_DESC, &d) == 0 ? le16toh(d.wMaxPacketSize) : 0;
}

void channel_write(const struct channel *c, const uint8_t *bytes, size_t len)
{
    size_t packet = c->control >= 0 ? packet_size(c) : 0, left = len;

    while (left > 0) {
        ssize_t n = write(c->in, bytes + len - left, left);

        if (n <= 0)
            return;
        left -= (size_t)n;
    }
    if (packet && len % packet == 0 && write(c->in, bytes, 0) < 0)
        return; /* the host is gone, as above */
}

void channel_close(struct channel *c)
{
    if (c->in >= 0)
        close(c->in);
    if (c->out >= 0 && c->out != c->in)
        close(c->out);
    if (c->control >= 0)
        close(c->control);
}
