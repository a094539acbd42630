/*
 * statement: manifest.json, the one file of a batch that is signed and speaks for all others.
 *
 * Invariants
 *  1. The bytes are canonical JSON and one line end; reading accepts nothing else, and no unknown
 *     member outside ext.
 *  2. first is prev's size (0 without prev), size is first + count, seq is prev's seq + 1.
 *  3. files[] is sorted by name, each name once, a plain file name. It lists every file of the
 *     folder but manifest.json and its signatures.
 *  4. totals is sorted by order hash; in each entry issued is the sum of the others. No version of
 *     an order is named twice.
 *
 * Nothing here says that a statement is true or signed: see manifests/verify.h.
 */
#ifndef MANIFESTS_STATEMENT_H
#define MANIFESTS_STATEMENT_H

#include "manifests/merkle.h"
#include "manifests/note.h"
#include "manifests/record.h"

#define STATEMENT_FORMAT    "whitelist-manifest/1"
#define STATEMENT_MAX       (16 << 20) /* bytes of manifest.json */
#define STATEMENT_FILES_MAX 65536
#define STATEMENT_NAME_MAX  63 /* characters of a file name */
#define STATEMENT_TEXT_MAX  128

#define MANIFEST_NAME        "manifest.json"
#define MANIFEST_SIGNATURE   "manifest.json.p7s"
#define MANIFEST_CHECKPOINT  "checkpoint"
#define MANIFEST_CHAIN       "chain.pem"
#define MANIFEST_PROOFS      "proofs"
#define MANIFEST_SHARD_LINES 1000000 /* most lines of one devices or evidence file */

/* Where a log stands: what the next batch continues from. */
struct manifest_state {
    uint64_t seq;
    uint8_t sha256[SHA256_SIZE]; /* of manifest.json */
    struct merkle_hash root;     /* of tree */
    struct merkle_tree tree;
};

struct manifest_file {
    char name[STATEMENT_NAME_MAX + 1];
    uint64_t bytes;
    uint8_t sha256[SHA256_SIZE];
};

/* Certificates of one order, over the whole log so far. X-macro: the order is that of the JSON. */
#define MANIFEST_TOTALS(X)                                                                         \
    X(burned)                                                                                      \
    X(good) X(issued) X(replaced) X(revoked) X(scrapped) X(unresolved) X(unused)

struct manifest_totals {
    uint8_t order[SHA256_SIZE];         /* of the first version */
    uint8_t (*amendments)[SHA256_SIZE]; /* of the later ones, from the oldest on */
    size_t amendment_count;
#define TOTALS_FIELD(name) uint64_t name;
    MANIFEST_TOTALS(TOTALS_FIELD)
#undef TOTALS_FIELD
};

struct statement {
    char origin[NOTE_NAME_MAX + 1];
    uint64_t seq, first, count, size;
    struct merkle_hash root;
    bool has_prev;
    struct manifest_state prev; /* when has_prev */
    struct manifest_file *files;
    size_t file_count;
    char station[IMPRINT_STATION_MAX + 1];
    char environment[IMPRINT_ENVIRONMENT_MAX + 1];
    char customer[STATEMENT_TEXT_MAX + 1];
    int64_t created; /* seconds since 1970 UTC */
    struct manifest_totals *totals;
    size_t totals_count;
    const char *ext, *crit; /* JSON texts, NULL when absent */

    struct buf held; /* what a parsed statement's ext and crit point into */
};

/*
 * Appends the exact bytes of manifest.json. The arrays stay the caller's. Errors: ERR_INPUT names
 * what breaks an invariant.
 */
MUST_USE int statement_write(const struct statement *s, struct buf *out, struct error *err);

/*
 * Reads exactly such bytes; free with statement_done. Errors: ERR_FORMAT; ERR_INCOMPLETE when
 * numbers or totals do not add up; ERR_INTEGRITY when prev's frontier is not that of prev's root.
 */
MUST_USE int statement_parse(const void *bytes, size_t len, struct statement *s, struct error *err);

/* Members of an open object: "amendments", a list of hashes; and each of MANIFEST_TOTALS. */
struct jcs;
void manifest_put_amendments(struct jcs *j, const struct manifest_totals *totals);
void manifest_put_totals(struct jcs *j, const struct manifest_totals *totals);

/* Frees a list on the heap whose amendments are as well. */
void manifest_totals_free(struct manifest_totals *totals, size_t count);

/* Frees what a parsed statement holds. */
void statement_done(struct statement *s);

/* Every version of every order, sorted by hash, and the totals that count it. */
struct manifest_version {
    const uint8_t *hash;
    const struct manifest_totals *totals;
};

/* The pointers are into s; the caller frees *list. Errors: ERR_INTERNAL. */
MUST_USE int statement_versions(const struct statement *s, struct manifest_version **list,
                                size_t *count, struct error *err);

/* The entry of a name, or NULL. */
const struct manifest_file *statement_file(const struct statement *s, const char *name);

/* 1 to 63 letters, digits, '.', '_' and '-', not beginning with a '.'. */
bool statement_name_valid(const char *name);

#endif
