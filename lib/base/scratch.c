#include "base/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static const char *folder(void)
{
    const char *named = secure_getenv("TMPDIR");

    return named && *named ? named : "/tmp";
}

/* For file systems that know no file without a name. */
static int open_and_unlink(const char *dir)
{
    char path[PATH_MAX];
    int fd;

    if (snprintf(path, sizeof path, "%s/imprint-XXXXXX", dir) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static int fail(const char *doing, struct error *err)
{
    return error_set_errno(err, errno,
                           "cannot %s a temporary file in '%s' (TMPDIR names another folder)",
                           doing, folder());
}

int scratch_open(int *file, struct error *err)
{
    int fd = open(folder(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
        fd = open_and_unlink(folder());
    if (fd < 0)
        return fail("make", err);
    *file = fd;
    return 0;
}

int scratch_put(int file, const void *bytes, size_t len, uint64_t at, struct error *err)
{
    const uint8_t *p = bytes;

    while (len) {
        ssize_t n = pwrite(file, p, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail("write", err);
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

int scratch_get(int file, void *bytes, size_t len, uint64_t at, struct error *err)
{
    uint8_t *p = bytes;

    while (len) {
        ssize_t n = pread(file, p, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return fail("read", err);
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}
