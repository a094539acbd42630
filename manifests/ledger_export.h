/*
 * ledger_export: a part of a station's ledger in a folder, signed, for whoever audits it elsewhere.
 *
 *   entries.jsonl     one line for each entry: {"body":{...},"hash":"<hexadecimal>"}
 *   ledger.json       the statement: whose ledger it is, which entries, their head, the file's hash
 *   ledger.json.p7s   its signature by the station's manifest signer, detached CMS (cms.h)
 *
 * A body is what the station chained (pki/ledger_hash.h), canonical JSON. The MACs of the station's
 * HSM are left out: nobody else could verify one.
 */
#ifndef MANIFESTS_LEDGER_EXPORT_H
#define MANIFESTS_LEDGER_EXPORT_H

#include "manifests/cms.h"
#include "manifests/folder.h"
#include "pki/ledger_hash.h"

#define LEDGER_EXPORT_FORMAT    "imprint-ledger/1"
#define LEDGER_EXPORT_STATEMENT "ledger.json"
#define LEDGER_EXPORT_SIGNATURE "ledger.json.p7s"
#define LEDGER_EXPORT_ENTRIES   "entries.jsonl"

/* ledger.json: canonical JSON and one line end. */
struct ledger_statement {
    char station[IMPRINT_STATION_MAX + 1];
    char environment[IMPRINT_ENVIRONMENT_MAX + 1];
    char origin[NOTE_NAME_MAX + 1];
    uint64_t first, last, count;  /* numbers of the entries, and how many there are */
    uint8_t prev[SHA256_SIZE];    /* hash of the entry before the first; zero before number 1 */
    uint8_t head[SHA256_SIZE];    /* hash of the last */
    uint8_t entries[SHA256_SIZE]; /* of entries.jsonl */
    int64_t created;              /* seconds since 1970 UTC */
};

/* Errors: ERR_INPUT when a text is not printable ASCII or a number too large. */
MUST_USE int ledger_statement_write(const struct ledger_statement *s, struct buf *out,
                                    struct error *err);

/* Writes entries.jsonl, entry by entry. */
struct ledger_writer {
    FILE *out;
    struct sha256 *digest;
    struct buf line;
    char path[PATH_MAX];
};

/* Begins the file in an existing folder; ledger_writer_close in any case. */
MUST_USE int ledger_writer_open(struct ledger_writer *w, const char *dir, struct error *err);
MUST_USE int ledger_writer_add(struct ledger_writer *w, const void *body, size_t len,
                               const uint8_t hash[SHA256_SIZE], struct error *err);
/* Syncs the file and gives its hash. */
MUST_USE int ledger_writer_close(struct ledger_writer *w, uint8_t sha256[SHA256_SIZE],
                                 struct error *err);

struct ledger_policy {
    const char *root;  /* file of the pinned manifest root */
    const char *after; /* folder of the export accepted last, or NULL */
    int64_t at;        /* as of when the signer's certificate is judged; 0: now */
    struct folder_progress progress;
};

struct ledger_report {
    struct ledger_statement s;
    struct cms_signer signer;
    bool extends; /* after was given, and is extended */
};

/*
 * Verifies an export: signature, file, every line and the chain, and that a key which it tells was
 * rotated away did not sign it; with after, that it begins with the very next entry. Errors, which name the line:
 *   ERR_SIGNATURE   the signature does not verify, or the signer is wrong
 *   ERR_INTEGRITY   an entry or the file was changed
 *   ERR_INCOMPLETE  an entry or file is missing, repeated, moved or cut
 *   ERR_ROLLBACK    not newer than after
 *   ERR_GAP         entries between after and this one are missing
 *   ERR_FORK        another history than after, or another station's
 *   ERR_IMPOSTOR    signed with another key than the one that the last rotation in it, or else the
 *                   signer of after, says
 *   ERR_FORMAT      malformed, not canonical, or of a version that this program does not know
 *   ERR_INPUT, ERR_IO, ERR_MISSING, ERR_READONLY, ERR_INTERNAL
 */
MUST_USE int ledger_export_verify(const char *dir, const struct ledger_policy *policy,
                                  struct ledger_report *report, struct error *err);

#endif
