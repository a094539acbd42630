#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define SECRET_MAX 65536
#define PIN_MAX    256

struct secret {
    size_t len;
    size_t mapped;
    uint8_t bytes[];
};

struct secret *secret_new(size_t len)
{
    struct secret *s;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size;

    if (len == 0 || len > SECRET_MAX)
        return NULL;
    size = (sizeof *s + len + page - 1) / page * page;
    s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s == MAP_FAILED)
        return NULL;
    /* Best effort: an ordinary user's limit may be spent, and then swap is the plant's to secure.
     */
    (void)mlock(s, size);
    (void)madvise(s, size, MADV_DONTDUMP);
    s->len = len;
    s->mapped = size;
    return s;
}

void secret_free(struct secret *s)
{
    if (!s)
        return;
    size_t mapped = s->mapped;
    explicit_bzero(s, mapped);
    munmap(s, mapped);
}

uint8_t *secret_bytes(struct secret *s)
{
    return s->bytes;
}

size_t secret_len(const struct secret *s)
{
    return s->len;
}

void secret_truncate(struct secret *s, size_t len)
{
    explicit_bzero(s->bytes + len, s->len - len);
    s->len = len;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    uint8_t difference = 0;

    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        difference |= a->bytes[i] ^ b->bytes[i];
    return difference == 0;
}

/* Reads one line into a new secret and cuts its line end. */
static int read_line(int fd, const char *what, struct secret **pin, struct error *err)
{
    struct secret *s = secret_new(PIN_MAX);
    size_t used = 0, end;
    ssize_t n = 1;

    if (!s)
        return error_set(err, ERR_INTERNAL, "out of memory");
    while (used < PIN_MAX && !memchr(s->bytes, '\n', used)) {
        n = read(fd, s->bytes + used, PIN_MAX - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    for (end = 0; end < used && s->bytes[end] != '\n' && s->bytes[end] != '\r'; end++)
        continue;
    if (n < 0 || end == 0 || end == PIN_MAX) {
        secret_free(s);
        return error_set(err, ERR_PIN, "%s holds no PIN of 1 to %d bytes in its first line", what,
                         PIN_MAX - 1);
    }
    secret_truncate(s, end);
    *pin = s;
    return 0;
}

static int check_owner_and_mode(int fd, const char *path, mode_t forbidden, struct error *err)
{
    struct stat st;

    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return error_set(err, ERR_PIN, "PIN file '%s' is not a regular file", path);
    if (st.st_mode & forbidden)
        return error_set(err, ERR_PIN,
                         "PIN file '%s' has mode %04o and others may read it: run 'chmod 600 %s'",
                         path, (unsigned)(st.st_mode & 07777), path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return error_set(err, ERR_PIN, "PIN file '%s' belongs to another user", path);
    return 0;
}

/* The part of s from start to the end of its line; *next is where the next line begins. */
static struct secret *cut_line(const struct secret *s, size_t start, size_t *next)
{
    struct secret *line;
    size_t end = start;

    while (end < s->len && s->bytes[end] != '\n' && s->bytes[end] != '\r')
        end++;
    *next = end;
    while (*next < s->len && s->bytes[*next] != '\n')
        ++*next;
    ++*next;
    if (end == start || end - start >= PIN_MAX)
        return NULL;
    line = secret_new(end - start);
    if (line)
        memcpy(line->bytes, s->bytes + start, end - start);
    return line;
}

/* What fits of a file. */
static int read_all(int fd, const char *path, struct secret *s, struct error *err)
{
    size_t used = 0;
    ssize_t n = 1;

    while (used < s->len && n != 0) {
        n = read(fd, s->bytes + used, s->len - used);
        if (n < 0 && errno != EINTR)
            return error_set(err, ERR_PIN, "cannot read '%s': %s", path, strerror(errno));
        used += n > 0 ? (size_t)n : 0;
    }
    secret_truncate(s, used);
    return 0;
}

static int read_badge(int fd, const char *path, struct secret **badge, struct secret **pin,
                      struct error *err)
{
    struct secret *s = secret_new(2 * PIN_MAX), *first = NULL, *second = NULL;
    size_t next = 0, end;
    int rc = s ? read_all(fd, path, s, err) : error_set(err, ERR_INTERNAL, "out of memory");

    if (rc == 0)
        first = cut_line(s, 0, &next);
    if (first && next < s->len)
        second = cut_line(s, next, &end);
    if (rc == 0 && !second)
        rc = error_set(err, ERR_PIN,
                       "'%s' must hold the code of a badge in its first line and a PIN in its "
                       "second",
                       path);
    if (rc) {
        secret_free(first);
        first = NULL;
    }
    secret_free(s);
    *badge = first;
    *pin = second;
    return rc;
}

int secret_read_badge_file(const char *path, struct secret **badge, struct secret **pin,
                           struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int rc;

    *badge = *pin = NULL;
    if (fd < 0)
        return error_set_native(err, ERR_PIN, errno, "cannot read badge and PIN from '%s': %s",
                                path, strerror(errno));
    rc = check_owner_and_mode(fd, path, 077, err);
    if (rc == 0)
        rc = read_badge(fd, path, badge, pin, err);
    close(fd);
    return rc;
}

static int read_pin(const char *path, mode_t forbidden, struct secret **pin, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int rc;

    if (fd < 0)
        return error_set_native(err, ERR_PIN, errno,
                                "cannot read PIN file '%s': %s; put it there, or name another",
                                path, strerror(errno));
    rc = check_owner_and_mode(fd, path, forbidden, err);
    if (rc == 0)
        rc = read_line(fd, path, pin, err);
    close(fd);
    return rc;
}

int secret_read_pin_file(const char *path, struct secret **pin, struct error *err)
{
    return read_pin(path, 077, pin, err);
}

int secret_read_credential(const char *name, struct secret **pin, struct error *err)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", folder ? folder : "", name);

    if (!folder || folder[0] != '/' || n < 0 || (size_t)n >= sizeof path ||
        (access(path, F_OK) && (errno == ENOENT || errno == ENOTDIR)))
        return error_set(err, ERR_MISSING, "there is no credential '%s'", name);
    return read_pin(path, 037, pin, err);
}

int secret_prompt_pin(const char *question, struct secret **pin, struct error *err)
{
    struct termios shown, hidden;
    int rc, fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

    if (fd < 0 || tcgetattr(fd, &shown)) {
        if (fd >= 0)
            close(fd);
        return error_set(err, ERR_MISSING, "there is no terminal to ask at");
    }
    hidden = shown;
    hidden.c_lflag &= (tcflag_t)~ECHO;
    (void)tcsetattr(fd, TCSAFLUSH, &hidden);
    (void)!write(fd, question, strlen(question));
    rc = read_line(fd, "the answer", pin, err);
    (void)!write(fd, "\n", 1);
    (void)tcsetattr(fd, TCSAFLUSH, &shown);
    close(fd);
    return rc;
}
