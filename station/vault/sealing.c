#include "station/vault/sealing.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/jcs.h"
#include "hsm/signer.h"
#include "manifests/cms.h"
#include "manifests/seal.h"
#include "pki/cert.h"
#include "pki/digest.h"
#include "station/store/inventory.h"
#include "station/store/ledger.h"
#include "station/store/whitelist.h"
#include "station/vault/ca/issuers.h"
#include "station/vault/clock_stop.h"
#include "station/vault/leaves.h"
#include "station/vault/manifest_signer.h"
#include "station/vault/rotating.h"
#include "station/vault/second_key.h"
#include "station/vault/totals.h"
#include "station/vault/vault.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_FILE_MAX 65536

/* What one sealing works with. */
struct work {
    const struct config *config;
    struct store *store;
    struct hsm *hsm;
    struct sealing journal;
    bool has_previous;
    struct manifest_state previous;
    struct seal_result result;
    const struct sealing_watch *watch;
    struct seal *seal; /* while records are written */
    int64_t written;
    struct issuers issuers;
    bool used[ISSUERS_MAX]; /* those of the certificates in the records */
    char temp[PATH_MAX], final[PATH_MAX];
};

/* ---- the state of the log before this manifest ---- */

/* Folds the leaves of a published manifest into the tree that it began with. */
static int state_after(struct store *store, const struct sealing *s, struct manifest_state *state,
                       struct error *err)
{
    struct statement statement;
    struct merkle_hash root;
    int rc = statement_parse(s->statement.data, s->statement.len, &statement, err);

    if (rc)
        return rc;
    memset(state, 0, sizeof *state);
    if (statement.has_prev)
        state->tree = statement.prev.tree;
    rc = leaves_push(store, s->first, s->count, &state->tree, err);
    merkle_root(&state->tree, &root);
    if (rc == 0 && memcmp(&root, &statement.root, sizeof root))
        rc = error_set(err, ERR_INTEGRITY,
                       "the records in the database are not those of manifest %" PRId64
                       ": keep the directory as it is and call the security team",
                       s->seq);
    state->seq = (uint64_t)s->seq;
    state->root = root;
    sha256(s->statement.data, s->statement.len, state->sha256);
    statement_done(&statement);
    return rc;
}

static int load_previous(struct work *w, struct error *err)
{
    struct sealing last;
    bool found = false;
    int rc;

    if (w->journal.seq == 1)
        return 0;
    sealing_init(&last);
    rc = sealing_get(w->store, w->journal.seq - 1, &last, &found, err);
    if (rc == 0 && !found)
        rc = error_set(err, ERR_STORE, "the database lacks manifest %" PRId64, w->journal.seq - 1);
    if (rc == 0)
        rc = state_after(w->store, &last, &w->previous, err);
    w->has_previous = rc == 0;
    sealing_done(&last);
    return rc;
}

/* ---- the journal ---- */

static int add_to_ledger(struct work *w, struct error *err)
{
    struct buf data;
    struct jcs j;
    int rc;

    buf_init(&data, 1024);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_int(&j, "count", w->journal.count);
    jcs_int(&j, "first", w->journal.first);
    jcs_int(&j, "manifest", w->journal.seq);
    jcs_end(&j);
    rc = ledger_append(w->store, "seal", &data, err);
    buf_done(&data);
    return rc;
}

static int in_transaction(struct work *w, int (*step)(struct work *, struct error *),
                          struct error *err)
{
    int rc = store_begin(w->store, err);

    if (rc == 0)
        rc = step(w, err);
    if (rc == 0)
        rc = store_commit(w->store, err);
    if (rc)
        store_rollback(w->store);
    return rc;
}

static int journal_start(struct work *w, struct error *err)
{
    int64_t size = w->journal.first + w->journal.count, whitelisted, rotations = 0;
    STACK_OF(X509) *pins = NULL;
    int rc = vault_read_signers(w->config, w->store, &pins, err);

    if (rc == 0)
        rc = totals_collect(w->store, pins, &w->journal.totals, &whitelisted, err);
    signed_pins_free(pins);
    if (rc == 0)
        rc = ledger_count_rotations(w->store, NULL, size, &rotations, err);
    if (rc == 0 && whitelisted + rotations != size)
        rc = error_set(err, ERR_INTEGRITY,
                       "the whitelist has %" PRId64 " records and the inventory accounts for "
                       "%" PRId64 ": keep the database as it is and call the security team",
                       size, whitelisted + rotations);
    if (rc == 0)
        rc = sealing_add(w->store, &w->journal, err);
    return rc ? rc : add_to_ledger(w, err);
}

static int journal_update(struct work *w, struct error *err)
{
    return sealing_update(w->store, &w->journal, err);
}

/* Keeps bytes in the journal, or checks that they are what the journal already has. */
static int journal_bytes(struct work *w, struct buf *place, const void *bytes, size_t len,
                         const char *what, struct error *err)
{
    if (place->len > 0) {
        if (place->len == len && memcmp(place->data, bytes, len) == 0)
            return 0;
        return error_set(err, ERR_INTEGRITY,
                         "%s of manifest %" PRId64 " differs from what was journalled before", what,
                         w->journal.seq);
    }
    buf_put(place, bytes, len);
    if (buf_check(place, what, err))
        return ERR_INTERNAL;
    return in_transaction(w, journal_update, err);
}

/*
 * The journal's row of a published manifest must say what that manifest says, and the log keep its
 * name and environment: anything else would be a fork that no owner accepts.
 */
static int check_published_row(const struct work *w, const struct sealing *last, struct error *err)
{
    struct statement s;
    int rc = statement_parse(last->statement.data, last->statement.len, &s, err);

    if (rc)
        return rc;
    if ((int64_t)s.seq != last->seq || (int64_t)s.first != last->first ||
        (int64_t)s.count != last->count)
        rc = error_set(err, ERR_INTEGRITY,
                       "the database's row of manifest %" PRId64 " is not that of the manifest it "
                       "holds: keep the database as it is and call the security team",
                       last->seq);
    else if (strcmp(s.origin, w->config->origin) || strcmp(s.environment, w->config->environment))
        rc = error_set(err, ERR_REFUSED,
                       "the manifests before are of log '%s' in environment '%s': put both back in "
                       "station.yaml",
                       s.origin, s.environment);
    statement_done(&s);
    return rc;
}

/* What is to be sealed: *idle when there is nothing. */
static int start_or_resume(struct work *w, bool *idle, struct error *err)
{
    int64_t size, first;
    bool found;
    int rc = sealing_last(w->store, &w->journal, &found, err);

    if (rc == 0)
        rc = whitelist_size(w->store, &size, err);
    if (rc)
        return rc;
    *idle = false;
    if (found && !w->journal.published)
        return 0;
    if (found)
        rc = check_published_row(w, &w->journal, err);
    if (rc)
        return rc;
    first = found ? w->journal.first + w->journal.count : 0;
    if (first > size)
        return error_set(err, ERR_INTEGRITY,
                         "the whitelist has %" PRId64 " records and %" PRId64
                         " were sealed: keep the database as it is and call the security team",
                         size, first);
    if (first == size) {
        *idle = true;
        return 0;
    }
    int64_t seq = found ? w->journal.seq + 1 : 1;
    sealing_done(&w->journal);
    sealing_init(&w->journal);
    w->journal.seq = seq;
    w->journal.first = first;
    w->journal.count = size - first;
    w->journal.created = clock_utc();
    return in_transaction(w, journal_start, err);
}

/* ---- the files ---- */

/* A record is canonical JSON, so its member stands there in one form only. */
static void note_issuer(struct work *w, const void *line, size_t len)
{
    static const char member[] = "\"iss\":\"";
    const size_t before = sizeof member - 1, digits = 2 * SHA256_SIZE;
    const char *at = memmem(line, len, member, before);
    const struct issuer *issuer;
    uint8_t hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];

    if (!at || (size_t)((const char *)line + len - at) < before + digits)
        return;
    snprintf(hex, sizeof hex, "%.*s", (int)digits, at + before);
    issuer = hex_decode(hex, hash, sizeof hash) ? NULL : issuers_of_hash(&w->issuers, hash);
    if (issuer)
        w->used[issuer->number - 1] = true;
}

static int add_line(void *context, const void *line, size_t line_len, const void *evidence,
                    size_t evidence_len, struct error *err)
{
    struct work *w = context;
    int rc = seal_add(w->seal, line, line_len, evidence_len ? evidence : NULL, evidence_len, err);

    note_issuer(w, line, line_len);

    if (rc == 0 && w->watch && ++w->written % 1000 == 0)
        w->watch->progress(w->watch->context, w->written, w->journal.count);
    return rc;
}

static int write_records(struct work *w, struct error *err)
{
    int rc = file_remove_tree(w->temp, err);

    if (rc == 0)
        rc = file_make_dir(w->temp, 0755, err);
    if (rc == 0)
        rc = seal_open(w->temp, w->config->origin, w->has_previous ? &w->previous : NULL, &w->seal,
                       err);
    if (rc)
        return rc;
    rc = whitelist_each(w->store, w->journal.first, w->journal.count, add_line, w, err);
    if (rc) {
        seal_abort(w->seal);
        return rc;
    }
    rc = seal_close(w->seal, &w->result, err);
    if (rc == 0)
        rc = journal_bytes(w, &w->journal.root, w->result.root.bytes, sizeof w->result.root.bytes,
                           "the root", err);
    return rc;
}

/* What is journalled decides, whatever is wanted now. */
static int compress(struct work *w, struct error *err)
{
    if (w->journal.statement.len > 0)
        return seal_list_compressed(&w->journal.statement, &w->result, err);
    return w->config->compress ? seal_compress(w->temp, &w->result, err) : 0;
}

/* Signs with one generation of the log key: the text, or a note that another one signed. */
static int sign_note(struct work *w, unsigned generation, const struct buf *text, struct buf *note,
                     struct error *err)
{
    EVP_PKEY *key = NULL;
    int rc;

    hsm_use_generation(w->hsm, HSM_KEY_LOG_SIGN, generation);
    rc = hsm_signer_open(w->hsm, HSM_KEY_LOG_SIGN, &key, err);
    if (rc)
        return rc;
    rc = note->len ? note_cosign(note, w->config->origin, key, err)
                   : note_sign(text->data, text->len, w->config->origin, key, note, err);
    return hsm_signer_close(key, rc, err);
}

/* By the log key that is in force, and by a new one that this manifest announces. */
static int sign_checkpoint(struct work *w, struct buf *note, struct error *err)
{
    unsigned generation, last;
    struct buf text;
    int rc = rotating_generation(w->store, ROTATION_LOG, w->journal.first, &generation, err);

    if (rc == 0)
        rc = rotating_generation(w->store, ROTATION_LOG, w->journal.first + w->journal.count, &last,
                                 err);
    if (rc)
        return rc;
    buf_init(&text, NOTE_MAX);
    seal_checkpoint(&w->result, &text);
    rc = buf_check(&text, "the checkpoint", err);
    for (; rc == 0 && generation <= last; generation++)
        rc = sign_note(w, generation, &text, note, err);
    hsm_use_generation(w->hsm, HSM_KEY_LOG_SIGN, 1);
    buf_done(&text);
    return rc;
}

static int put_checkpoint(struct work *w, struct error *err)
{
    struct buf note;
    int rc = 0;

    buf_init(&note, NOTE_MAX);
    if (w->journal.checkpoint.len == 0) {
        rc = sign_checkpoint(w, &note, err);
        if (rc == 0)
            rc = journal_bytes(w, &w->journal.checkpoint, note.data, note.len, "the checkpoint",
                               err);
    }
    buf_done(&note);
    if (rc == 0)
        rc = seal_put_file(w->temp, MANIFEST_CHECKPOINT, w->journal.checkpoint.data,
                           w->journal.checkpoint.len, &w->result, err);
    return rc;
}

/* The CA and those above it, without the root; of a CA that is the root, itself. */
static int put_issuer(const struct issuer *issuer, struct buf *chain, struct error *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && (i == 0 || i + 1 < issuer->chain.count); i++)
        rc = cert_pem(issuer->chain.certs[i], chain, err);
    return rc;
}

/* Where no record has a certificate, the first that is valid: a manifest may lack the file, and it
 * never did. The choice is the same when a sealing goes on later. */
static void use_one(struct work *w)
{
    for (size_t i = 0; i < w->issuers.count; i++)
        if (w->used[i])
            return;
    for (size_t i = 0; i < w->issuers.count; i++) {
        const struct ca_chain *chain = &w->issuers.of[i].chain;

        w->used[i] = chain->count && w->journal.created < ca_chain_end(chain);
        if (w->used[i])
            return;
    }
}

/* The issuers of the certificates in this manifest: those of others may have expired since. */
static int put_chain(struct work *w, struct error *err)
{
    struct buf chain;
    int rc = 0;

    buf_init(&chain, CHAIN_FILE_MAX);
    use_one(w);
    for (size_t i = 0; rc == 0 && i < w->issuers.count; i++)
        if (w->used[i])
            rc = put_issuer(&w->issuers.of[i], &chain, err);
    if (rc == 0 && chain.len)
        rc = seal_put_file(w->temp, MANIFEST_CHAIN, chain.data, chain.len, &w->result, err);
    buf_done(&chain);
    return rc;
}

static int write_statement(struct work *w, struct error *err)
{
    struct manifest_totals *totals = NULL;
    struct statement s;
    struct buf bytes;
    size_t count = 0;
    int rc = totals_read(&w->journal.totals, &totals, &count, err);

    if (rc)
        return rc;
    seal_statement(&w->result, w->has_previous ? &w->previous : NULL, &s);
    snprintf(s.station, sizeof s.station, "%s", w->config->name);
    snprintf(s.environment, sizeof s.environment, "%s", w->config->environment);
    snprintf(s.customer, sizeof s.customer, "%s", w->config->customer);
    s.created = w->journal.created;
    s.totals = totals;
    s.totals_count = count;
    buf_init(&bytes, STATEMENT_MAX);
    rc = statement_write(&s, &bytes, err);
    if (rc == 0)
        rc = journal_bytes(w, &w->journal.statement, bytes.data, bytes.len, "the statement", err);
    buf_done(&bytes);
    manifest_totals_free(totals, count);
    return rc;
}

/* The signature of another algorithm, over the same journalled bytes, where the station has such a key. */
static int put_second(struct work *w, struct error *err)
{
    struct second_key key;
    struct buf pem;
    int rc = second_key_find(w->config, w->store, &key, err);

    if (rc || key.generation == 0)
        return rc;
    buf_init(&pem, 65536);
    rc = second_key_sign(w->config, &key, w->hsm, &w->journal.statement, &pem, err);
    if (rc == 0)
        rc = seal_put_signature(w->temp, key.algorithm, &pem, err);
    buf_done(&pem);
    return rc;
}

/* As importers do, so that an exchanged certificate is told here and not by them. */
static int verify_first(const struct work *w, const struct buf *pem, struct error *err)
{
    const struct buf *statement = &w->journal.statement;
    char path[PATH_MAX];
    X509 *root = NULL;
    int rc = config_path(w->config, "trust/manifest-root.pem", path, err);

    if (rc == 0)
        rc = cms_read_certificate(path, &root, err);
    if (rc == 0)
        rc = cms_verify(pem->data, pem->len, statement->data, statement->len, root, 0, NULL, err);
    if (rc)
        error_prefix(
            err,
            "importers would refuse the signature: put the station's own '%s' and manifest "
            "signer in 'ca' back",
            path);
    X509_free(root);
    return rc;
}

static int sign_and_finish(struct work *w, struct error *err)
{
    struct buf pem;
    int rc;

    buf_init(&pem, 65536);
    rc = manifest_signer_sign(w->config, w->store, w->hsm, w->journal.first, &w->journal.statement,
                              &pem, err);
    if (rc == 0)
        rc = verify_first(w, &pem, err);
    if (rc == 0)
        rc = seal_finish(w->temp, &w->journal.statement, &pem, err);
    buf_done(&pem);
    return rc ? rc : put_second(w, err);
}

/* The folder takes its name only when everything is in it. */
static int publish(struct work *w, struct error *err)
{
    char parent[PATH_MAX];
    int rc = config_path(w->config, "manifests", parent, err);

    if (rc == 0 && rename(w->temp, w->final))
        rc = error_set(err, ERR_IO, "cannot rename '%s' to '%s'", w->temp, w->final);
    return rc ? rc : file_sync_dir(parent, err);
}

static int build_folder(struct work *w, struct error *err)
{
    int rc = load_previous(w, err);

    if (rc == 0)
        rc = issuers_load(w->config, w->store, &w->issuers, err);
    if (rc == 0)
        rc = write_records(w, err);
    if (rc == 0)
        rc = compress(w, err);
    if (rc == 0)
        rc = put_checkpoint(w, err);
    if (rc == 0)
        rc = put_chain(w, err);
    if (rc == 0)
        rc = write_statement(w, err);
    if (rc == 0)
        rc = sign_and_finish(w, err);
    return rc ? rc : publish(w, err);
}

static int find_places(struct work *w, struct error *err)
{
    char name[64];
    int rc = config_path(w->config, "manifests", w->final, err);

    if (rc == 0)
        rc = file_make_dir(w->final, 0755, err);
    snprintf(name, sizeof name, "manifests/%06" PRId64, w->journal.seq);
    if (rc == 0)
        rc = config_path(w->config, name, w->final, err);
    snprintf(name, sizeof name, "manifests/.%06" PRId64 ".tmp", w->journal.seq);
    return rc ? rc : config_path(w->config, name, w->temp, err);
}

/* A folder that has the name already: is it the one that was journalled? */
static int check_published(struct work *w, struct error *err)
{
    const struct buf *expected = &w->journal.statement;
    char path[PATH_MAX];
    struct buf found;
    int rc = file_join(path, sizeof path, w->final, MANIFEST_NAME, err);

    if (rc)
        return rc;
    buf_init(&found, STATEMENT_MAX);
    rc = file_read(path, &found, err);
    if (rc == ERR_MISSING ||
        (rc == 0 && (found.len != expected->len || memcmp(found.data, expected->data, found.len))))
        rc = error_set(err, ERR_INTEGRITY,
                       "'%s' is not the manifest that this station was about to publish: move it "
                       "away, keep it, and run the command again",
                       w->final);
    buf_done(&found);
    return rc;
}

/* A crash may have come after the folder took its name and before the journal said so. */
static int finish(struct work *w, struct error *err)
{
    int rc = find_places(w, err);

    if (rc == 0)
        rc = file_exists(w->final) ? check_published(w, err) : build_folder(w, err);
    if (rc)
        return rc;
    w->journal.published = true;
    return in_transaction(w, journal_update, err);
}

int sealing_run(const struct config *config, struct store *store, struct hsm *hsm,
                const struct sealing_watch *watch, struct sealed *out, struct error *err)
{
    struct work w = {.config = config, .store = store, .hsm = hsm, .watch = watch};
    bool idle = false;
    int rc;

    sealing_init(&w.journal);
    rc = store_settle(store, err);
    if (rc == 0)
        rc = clock_stop_check(store, err);
    if (rc == 0)
        rc = second_key_check(store, hsm, err);
    if (rc == 0)
        rc = start_or_resume(&w, &idle, err);
    if (rc == 0 && !idle)
        rc = finish(&w, err);
    if (rc == 0) {
        *out = (struct sealed){.seq = idle ? 0 : w.journal.seq,
                               .count = idle ? 0 : w.journal.count,
                               .size = w.journal.first + w.journal.count};
        snprintf(out->dir, sizeof out->dir, "%s", w.final);
    }
    seal_result_done(&w.result);
    sealing_done(&w.journal);
    issuers_done(&w.issuers);
    return rc;
}
