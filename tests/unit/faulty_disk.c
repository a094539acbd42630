#include "faulty_disk.h"

#include <sqlite3.h>
#include <string.h>

/* What a call is, for the kinds of faults. */
enum call { CALL_READ, CALL_WRITE, CALL_SYNC, CALL_LOCK, CALL_OTHER };

struct disk_file {
    sqlite3_file base;
    sqlite3_file *real; /* lies behind this structure */
};

static sqlite3_vfs *real_vfs;
static enum faulty_disk_kind kind;
static unsigned long fail_at;
static bool for_ever, paused;
static struct faulty_disk_state state;

void faulty_disk_set(enum faulty_disk_kind which, unsigned long at, bool ever)
{
    kind = which;
    fail_at = at;
    for_ever = ever;
    paused = false;
    memset(&state, 0, sizeof state);
}

void faulty_disk_pause(bool pause)
{
    paused = pause;
}

struct faulty_disk_state faulty_disk_state(void)
{
    return state;
}

static bool is_about(enum call call)
{
    switch (kind) {
    case DISK_FULL:
    case DISK_TORN:
        return call == CALL_WRITE;
    case DISK_SYNC:
        return call == CALL_SYNC;
    case DISK_LOCKED:
        return call == CALL_LOCK;
    case DISK_ERROR:
    case DISK_KINDS:
    default:
        return true;
    }
}

/* 0, or what the call returns instead of being done. */
static int fail(enum call call, const char *name, int error)
{
    if (paused || !is_about(call))
        return SQLITE_OK;
    state.calls++;
    if (fail_at == 0 || state.calls < fail_at || (state.calls > fail_at && !for_ever))
        return SQLITE_OK;
    if (state.faults++ == 0)
        state.call = name;
    return kind == DISK_FULL ? SQLITE_FULL : kind == DISK_LOCKED ? SQLITE_BUSY : error;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct disk_file *)file)->real;
}

static int disk_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int disk_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
    int rc = fail(CALL_READ, "read", SQLITE_IOERR_READ);

    return rc ? rc : real_of(file)->pMethods->xRead(real_of(file), out, len, at);
}

static int disk_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    int rc = fail(CALL_WRITE, "write", SQLITE_IOERR_WRITE);

    if (rc && kind == DISK_TORN)
        (void)real_of(file)->pMethods->xWrite(real_of(file), bytes, len / 2, at);
    return rc ? rc : real_of(file)->pMethods->xWrite(real_of(file), bytes, len, at);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int rc = fail(CALL_OTHER, "truncate", SQLITE_IOERR_TRUNCATE);

    return rc ? rc : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int disk_sync(sqlite3_file *file, int flags)
{
    int rc = fail(CALL_SYNC, "sync", SQLITE_IOERR_FSYNC);

    return rc ? rc : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *size)
{
    int rc = fail(CALL_OTHER, "size", SQLITE_IOERR_FSTAT);

    return rc ? rc : real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int disk_lock(sqlite3_file *file, int level)
{
    int rc = fail(CALL_LOCK, "lock", SQLITE_IOERR_LOCK);

    return rc ? rc : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int disk_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int disk_reserved(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int disk_control(sqlite3_file *file, int what, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), what, argument);
}

static int disk_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int disk_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int disk_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out)
{
    int rc = fail(CALL_OTHER, "map", SQLITE_IOERR_SHMMAP);

    return rc ? rc : real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, out);
}

/* Giving a lock back never fails. */
static int disk_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    int rc = flags & SQLITE_SHM_LOCK ? fail(CALL_LOCK, "lock", SQLITE_IOERR_SHMLOCK) : SQLITE_OK;

    return rc ? rc : real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void disk_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int disk_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods disk_methods = {
    .iVersion = 2, /* no memory maps of the file: every read is a call */
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_reserved,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_characteristics,
    .xShmMap = disk_shm_map,
    .xShmLock = disk_shm_lock,
    .xShmBarrier = disk_shm_barrier,
    .xShmUnmap = disk_shm_unmap,
};

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct disk_file *f = (struct disk_file *)file;
    int rc = fail(CALL_OTHER, "open", SQLITE_CANTOPEN);

    (void)vfs;
    f->base.pMethods = NULL;
    f->real = (sqlite3_file *)(f + 1);
    f->real->pMethods = NULL;
    if (rc == SQLITE_OK)
        rc = real_vfs->xOpen(real_vfs, name, f->real, flags, out);
    if (f->real->pMethods)
        f->base.pMethods = &disk_methods;
    return rc;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    int rc = fail(CALL_OTHER, "delete", SQLITE_IOERR_DELETE);

    (void)vfs;
    return rc ? rc : real_vfs->xDelete(real_vfs, name, sync);
}

static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    int rc = fail(CALL_OTHER, "access", SQLITE_IOERR_ACCESS);

    (void)vfs;
    return rc ? rc : real_vfs->xAccess(real_vfs, name, flags, out);
}

/* Whoever waits for a lock does not wait. */
static int disk_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

void faulty_disk_use(void)
{
    static sqlite3_vfs vfs;

    if (real_vfs)
        return;
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs; /* what is not replaced is told the real one's own data */
    vfs.zName = "faulty-disk";
    vfs.szOsFile = (int)sizeof(struct disk_file) + real_vfs->szOsFile;
    vfs.xOpen = disk_open;
    vfs.xDelete = disk_delete;
    vfs.xAccess = disk_access;
    vfs.xSleep = disk_sleep;
    sqlite3_vfs_register(&vfs, 1);
}
