#include "station/vault/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASIDE_FD 64 /* above whatever the descriptors become */

int spawn_find(const char *name, char out[PATH_MAX], struct error *err)
{
    char self[PATH_MAX], path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int len;

    if (n > 0) {
        self[n] = 0;
        len = snprintf(path, sizeof path, "%s/%s", dirname(self), name);
        if (len > 0 && len < PATH_MAX && access(path, X_OK) == 0) {
            strcpy(out, path);
            return 0;
        }
    }
    snprintf(path, sizeof path, "%s/%s", IMPRINT_LIBEXECDIR, name);
    if (access(path, X_OK))
        return error_set(err, ERR_MISSING, "cannot run '%s': install the station again", path);
    strcpy(out, path);
    return 0;
}

/* In the child: stdin and stdout, and stderr where it is not inherited. */
static bool place_standard(const struct spawn *s)
{
    int null;

    if (s->screen)
        return true;
    for (int i = 0; s->standard && i <= STDERR_FILENO; i++)
        if (dup2(s->standard[i], i) < 0)
            return false;
    if (s->standard)
        return true;
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    return null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0;
}

/* In the child: the descriptors get their places, everything else is closed. */
static bool place_descriptors(const struct spawn *s)
{
    int aside[SPAWN_FDS_MAX];

    if (!place_standard(s))
        return false;
    for (size_t i = 0; i < s->fd_count; i++)
        if ((aside[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, ASIDE_FD)) < 0)
            return false;
    for (size_t i = 0; i < s->fd_count; i++)
        if (dup2(aside[i], SPAWN_FIRST_FD + (int)i) < 0)
            return false;
    return close_range(SPAWN_FIRST_FD + (unsigned)s->fd_count, ~0u, 0) == 0;
}

static void become(const struct spawn *s, pid_t parent)
{
    /* A session of its own has no terminal: nothing that it could open as /dev/tty. */
    if (!s->screen && setsid() < 0)
        _exit(ERR_INTERNAL * -1);
    if (!place_descriptors(s))
        _exit(ERR_INTERNAL * -1);
    /* Without the vault nothing can be finished; the ports must be free for the next run. */
    if (!s->outlives && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent))
        _exit(ERR_GONE * -1);
    execv(s->argv[0], (char *const *)(uintptr_t)s->argv);
    _exit(ERR_MISSING * -1);
}

int spawn_start(const struct spawn *s, pid_t *pid, struct error *err)
{
    pid_t parent = getpid(), child;

    fflush(NULL);
    child = fork();
    if (child == 0)
        become(s, parent);
    if (child < 0)
        return error_set_errno(err, errno, "cannot start '%s'", s->argv[0]);
    *pid = child;
    return 0;
}

/* True when the process ended within the grace. */
static bool wait_for_end(pid_t pid)
{
    struct pollfd p = {.fd = pidfd_open(pid, 0), .events = POLLIN};
    int ready;

    do
        ready = poll(&p, 1, SPAWN_GRACE_MS);
    while (ready < 0 && errno == EINTR);
    if (p.fd >= 0)
        close(p.fd);
    return p.fd >= 0 && ready > 0;
}

int spawn_end(pid_t pid, bool *killed)
{
    int status = 0;

    *killed = !wait_for_end(pid);
    if (*killed)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}
