#include "station/vault/server.h"

#include "station/connector/address.h"
#include "station/vault/serving.h"
#include "station/vault/spawn.h"
#include "station/wire/channel.h"
#include "station/wire/offer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_PROGRAM      "imprint-line"
#define OPENER_PROGRAM    "imprint-opener"
#define CONNECTOR_PROGRAM "imprint-connector"
#define LINE_ARGS_MAX     (16 + FIXTURE_ARGS * CONFIG_FIXTURES_MAX)
#define LINE_NUMBERS      5 /* of them */
#define FIXTURE_ARGS      4 /* of each, to the line */
#define RULE_ARGS_MAX     (2 + 3 * (JOB_PORT_RULES_MAX + CONFIG_SCANNERS_MAX + CONFIG_FIXTURES_MAX))
#define SCANNER_BAUD      9600
#define FIXTURE_BAUD      115200
#define FIXTURE_SLOTS_MAX (CONFIG_FIXTURE_SLOTS_MAX * 33)
#define NUMBER_SIZE       24

/* The arguments of the other programs: nothing but what they need to know. */
struct line_args {
    const char *line[LINE_ARGS_MAX];
    const char *opener[RULE_ARGS_MAX];
    const char *connector[JOB_PORT_RULES_MAX + CONFIG_FIXTURES_MAX + 2];
    const char *scanners[RULE_ARGS_MAX];
    char scanner_numbers[CONFIG_SCANNERS_MAX][2][NUMBER_SIZE];
    struct fixture_args {
        char place[NUMBER_SIZE], baud[NUMBER_SIZE], power[NUMBER_SIZE], flags[NUMBER_SIZE];
        char slots[FIXTURE_SLOTS_MAX];
    } fixtures[CONFIG_FIXTURES_MAX];
    char numbers[JOB_PORT_RULES_MAX + LINE_NUMBERS][NUMBER_SIZE];
    char patterns[JOB_PORT_RULES_MAX][JOB_PATTERN_MAX + 1];
    char line_path[PATH_MAX], opener_path[PATH_MAX], connector_path[PATH_MAX];
};

static const char *number(struct line_args *a, size_t index, int64_t value)
{
    snprintf(a->numbers[index], NUMBER_SIZE, "%" PRId64, value);
    return a->numbers[index];
}

static bool has_board(const struct server_run *run)
{
    return run->screen && run->screen->board;
}

/* What the line knows of a fixture (line/fixtures.h), and what its opener calls it (wire/offer.h). */
static void build_fixture(struct fixture_args *a, const struct config_fixture *c, size_t number)
{
    size_t len = 0;

    snprintf(a->place, sizeof a->place, "%c%zu", OFFER_FIXTURE, number);
    snprintf(a->baud, sizeof a->baud, "%" PRId64, c->baud ? c->baud : FIXTURE_BAUD);
    snprintf(a->power, sizeof a->power, "%" PRId64, c->power);
    snprintf(a->flags, sizeof a->flags, "%s,%s", c->lid ? "lid" : "-", c->start ? "start" : "-");
    for (size_t i = 0; i < c->slot_count; i++)
        len += (size_t)snprintf(a->slots + len, sizeof a->slots - len, "%s%s", i ? " " : "",
                                c->slots[i]);
}

static size_t add_fixtures(struct line_args *a, size_t n, const struct config *config)
{
    for (size_t i = 0; config && i < config->fixture_count; i++) {
        const struct config_fixture *c = &config->fixtures[i];
        struct fixture_args *f = &a->fixtures[i];

        build_fixture(f, c, i);
        a->line[n++] = c->name;
        a->line[n++] = f->flags;
        a->line[n++] = f->power;
        a->line[n++] = f->slots;
    }
    return n;
}

static void build_line(struct line_args *a, const struct job *job, const struct server_run *run)
{
    size_t n = 0;

    a->line[n++] = a->line_path;
    a->line[n++] = has_board(run) ? "board" : run->output;
    a->line[n++] = run->once ? "once" : "watch";
    a->line[n++] = number(a, 0, job->link.hello_ms);
    a->line[n++] = number(a, 1, job->link.request_ms);
    a->line[n++] = number(a, 2, job->link.keygen_ms);
    a->line[n++] = number(a, 3, job->link.repeats);
    a->line[n++] = number(a, 4, job->link.retries);
    n = add_fixtures(a, n, run->fixtures);
    a->line[n] = NULL;
}

/* The scanners' opener names each by its number; to the line's they are ports of somebody else, whatever
 * the job's rules say. */
static size_t build_scanners(struct line_args *a, const struct config *config)
{
    size_t n = 1;

    a->opener[0] = a->scanners[0] = a->opener_path;
    for (size_t i = 0; config && i < config->scanner_count; i++) {
        const struct config_scanner *c = &config->scanners[i];
        int64_t baud = c->baud ? c->baud : SCANNER_BAUD;

        if (strcmp(c->port, CONFIG_SCANNER_TERMINAL) == 0)
            continue;
        snprintf(a->scanner_numbers[i][0], NUMBER_SIZE, "%zu", i);
        snprintf(a->scanner_numbers[i][1], NUMBER_SIZE, "%" PRId64, baud);
        a->scanners[n] = a->opener[n] = c->port;
        a->scanners[n + 1] = a->scanner_numbers[i][0];
        a->opener[n + 1] = c->name;
        a->scanners[n + 2] = a->scanner_numbers[i][1];
        a->opener[n + 2] = "0";
        n += 3;
    }
    return n;
}

/* Before the rules of the job: a fixture's port is no slot, whatever they say. */
static size_t build_fixture_rules(struct line_args *a, size_t n, size_t *addresses,
                                  const struct config *config)
{
    for (size_t i = 0; config && i < config->fixture_count; i++) {
        const char *port = config->fixtures[i].port;

        if (address_is(port))
            a->connector[(*addresses)++] = port;
        a->opener[n++] = port;
        a->opener[n++] = a->fixtures[i].place;
        a->opener[n++] = a->fixtures[i].baud;
    }
    return n;
}

static void build_rules(struct line_args *a, const struct job *job, const struct server_run *run)
{
    size_t n = build_scanners(a, run->config), addresses = 1;

    a->connector[0] = a->connector_path;
    n = build_fixture_rules(a, n, &addresses, run->fixtures);
    for (size_t i = 0; i < job->port_count; i++) {
        if (job_port_pattern(&job->ports[i], a->patterns[i]))
            a->connector[addresses++] = a->patterns[i];
        a->opener[n++] = a->patterns[i];
        a->opener[n++] = job->ports[i].slot;
        a->opener[n++] = number(a, LINE_NUMBERS + i, job->ports[i].baud);
    }
}

/* One that stands beside the line; *to_line is what the line talks to it over. */
static int start_beside(const char *name, char path[PATH_MAX], const char *const *argv,
                        const int *standard, pid_t *pid, int *to_line, struct error *err)
{
    struct spawn s = {.argv = argv, .fd_count = 1, .standard = standard};
    int fds[2], rc = spawn_find(name, path, err);

    if (rc == 0)
        rc = channel_pair(fds, err);
    if (rc)
        return rc;
    s.fds[0] = fds[1];
    rc = spawn_start(&s, pid, err);
    close(fds[1]);
    if (rc)
        close(fds[0]);
    else
        *to_line = fds[0];
    return rc;
}

/* The descriptors of the line are where channel.h says: the vault, the opener, the connector. With a
 * board none of the three has the terminal. */
static int start_line(struct server *server, struct line_args *a, const struct server_run *run,
                      int control, struct error *err)
{
    bool board = has_board(run);
    int null = board ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    const int beside[] = {null, null, board ? run->screen->errors : -1};
    const int standard[] = {board ? run->screen->line : -1, board ? run->screen->line : -1,
                            beside[STDERR_FILENO]};
    struct spawn line = {.argv = a->line,
                         .fds = {control, -1, -1},
                         .fd_count = 2,
                         .screen = !board,
                         .standard = board ? standard : NULL};
    int rc = start_beside(OPENER_PROGRAM, a->opener_path, a->opener, board ? beside : NULL,
                          &server->opener, &line.fds[1], err);

    if (rc == 0 && server->reads_scanners && a->scanners[1])
        rc = start_beside(OPENER_PROGRAM, a->opener_path, a->scanners, board ? beside : NULL,
                          &server->scanner_opener, &server->scanners, err);
    if (rc == 0 && a->connector[1]) {
        rc = start_beside(CONNECTOR_PROGRAM, a->connector_path, a->connector, board ? beside : NULL,
                          &server->connector, &line.fds[2], err);
        line.fd_count += rc == 0;
    }
    if (rc == 0)
        rc = spawn_start(&line, &server->line, err);
    for (size_t i = 1; i < line.fd_count; i++)
        if (line.fds[i] >= 0)
            close(line.fds[i]);
    if (null >= 0)
        close(null);
    return rc;
}

bool server_reads_scanners(const struct config *config, const struct job *job)
{
    return config && config->scanner_count > 0 &&
           (job->label.check || job->serials.source == SOURCE_SCANNED);
}

int server_start_line(struct server *server, const struct job *job, const struct server_run *run,
                      struct error *err)
{
    struct line_args *args = calloc(1, sizeof *args);
    int fds[2], rc;

    *server = (struct server){.control = -1,
                              .scanners = -1,
                              .typed = -1,
                              .reads_scanners = server_reads_scanners(run->config, job)};
    if (!args)
        return error_set(err, ERR_INTERNAL, "out of memory");
    build_line(args, job, run);
    build_rules(args, job, run);
    rc = spawn_find(LINE_PROGRAM, args->line_path, err);
    if (rc == 0)
        rc = channel_pair(fds, err);
    if (rc == 0) {
        rc = start_line(server, args, run, fds[1], err);
        close(fds[1]);
        server->control = fds[0];
    }
    free(args);
    if (run->screen) {
        screen_handed_over(run->screen);
        server->typed = run->screen->typed;
        run->screen->typed = -1;
    }
    if (rc)
        server_stop_line(server);
    return rc;
}

/* What the line ended with; *killed as spawn_end. The others end when the line is gone. */
static int end_children(struct server *server, bool *killed)
{
    int status = 0;
    bool ignored;

    if (server->control >= 0)
        close(server->control); /* the line ends when the vault is gone */
    server->control = -1;
    if (server->scanners >= 0)
        close(server->scanners);
    server->scanners = -1;
    if (server->typed >= 0)
        close(server->typed);
    server->typed = -1;
    *killed = false;
    if (server->line)
        status = spawn_end(server->line, killed);
    if (server->opener)
        (void)spawn_end(server->opener, &ignored);
    if (server->connector)
        (void)spawn_end(server->connector, &ignored);
    if (server->scanner_opener)
        (void)spawn_end(server->scanner_opener, &ignored);
    server->line = server->opener = server->connector = server->scanner_opener = 0;
    return status;
}

void server_stop_line(struct server *server)
{
    bool killed;

    (void)end_children(server, &killed);
}

/* What the line ended with, as an error code. */
static int reap_line(struct server *server, struct error *err)
{
    bool killed;
    int status = end_children(server, &killed);

    if (killed)
        return error_set(
            err, ERR_INTERNAL,
            "the line process closed its socket and did not end: it was killed, run the "
            "command again");
    if (WIFSIGNALED(status))
        return error_set(err, ERR_INTERNAL,
                         "the line process was ended by signal %d: run the command again",
                         WTERMSIG(status));
    return -WEXITSTATUS(status);
}

static volatile pid_t told_to_end; /* the line, while it is served */

static void pass_on(int number)
{
    (void)number;
    if (told_to_end > 0)
        (void)kill(told_to_end, SIGTERM);
}

/* The line finishes what is in flight, then this ends; Ctrl-C goes to the whole terminal anyway. */
static void end_with_the_line(pid_t line)
{
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};

    told_to_end = line;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

int server_run(struct server *server, struct vault *v, struct error *err)
{
    struct error line_error = ERROR_INIT;
    struct scanners *scanners = NULL;
    uint8_t go = 1;
    int rc = 0, line_rc;

    end_with_the_line(server->line);
    if (server->reads_scanners && !(scanners = scanners_new(server->scanners)))
        rc = error_set(err, ERR_INTERNAL, "the process that opens scanners ended: run again");
    if (rc == 0 && scanners) {
        scanners_type(scanners, v, server->typed);
        server->typed = -1;
    }
    if (rc == 0 && write(server->control, &go, 1) == 1)
        rc = serving_run(v, server->control, scanners, err);
    told_to_end = 0;
    scanners_free(scanners);
    line_rc = reap_line(server, &line_error);
    if (rc)
        return rc;
    if (line_rc && err)
        *err = line_error;
    return line_rc;
}
