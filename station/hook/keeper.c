#include "station/hook/keeper.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_STARTED 127 /* what a shell ends with, too */
#define AGAIN_MS    5   /* between two looks at who is left */

/* The near ends of the pipes, and what is left to do with them. */
struct run {
    pid_t pid;
    int ended; /* pidfd */
    int in, out, errors;
    const char *input;
    size_t left;
    char complaint[HOOK_TEXT_MAX];
    size_t complained;
};

/* ---- starting ---- */

static void become(const char *const *argv, int in, int out, int errors)
{
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", language[] = "LANG=C.UTF-8";
    static char *const environment[] = {path, language, NULL};
    sigset_t none;

    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (setsid() < 0 || chdir("/") || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0u, 0) ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _exit(NOT_STARTED);
    execve(argv[0], (char *const *)(uintptr_t)argv, environment);
    dprintf(STDERR_FILENO, "cannot start it: %s\n", strerror(errno));
    _exit(NOT_STARTED);
}

static void close_pair(const int pair[2])
{
    if (pair[0] >= 0)
        close(pair[0]);
    if (pair[1] >= 0)
        close(pair[1]);
}

/* False with errno. */
static bool start(struct run *r, const char *const *argv)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, errors[2] = {-1, -1};
    int saved;

    if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(errors, O_CLOEXEC) == 0 &&
        (r->pid = fork()) >= 0) {
        if (r->pid == 0)
            become(argv, in[0], out[1], errors[1]);
        close(in[0]);
        close(out[1]);
        close(errors[1]);
        r->in = in[1];
        r->out = out[0];
        r->errors = errors[0];
        (void)fcntl(r->in, F_SETFL, O_NONBLOCK);
        (void)fcntl(r->out, F_SETFL, O_NONBLOCK);
        (void)fcntl(r->errors, F_SETFL, O_NONBLOCK);
        r->ended = pidfd_open(r->pid, 0);
        return true;
    }
    saved = errno;
    close_pair(in);
    close_pair(out);
    close_pair(errors);
    errno = saved;
    return false;
}

/* ---- its pipes ---- */

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void feed(struct run *r)
{
    ssize_t n = write(r->in, r->input, r->left);

    if (n > 0) {
        r->input += n;
        r->left -= (size_t)n;
    }
    if (r->left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        shut(&r->in);
}

/* Takes what is there; true when it was more than an answer has. */
static bool take_output(struct run *r, struct keeper *k)
{
    ssize_t n;

    while ((n = read(r->out, k->output + k->len, sizeof k->output - k->len)) > 0) {
        k->len += (size_t)n;
        if (k->len > ANSWER_MAX)
            return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        shut(&r->out);
    return false;
}

/* The beginning is kept, the rest is read and forgotten, one piece at a time. */
static void take_complaint(struct run *r)
{
    char piece[1024];
    ssize_t n = read(r->errors, piece, sizeof piece);
    size_t room = sizeof r->complaint - r->complained;

    if (n > 0) {
        room = (size_t)n < room ? (size_t)n : room;
        memcpy(r->complaint + r->complained, piece, room);
        r->complained += room;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        shut(&r->errors);
    }
}

/* Until it ended or is to be ended. */
static enum keeper_end attend(struct run *r, int64_t until, int alive, struct keeper *k)
{
    for (;;) {
        struct pollfd polled[] = {{.fd = r->ended, .events = POLLIN},
                                  {.fd = r->in, .events = POLLOUT},
                                  {.fd = r->out, .events = POLLIN},
                                  {.fd = r->errors, .events = POLLIN},
                                  {.fd = alive, .events = 0}};
        int64_t now = clock_mono_ms();

        if (now >= until)
            return KEEPER_LATE;
        if (poll(polled, sizeof polled / sizeof *polled, (int)(until - now)) <= 0)
            continue;
        if (polled[1].revents)
            feed(r);
        if (polled[2].revents && take_output(r, k))
            return KEEPER_FLOODED;
        if (polled[3].revents)
            take_complaint(r);
        if (polled[4].revents)
            return KEEPER_ABANDONED;
        if (polled[0].revents)
            return r->out >= 0 && take_output(r, k) ? KEEPER_FLOODED : KEEPER_ENDED;
    }
}

/* ---- ending ---- */

/* 0 for a process that is gone. */
static pid_t parent_of(const char *pid)
{
    char path[64], text[512];
    const char *rest;
    size_t len;
    FILE *f;
    int parent = 0;

    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    f = fopen(path, "re");
    if (!f)
        return 0;
    len = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[len] = 0;
    rest = strrchr(text, ')'); /* a name may have brackets */
    return rest && sscanf(rest + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

static void kill_children(void)
{
    DIR *all = opendir("/proc");
    pid_t self = getpid();
    struct dirent *entry;

    while (all && (entry = readdir(all)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && parent_of(entry->d_name) == self)
            (void)kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
    if (all)
        closedir(all);
}

/* Reaps whoever ended; false when there is nobody any more. */
static bool reap(pid_t first, int *status)
{
    int one;
    pid_t pid;

    while ((pid = waitpid(-1, &one, WNOHANG)) > 0)
        if (pid == first)
            *status = one;
    return pid == 0 || errno != ECHILD;
}

/* What it started becomes a child of this process once its own parent is gone. */
static void end_all(const struct run *r, int *status)
{
    int64_t until = clock_mono_ms() + KEEPER_END_MS;

    (void)kill(-r->pid, SIGKILL);
    (void)kill(r->pid, SIGKILL);
    while (reap(r->pid, status) && clock_mono_ms() < until) {
        kill_children();
        (void)poll(NULL, 0, AGAIN_MS);
    }
}

void keeper_run(const char *const *argv, const void *input, size_t len, int timeout_ms, int alive,
                struct keeper *out)
{
    struct run r = {.pid = -1, .ended = -1, .in = -1, .out = -1, .errors = -1};
    const char *end;

    memset(out, 0, sizeof *out);
    r.input = input;
    r.left = len;
    out->how = KEEPER_FAILED;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)signal(SIGPIPE, SIG_IGN);
    if (!start(&r, argv)) {
        out->status = errno;
        return;
    }
    out->how = attend(&r, clock_mono_ms() + timeout_ms, alive, out);
    if (r.errors >= 0)
        take_complaint(&r);
    end_all(&r, &out->status);
    shut(&r.in);
    shut(&r.out);
    shut(&r.errors);
    shut(&r.ended);
    end = memchr(r.complaint, '\n', r.complained);
    answer_plain(r.complaint, end ? (size_t)(end - r.complaint) : r.complained, out->complaint);
}

/* ---- what it means ---- */

static void say_status(const struct keeper *k, struct hook_answer *out)
{
    char what[64];

    if (WIFSIGNALED(k->status))
        snprintf(what, sizeof what, "it was ended by signal %d", WTERMSIG(k->status));
    else
        snprintf(what, sizeof what, "it ended with status %d", WEXITSTATUS(k->status));
    snprintf(out->text, sizeof out->text, "%s%s%.120s", what, *k->complaint ? ": " : "",
             k->complaint);
}

void keeper_judge(const struct keeper *k, int timeout_ms, const char *id, struct hook_answer *out)
{
    out->verdict = HOOK_FAILED;
    out->text[0] = 0;
    switch (k->how) {
    case KEEPER_ENDED:
        if (k->status)
            say_status(k, out);
        else
            answer_read(k->output, k->len, id, out);
        break;
    case KEEPER_LATE:
        snprintf(out->text, sizeof out->text, "it did not end within %d seconds",
                 timeout_ms / 1000);
        break;
    case KEEPER_FLOODED:
        snprintf(out->text, sizeof out->text, "it said more than %d bytes", ANSWER_MAX);
        break;
    case KEEPER_ABANDONED:
        snprintf(out->text, sizeof out->text, "the station ended");
        break;
    case KEEPER_FAILED:
        snprintf(out->text, sizeof out->text, "the system cannot start it: %s",
                 strerror(k->status));
        break;
    }
}
