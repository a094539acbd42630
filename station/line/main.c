/*
 * imprint-line: the process that touches devices. It has no PIN, no HSM session and no database
 * (P10); `imprint run` starts it and it asks the vault for everything.
 *
 * usage: imprint-line words|json HELLO_MS REQUEST_MS REPEATS [PATTERN SLOT BAUD]...
 */
#include "station/line/events.h"
#include "station/line/ports.h"
#include "station/line/slot.h"
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

struct worker {
    pthread_t thread;
    const struct port *port;
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

    w->result = slot_run(CHANNEL_LINE_FD, w->port, w->limits, &stop, &err);
    return NULL;
}

/* One thread for each slot. The result is the first failure in the order of the slots. */
static int run_slots(const struct ports *ports, const struct slot_limits *limits)
{
    struct worker *workers = calloc(ports->slots, sizeof *workers);
    unsigned passed = 0, failed = 0;
    size_t count = 0;
    int rc = 0;

    if (!workers)
        return ERR_INTERNAL;
    for (size_t i = 0; i < ports->count; i++) {
        struct worker *w = &workers[count];

        if (ports->list[i].rule < 0)
            continue;
        *w = (struct worker){.port = &ports->list[i], .limits = limits};
        if (pthread_create(&w->thread, NULL, work, w))
            break;
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].result == 0)
            passed++;
        else
            failed++;
        if (rc == 0)
            rc = workers[i].result;
    }
    if (count < ports->slots && rc == 0)
        rc = ERR_INTERNAL;
    free(workers);
    events_summary(passed, failed);
    return rc;
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
               bool json)
{
    static struct ports ports; /* too large for the stack */
    struct error err = ERROR_INIT;
    int rc = ports_find(rules, count, &ports, &err);

    if (rc == 0 && ports.slots == 0)
        rc = error_set(&err, ERR_NO_PORT,
                       "no port matches a rule of the job: plug the fixture in, or see 'imprint "
                       "devices'");
    if (rc) {
        fprintf(stderr, "imprint: %s\n", err.text);
        return rc;
    }
    events_init(json, (unsigned)ports.slots);
    return run_slots(&ports, limits);
}

int main(int argc, char **argv)
{
    struct port_rule rules[PORT_RULES_MAX];
    struct sigaction action = {.sa_handler = on_signal};
    struct slot_limits limits;
    size_t count;

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
    return error_exit_status(run(rules, count, &limits, strcmp(argv[1], "json") == 0));
}
