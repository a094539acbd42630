#include "station/wire/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair(int fds[2], struct error *err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
        return error_set_errno(err, errno, "cannot create a socket pair");
    return 0;
}

int channel_pair(int fds[2], struct error *err)
{
    return pair(fds, err);
}

static int gone(struct error *err)
{
    return error_set(err, ERR_GONE, "the other process of the station ended");
}

int channel_send_descriptor(int control, int fd, const void *bytes, size_t len, struct error *err)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control_data = {.space = {0}};
    struct iovec part = {(void *)(uintptr_t)bytes, len}; /* it is only read */
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *c;

    if (fd >= 0) {
        message.msg_control = control_data.space;
        message.msg_controllen = sizeof control_data.space;
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(control, &message, MSG_NOSIGNAL) == (ssize_t)len ? 0 : gone(err);
}

int channel_open(int control, int *fd, struct error *err)
{
    int fds[2], rc = pair(fds, err);
    uint8_t byte = 0;

    if (rc)
        return rc;
    rc = channel_send_descriptor(control, fds[1], &byte, sizeof byte, err);
    close(fds[1]);
    if (rc) {
        close(fds[0]);
        return rc;
    }
    *fd = fds[0];
    return 0;
}

/* Every descriptor that came with a message; closes all of them unless there is exactly one. */
static int take_descriptor(struct msghdr *message)
{
    int taken = -1, count = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof taken <= c->cmsg_len - CMSG_LEN(0); at += sizeof taken) {
            if (count++)
                close(taken);
            memcpy(&taken, CMSG_DATA(c) + at, sizeof taken);
        }
    }
    if (count > 1) {
        close(taken);
        taken = -1;
    }
    return taken;
}

/* What a socket is; false for what is none. */
static bool is_socket(int fd, int wanted)
{
    int type = 0;
    socklen_t len = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == wanted;
}

/* Only such a socket keeps messages whole. */
static bool is_channel(int fd)
{
    int domain = 0;
    socklen_t len = sizeof domain;

    return is_socket(fd, SOCK_SEQPACKET) &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* Receives at most size bytes and one descriptor; *fd is -1 without one. Returns how many bytes. */
static ssize_t receive_descriptor(int control, void *bytes, size_t size, int *fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control_data;
    struct iovec part = {bytes, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control_data.space,
                             .msg_controllen = sizeof control_data.space};
    ssize_t n;

    *fd = -1;
    do
        n = recvmsg(control, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n;
    *fd = take_descriptor(&message);
    if (*fd >= 0 && message.msg_flags & MSG_CTRUNC) {
        close(*fd);
        *fd = -1;
    }
    return n;
}

int channel_accept(int control, int *fd, struct error *err)
{
    uint8_t byte;
    int taken;

    if (receive_descriptor(control, &byte, sizeof byte, &taken) <= 0)
        return gone(err);
    if (taken >= 0 && is_channel(taken)) {
        *fd = taken;
        return 0;
    }
    if (taken >= 0)
        close(taken);
    return error_set(err, ERR_PROTOCOL, "the line sent something else than one channel");
}

int channel_receive_descriptor(int control, void *bytes, size_t size, size_t *len, int *fd,
                               struct error *err)
{
    ssize_t n = receive_descriptor(control, bytes, size, fd);

    if (n <= 0)
        return gone(err);
    *len = (size_t)n;
    return 0;
}

int channel_send(int fd, const struct buf *m, struct error *err)
{
    int rc = buf_check(m, "a message between vault and line", err);
    ssize_t n;

    if (rc)
        return rc;
    do
        n = send(fd, m->data, m->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)m->len ? 0 : gone(err);
}

static int receive(int fd, int flags, struct buf *m, struct error *err)
{
    uint8_t *room;
    ssize_t n;

    buf_reset(m);
    room = buf_grow(m, WIRE_MAX);
    if (!room)
        return error_set(err, ERR_INTERNAL, "out of memory");
    do
        n = recv(fd, room, WIRE_MAX, MSG_TRUNC | flags);
    while (n < 0 && errno == EINTR);
    buf_reset(m);
    if (n < 0 && errno == EAGAIN)
        return error_set(err, ERR_TIMEOUT, "there is no message");
    if (n <= 0)
        return gone(err);
    if (n > WIRE_MAX)
        return error_set(err, ERR_PROTOCOL, "a message between vault and line is too long");
    m->len = (size_t)n;
    return 0;
}

int channel_receive(int fd, struct buf *m, struct error *err)
{
    return receive(fd, 0, m, err);
}

int channel_receive_now(int fd, struct buf *m, struct error *err)
{
    return receive(fd, MSG_DONTWAIT, m, err);
}
