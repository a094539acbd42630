#include "station/vault/screen.h"

#include "station/vault/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BOARD_PROGRAM "imprint-board"

/* In the background a board would be stopped as soon as it drew. */
static bool has_terminal(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static int make_ends(int line[2], int errors[2], int typed[2], struct error *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line))
        return error_set_errno(err, errno, "cannot create a socket pair");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, typed)) {
        close_both(line);
        return error_set_errno(err, errno, "cannot create a socket pair");
    }
    if (pipe2(errors, O_CLOEXEC)) {
        close_both(line);
        close_both(typed);
        return error_set_errno(err, errno, "cannot create a pipe");
    }
    return 0;
}

/* The board says one byte when it can use this terminal, and ends when it cannot. */
static bool is_ready(int line)
{
    char ready;
    ssize_t n;

    do
        n = read(line, &ready, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

int screen_start(struct screen *screen, struct error *err)
{
    char program[PATH_MAX];
    const char *const argv[] = {program, NULL};
    struct spawn s = {.argv = argv, .fd_count = 3, .screen = true, .outlives = true};
    int line[2], errors[2], typed[2], rc;

    *screen = (struct screen){.line = -1, .errors = -1, .typed = -1};
    if (!has_terminal())
        return 0;
    rc = spawn_find(BOARD_PROGRAM, program, err);
    if (rc == 0)
        rc = make_ends(line, errors, typed, err);
    if (rc)
        return rc;
    s.fds[0] = line[0];
    s.fds[1] = errors[0];
    s.fds[2] = typed[0];
    screen->keeps = tcgetattr(STDIN_FILENO, &screen->before) == 0;
    rc = spawn_start(&s, &screen->board, err);
    close(line[0]);
    close(errors[0]);
    close(typed[0]);
    screen->typed = typed[1];
    screen->line = line[1];
    screen->errors = errors[1];
    if (rc || !is_ready(screen->line))
        screen_end(screen);
    return rc;
}

void screen_handed_over(struct screen *screen)
{
    if (screen->line >= 0)
        close(screen->line);
    if (screen->errors >= 0)
        close(screen->errors);
    screen->line = screen->errors = -1;
}

void screen_end(struct screen *screen)
{
    bool killed;

    screen_handed_over(screen);
    if (screen->typed >= 0)
        close(screen->typed);
    screen->typed = -1;
    if (screen->board == 0)
        return;
    (void)spawn_end(screen->board, &killed);
    screen->board = 0;
    /* Whatever became of the board: what is typed is seen again. */
    if (screen->keeps && tcgetpgrp(STDIN_FILENO) == getpgrp())
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
}
