/*
 * file: whole files, written so that a crash leaves the old one or the new one.
 *
 * Every error text names the path; codes come from error_set_errno.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"

#include <limits.h>
#include <stdio.h>
#include <sys/types.h>

/* Appends the whole file to out. A file that does not fit out's limit is ERR_FORMAT. */
MUST_USE int file_read(const char *path, struct buf *out, struct error *err);

/*
 * As file_read, for a file that must be what it says it is: a regular one, no symbolic link, and no
 * pipe that could give each reader other bytes. Whoever checks such a file reads it once, and uses
 * the bytes that were checked. Errors: ERR_INTEGRITY.
 */
MUST_USE int file_read_regular(const char *path, struct buf *out, struct error *err);

/* Opens such a file to be read as a stream; the caller closes *out. size may be NULL. */
MUST_USE int file_open_regular(const char *path, FILE **out, uint64_t *size, struct error *err);

/*
 * Writes a temporary file beside path, syncs it, renames it over path and syncs the folder. mode is
 * exact, whatever the umask.
 */
MUST_USE int file_write(const char *path, const void *bytes, size_t len, mode_t mode,
                        struct error *err);

/* Creates a folder; one that exists already is fine. */
MUST_USE int file_make_dir(const char *path, mode_t mode, struct error *err);

/* Syncs a folder, so that a rename or a new file in it survives a power cut. */
MUST_USE int file_sync_dir(const char *path, struct error *err);

/*
 * A folder that is there whole or not at all. file_dir_begin refuses a path that exists
 * (ERR_EXISTS), removes what a killed process left of it, makes "<path>.making" for its owner alone
 * and gives its name; file_dir_finish syncs it and gives it its name, unless somebody took that
 * meanwhile. Whoever gives up removes "<path>.making".
 */
MUST_USE int file_dir_begin(const char *path, char making[PATH_MAX], struct error *err);
MUST_USE int file_dir_finish(const char *making, const char *path, struct error *err);

bool file_exists(const char *path);

/* Removes a folder and all in it, symbolic links not followed; one that is not there is fine. */
MUST_USE int file_remove_tree(const char *path, struct error *err);

/* "dir/name" into out, which holds size bytes; ERR_INPUT when it does not fit. */
MUST_USE int file_join(char *out, size_t size, const char *dir, const char *name,
                       struct error *err);

/* Flushes, syncs and closes a stream that was written; the stream is closed in any case. */
MUST_USE int file_close(FILE *stream, const char *path, struct error *err);

#endif
