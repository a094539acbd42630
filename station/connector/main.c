/*
 * imprint-connector: makes the connections that a job names and hands them to the line, which has no
 * network of its own. It looks every address up first, then keeps only the right to connect to them.
 *
 * On its socket it waits for one byte, answers each address in turn (channel_give), and ends.
 *
 * usage: imprint-connector ADDRESS...
 */
#include "base/clock.h"
#include "station/confine/confine.h"
#include "station/connector/address.h"
#include "station/wire/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TARGETS_MAX 32
#define DEADLINE_MS 5000 /* for all connections together */
#define CONTROL_FD  CHANNEL_LINE_FD

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process and reads /proc, which a confined one may not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

struct target {
    const char *name;
    struct addrinfo *list, *next; /* all addresses, and those that were not tried yet */
    int fd;                       /* -1: neither connected nor on the way */
    bool connected;
    struct error failure;
};

/* Starts with the next address; one that fails at once is passed over. */
static void start(struct target *t)
{
    t->fd = -1;
    while (t->next && t->fd < 0) {
        const struct addrinfo *a = t->next;

        t->next = a->ai_next;
        t->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (t->fd < 0 || (connect(t->fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS)) {
            (void)error_set(&t->failure, errno == ENOENT ? ERR_MISSING : ERR_IO,
                            "cannot connect to '%s': %s", t->name, strerror(errno));
            if (t->fd >= 0)
                close(t->fd);
            t->fd = -1;
        }
    }
}

/* Something happened to a connection on its way: it stands, or the next address is tried. */
static void follow(struct target *t)
{
    int failed = 0, one = 1;
    socklen_t len = sizeof failed;

    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &failed, &len) == 0 && failed == 0) {
        (void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        t->connected = true;
        return;
    }
    (void)error_set(&t->failure, ERR_IO, "cannot connect to '%s': %s", t->name, strerror(failed));
    close(t->fd);
    start(t);
}

/* Polls what is on the way; false when nothing is. */
static bool wait_once(struct target *targets, size_t count, int left_ms)
{
    struct pollfd polled[TARGETS_MAX];
    size_t waiting = 0;

    for (size_t i = 0; i < count; i++) {
        bool pending = targets[i].fd >= 0 && !targets[i].connected;

        polled[i] = (struct pollfd){.fd = pending ? targets[i].fd : -1, .events = POLLOUT};
        waiting += pending;
    }
    if (waiting == 0 || poll(polled, count, left_ms) < 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (polled[i].revents)
            follow(&targets[i]);
    return true;
}

static void connect_all(struct target *targets, size_t count)
{
    int64_t deadline = clock_mono_ms() + DEADLINE_MS;
    int64_t left = DEADLINE_MS;

    for (size_t i = 0; i < count; i++)
        if (targets[i].failure.code == 0)
            start(&targets[i]);
    while (left > 0 && wait_once(targets, count, (int)left))
        left = deadline - clock_mono_ms();
}

/* A line that is gone needs nothing more. */
static int hand_over(const struct target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct target *t = &targets[i];
        struct error failure = t->failure;

        if (!t->connected && t->fd >= 0)
            (void)error_set(&failure, ERR_TIMEOUT, "'%s' does not answer", t->name);
        if (channel_give(CONTROL_FD, t->connected ? t->fd : -1, &failure, NULL))
            return ERR_GONE;
    }
    return 0;
}

static size_t find_all(char **names, size_t count, struct target *targets, uint16_t *ports)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        struct target *t = &targets[i];

        *t = (struct target){.name = names[i], .fd = -1};
        if (address_find(t->name, &t->list, &t->failure))
            continue;
        t->next = t->list;
        if (address_port(t->list))
            ports[found++] = address_port(t->list);
    }
    return found;
}

int main(int argc, char **argv)
{
    static struct target targets[TARGETS_MAX];
    uint16_t ports[TARGETS_MAX];
    size_t count = (size_t)argc - 1;
    struct error err = ERROR_INIT;
    uint8_t go;

    if (argc < 2 || count > TARGETS_MAX) {
        fprintf(stderr, "imprint-connector: 'imprint run' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    signal(SIGPIPE, SIG_IGN);
    if (confine_memory(&err) == 0)
        (void)!confine_connector(ports, find_all(argv + 1, count, targets, ports), &err);
    if (err.code) {
        fprintf(stderr, "imprint-connector: %s\n", err.text);
        return error_exit_status(err.code);
    }
    if (read(CONTROL_FD, &go, 1) != 1)
        return error_exit_status(ERR_GONE);
    connect_all(targets, count);
    return error_exit_status(hand_over(targets, count));
}
