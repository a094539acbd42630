/*
 * imprint-line: the process that touches devices. It has no PIN, no HSM session and no database
 * (P10); `imprint run` starts it and it asks the vault for everything. Once its ports are open it is
 * confined: it opens no file and no network any more, and keeps what is open.
 *
 * usage: imprint-line words|quiet|json HELLO_MS REQUEST_MS REPEATS [PATTERN SLOT BAUD]...
 */
#include "station/confine/confine.h"
#include "station/connector/address.h"
#include "station/line/events.h"
#include "station/line/ports.h"
#include "station/line/serial.h"
#include "station/line/slot.h"
#include "station/line/stream.h"
#include "station/line/usb.h"
#include "station/wire/channel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXED_ARGS 5

static volatile bool stop;

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process and reads /proc, which the confined line may not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

struct worker {
    pthread_t thread;
    struct slot_port port;
    const struct slot_limits *limits;
    int result;
};

static void on_signal(int number)
{
    (void)number;
    stop = true;
}

static void *work(void *context)
{
    struct worker *w = context;
    struct error err = ERROR_INIT;

    w->result = slot_run(CHANNEL_LINE_FD, &w->port, w->limits, &stop, &err);
    return NULL;
}

/* What the connector gave for a rule: a socket, or why there is none. */
struct connection {
    int fd;
    struct error failure;
};

/* Asks the connector, if there is a rule for it. It answers the addresses in the rules' order. */
static void take_connections(const struct port_rule *rules, size_t count,
                             struct connection *connections)
{
    bool asked = false;

    for (size_t i = 0; i < count; i++) {
        struct connection *c = &connections[i];

        *c = (struct connection){.fd = -1};
        if (!address_is(rules[i].pattern))
            continue;
        if (!asked && write(CHANNEL_CONNECTOR_FD, "", 1) != 1)
            (void)error_set(&c->failure, ERR_INTERNAL, "the connector ended");
        asked = true;
        if (c->failure.code == 0)
            (void)!channel_take(CHANNEL_CONNECTOR_FD, &c->fd, &c->failure);
    }
    if (asked)
        close(CHANNEL_CONNECTOR_FD);
}

static int open_port(const struct port *p, struct connection *connections, struct slot_port *out)
{
    struct connection *c = &connections[p->rule];

    if (p->kind == PORT_SERIAL)
        return serial_open(p->name, p->baud, &out->transport, &out->failure);
    if (p->kind == PORT_USB)
        return usb_open(p->name, p->usb_bus, p->usb_address, &out->transport, &out->failure);
    if (c->fd < 0) {
        out->failure = c->failure;
        return out->failure.code;
    }
    return stream_open(c->fd, p->name, &out->transport, &out->failure);
}

static struct worker *open_ports(const struct ports *ports, struct connection *connections,
                                 const struct slot_limits *limits)
{
    struct worker *workers = calloc(ports->slots, sizeof *workers);
    struct worker *w = workers;

    for (size_t i = 0; workers && i < ports->count; i++) {
        const struct port *p = &ports->list[i];

        if (p->rule < 0)
            continue;
        *w = (struct worker){.port = {.port = p}, .limits = limits};
        if (open_port(p, connections, &w->port))
            w->port.transport = NULL;
        w++;
    }
    return workers;
}

/* Says once what this kernel cannot take away. */
static int confine(struct error *err)
{
    char missing[300];
    int rc = confine_line(missing, sizeof missing, err);

    if (rc == 0 && *missing)
        fprintf(stderr, "imprint: this kernel lacks %s\n", missing);
    return rc;
}

/* One thread for each slot. The result is the first failure in the order of the slots. */
static int run_slots(struct worker *workers, size_t slots)
{
    unsigned passed = 0, failed = 0;
    size_t count = 0;
    int rc = 0;

    while (count < slots && !pthread_create(&workers[count].thread, NULL, work, &workers[count]))
        count++;
    for (size_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].result == 0)
            passed++;
        else
            failed++;
        if (rc == 0)
            rc = workers[i].result;
    }
    events_summary(passed, failed);
    return count < slots && rc == 0 ? ERR_INTERNAL : rc;
}

static int read_rules(int argc, char **argv, struct port_rule *rules, size_t *count)
{
    *count = 0;
    for (int i = FIXED_ARGS; i + 2 < argc && *count < PORT_RULES_MAX; i += 3)
        rules[(*count)++] = (struct port_rule){argv[i], argv[i + 1], atoi(argv[i + 2])};
    return *count > 0 ? 0 : ERR_USAGE;
}

/* The vault says go when the token is open; the end of the socket means that it gave up. */
static int wait_for_vault(void)
{
    uint8_t go;
    ssize_t n;

    do
        n = read(CHANNEL_LINE_FD, &go, 1);
    while (n < 0 && errno == EINTR && !stop);
    return n == 1 ? 0 : ERR_GONE;
}

static int run(const struct port_rule *rules, size_t count, const struct slot_limits *limits,
               const char *output)
{
    static struct ports ports; /* too large for the stack */
    static struct connection connections[PORT_RULES_MAX];
    struct error err = ERROR_INIT;
    struct worker *workers = NULL;
    int rc = ports_find(rules, count, &ports, &err);

    if (rc == 0 && ports.slots == 0)
        rc = error_set(
            &err, ERR_NO_PORT,
            "no port matches a rule of the job: plug the fixture in; 'imprint devices JOB' "
            "lists the ports and rules");
    if (rc == 0)
        take_connections(rules, count, connections);
    if (rc == 0 && !(workers = open_ports(&ports, connections, limits)))
        rc = error_set(&err, ERR_INTERNAL, "out of memory");
    if (rc == 0)
        rc = confine(&err);
    if (rc) {
        fprintf(stderr, "imprint: %s\n", err.text);
        free(workers);
        return rc;
    }
    events_init(output, (unsigned)ports.slots);
    rc = run_slots(workers, ports.slots);
    free(workers);
    return rc;
}

int main(int argc, char **argv)
{
    struct port_rule rules[PORT_RULES_MAX];
    struct sigaction action = {.sa_handler = on_signal};
    struct slot_limits limits;
    size_t count;

    if (confine_memory(NULL))
        return error_exit_status(ERR_INTERNAL);
    if (argc <= FIXED_ARGS || read_rules(argc, argv, rules, &count)) {
        fprintf(stderr, "imprint-line: 'imprint run' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    limits = (struct slot_limits){atoi(argv[2]), atoi(argv[3]), atoi(argv[4])};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (wait_for_vault())
        return error_exit_status(ERR_GONE);
    return error_exit_status(run(rules, count, &limits, argv[1]));
}
