/*
 * folder: the files of one manifest, opened without trusting their names, and read line by line.
 *
 * Invariants
 *  1. Only regular files are opened, never through a symbolic link, so a folder that was sent by
 *     someone else cannot make its reader look elsewhere.
 *  2. Every text of an error names the file, and the line where there is one.
 *  3. Memory does not grow with the size of a file that is read line by line.
 */
#ifndef MANIFESTS_FOLDER_H
#define MANIFESTS_FOLDER_H

#include "manifests/cms.h"
#include "manifests/statement.h"

#include <stdio.h>

/* Called now and then during long work; total may be an estimate. */
struct folder_progress {
    void (*report)(void *ctx, const char *what, uint64_t done, uint64_t total);
    void *ctx;
};

/*
 * Appends a whole file to out, up to its limit. Errors: ERR_INCOMPLETE when it does not exist,
 * ERR_INTEGRITY when it is not a regular file, ERR_FORMAT when it is too large, ERR_IO.
 */
MUST_USE int folder_read(const char *dir, const char *name, struct buf *out, struct error *err);

/* As folder_read, for a file that is streamed: the caller closes *out. size may be NULL. */
MUST_USE int folder_open(const char *dir, const char *name, FILE **out, uint64_t *size,
                         struct error *err);

/*
 * As folder_read, and verifies the detached signature in "<name>.p7s" (cms_verify). Nothing was
 * appended that nobody vouches for when it returns 0.
 */
MUST_USE int folder_read_signed(const char *dir, const char *name, X509 *root, int64_t at,
                                struct buf *out, struct cms_signer *who, struct error *err);

/*
 * Checks that each listed file has the listed size and hash, and that the folder holds nothing else
 * than these, manifest.json, its signatures and the folder of proofs. Of a file of lines and its
 * compressed form one may be missing. Errors: ERR_INCOMPLETE (a file is missing or cut),
 * ERR_INTEGRITY (changed, not a regular file, or not listed), ERR_FORMAT (a compressed file is
 * malformed, or expands too far), ERR_IO.
 */
MUST_USE int folder_check(const char *dir, const struct statement *s,
                          const struct folder_progress *progress, struct error *err);

/* The name of shard number n of "devices" or "evidence". */
void folder_shard_name(const char *kind, uint64_t n, char name[STATEMENT_NAME_MAX + 1]);

/* "'devices-00000.jsonl' line 12" for line number index, from 0, of all shards together. */
void folder_position(const char *kind, uint64_t index, char *out, size_t size);

/* Walks the lines of all shards of one kind, in order, compressed or not (stream.h). */
struct stream;
struct folder_lines {
    const char *dir, *kind;
    const struct statement *s;
    uint64_t shards;     /* how many the statement lists */
    uint64_t shard;      /* the next to open */
    uint64_t shard_line; /* lines taken from the open one */
    uint64_t taken;      /* lines taken in all */
    struct stream *in;
    char *block; /* bytes read ahead */
    size_t at, have;
};

/*
 * Errors: ERR_INCOMPLETE when the listed shards are not numbered from 0 without a gap. Close in any
 * case; s stays until then.
 */
MUST_USE int folder_lines_open(struct folder_lines *l, const char *dir, const char *kind,
                               const struct statement *s, struct error *err);

/*
 * The next line without its line end, valid until the next call. Returns 1, or 0 at the end.
 * Errors: ERR_INCOMPLETE (cut in a line; a shard is not full and another follows), ERR_FORMAT (a
 * line is too long, a shard has too many), and those of stream_read.
 */
MUST_USE int folder_lines_next(struct folder_lines *l, const char **line, size_t *len,
                               struct error *err);
void folder_lines_close(struct folder_lines *l);

#endif
