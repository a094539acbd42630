/*
 * ttyshim: an LD_PRELOAD library that shows pseudo-terminals as serial ports to unmodified
 * libserialport programs, for tests without hardware.
 *
 * TTYSHIM_DIR names a folder. Each symbolic link ttyXXX in it that leads to a pseudo-terminal is
 * seen as /dev/ttyXXX and in /sys/class/tty. If the folder has a tree sys/class/tty of its own,
 * that one is seen instead of /sys/class/tty, so a test can also describe USB devices.
 *
 * Invariants
 *  1. What is not in the folder is seen as it is: every other path and request goes to the C
 *     library unchanged, and without TTYSHIM_DIR everything does.
 *  2. No state: nothing to keep in step when a program duplicates, passes on or inherits
 * descriptors.
 *
 * Pseudo-terminals have no modem lines, and libserialport fails where it cannot read them: for the
 * requests that a pseudo-terminal does not know, all lines are on and setting them does nothing. A
 * pseudo-terminal input/NAME in the folder is seen as the keyboard /dev/input/NAME, which can be grabbed. With
 * TTYSHIM_BARE they fail as ever: some real drivers have no lines either.
 * Debian 12's libserialport imports __lxstat and __open_2.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/input.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* next: the definition that the program would have had without this library. */
#define FIND_NEXT(name)                                                                            \
    static __typeof__(name) *next;                                                                 \
    if (!next)                                                                                     \
    *(void **)&next = dlsym(RTLD_NEXT, #name)

#define DEV   "/dev/tty"
#define SYS   "/sys/class/tty"
#define INPUT "/dev/input"

/* Entry points that the C library declares for nobody, or no longer. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __lxstat(int version, const char *path, struct stat *st);
int __xstat(int version, const char *path, struct stat *st);
char *__realpath_chk(const char *path, char *resolved, size_t size);

/* True when a path made of the folder and a name leads somewhere, be it a dangling link. */
static bool try_map(char out[PATH_MAX], const char *dir, const char *infix, const char *name)
{
    char ignored[2];
    struct stat st;
    int n = snprintf(out, PATH_MAX, "%s%s%s", dir, infix, name);

    if (n < 0 || n >= PATH_MAX)
        return false;
    /* fstatat and readlinkat are not among the functions below, so this does not come back here. */
    return readlinkat(AT_FDCWD, out, ignored, sizeof ignored) >= 0 ||
           fstatat(AT_FDCWD, out, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The path that stands for another one: either out, or path itself. Keeps errno. */
static const char *map(const char *path, char out[PATH_MAX])
{
    const char *dir = path ? getenv("TTYSHIM_DIR") : NULL;
    int saved = errno;
    bool mapped = false;

    if (!dir || !*dir)
        return path;
    if (strncmp(path, DEV, sizeof DEV - 1) == 0 && path[sizeof DEV - 1])
        mapped = try_map(out, dir, "/", path + sizeof "/dev/" - 1);
    else if (strncmp(path, INPUT, sizeof INPUT - 1) == 0)
        mapped = try_map(out, dir, "/input", path + sizeof INPUT - 1);
    else if (strncmp(path, SYS, sizeof SYS - 1) == 0)
        mapped = try_map(out, dir, SYS, path + sizeof SYS - 1) ||
                 try_map(out, dir, "", path + sizeof SYS - 1);
    errno = saved;
    return mapped ? out : path;
}

static mode_t mode_argument(int flags, va_list args)
{
    bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;

    return creates ? va_arg(args, mode_t) : 0;
}

#define DEFINE_OPEN(name)                                                                          \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        FIND_NEXT(name);                                                                           \
        char out[PATH_MAX];                                                                        \
        va_list args;                                                                              \
        mode_t mode;                                                                               \
                                                                                                   \
        va_start(args, flags);                                                                     \
        mode = mode_argument(flags, args);                                                         \
        va_end(args);                                                                              \
        return next(map(path, out), flags, mode);                                                  \
    }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPEN_2(name)                                                                        \
    int name(const char *path, int flags)                                                          \
    {                                                                                              \
        FIND_NEXT(name);                                                                           \
        char out[PATH_MAX];                                                                        \
                                                                                                   \
        return next(map(path, out), flags);                                                        \
    }
DEFINE_OPEN_2(__open_2)
DEFINE_OPEN_2(__open64_2)

#define DEFINE_STAT(name, structure)                                                               \
    int name(const char *path, struct structure *st)                                               \
    {                                                                                              \
        FIND_NEXT(name);                                                                           \
        char out[PATH_MAX];                                                                        \
                                                                                                   \
        return next(map(path, out), st);                                                           \
    }
DEFINE_STAT(stat, stat)
DEFINE_STAT(lstat, stat)
DEFINE_STAT(stat64, stat64)
DEFINE_STAT(lstat64, stat64)

/* What libraries linked before glibc 2.33 call; the structure is the same for every version here.
 */
int __xstat(int version, const char *path, struct stat *st)
{
    (void)version;
    return stat(path, st);
}

int __lxstat(int version, const char *path, struct stat *st)
{
    (void)version;
    return lstat(path, st);
}

ssize_t readlink(const char *path, char *target, size_t size)
{
    FIND_NEXT(readlink);
    char out[PATH_MAX];

    return next(map(path, out), target, size);
}

/* A port shown here has the name that the kernel would give it; so has a link that leads to one. */
char *realpath(const char *restrict path, char *restrict resolved)
{
    FIND_NEXT(realpath);
    char out[PATH_MAX], target[PATH_MAX];
    ssize_t len = path ? readlinkat(AT_FDCWD, path, target, sizeof target - 1) : -1;

    if (len > 0) {
        target[len] = 0;
        if (map(target, out) == out)
            path = target;
    }
    if (!path || map(path, out) != out)
        return next(path, resolved);
    return resolved ? strcpy(resolved, path) : strdup(path);
}

char *__realpath_chk(const char *path, char *resolved, size_t size)
{
    (void)size; /* every caller has PATH_MAX: the function itself asks for it */
    return realpath(path, resolved);
}

int access(const char *path, int mode)
{
    FIND_NEXT(access);
    char out[PATH_MAX];

    return next(map(path, out), mode);
}

DIR *opendir(const char *path)
{
    FIND_NEXT(opendir);
    char out[PATH_MAX];

    return next(map(path, out));
}

#define DEFINE_FOPEN(name)                                                                         \
    FILE *name(const char *path, const char *mode)                                                 \
    {                                                                                              \
        FIND_NEXT(name);                                                                           \
        char out[PATH_MAX];                                                                        \
                                                                                                   \
        return next(map(path, out), mode);                                                         \
    }
DEFINE_FOPEN(fopen)
DEFINE_FOPEN(fopen64)

/* Answers a request for modem lines, or of a keyboard, that the terminal does not know; false when it is not one. */
static bool modem_lines(unsigned long request, void *argument)
{
    if (request == TIOCMGET)
        *(int *)argument = TIOCM_DTR | TIOCM_RTS | TIOCM_CTS | TIOCM_DSR | TIOCM_CAR;
    return request == EVIOCGRAB || request == TIOCMGET || request == TIOCMSET ||
           request == TIOCMBIS || request == TIOCMBIC;
}

int ioctl(int fd, unsigned long request, ...)
{
    FIND_NEXT(ioctl);
    va_list args;
    void *argument;
    int rc, saved = errno;

    va_start(args, request);
    argument = va_arg(args, void *);
    va_end(args);
    rc = next(fd, request, argument);
    if (rc == -1 && (errno == ENOTTY || errno == EINVAL) && getenv("TTYSHIM_DIR") &&
        !getenv("TTYSHIM_BARE") && isatty(fd) && modem_lines(request, argument)) {
        errno = saved;
        return 0;
    }
    return rc;
}
