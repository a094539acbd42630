#include "station/vault/server.h"

#include "base/clock.h"
#include "station/vault/session.h"
#include "station/vault/spawn.h"
#include "station/wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_PROGRAM      "imprint-line"
#define OPENER_PROGRAM    "imprint-opener"
#define CONNECTOR_PROGRAM "imprint-connector"
#define LINE_ARGS_MAX     16
#define LINE_NUMBERS      5 /* of them */
#define RULE_ARGS_MAX     (2 + 3 * JOB_PORT_RULES_MAX)
#define NUMBER_SIZE       24
#define GROUP_MS          8 /* about what writing a group to the disk takes */

/* A channel, the session on it, and the answer that waits until its changes are durable. */
struct slot_channel {
    int fd;
    struct session session;
    struct buf reply;
    bool answered, ended;
};

struct serving {
    struct vault *vault;
    int control;
    struct slot_channel *channels[CHANNELS_MAX];
    size_t count,
        next; /* next: where the next group begins to look, so that nobody is always last */
    struct buf request;
};

/* The arguments of the other programs: nothing but what they need to know. */
struct line_args {
    const char *line[LINE_ARGS_MAX];
    const char *opener[RULE_ARGS_MAX];
    const char *connector[JOB_PORT_RULES_MAX + 2];
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
    a->line[n] = NULL;
}

static void build_rules(struct line_args *a, const struct job *job)
{
    size_t n = 0, addresses = 1;

    a->connector[0] = a->connector_path;
    a->opener[n++] = a->opener_path;
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

int server_start_line(struct server *server, const struct job *job, const struct server_run *run,
                      struct error *err)
{
    struct line_args *args = calloc(1, sizeof *args);
    int fds[2], rc;

    *server = (struct server){.control = -1};
    if (!args)
        return error_set(err, ERR_INTERNAL, "out of memory");
    build_line(args, job, run);
    build_rules(args, job);
    rc = spawn_find(LINE_PROGRAM, args->line_path, err);
    if (rc == 0)
        rc = channel_pair(fds, err);
    if (rc == 0) {
        rc = start_line(server, args, run, fds[1], err);
        close(fds[1]);
        server->control = fds[0];
    }
    free(args);
    if (run->screen)
        screen_handed_over(run->screen);
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
    *killed = false;
    if (server->line)
        status = spawn_end(server->line, killed);
    if (server->opener)
        (void)spawn_end(server->opener, &ignored);
    if (server->connector)
        (void)spawn_end(server->connector, &ignored);
    server->line = server->opener = server->connector = 0;
    return status;
}

void server_stop_line(struct server *server)
{
    bool killed;

    (void)end_children(server, &killed);
}

static int add_channel(struct serving *s, struct error *err)
{
    struct slot_channel *c;
    int fd, rc = channel_accept(s->control, &fd, err);

    if (rc)
        return rc;
    if (s->count == CHANNELS_MAX) {
        close(fd);
        return 0;
    }
    c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return error_set(err, ERR_INTERNAL, "out of memory");
    }
    c->fd = fd;
    session_init(&c->session);
    buf_init(&c->reply, WIRE_MAX);
    s->channels[s->count++] = c;
    return 0;
}

static int drop_channel(struct serving *s, size_t index, struct error *err)
{
    struct slot_channel *c = s->channels[index];
    int rc = session_abandon(s->vault, &c->session, err);

    session_done(&c->session);
    buf_done(&c->reply);
    close(c->fd);
    free(c);
    s->channels[index] = s->channels[--s->count];
    return rc;
}

/* One request of one channel, whose answer waits. A channel that is broken ends after the group. */
static int answer_channel(struct serving *s, struct slot_channel *c, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int rc = channel_receive_now(c->fd, &s->request, &ignored);

    if (rc == ERR_TIMEOUT)
        return 0;
    c->ended = rc != 0;
    if (rc)
        return 0;
    c->answered = true;
    return session_answer(s->vault, &c->session, &s->request, &c->reply, err);
}

/* Nothing of a group is durable: every answer becomes the reason. */
static void refuse_answers(struct serving *s, int code, const struct error *err)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->channels[i]->answered) {
            buf_reset(&s->channels[i]->reply);
            wire_put_error(&s->channels[i]->reply, code, err);
        }
}

/* Sends the answers. From the last to the first: dropping a channel moves only those after it. */
static int send_answers(struct serving *s, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int rc = 0;

    for (size_t i = s->count; i > 0; i--) {
        struct slot_channel *c = s->channels[i - 1];

        if (c->answered && channel_send(c->fd, &c->reply, &ignored))
            c->ended = true;
        c->answered = false;
        if (c->ended) {
            int one = drop_channel(s, i - 1, rc ? NULL : err);

            rc = rc ? rc : one;
        }
    }
    return rc;
}

/*
 * Answers what has come, in one transaction of the database with one anchor (store_group_begin): only
 * then do the answers leave. A group takes no further request after GROUP_MS, for its first one waits; and
 * none after one that the counter counts, for a step of it stands for one (vault/counting.h).
 */
static int serve_group(struct serving *s, const struct pollfd *polled, size_t count,
                       struct error *err)
{
    struct error group = ERROR_INIT;
    struct store *store = s->vault->store;
    int rc = store_group_begin(store, err), end = 0;
    int64_t until = clock_mono_ms() + GROUP_MS; /* what the beginning took is not the requests' */

    if (rc)
        return rc;
    for (size_t n = 0; n < count && rc == 0 && clock_mono_ms() < until; n++) {
        size_t i = (s->next + n) % count;

        if (store_group_counts(store))
            break;
        if (polled[i].revents)
            rc = answer_channel(s, s->channels[i], err);
    }
    s->next++;
    end = store_group_end(store, &group);
    if (end)
        refuse_answers(s, end, &group);
    if (end && rc == 0) {
        rc = end;
        *err = group;
    }
    end = send_answers(s, rc ? NULL : err);
    return rc ? rc : end;
}

/* Waits for the next message; *ended is set when the line closed its control socket. */
static int serve_once(struct serving *s, bool *ended, struct error *err)
{
    struct pollfd polled[CHANNELS_MAX + 1];
    size_t count = s->count;
    short ready = 0;
    int rc = 0;

    polled[0] = (struct pollfd){.fd = s->control, .events = POLLIN};
    for (size_t i = 0; i < count; i++)
        polled[i + 1] = (struct pollfd){.fd = s->channels[i]->fd, .events = POLLIN};
    if (poll(polled, count + 1, -1) < 0)
        return errno == EINTR ? 0 : error_set_errno(err, errno, "cannot wait for the line");
    for (size_t i = 0; i < count && !ready; i++)
        ready = polled[i + 1].revents;
    if (ready)
        rc = serve_group(s, polled + 1, count, err);
    if (rc == 0 && polled[0].revents & POLLIN && add_channel(s, NULL))
        *ended = true;
    else if (polled[0].revents & (POLLHUP | POLLERR))
        *ended = true;
    return rc;
}

static int end_serving(struct serving *s, struct error *err)
{
    int rc = 0;

    while (s->count > 0) {
        int one = drop_channel(s, s->count - 1, rc ? NULL : err);

        if (rc == 0)
            rc = one;
    }
    buf_done(&s->request);
    return rc;
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
    struct serving s = {.vault = v, .control = server->control};
    struct error line_error = ERROR_INIT;
    uint8_t go = 1;
    bool ended = false;
    int rc = 0, line_rc;

    end_with_the_line(server->line);
    buf_init(&s.request, WIRE_MAX);
    if (write(server->control, &go, 1) != 1)
        ended = true;
    while (!ended && rc == 0)
        rc = serve_once(&s, &ended, err);
    line_rc = end_serving(&s, rc ? NULL : err);
    if (rc == 0)
        rc = line_rc;
    told_to_end = 0;
    line_rc = reap_line(server, &line_error);
    if (rc)
        return rc;
    if (line_rc && err)
        *err = line_error;
    return line_rc;
}
