/*
 * imprint-connector: makes the connections that a job names and hands them to the line, which has no
 * network of its own. It looks every address up first, then keeps only the right to connect to them.
 *
 * On its socket the line asks for an address by its number (station/wire/offer.h), again when a
 * connection ended; it ends when the line does. The same address is tried once a second at most.
 *
 * usage: imprint-connector ADDRESS...
 */
#include "base/clock.h"
#include "station/confine/confine.h"
#include "station/connector/address.h"
#include "station/wire/channel.h"
#include "station/wire/offer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TARGETS_MAX 40
#define DEADLINE_MS 5000 /* for one connection, all addresses of the name together */
#define PAUSE_MS    1000 /* from one try to the next */
#define CONTROL_FD  CHANNEL_LINE_FD

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process and reads /proc, which a confined one may not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

enum target_state { IDLE, DUE, CONNECTING };

struct target {
    const char *name;
    struct addrinfo *list, *next; /* all addresses, and those that were not tried yet */
    enum target_state state;
    int fd;                        /* -1 unless it is on the way */
    int64_t when;                  /* DUE: not before; CONNECTING: not after */
    struct error unknown, failure; /* of the name; of the connection */
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

/* Answers the line with the connection or with why there is none. */
static void answer(struct target *targets, size_t index, int fd)
{
    struct target *t = &targets[index];
    struct offer offer = {.kind = OFFER_ADDRESS, .port = (uint16_t)index};

    snprintf(offer.name, sizeof offer.name, "%s", t->name);
    if (fd < 0)
        offer_put_error(&offer, &t->failure);
    (void)!offer_send(CONTROL_FD, &offer, fd, NULL); /* a line that is gone is seen below */
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    t->state = IDLE;
    t->when = clock_mono_ms() + PAUSE_MS;
}

static void begin(struct target *targets, size_t index)
{
    struct target *t = &targets[index];

    t->failure = t->unknown;
    t->next = t->list;
    t->state = CONNECTING;
    t->when = clock_mono_ms() + DEADLINE_MS;
    if (t->failure.code == 0)
        start(t);
    if (t->fd < 0)
        answer(targets, index, -1);
}

/* Something happened to a connection on its way: it stands, or the next address is tried. */
static void follow(struct target *targets, size_t index)
{
    struct target *t = &targets[index];
    int failed = 0, one = 1;
    socklen_t len = sizeof failed;

    if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &failed, &len) == 0 && failed == 0) {
        (void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        answer(targets, index, t->fd);
        return;
    }
    (void)error_set(&t->failure, ERR_IO, "cannot connect to '%s': %s", t->name, strerror(failed));
    close(t->fd);
    start(t);
    if (t->fd < 0)
        answer(targets, index, -1);
}

/* What is due begins, what takes too long ends; returns when the next of both is, -1 for never. */
static int keep_time(struct target *targets, size_t count)
{
    int64_t now = clock_mono_ms(), next = INT64_MAX;

    for (size_t i = 0; i < count; i++) {
        struct target *t = &targets[i];

        if (t->state == DUE && t->when <= now) {
            begin(targets, i);
        } else if (t->state == CONNECTING && t->when <= now) {
            (void)error_set(&t->failure, ERR_TIMEOUT, "'%s' does not answer", t->name);
            answer(targets, i, -1);
        }
        if (t->state != IDLE && t->when < next)
            next = t->when;
    }
    return next == INT64_MAX ? -1 : next > now ? (int)(next - now) : 0;
}

/* False when the line is gone. */
static bool take_request(struct target *targets, size_t count)
{
    enum offer_ask ask;
    uint16_t port;

    if (offer_asked(CONTROL_FD, &ask, &port, NULL))
        return false;
    if (ask == ASK_PORT && port < count && targets[port].state == IDLE)
        targets[port].state = DUE;
    return true;
}

static void serve(struct target *targets, size_t count)
{
    struct pollfd polled[TARGETS_MAX + 1];

    for (;;) {
        int wait = keep_time(targets, count);

        polled[count] = (struct pollfd){.fd = CONTROL_FD, .events = POLLIN};
        for (size_t i = 0; i < count; i++)
            polled[i] = (struct pollfd){.fd = targets[i].fd, .events = POLLOUT};
        if (poll(polled, count + 1, wait) < 0)
            continue;
        for (size_t i = 0; i < count; i++)
            if (polled[i].revents)
                follow(targets, i);
        if (polled[count].revents && !take_request(targets, count))
            return;
    }
}

static size_t find_all(char **names, size_t count, struct target *targets, uint16_t *ports)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        struct target *t = &targets[i];

        *t = (struct target){.name = names[i], .fd = -1};
        if (address_find(t->name, &t->list, &t->unknown))
            continue;
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

    message_language();
    if (argc < 2 || count > TARGETS_MAX) {
        fprintf(stderr, "imprint-connector: 'imprint run' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* the line ends it */
    signal(SIGHUP, SIG_IGN);
    if (confine_memory(&err) == 0)
        (void)!confine_connector(ports, find_all(argv + 1, count, targets, ports), &err);
    if (err.code) {
        error_tell("imprint-connector", &err);
        return error_exit_status(err.code);
    }
    serve(targets, count);
    return 0;
}
