#include "station/line/stream.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define NAME_MAX_BYTES 160

struct stream {
    struct transport transport;
    int fd;
    enum stream_kind kind;
    char name[NAME_MAX_BYTES];
};

/* What a descriptor says whose other end is gone; 0 is the end of the stream. */
static bool means_gone(int saved)
{
    return saved == 0 || saved == EPIPE || saved == ECONNRESET || saved == ETIMEDOUT ||
           saved == EIO || saved == ENXIO || saved == ENODEV;
}

static int fail(const struct stream *s, int saved, struct error *err)
{
    if (means_gone(saved))
        return error_set_native(err, ERR_GONE, saved, "'%s': %s", s->name,
                                s->kind == STREAM_SOCKET ? "the other end hung up"
                                                         : "the device was unplugged");
    return error_set_native(err, ERR_IO, saved, "'%s': %s", s->name, strerror(saved));
}

/* Waits until the descriptor can do it; ERR_TIMEOUT at the deadline. */
static int wait_for(const struct stream *s, short events, int64_t deadline, struct error *err)
{
    struct pollfd p = {.fd = s->fd, .events = events};

    for (;;) {
        int64_t left = deadline - clock_mono_ms();
        int n = poll(&p, 1, left > 0 ? (int)left : 0);

        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return fail(s, errno, err);
        if (left <= 0)
            return error_set(err, ERR_TIMEOUT, "'%s' %s in time", s->name,
                             events == POLLIN ? "says nothing" : "takes no bytes");
    }
}

static ssize_t put(const struct stream *s, const uint8_t *bytes, size_t len)
{
    if (s->kind == STREAM_SERIAL)
        return write(s->fd, bytes, len);
    return send(s->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A serial port without input gives 0 bytes; one that is gone cannot say how much input waits. */
static ssize_t get_serial(const struct stream *s, uint8_t *out, size_t max)
{
    ssize_t n = read(s->fd, out, max);
    int waiting;

    if (n != 0 || ioctl(s->fd, FIONREAD, &waiting))
        return n;
    errno = EAGAIN;
    return -1;
}

static ssize_t get(const struct stream *s, uint8_t *out, size_t max)
{
    return s->kind == STREAM_SERIAL ? get_serial(s, out, max) : recv(s->fd, out, max, MSG_DONTWAIT);
}

static bool again(int saved)
{
    return saved == EAGAIN || saved == EWOULDBLOCK || saved == EINTR;
}

static int stream_write(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                        struct error *err)
{
    struct stream *s = (struct stream *)t;
    int64_t deadline = clock_mono_ms() + timeout_ms;

    while (len > 0) {
        ssize_t n = put(s, bytes, len);
        int rc = 0;

        if (n < 0)
            rc = again(errno) ? wait_for(s, POLLOUT, deadline, err) : fail(s, errno, err);
        if (rc)
            return rc;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static int stream_read(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                       struct error *err)
{
    struct stream *s = (struct stream *)t;
    int64_t deadline = clock_mono_ms() + timeout_ms;

    for (;;) {
        ssize_t n = get(s, out, max);
        int rc;

        if (n > 0) {
            *got = (size_t)n;
            return 0;
        }
        if (n == 0 || !again(errno))
            return fail(s, n == 0 ? 0 : errno, err);
        rc = wait_for(s, POLLIN, deadline, err);
        if (rc)
            return rc;
    }
}

static void stream_close(struct transport *t)
{
    struct stream *s = (struct stream *)t;

    if (s->kind == STREAM_SERIAL) {
        /* Unsent bytes would make close wait for a device that no longer reads them. */
        (void)tcflush(s->fd, TCIOFLUSH);
        (void)ioctl(s->fd, TIOCNXCL);
    }
    close(s->fd);
    free(s);
}

int stream_open(int fd, enum stream_kind kind, const char *name, struct transport **out,
                struct error *err)
{
    static const struct transport_ops ops = {stream_write, stream_read, stream_close};
    struct stream *s = calloc(1, sizeof *s);

    if (!s) {
        close(fd);
        return error_set(err, ERR_INTERNAL, "out of memory");
    }
    snprintf(s->name, sizeof s->name, "%s", name);
    s->transport = (struct transport){&ops, s->name};
    s->fd = fd;
    s->kind = kind;
    *out = &s->transport;
    return 0;
}
