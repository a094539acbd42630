/*
 * crashshim: an LD_PRELOAD library that kills a program just before one of the calls after which
 * something is durable, or known to another process; and whose clock jumps.
 *
 *   CRASHSHIM_PROGRAM  the name of the program, as "imprint"; others that inherit it are left alone
 *   CRASHSHIM_AT       the number of the call, from 1; unset or 0: none
 *   CRASHSHIM_CALLS    names of the calls that are counted, separated by ','; unset: all of them
 *   CRASHSHIM_LOG      a file to which the name of the call is written at which it was killed
 *   CRASHSHIM_CLOCK    a file with a number: so many seconds is the clock of day ahead, asked each time
 *
 * That the call before it was done is the same as to be killed after that one. Calls that the C
 * library makes for itself, as fflush does, are not seen.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define FIND_NEXT(name)                                                                            \
    static __typeof__(name) *next;                                                                 \
    if (!next)                                                                                     \
    *(void **)&next = dlsym(RTLD_NEXT, #name)

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at);

static atomic_ulong calls;

static bool is_meant(void)
{
    const char *program = getenv("CRASHSHIM_PROGRAM");

    return program && strcmp(program, program_invocation_short_name) == 0;
}

/* Whether a name stands in a list that commas separate. */
static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; (at = strstr(at, name)); at += len)
        if ((at == list || at[-1] == ',') && (at[len] == 0 || at[len] == ','))
            return true;
    return false;
}

static void say(const char *name)
{
    const char *path = getenv("CRASHSHIM_LOG");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

    if (fd >= 0) {
        (void)!syscall(SYS_write, fd, name, strlen(name));
        (void)!syscall(SYS_write, fd, "\n", 1);
    }
}

/* A confined program may not send signals: it ends as suddenly. */
static void end(const char *name)
{
    say(name);
    (void)kill(getpid(), SIGKILL);
    _exit(128 + SIGKILL);
}

static void count(const char *name)
{
    const char *at = getenv("CRASHSHIM_AT"), *list = getenv("CRASHSHIM_CALLS");
    int saved = errno;

    if (!at || !is_meant() || (list && !listed(list, name)))
        return;
    if (atomic_fetch_add(&calls, 1) + 1 == strtoul(at, NULL, 10))
        end(name);
    errno = saved;
}

time_t time(time_t *out)
{
    FIND_NEXT(time);
    const char *path = getenv("CRASHSHIM_CLOCK");
    time_t now = next(NULL);
    int fd, saved = errno;
    char text[24] = "";

    fd = path && is_meant() ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
        now += strtol(text, NULL, 10);
    if (fd >= 0)
        close(fd);
    errno = saved;
    if (out)
        *out = now;
    return now;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    FIND_NEXT(pwrite64);
    count("pwrite");
    return next(fd, bytes, len, at);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    FIND_NEXT(write);
    count("write");
    return next(fd, bytes, len);
}

int ftruncate64(int fd, off64_t len)
{
    FIND_NEXT(ftruncate64);
    count("ftruncate");
    return next(fd, len);
}

int fdatasync(int fd)
{
    FIND_NEXT(fdatasync);
    count("fdatasync");
    return next(fd);
}

int fsync(int fd)
{
    FIND_NEXT(fsync);
    count("fsync");
    return next(fd);
}

int syncfs(int fd)
{
    FIND_NEXT(syncfs);
    count("syncfs");
    return next(fd);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    FIND_NEXT(send);
    count("send");
    return next(fd, bytes, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    FIND_NEXT(sendmsg);
    count("sendmsg");
    return next(fd, message, flags);
}

int rename(const char *from, const char *to)
{
    FIND_NEXT(rename);
    count("rename");
    return next(from, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    FIND_NEXT(renameat2);
    count("rename");
    return next(from_dir, from, to_dir, to, flags);
}

int unlink(const char *path)
{
    FIND_NEXT(unlink);
    count("unlink");
    return next(path);
}
