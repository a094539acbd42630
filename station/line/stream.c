#include "station/line/stream.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_MAX_BYTES 160

struct stream {
    struct transport transport;
    int fd;
    char name[NAME_MAX_BYTES];
};

static int fail(const struct stream *s, int saved, struct error *err)
{
    if (saved == 0 || saved == EPIPE || saved == ECONNRESET || saved == ETIMEDOUT)
        return error_set_native(err, ERR_GONE, saved, "'%s': the other end hung up", s->name);
    return error_set_native(err, ERR_IO, saved, "'%s': %s", s->name, strerror(saved));
}

/* Waits until the socket can do it; ERR_TIMEOUT at the deadline. */
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
            return error_set(err, ERR_TIMEOUT, "'%s': nothing moved in time", s->name);
    }
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
        ssize_t n = send(s->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
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
        ssize_t n = recv(s->fd, out, max, MSG_DONTWAIT);
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

    close(s->fd);
    free(s);
}

int stream_open(int fd, const char *name, struct transport **out, struct error *err)
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
    *out = &s->transport;
    return 0;
}
