#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Closes the stream. */
static int read_stream(FILE *in, const char *path, struct buf *out, struct error *err)
{
    uint8_t chunk[65536];
    size_t n;
    int rc = 0;

    while ((n = fread(chunk, 1, sizeof chunk, in)) > 0 && !buf_failed(out))
        buf_put(out, chunk, n);
    if (ferror(in))
        rc = error_set_errno(err, errno, "cannot read '%s'", path);
    else if (buf_failed(out))
        rc = error_set(err, ERR_FORMAT, "'%s' is larger than %zu bytes", path, out->limit);
    explicit_bzero(chunk, sizeof chunk);
    fclose(in);
    return rc;
}

int file_read(const char *path, struct buf *out, struct error *err)
{
    FILE *in = fopen(path, "re");

    if (!in)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    return read_stream(in, path, out, err);
}

int file_open_regular(const char *path, FILE **out, uint64_t *size, struct error *err)
{
    /* O_NONBLOCK: a pipe put in the place of a file must not stop us. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && errno == ELOOP)
        return error_set(err, ERR_INTEGRITY,
                         "'%s' is a symbolic link, not a file: put the file itself there", path);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open '%s'", path);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return error_set(err, ERR_INTEGRITY,
                         "'%s' is not a regular file: put the file itself there", path);
    }
    *out = fdopen(fd, "r");
    if (!*out) {
        close(fd);
        return error_set(err, ERR_INTERNAL, "out of memory for '%s'", path);
    }
    if (size)
        *size = (uint64_t)st.st_size;
    return 0;
}

int file_read_regular(const char *path, struct buf *out, struct error *err)
{
    FILE *in;
    int rc = file_open_regular(path, &in, NULL, err);

    return rc ? rc : read_stream(in, path, out, err);
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

int file_sync_dir(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    if (fd < 0)
        return error_set_errno(err, errno, "cannot open folder '%s'", path);
    if (fsync(fd))
        rc = error_set_errno(err, errno, "cannot sync folder '%s'", path);
    close(fd);
    return rc;
}

static int sync_parent(const char *path, struct error *err)
{
    char copy[PATH_MAX];

    snprintf(copy, sizeof copy, "%s", path);
    return file_sync_dir(dirname(copy), err);
}

int file_write(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err)
{
    char temp[PATH_MAX];
    int fd, saved, n = snprintf(temp, sizeof temp, "%s.XXXXXX", path);

    if (n < 0 || (size_t)n >= sizeof temp)
        return error_set(err, ERR_INPUT, "the path '%s' is too long", path);
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot create '%s'", path);
    if (fchmod(fd, mode) || write_all(fd, bytes, len) || fsync(fd)) {
        saved = errno;
        close(fd);
        unlink(temp);
        return error_set_errno(err, saved, "cannot write '%s'", path);
    }
    close(fd);
    if (rename(temp, path)) {
        saved = errno;
        unlink(temp);
        return error_set_errno(err, saved, "cannot rename '%s'", path);
    }
    return sync_parent(path, err);
}

int file_make_dir(const char *path, mode_t mode, struct error *err)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return 0;
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return error_set_errno(err, errno, "cannot create folder '%s'", path);
}

static int exists_already(const char *path, struct error *err)
{
    return error_set(err, ERR_EXISTS, "'%s' exists already and is not overwritten: choose another",
                     path);
}

int file_dir_begin(const char *path, char making[PATH_MAX], struct error *err)
{
    size_t len = strlen(path);
    struct stat st;
    int n, rc;

    while (len > 1 && path[len - 1] == '/')
        len--;
    n = snprintf(making, PATH_MAX, "%.*s.making", (int)len, path);
    if (len == 0 || n < 0 || n >= PATH_MAX)
        return error_set(err, ERR_INPUT, "the path '%s' is empty or too long", path);
    if (lstat(path, &st) == 0)
        return exists_already(path, err);
    rc = file_remove_tree(making, err);
    if (rc == 0 && mkdir(making, 0700))
        rc = error_set_errno(err, errno, "cannot create folder '%s'", making);
    return rc;
}

int file_dir_finish(const char *making, const char *path, struct error *err)
{
    int rc = file_sync_dir(making, err);

    if (rc == 0 && renameat2(AT_FDCWD, making, AT_FDCWD, path, RENAME_NOREPLACE))
        rc = errno == EEXIST ? exists_already(path, err)
                             : error_set_errno(err, errno, "cannot create '%s'", path);
    return rc ? rc : sync_parent(path, err);
}

bool file_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

int file_remove_tree(const char *path, struct error *err)
{
    if (!file_exists(path))
        return 0;
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS))
        return error_set_errno(err, errno, "cannot remove '%s'", path);
    return 0;
}

int file_join(char *out, size_t size, const char *dir, const char *name, struct error *err)
{
    int n = snprintf(out, size, "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= size)
        return error_set(err, ERR_INPUT, "the path '%s/%s' is too long", dir, name);
    return 0;
}

int file_close(FILE *stream, const char *path, struct error *err)
{
    int rc = 0;

    if (fflush(stream) || fsync(fileno(stream)))
        rc = error_set_errno(err, errno, "cannot write '%s'", path);
    if (fclose(stream) && rc == 0)
        rc = error_set_errno(err, errno, "cannot write '%s'", path);
    return rc;
}
