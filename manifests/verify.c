#include "manifests/verify.h"

#include "manifests/records.h"

#include <inttypes.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_PEM_MAX (1 << 20)

/* What one verification holds. */
struct verification {
    const char *dir;
    const struct verify_policy *policy;
    X509 *root;
    STACK_OF(X509) * device_roots; /* the first names the log (trust/accept.c) */
    struct note_key log;
    struct buf bytes; /* of manifest.json */
    struct statement s;
    struct statement after; /* when policy->after */
    struct chain *chain;
    struct verify_report report;
};

/* The key that the state follows takes the place of the one that was pinned at first. */
static int follow_log_key(struct verification *v, struct error *err)
{
    struct note_key pinned = v->log;
    int rc = note_key_from_spki(pinned.name, v->policy->log_spki, &v->log, err);

    if (rc)
        v->log = pinned;
    else
        note_key_done(&pinned);
    return rc;
}

static int load_pins(struct verification *v, struct error *err)
{
    const struct verify_policy *p = v->policy;
    int rc = 0;

    if (!p->root || !p->device_root || !p->log_key)
        return error_set(err, ERR_INPUT,
                         "manifest root, device root and log key are all needed to verify");
    rc = cms_read_certificate(p->root, &v->root, err);
    if (rc == 0)
        rc = cms_read_certificates(p->device_root, &v->device_roots, err);
    if (rc == 0)
        rc = note_key_read(p->log_key, &v->log, err);
    if (rc == 0 && p->log_spki)
        rc = follow_log_key(v, err);
    if (rc)
        return rc;
    if (signatures_is_root(v->device_roots, v->root))
        return error_set(err, ERR_INPUT,
                         "'%s' and '%s' have the same key: below one root any device could sign a "
                         "manifest",
                         p->root, p->device_root);
    return 0;
}

static int check_other_signatures(struct verification *v, struct error *err)
{
    const struct signatures_pins pins = {
        .policy = v->policy->signatures,
        .root = v->root,
        .device_roots = v->device_roots,
        .at = v->policy->at,
        .first = &v->report.signer,
    };

    return signatures_verify(v->dir, &pins, &v->bytes, &v->report.signatures, err);
}

/* The signatures first: nothing is read out of bytes that nobody vouches for. */
static int check_signature(struct verification *v, struct error *err)
{
    int rc = folder_read_signed(v->dir, MANIFEST_NAME, v->root, v->policy->at, &v->bytes,
                                &v->report.signer, err);

    if (rc)
        return rc;
    if (v->policy->signer && !sha256_equal(v->policy->signer, v->report.signer.key))
        return error_set(err, ERR_IMPOSTOR,
                         "the manifest is signed with another key than the ones before, and no "
                         "rotation to it was accepted ('%.100s'): do not accept it, and ask the "
                         "factory",
                         v->report.signer.subject);
    if ((rc = check_other_signatures(v, err)))
        return rc;
    sha256(v->bytes.data, v->bytes.len, v->report.sha256);
    return statement_parse(v->bytes.data, v->bytes.len, &v->s, err);
}

static int rolled_back(const struct verification *v, struct error *err)
{
    return error_set(err, ERR_ROLLBACK,
                     "manifest %" PRIu64 " is not newer than manifest %" PRIu64
                     ", which was accepted before: ask for the manifest after it",
                     v->s.seq, v->after.seq);
}

/* Amendments are added at the end, and none is forgotten. */
static bool amendments_continue(const struct manifest_totals *old,
                                const struct manifest_totals *new)
{
    return new->amendment_count >= old->amendment_count &&
           (old->amendment_count == 0 ||
            memcmp(new->amendments, old->amendments, old->amendment_count * SHA256_SIZE) == 0);
}

/* The totals of an order only ever grow, and no order is forgotten. */
static int check_growth(const struct verification *v, struct error *err)
{
    for (size_t i = 0; i < v->after.totals_count; i++) {
        const struct manifest_totals *old = &v->after.totals[i];
        const struct manifest_totals *new = records_totals(&v->s, old->order);

        if (!new || new->issued < old->issued)
            return error_set(err, ERR_ROLLBACK,
                             "manifest %" PRIu64 " counts fewer certificates of order "
                             "%02x%02x%02x%02x... than the one accepted before",
                             v->s.seq, old->order[0], old->order[1], old->order[2], old->order[3]);
        if (!amendments_continue(old, new))
            return error_set(err, ERR_ROLLBACK,
                             "manifest %" PRIu64 " names other amendments of order "
                             "%02x%02x%02x%02x... than the one accepted before",
                             v->s.seq, old->order[0], old->order[1], old->order[2], old->order[3]);
    }
    return 0;
}

/* That this manifest is the very next one after the one accepted before. */
static int check_extends(const struct verification *v, const uint8_t after_hash[SHA256_SIZE],
                         struct error *err)
{
    const struct statement *s = &v->s, *after = &v->after;

    if (strcmp(s->origin, after->origin) || strcmp(s->environment, after->environment))
        return error_set(err, ERR_FORK,
                         "the manifest is of log '%s' (%s), the one accepted before of '%s' (%s)",
                         s->origin, s->environment, after->origin, after->environment);
    if (s->seq <= after->seq)
        return rolled_back(v, err);
    if (s->seq > after->seq + 1)
        return error_set(err, ERR_GAP,
                         "manifest %" PRIu64 " comes after manifest %" PRIu64 ", not after %" PRIu64
                         ": get and verify those in between first",
                         s->seq, s->prev.seq, after->seq);
    if (!sha256_equal(s->prev.sha256, after_hash) || s->prev.tree.size != after->size ||
        memcmp(&s->prev.root, &after->root, sizeof after->root))
        return error_set(err, ERR_FORK,
                         "manifest %" PRIu64 " does not extend the manifest %" PRIu64
                         " that was accepted before but another one: the log was forked; stop and "
                         "ask the factory",
                         s->seq, after->seq);
    return check_growth(v, err);
}

static int check_after_bytes(struct verification *v, const struct buf *bytes, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    int rc = statement_parse(bytes->data, bytes->len, &v->after, err);

    if (rc)
        return error_prefix(err, "what was accepted before");
    sha256(bytes->data, bytes->len, digest);
    rc = check_extends(v, digest, err);
    v->report.extends = rc == 0;
    return rc;
}

static int check_after(struct verification *v, struct error *err)
{
    struct buf bytes;
    int rc;

    if (v->policy->after_bytes)
        return check_after_bytes(v, v->policy->after_bytes, err);
    if (!v->policy->after)
        return 0;
    buf_init(&bytes, STATEMENT_MAX);
    rc = folder_read(v->policy->after, MANIFEST_NAME, &bytes, err);
    if (rc == 0)
        rc = check_after_bytes(v, &bytes, err);
    buf_done(&bytes);
    return rc;
}

/* Reads a listed file and checks what was read, so that a swap after folder_check shows. */
static int read_listed(const struct verification *v, const char *name, struct buf *out,
                       struct error *err)
{
    const struct manifest_file *f = statement_file(&v->s, name);
    uint8_t digest[SHA256_SIZE];
    int rc;

    if (!f)
        return error_set(err, ERR_INCOMPLETE, "the manifest does not list '%s'", name);
    rc = folder_read(v->dir, name, out, err);
    if (rc)
        return rc;
    sha256(out->data, out->len, digest);
    if (!sha256_equal(digest, f->sha256))
        return error_set(err, ERR_INTEGRITY, "'%s' changed while it was being verified", name);
    return 0;
}

static int check_checkpoint_text(const struct verification *v, const void *text, size_t len,
                                 struct error *err)
{
    struct checkpoint c;
    int rc = checkpoint_parse(text, len, &c, err);

    if (rc)
        return rc;
    if (strcmp(c.origin, v->s.origin) == 0 && c.size == v->s.size &&
        memcmp(&c.root, &v->s.root, sizeof c.root))
        return error_set(err, ERR_INTEGRITY,
                         "checkpoint and manifest sign two roots for the %" PRIu64
                         " records of '%s': stop and ask the factory",
                         c.size, c.origin);
    if (strcmp(c.origin, v->s.origin) || c.size != v->s.size)
        return error_set(err, ERR_INTEGRITY,
                         "the checkpoint (%s, size %" PRIu64 ") is not that of the manifest (%s, "
                         "size %" PRIu64 ")",
                         c.origin, c.size, v->s.origin, v->s.size);
    return 0;
}

static int check_checkpoint(const struct verification *v, struct error *err)
{
    struct buf note;
    size_t text_len;
    int rc;

    if (strcmp(v->s.origin, v->log.name))
        return error_set(err, ERR_SIGNATURE,
                         "the manifest is of log '%s' and the pinned key belongs to '%s'",
                         v->s.origin, v->log.name);
    buf_init(&note, NOTE_MAX);
    rc = read_listed(v, MANIFEST_CHECKPOINT, &note, err);
    if (rc == 0 && (rc = note_verify(note.data, note.len, &v->log, &text_len, err)))
        error_prefix(err, "'%s'", MANIFEST_CHECKPOINT);
    if (rc == 0)
        rc = check_checkpoint_text(v, note.data, text_len, err);
    buf_done(&note);
    return rc;
}

/* A new log key also signs the checkpoint of the manifest that announces it. */
static int check_new_log_key(const struct verification *v, struct error *err)
{
    const struct rotation *r = &v->report.rotated[ROTATION_LOG];
    struct note_key key;
    struct buf note;
    size_t text_len;
    int rc;

    if (!r->key)
        return 0;
    rc = note_key_from_spki(v->s.origin, r->new, &key, err);
    if (rc)
        return rc;
    buf_init(&note, NOTE_MAX);
    rc = read_listed(v, MANIFEST_CHECKPOINT, &note, err);
    if (rc == 0 && (rc = note_verify(note.data, note.len, &key, &text_len, err)))
        error_prefix(err, "'%s', under the new log key", MANIFEST_CHECKPOINT);
    buf_done(&note);
    note_key_done(&key);
    return rc;
}

/* A batch without certificates (of derived keys, or only revocations) needs no chain. */
static int load_chain(struct verification *v, struct error *err)
{
    struct buf pem;
    int rc;

    if (!statement_file(&v->s, MANIFEST_CHAIN))
        return 0;
    buf_init(&pem, CHAIN_PEM_MAX);
    rc = read_listed(v, MANIFEST_CHAIN, &pem, err);
    if (rc == 0)
        rc = chain_load(pem.data, pem.len, v->device_roots, &v->chain, err);
    buf_done(&pem);
    return rc;
}

static int check_records(struct verification *v, struct error *err)
{
    struct records_context context = {
        .dir = v->dir,
        .s = &v->s,
        .after = v->report.extends ? &v->after : NULL,
        .chain = v->chain,
        .log = &v->log,
        .sink = v->policy->sink,
        .skip_proofs = v->policy->skip_proofs,
        .threads = v->policy->threads,
        .progress = &v->policy->progress,
    };

    return records_verify(&context, &v->report, err);
}

static void fill_report(struct verification *v)
{
    struct verify_report *r = &v->report;

    strcpy(r->origin, v->s.origin);
    strcpy(r->station, v->s.station);
    strcpy(r->environment, v->s.environment);
    strcpy(r->customer, v->s.customer);
    r->created = v->s.created;
    r->seq = v->s.seq;
    r->first = v->s.first;
    r->count = v->s.count;
    r->size = v->s.size;
    r->root = v->s.root;
    r->has_prev = v->s.has_prev;
}

static int run(struct verification *v, struct error *err)
{
    int rc;

    if ((rc = load_pins(v, err)) || (rc = check_signature(v, err)) || (rc = check_after(v, err)) ||
        (rc = folder_check(v->dir, &v->s, &v->policy->progress, err)) ||
        (rc = check_checkpoint(v, err)) || (rc = load_chain(v, err)) ||
        (rc = check_records(v, err)) || (rc = check_new_log_key(v, err)))
        return rc;
    fill_report(v);
    return 0;
}

int manifest_verify(const char *dir, const struct verify_policy *policy,
                    struct verify_report *report, struct error *err)
{
    struct verification *v = calloc(1, sizeof *v);
    int rc;

    if (!v)
        return error_set(err, ERR_INTERNAL, "out of memory");
    v->dir = dir;
    v->policy = policy;
    buf_init(&v->bytes, STATEMENT_MAX);
    rc = run(v, err);
    if (rc == 0)
        *report = v->report;
    chain_free(v->chain);
    statement_done(&v->after);
    statement_done(&v->s);
    buf_done(&v->bytes);
    note_key_done(&v->log);
    sk_X509_pop_free(v->device_roots, X509_free);
    X509_free(v->root);
    free(v);
    return rc;
}
