/*
 * imprint-line: the process that talks to devices. It has no PIN, no HSM session and no database (P10);
 * `imprint run` starts it and it asks the vault for everything. It opens nothing: opener and connector
 * hand it ports (station/wire/offer.h), and it is confined before it sees the first.
 *
 * With 'board' it speaks JSON, and ends when the board did that has its other end.
 *
 * usage: imprint-line words|quiet|json|board once|watch HELLO_MS REQUEST_MS KEYGEN_MS REPEATS RETRIES
 *                     [FIXTURE FLAGS POWER_MS SLOTS]...
 */
#include "station/confine/confine.h"
#include "station/line/command.h"
#include "station/line/fixtures.h"
#include "station/line/place.h"
#include "station/wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARGS         8
#define PLACES_MAX   256
#define OTHERS       5     /* that are waited for beside fixtures */
#define ADDRESS_MAX  40    /* of slots and fixtures */
#define SCANS_MS     100   /* how often the vault is asked what scanners said */
#define SCANS_MOST   64    /* in one round: a scanner that never rests holds up nobody */
#define SCAN_ONCE_MS 60000 /* how long a pass with --once waits for a scan */

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process and reads /proc, which the confined line may not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

struct manager {
    struct line line;
    struct place *places[PLACES_MAX]; /* in the order in which their ports were offered */
    size_t count;
    struct place *addresses[ADDRESS_MAX]; /* by the connector's numbers */
    struct fixtures fixtures;
    bool json, board, listed, lost, quitting;
    bool reads_input, has_connector;
    struct command_input input;
    bool scans; /* this run has scanners */
    struct desk desk;
    int failure; /* of the job's rules, before any slot */
};

static volatile sig_atomic_t signalled;
static int signal_wake = -1;

/* Any thread may be the one that is interrupted: the main one is woken by a byte. */
static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    signalled = 1;
    (void)!write(signal_wake, "", 1);
    errno = saved;
}

/* ---- places ---- */

static struct place *find_place(struct manager *m, const char *label)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->places[i]->label, label) == 0)
            return m->places[i];
    return NULL;
}

/* The slot of this label, new or not. */
static struct place *get_place(struct manager *m, const char *label, struct error *err)
{
    struct place *p = find_place(m, label);

    if (p)
        return p;
    if (m->count == PLACES_MAX || !(p = calloc(1, sizeof *p))) {
        (void)error_set(err, ERR_INTERNAL, "there are too many slots: '%s' is none", label);
        return NULL;
    }
    if (place_start(p, &m->line, label, fixtures_gate(&m->fixtures, label), err)) {
        free(p);
        return NULL;
    }
    m->places[m->count++] = p;
    return p;
}

static void wake_all(struct manager *m)
{
    for (size_t i = 0; i < m->count; i++)
        place_wake(m->places[i]);
}

/* ---- offers ---- */

static void give(struct place *p, const struct offer *offer, int source, int fd)
{
    struct place_port port = {
        .kind = offer->kind, .number = offer->port, .source = source, .fd = fd};

    snprintf(port.name, sizeof port.name, "%s", offer->name);
    if (offer->status)
        (void)offer_error(offer, &port.failure);
    place_give(p, &port);
}

static void take_place(struct manager *m, const struct offer *offer, int fd)
{
    struct error err = ERROR_INIT;
    struct place *p = get_place(m, offer->slot, &err);

    if (!p && fd >= 0)
        close(fd);
    if (!p) {
        events_notice(err.text, NULL, false);
    } else if (offer->kind != OFFER_ADDRESS) {
        give(p, offer, CHANNEL_OPENER_FD, fd);
    } else if (m->has_connector && offer->port < ADDRESS_MAX) {
        m->addresses[offer->port] = p;
        (void)!offer_ask(CHANNEL_CONNECTOR_FD, ASK_PORT, offer->port, NULL);
    }
}

/* Every port that is there was offered. */
static void take_listed(struct manager *m, const struct offer *offer)
{
    static const char *const none =
        "no port matches a rule of the job: plug the fixture in; 'imprint devices JOB' lists the "
        "ports and rules";

    m->listed = true;
    if (offer->status) {
        m->failure = -offer->status;
        fprintf(stderr, "imprint: %s\n", offer->text);
    } else if (offer->port == 0 && m->line.once) {
        m->failure = ERR_NO_PORT;
        fprintf(stderr, "imprint: %s\n", none);
    } else if (offer->port == 0) {
        events_notice(none, NULL, false);
    }
}

static void take_offer(struct manager *m)
{
    struct offer offer;
    int fd;

    if (offer_receive(CHANNEL_OPENER_FD, &offer, &fd, NULL)) {
        m->lost = true;
    } else if (offer.kind == OFFER_LISTED) {
        take_listed(m, &offer);
    } else if (offer.kind == OFFER_NOTICE) {
        events_notice(offer.text, NULL, false);
    } else if (offer.slot[0] == OFFER_FIXTURE) {
        fixtures_take(&m->fixtures, &offer, CHANNEL_OPENER_FD, fd);
    } else {
        take_place(m, &offer, fd);
    }
}

static void take_connection(struct manager *m)
{
    struct offer offer;
    int fd;

    if (offer_receive(CHANNEL_CONNECTOR_FD, &offer, &fd, NULL)) {
        m->lost = true;
    } else if (fixtures_has(&m->fixtures, offer.port)) {
        fixtures_take(&m->fixtures, &offer, CHANNEL_CONNECTOR_FD, fd);
    } else if (offer.port < ADDRESS_MAX && m->addresses[offer.port]) {
        give(m->addresses[offer.port], &offer, CHANNEL_CONNECTOR_FD, fd);
    } else if (fd >= 0) {
        close(fd);
    }
}

/* ---- commands ---- */

static void quit(struct manager *m)
{
    if (m->quitting)
        return;
    m->quitting = true;
    m->line.stop = true;
    if (!m->line.once)
        events_state(STATE_QUITTING);
    wake_all(m);
}

static void pause_line(struct manager *m, bool paused)
{
    m->line.paused = paused;
    events_state(paused ? STATE_PAUSED : STATE_RUNNING);
    wake_all(m);
}

/* The vault lets a disabled slot go on, or not; of one that shows a failure it is not asked. */
static void acknowledge(struct manager *m, const char *slot, const char *name)
{
    struct place *p = find_place(m, slot);
    struct error err = ERROR_INIT;
    bool was = false;

    if (p && desk_acknowledge(&m->desk, slot, &was, &err))
        events_notice(err.text, name, false);
    else if (p && (place_acknowledge(p) || was))
        events_notice(N_("the slot begins again"), name, true);
    else
        events_notice(N_("there is no such slot, or it does not show a failure"), name, false);
}

static void obey(struct manager *m, const struct command *c)
{
    const char *name = command_name(c->kind);

    switch (c->kind) {
    case COMMAND_PAUSE:
    case COMMAND_RESUME:
        events_notice(c->kind == COMMAND_PAUSE ? N_("no further device is begun")
                                               : N_("devices are begun"),
                      name, true);
        pause_line(m, c->kind == COMMAND_PAUSE);
        break;
    case COMMAND_QUIT:
        events_notice(N_("what was begun is finished, then the line ends"), name, true);
        quit(m);
        break;
    case COMMAND_ACK:
        acknowledge(m, c->slot, name);
    }
}

static void obey_lines(struct manager *m)
{
    char line[COMMAND_LINE_MAX];

    while (command_input_line(&m->input, line)) {
        struct error err = ERROR_INIT;
        struct command command;

        if (!*line && !m->json)
            continue;
        if (command_parse(line, m->json, &command, &err))
            events_notice(err.text, "", false);
        else
            obey(m, &command);
    }
}

static void read_commands(struct manager *m)
{
    char bytes[256];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0)
        m->reads_input = false; /* no more commands come, and nothing else follows from it, */
    if (n <= 0 && m->board)
        quit(m); /* unless nobody would see a result any more */
    for (size_t at = 0, taken; n > 0 && at < (size_t)n; at += taken) {
        command_input_add(&m->input, bytes + at, (size_t)n - at, &taken);
        obey_lines(m);
    }
}

/* ---- the line ---- */

static bool all_ended(const struct manager *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (!m->places[i]->ended)
            return false;
    return true;
}

static bool is_over(const struct manager *m)
{
    if (m->failure)
        return true;
    return (m->line.once ? m->listed : m->line.stop) && all_ended(m);
}

/* ---- scans ---- */

/* Told to people, and to the slot that it is about. */
static void take_scan(struct manager *m, const struct wire_scan *scan)
{
    struct place *p = *scan->slot ? find_place(m, scan->slot) : NULL;

    events_scanned(scan);
    if (p && scan->kind == WIRE_SCAN_ACK)
        (void)place_acknowledge(p);
    else if (p)
        place_scanned(p);
}

static void take_scans(struct manager *m)
{
    struct error unsaid = ERROR_INIT;
    struct wire_scan scan = {.kind = WIRE_SCAN_NONE};
    int taken = 0;

    do {
        if (desk_scan(&m->desk, &scan, &unsaid)) {
            m->scans = false; /* the vault is gone: its socket says so */
            return;
        }
        m->scans = scan.live;
        take_scan(m, &scan);
    } while (scan.kind != WIRE_SCAN_NONE && ++taken < SCANS_MOST);
}

static void on_fixture(void *manager, const char *slot)
{
    struct place *p = find_place(manager, slot);

    if (p)
        place_wake(p);
}

/* How long nothing may happen, in milliseconds; -1 for ever. */
static int longest_wait(const struct manager *m)
{
    if (m->scans)
        return SCANS_MS;
    return m->fixtures.count ? FIXTURES_TICK_MS : -1;
}

/* The vault sends nothing here: its end is what is waited for. */
static void wait_for_something(struct manager *m, int woken)
{
    struct pollfd p[OTHERS + FIXTURES_MAX] = {
        {.fd = CHANNEL_LINE_FD, .events = 0},
        {.fd = CHANNEL_OPENER_FD, .events = POLLIN},
        {.fd = m->has_connector ? CHANNEL_CONNECTOR_FD : -1, .events = POLLIN},
        {.fd = woken, .events = POLLIN},
        {.fd = m->reads_input ? STDIN_FILENO : -1, .events = POLLIN}};
    char bytes[64];

    fixtures_poll(&m->fixtures, p + OTHERS);
    if (poll(p, sizeof p / sizeof *p, longest_wait(m)) < 0)
        return;
    fixtures_work(&m->fixtures, p + OTHERS);
    if (m->scans)
        take_scans(m);
    if (p[0].revents)
        m->lost = true;
    if (p[1].revents)
        take_offer(m);
    if (p[2].revents)
        take_connection(m);
    if (p[3].revents)
        (void)!read(woken, bytes, sizeof bytes);
    if (p[4].revents)
        read_commands(m);
}

static const char *reason(const struct manager *m)
{
    if (m->lost)
        return "lost";
    if (m->line.done)
        return "done";
    return m->line.once ? "once" : "quit";
}

/* With --once the first failure in the order of the slots; otherwise what the whole line ended with. */
static int end(struct manager *m)
{
    int rc = m->failure ? m->failure : m->lost ? ERR_GONE : 0;

    for (size_t i = 0; i < m->count; i++) {
        place_join(m->places[i]);
        if (rc == 0 && m->line.once)
            rc = m->places[i]->result;
        free(m->places[i]);
    }
    fixtures_end(&m->fixtures);
    if (!m->failure)
        events_end(reason(m));
    desk_close(&m->desk);
    return rc;
}

static int begin(struct manager *m, struct error *err)
{
    struct wire_counts counts;
    int rc = desk_open(&m->desk, CHANNEL_LINE_FD, err);

    if (rc == 0)
        rc = desk_counts(&m->desk, &counts, err);
    if (rc == 0)
        rc = offer_ask(CHANNEL_OPENER_FD, m->line.once ? ASK_ONCE : ASK_WATCH, 0, err);
    if (rc)
        return rc;
    events_begin(m->line.once, &counts);
    events_counts(&counts);
    if (!m->line.once)
        events_state(STATE_RUNNING);
    take_scans(m);
    return 0;
}

static int run(struct manager *m, int woken)
{
    struct error err = ERROR_INIT;
    int rc = begin(m, &err);

    if (rc) {
        error_tell("imprint", &err);
        return rc;
    }
    while (!is_over(m)) {
        wait_for_something(m, woken);
        if (signalled || m->lost || m->line.done)
            quit(m);
    }
    return end(m);
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

/* The vault says go when the token is open; the end of the socket means that it gave up. */
static int wait_for_vault(void)
{
    uint8_t go;
    ssize_t n;

    do
        n = read(CHANNEL_LINE_FD, &go, 1);
    while (n < 0 && errno == EINTR && !signalled);
    return n == 1 ? 0 : ERR_GONE;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL); /* the terminal was closed */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTIN, SIG_IGN); /* in the background there is nothing to read */
}

static int start(struct manager *m)
{
    struct error err = ERROR_INIT;
    int wake[2], rc = 0;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, wake))
        rc = error_set_errno(&err, errno, "cannot create a socket pair");
    if (rc == 0)
        rc = confine(&err);
    if (rc) {
        error_tell("imprint", &err);
        return rc;
    }
    m->line.wake = signal_wake = m->fixtures.wake = wake[1];
    return run(m, wake[0]);
}

int main(int argc, char **argv)
{
    static struct manager m;

    message_language();
    if (confine_memory(NULL))
        return error_exit_status(ERR_INTERNAL);
    m.fixtures.woken = on_fixture;
    m.fixtures.context = &m;
    if (argc < ARGS || fixtures_read(&m.fixtures, argv + ARGS, argc - ARGS, NULL)) {
        fprintf(stderr, "imprint-line: 'imprint run' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    m.line = (struct line){.control = CHANNEL_LINE_FD,
                           .once = strcmp(argv[2], "once") == 0,
                           .limits = {.hello_ms = atoi(argv[3]),
                                      .request_ms = atoi(argv[4]),
                                      .keygen_ms = atoi(argv[5]),
                                      .repeats = atoi(argv[6]),
                                      .retries = atoi(argv[7])}};
    if (m.line.once)
        m.line.limits.scan_ms = SCAN_ONCE_MS;
    m.board = strcmp(argv[1], "board") == 0;
    m.json = m.board || strcmp(argv[1], "json") == 0;
    m.reads_input = !m.line.once;
    m.has_connector = fcntl(CHANNEL_CONNECTOR_FD, F_GETFD) >= 0;
    catch_signals();
    events_init(argv[1]);
    if (wait_for_vault())
        return error_exit_status(ERR_GONE);
    return error_exit_status(start(&m));
}
