#include "store.h"

#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define EXIT_POWER_CUT 99

static const char *const names[STORE_REGIONS] = {"journal", "slot-a", "slot-b"};

/* Writes cells to disk. A device without its flash can only stop. */
static bool save(const struct store *s, enum imprint_agent_region region, size_t at, size_t len)
{
    if (s->fd[region] < 0)
        return true;
    return pwrite(s->fd[region], s->cells[region] + at, len, (off_t)at) == (ssize_t)len &&
           fdatasync(s->fd[region]) == 0;
}

/* Counts an operation. When it is the one that the power fails in, half of it reaches the disk. */
static void count_operation(struct store *s, enum imprint_agent_region region, size_t at,
                            size_t len)
{
    s->operations++;
    if (s->operations != s->cut_at)
        return;
    (void)save(s, region, at, len / 4 * 2);
    _exit(EXIT_POWER_CUT);
}

static bool store_read(void *context, enum imprint_agent_region region, uint32_t offset, void *out,
                       size_t len)
{
    const struct store *s = context;

    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = s->cells[region][2 * (offset + i)];
    return true;
}

static bool store_write(void *context, enum imprint_agent_region region, uint32_t offset,
                        const void *bytes, size_t len)
{
    struct store *s = context;

    if (offset + len > IMPRINT_AGENT_SLOT_SIZE)
        abort();
    for (size_t i = 0; i < len; i++) {
        uint8_t *cell = s->cells[region] + 2 * (offset + i);

        if (cell[1])
            abort();
        cell[0] = ((const uint8_t *)bytes)[i];
        cell[1] = 1;
    }
    count_operation(s, region, 2 * (size_t)offset, 2 * len);
    return save(s, region, 2 * (size_t)offset, 2 * len);
}

static void blank(uint8_t cells[STORE_CELLS])
{
    for (size_t i = 0; i < STORE_CELLS; i += 2) {
        cells[i] = 0xff;
        cells[i + 1] = 0;
    }
}

static bool store_erase(void *context, enum imprint_agent_region region)
{
    struct store *s = context;

    blank(s->cells[region]);
    count_operation(s, region, 0, STORE_CELLS);
    return save(s, region, 0, STORE_CELLS);
}

static int load_region(struct store *s, const char *dir, int region, struct error *err)
{
    char path[PATH_MAX];
    struct buf b;
    int rc = file_join(path, sizeof path, dir, names[region], err);

    if (rc)
        return rc;
    if (!file_exists(path)) {
        blank(s->cells[region]);
        return 0;
    }
    buf_init(&b, STORE_CELLS);
    rc = file_read(path, &b, err);
    if (rc == 0 && b.len != STORE_CELLS)
        rc = error_set(err, ERR_INTEGRITY, "'%s' is not the flash of a simulated device", path);
    if (rc == 0)
        memcpy(s->cells[region], b.data, STORE_CELLS);
    buf_wipe(&b);
    return rc;
}

static int open_region(struct store *s, const char *dir, int region, struct error *err)
{
    char path[PATH_MAX];
    int rc = load_region(s, dir, region, err);

    if (rc)
        return rc;
    rc = file_join(path, sizeof path, dir, names[region], err);
    /* A new file appears whole: a store that is cut short would be refused at the next start. */
    if (rc == 0 && !file_exists(path))
        rc = file_write(path, s->cells[region], STORE_CELLS, 0600, err);
    if (rc)
        return rc;
    s->fd[region] = open(path, O_RDWR | O_CLOEXEC);
    return s->fd[region] < 0 ? error_set_errno(err, errno, "cannot open '%s'", path) : 0;
}

static void start(struct store *s)
{
    memset(s, 0, sizeof *s);
    s->lock = -1;
    for (int i = 0; i < STORE_REGIONS; i++)
        s->fd[i] = -1;
}

int store_open(struct store *s, const char *dir, struct error *err)
{
    int rc;

    start(s);
    rc = file_make_dir(dir, 0700, err);
    if (rc)
        return rc;
    s->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->lock < 0)
        return error_set_errno(err, errno, "cannot open '%s'", dir);
    if (flock(s->lock, LOCK_EX | LOCK_NB))
        rc = error_set(err, ERR_BUSY, "another simulated device has '%s' open", dir);
    for (int i = 0; rc == 0 && i < STORE_REGIONS; i++)
        rc = open_region(s, dir, i, err);
    if (rc)
        store_close(s);
    return rc;
}

int store_open_copy(struct store *s, const char *dir, struct error *err)
{
    int rc = 0;

    start(s);
    if (!file_exists(dir))
        return error_set(err, ERR_MISSING, "there is no store '%s'", dir);
    for (int i = 0; rc == 0 && i < STORE_REGIONS; i++)
        rc = load_region(s, dir, i, err);
    return rc;
}

void store_close(struct store *s)
{
    for (int i = 0; i < STORE_REGIONS; i++)
        if (s->fd[i] >= 0)
            close(s->fd[i]);
    if (s->lock >= 0)
        close(s->lock);
    explicit_bzero(s->cells, sizeof s->cells);
    start(s);
}

struct imprint_agent_store store_functions(struct store *s)
{
    return (struct imprint_agent_store){s, store_read, store_write, store_erase};
}
