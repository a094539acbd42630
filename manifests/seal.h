/*
 * seal: writes the files of one batch, in constant memory, in steps that a crash may fall between.
 *
 * The station writes into a folder of its own making, under a temporary name, and renames it when
 * all is in place. The steps, of which each can be repeated with the same result but for fresh
 * signatures:
 *   1. seal_open, seal_add for each record, seal_close: devices-*.jsonl and evidence-*.jsonl.
 *   2. seal_checkpoint gives the text; note_sign (note.h) signs it; seal_put_file writes
 *      "checkpoint", and "chain.pem".
 *   3. seal_statement fills in what follows from the files; the caller adds station, environment,
 *      customer, created and totals; statement_write (statement.h) gives the bytes of
 * manifest.json. These are journalled before anything signs them.
 *   4. cms_sign (cms.h) signs the bytes; seal_finish writes manifest.json and its signature.
 *
 * Invariants
 *  1. Only canonical records reach a file, and evidence lines stand in the order of the records
 *     that name them.
 *  2. Every file is synced before its hash is given out. No file is ever overwritten.
 */
#ifndef MANIFESTS_SEAL_H
#define MANIFESTS_SEAL_H

#include "manifests/cms_algorithm.h"
#include "manifests/statement.h"

struct seal;

/* What was written; free with seal_result_done. */
struct seal_result {
    char origin[NOTE_NAME_MAX + 1];
    uint64_t first, count, size;
    struct merkle_hash root;
    struct merkle_tree tree;     /* holds the frontier at size */
    struct manifest_file *files; /* sorted by name */
    size_t file_count;
};

/*
 * Begins a batch in an existing folder. previous: where the log stands, NULL for its first batch.
 * Errors: ERR_INPUT (origin is not a log name), ERR_INTERNAL.
 */
MUST_USE int seal_open(const char *dir, const char *origin, const struct manifest_state *previous,
                       struct seal **seal, struct error *err);

/*
 * Adds a record line and the evidence line that it names (NULL when its type names none), both
 * without line end. Errors: ERR_INPUT when a line is not canonical, the evidence is not the one
 * that the record names, or ref is not before the record; ERR_EXISTS when the folder has such a
 * file; ERR_FULL, ERR_READONLY, ERR_IO. After an error only seal_abort remains.
 */
MUST_USE int seal_add(struct seal *seal, const void *line, size_t len, const void *evidence,
                      size_t evidence_len, struct error *err);

/*
 * Syncs and closes the files; seal is freed in any case. Errors: those of writing; ERR_INTERNAL
 * when a record failed before.
 */
MUST_USE int seal_close(struct seal *seal, struct seal_result *result, struct error *err);

/*
 * Puts the compressed form (stream.h) of each file of lines in its place, and lists both. Call it
 * after seal_close. Errors: those of stream_compress and writing.
 */
MUST_USE int seal_compress(const char *dir, struct seal_result *result, struct error *err);

/*
 * Instead of seal_compress where the statement is journalled already: lists the compressed files that
 * it lists, and writes none. One of the two forms is enough, and another version of the compressor might
 * not make the same bytes again. Errors: those of statement_parse.
 */
MUST_USE int seal_list_compressed(const struct buf *statement, struct seal_result *result,
                                  struct error *err);

/* Gives up: frees, and leaves the files for the caller to remove. NULL is fine. */
void seal_abort(struct seal *seal);
void seal_result_done(struct seal_result *result);

/* Appends the text of the checkpoint. */
void seal_checkpoint(const struct seal_result *result, struct buf *text);

/*
 * Writes one more file of the batch and lists it in result. Errors: ERR_INPUT (the name),
 * ERR_EXISTS (listed already), and those of file_write.
 */
MUST_USE int seal_put_file(const char *dir, const char *name, const void *bytes, size_t len,
                           struct seal_result *result, struct error *err);

/*
 * Fills origin, seq, first, count, size, root, prev and files; the files stay result's. Everything
 * else is set to zero.
 */
void seal_statement(const struct seal_result *result, const struct manifest_state *previous,
                    struct statement *s);

/* Writes manifest.json and manifest.json.p7s and syncs the folder. Errors: those of file_write. */
MUST_USE int seal_finish(const char *dir, const struct buf *statement, const struct buf *pem,
                         struct error *err);

/* Writes the signature of another algorithm beside them; before or after seal_finish. The same errors. */
MUST_USE int seal_put_signature(const char *dir, enum cms_algorithm algorithm,
                                const struct buf *pem, struct error *err);

/* Where the log stands after this batch. statement: the bytes of its manifest.json. */
void seal_state(const struct seal_result *result, uint64_t seq, const struct buf *statement,
                struct manifest_state *state);

/*
 * Where the log stands after the batch in a folder, computed from its records: for a station that
 * lost its own state. Nothing is verified but that the records give the root. Errors:
 * ERR_INTEGRITY (they do not), ERR_INCOMPLETE (lines are missing), and those of reading.
 */
MUST_USE int seal_state_read(const char *dir, struct manifest_state *state, struct error *err);

#endif
