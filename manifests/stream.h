/*
 * stream: the plain bytes of a file of records or evidence, which may lie in the folder compressed.
 *
 * manifest.json lists "devices-00000.jsonl" with its plain size and hash in any case; where it also
 * lists "devices-00000.jsonl.zst" (RFC 8878), either of the two files is enough.
 *
 * Invariants
 *  1. Never more plain bytes are made than manifest.json lists, and it is refused before the first
 *     when it lists more than STREAM_EXPANSION_MAX times what there is: what a reader does is
 *     bounded by what it was sent.
 *  2. Memory is bounded by the window, at most 8 MiB (RFC 8878 3.1.1.1.2).
 */
#ifndef MANIFESTS_STREAM_H
#define MANIFESTS_STREAM_H

#include "manifests/statement.h"

#define STREAM_SUFFIX        ".zst"
#define STREAM_EXPANSION_MAX 100         /* records hold random bytes: they shrink to a third */
#define STREAM_EXPANSION_MIN (64 * 1024) /* plain bytes that are never too many */

struct stream;

/* True for the name of a compressed file of records or evidence. */
bool stream_is_compressed(const char *name);

/*
 * Opens the plain bytes of a listed file: the file itself, or else its compressed form, if that is
 * listed. Errors: ERR_INCOMPLETE (neither is there), ERR_INTEGRITY (not a regular file), ERR_FORMAT
 * (it would expand too far), ERR_IO.
 */
MUST_USE int stream_open(const char *dir, const struct statement *s, const char *name,
                         struct stream **out, struct error *err);

/* Opens the compressed form, whatever else is there. */
MUST_USE int stream_open_compressed(const char *dir, const struct statement *s, const char *name,
                                    struct stream **out, struct error *err);

/*
 * Reads up to size bytes; *got is 0 at the end only. Errors: ERR_FORMAT (not such a file, or it
 * wants a larger window), ERR_INCOMPLETE (cut), ERR_INTEGRITY (it holds more than is listed),
 * ERR_IO.
 */
MUST_USE int stream_read(struct stream *s, void *out, size_t size, size_t *got, struct error *err);
void stream_close(struct stream *s); /* NULL is fine */

/*
 * Writes the compressed form of a file beside it, makes it durable and removes the plain one. *file
 * is what manifest.json lists of it. Errors: ERR_FULL and others of files, ERR_CRYPTO.
 */
MUST_USE int stream_compress(const char *dir, const char *name, struct manifest_file *file,
                             struct error *err);

#endif
