#include "manifests/trust/accept.h"

#include "base/clock.h"
#include "manifests/trust/db.h"
#include "manifests/trust/identities.h"
#include "manifests/trust/quota.h"

#include <inttypes.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* What one acceptance holds. */
struct acceptance {
    struct trust *t;
    const struct trust_orders *orders;
    struct buf bytes;   /* manifest.json: the signature was verified, now or when it was accepted */
    struct statement s; /* what they say */
    uint8_t sha256[SHA256_SIZE];
    uint8_t pins[SHA256_SIZE];
    int64_t log;     /* id, 0 when the log is new */
    int64_t seq;     /* of the manifest accepted last, 0 for none */
    struct buf last; /* its manifest.json */
    int64_t now;
    struct trust_quota quota;
    struct buf log_key, signer;        /* in force for this manifest; empty: the pin, and any */
    struct signatures_policy required; /* of this manifest */
    struct buf log_now;                /* the newest log key, empty: the pin */
};

static int take(void *ctx, const struct record *r, const struct cert *cert, uint64_t index,
                struct error *err)
{
    struct acceptance *a = ctx;
    int rc;

    if (r->t == RECORD_ROTATE)
        return 0; /* says nothing of a device; keep_keys */
    rc = trust_quota_record(&a->quota, r, err);
    return rc ? rc : identities_enter(&(struct identities){a->t, a->log}, r, cert, index, err);
}

/* ---- logs */

/* What the pins say, not how their files are written: PEM may be wrapped in many ways. Of several
 * roots of devices the first counts: those behind it may be added later. */
static int hash_certificate(struct sha256 *s, const char *path, struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    STACK_OF(X509) * certs;
    int rc = cms_read_certificates(path, &certs, err);

    if (rc)
        return rc;
    if (X509_digest(sk_X509_value(certs, 0), EVP_sha256(), digest, NULL) == 1)
        sha256_update(s, digest, sizeof digest);
    else
        rc = error_set(err, ERR_CRYPTO, "cannot hash '%s'", path);
    sk_X509_pop_free(certs, X509_free);
    return rc;
}

/* now: the key that the log has by now, EC_SPKI_SIZE bytes, instead of the pinned one; or NULL. */
static int hash_log_key(struct sha256 *s, const char *path, const uint8_t *now, struct error *err)
{
    unsigned char *der = NULL;
    struct note_key key;
    int len, rc = note_key_read(path, &key, err);

    if (rc)
        return rc;
    len = i2d_PUBKEY(key.key, &der);
    if (len > 0)
        sha256_update(s, now ? now : der, now ? EC_SPKI_SIZE : (size_t)len);
    else
        rc = error_set(err, ERR_CRYPTO, "cannot hash '%s'", path);
    OPENSSL_free(der);
    note_key_done(&key);
    return rc;
}

static int hash_pins(const struct verify_policy *p, const uint8_t *log_now,
                     uint8_t pins[SHA256_SIZE], struct error *err)
{
    struct sha256 *s;
    int rc;

    if (!p->root || !p->device_root || !p->log_key)
        return error_set(err, ERR_INPUT,
                         "manifest root, device root and log key are all needed to accept");
    s = sha256_new();
    if ((rc = hash_certificate(s, p->root, err)) == 0 &&
        (rc = hash_certificate(s, p->device_root, err)) == 0)
        rc = hash_log_key(s, p->log_key, log_now, err);
    sha256_final(s, pins);
    return rc;
}

/* A log whose key was rotated is known by the key that was pinned at first, and by the newest. */
static int check_pins(struct acceptance *a, const struct verify_policy *policy,
                      const uint8_t stored[SHA256_SIZE], struct error *err)
{
    uint8_t now[SHA256_SIZE];
    int rc = 0;

    if (sha256_equal(stored, a->pins))
        return 0;
    if (a->log_now.len && (rc = hash_pins(policy, a->log_now.data, now, err)))
        return rc;
    if (a->log_now.len && sha256_equal(now, a->pins))
        return 0;
    return error_set(err, ERR_IMPOSTOR,
                     "log '%s' was accepted with other pins: this is a second station under its "
                     "name, or one that was made anew; nothing was changed",
                     a->s.origin);
}

/* The key that is in force for a manifest, appended; nothing where the pin is. */
static int key_in_force(struct acceptance *a, enum rotation_key kind, int64_t seq, size_t size,
                        struct buf *out, struct error *err)
{
    sqlite3_stmt *row;
    int rc = sql_row(&a->t->sql, err, &row,
                     "SELECT key FROM log_keys WHERE log = ? AND kind = ? AND seq < ?"
                     " ORDER BY seq DESC LIMIT 1",
                     "iii", a->log, (int64_t)kind, seq);

    if (rc <= 0)
        return rc;
    if ((size_t)sqlite3_column_bytes(row, 0) == size)
        buf_put(out, sqlite3_column_blob(row, 0), size);
    sql_end(row);
    return out->len == size ? 0 : error_set(err, ERR_STORE, "a key in the state is damaged");
}

/* policy, with the keys that are in force for the manifest at hand. */
static struct verify_policy follow(const struct acceptance *a, const struct verify_policy *given)
{
    struct verify_policy policy = *given;

    policy.log_spki = a->log_key.len ? a->log_key.data : NULL;
    policy.signer = a->signer.len ? a->signer.data : NULL;
    policy.signatures = &a->required;
    return policy;
}

static int add_key(struct acceptance *a, enum rotation_key kind, uint64_t seq, const void *key,
                   size_t len, struct error *err)
{
    return sql_run(&a->t->sql, err,
                   "INSERT INTO log_keys (log, kind, seq, key) VALUES (?, ?, ?, ?)", "iiib", a->log,
                   (int64_t)kind, (int64_t)seq, key, len);
}

/* From the first manifest on a log keeps its manifest key, until a rotation says otherwise. */
static int keep_keys(struct acceptance *a, const struct verify_report *report, struct error *err)
{
    const struct rotation *log = &report->rotated[ROTATION_LOG];
    const struct rotation *manifest = &report->rotated[ROTATION_MANIFEST];
    uint8_t hash[SHA256_SIZE];
    int rc = 0;

    if (!a->signer.len)
        rc = add_key(a, ROTATION_MANIFEST, report->seq - 1, report->signer.key,
                     sizeof report->signer.key, err);
    if (rc == 0 && log->key)
        rc = add_key(a, ROTATION_LOG, report->seq, log->new, sizeof log->new, err);
    if (rc == 0 && manifest->key) {
        sha256(manifest->new, sizeof manifest->new, hash);
        rc = add_key(a, ROTATION_MANIFEST, report->seq, hash, sizeof hash, err);
    }
    return rc;
}

static int read_last(struct acceptance *a, struct error *err)
{
    sqlite3_stmt *row;
    int rc =
        sql_row(&a->t->sql, err, &row, "SELECT statement FROM manifests WHERE log = ? AND seq = ?",
                "ii", a->log, a->seq);

    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(err, ERR_STORE, "the state lacks manifest %" PRId64 " of log '%s'", a->seq,
                         a->s.origin);
    buf_put(&a->last, sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0));
    sql_end(row);
    return buf_check(&a->last, "the manifest accepted last", err);
}

static int read_keys(struct acceptance *a, struct error *err)
{
    int64_t seq = (int64_t)a->s.seq;
    int rc = key_in_force(a, ROTATION_LOG, INT64_MAX, EC_SPKI_SIZE, &a->log_now, err);

    if (rc == 0)
        rc = key_in_force(a, ROTATION_LOG, seq, EC_SPKI_SIZE, &a->log_key, err);
    return rc ? rc : key_in_force(a, ROTATION_MANIFEST, seq, SHA256_SIZE, &a->signer, err);
}

static int find_log(struct acceptance *a, const struct verify_policy *policy, struct error *err)
{
    uint8_t pins[SHA256_SIZE];
    sqlite3_stmt *row;
    int rc = sql_row(&a->t->sql, err, &row, "SELECT id, seq, pins FROM logs WHERE origin = ?", "t",
                     a->s.origin);

    if (rc <= 0)
        return rc;
    a->log = sqlite3_column_int64(row, 0);
    a->seq = sqlite3_column_int64(row, 1);
    rc = sql_blob_exact(row, 2, pins, sizeof pins, err);
    sql_end(row);
    if (rc == 0)
        rc = read_keys(a, err);
    if (rc == 0)
        rc = check_pins(a, policy, pins, err);
    return rc ? rc : read_last(a, err);
}

/* A new log begins with its first manifest; a station has one log. */
static int add_log(struct acceptance *a, struct error *err)
{
    int rc;

    if (a->s.has_prev)
        return error_set(err, ERR_GAP,
                         "the state knows nothing of log '%s': accept its manifests from number 1 "
                         "on, this is %" PRIu64,
                         a->s.origin, a->s.seq);
    rc = sql_run(&a->t->sql, err,
                 "INSERT INTO logs (origin, station, environment, customer, pins, seq, size, root,"
                 " frontier) VALUES (?, ?, ?, ?, ?, 0, 0, x'', x'')",
                 "ttttb", a->s.origin, a->s.station, a->s.environment, a->s.customer, a->pins,
                 sizeof a->pins);
    a->log = sqlite3_last_insert_rowid(a->t->sql.db);
    if (rc == ERR_EXISTS)
        rc = error_set(err, ERR_IMPOSTOR,
                       "station '%s' (%s) is known with another log than '%s': this is a second "
                       "station under its name; nothing was changed",
                       a->s.station, a->s.environment, a->s.origin);
    return rc;
}

/* Enters what manifest_verify found into the state. */
static int finish(struct acceptance *a, const struct verify_report *report, struct error *err)
{
    struct merkle_hash frontier[MERKLE_LEVELS];
    size_t count = merkle_frontier(&report->tree, frontier);
    int rc;

    /* It was read once more with the other files: it must be the one that was looked at. */
    if (!sha256_equal(report->sha256, a->sha256))
        return error_set(err, ERR_INTEGRITY, "'%s' changed while it was being accepted",
                         MANIFEST_NAME);
    rc = sql_run(&a->t->sql, err,
                 "INSERT INTO manifests (log, seq, sha256, size, accepted, statement)"
                 " VALUES (?, ?, ?, ?, ?, ?)",
                 "iibiib", a->log, (int64_t)report->seq, a->sha256, sizeof a->sha256,
                 (int64_t)report->size, a->now, a->bytes.data, a->bytes.len);
    if (rc == 0)
        rc = keep_keys(a, report, err);
    if (rc == 0)
        rc = required_keep(a->t, a->log, (int64_t)report->seq, &a->required, err);
    if (rc)
        return rc;
    return sql_run(&a->t->sql, err,
                   "UPDATE logs SET seq = ?, size = ?, root = ?, frontier = ? WHERE id = ?",
                   "iibbi", (int64_t)report->seq, (int64_t)report->size, report->root.bytes,
                   sizeof report->root.bytes, count ? frontier : (const void *)"",
                   count * sizeof *frontier, a->log);
}

static int accept_next(struct acceptance *a, const char *dir, const struct verify_policy *given,
                       struct trust_accepted *accepted, struct error *err)
{
    struct verify_sink sink = {take, a};
    struct verify_policy policy = follow(a, given);
    int rc = a->log ? 0 : add_log(a, err);

    if (rc == 0)
        rc = trust_quota_load(&a->quota, a->t, a->orders, a->log, err);
    if (rc)
        return rc;
    policy.after = NULL;
    policy.after_bytes = a->seq ? &a->last : NULL;
    policy.sink = &sink;
    rc = manifest_verify(dir, &policy, &accepted->report, err);
    if (rc == 0)
        rc = trust_quota_totals(&a->quota, &a->s, policy.after_bytes, err);
    return rc ? rc : finish(a, &accepted->report, err);
}

/* Nothing was verified below these roots, so all that is refused is one below which devices sign. */
static int check_roots(const struct acceptance *a, const struct verify_policy *given,
                       struct error *err)
{
    STACK_OF(X509) *device_roots = NULL;
    int rc = cms_read_certificates(given->device_root, &device_roots, err);

    for (enum cms_algorithm k = 0; rc == 0 && k < CMS_ALGORITHMS; k++)
        if (a->required.of[k].root && signatures_is_root(device_roots, a->required.of[k].root))
            rc = error_set(err, ERR_INPUT,
                           "the root of %s has the key of the device root: below it any device "
                           "could sign a manifest; nothing was changed",
                           cms_algorithm_name(k));
    sk_X509_pop_free(device_roots, X509_free);
    return rc;
}

/* Known is the manifest, not what comes with it: from the next one on these must be there. */
static int require_later(struct acceptance *a, const struct verify_policy *given, struct error *err)
{
    int rc = check_roots(a, given, err);

    return rc ? rc : required_keep(a->t, a->log, a->seq + 1, &a->required, err);
}

/* A manifest with a number that was accepted: the same one, or proof of a fork. */
static int compare_known(struct acceptance *a, const char *dir, const struct verify_policy *given,
                         struct trust_accepted *accepted, struct error *err)
{
    struct verify_policy policy = follow(a, given);
    int64_t same = 0;
    int rc = sql_integer(&a->t->sql, err, &same,
                         "SELECT 1 FROM manifests WHERE log = ? AND seq = ? AND sha256 = ?", "iib",
                         a->log, (int64_t)a->s.seq, a->sha256, sizeof a->sha256);

    accepted->before = true;
    accepted->newest = (int64_t)a->s.seq == a->seq;
    if (rc || same)
        return rc ? rc : require_later(a, given, err);
    policy.after = NULL;
    policy.after_bytes = NULL;
    policy.sink = NULL;
    rc = manifest_verify(dir, &policy, &accepted->report, err);
    if (rc)
        return rc; /* not even genuine: says nothing of the log */
    return error_set(err, ERR_FORK,
                     "another manifest %" PRIu64 " of log '%s' was accepted before, and both are "
                     "signed: the log was forked, or the station was set back; stop and ask the "
                     "factory",
                     a->s.seq, a->s.origin);
}

static int check_signature(struct acceptance *a, const char *dir,
                           const struct verify_policy *policy, struct error *err)
{
    struct cms_signer who;
    X509 *root;
    int rc = cms_read_certificate(policy->root, &root, err);

    if (rc)
        return rc;
    buf_reset(&a->bytes);
    rc = folder_read_signed(dir, MANIFEST_NAME, root, policy->at, &a->bytes, &who, err);
    X509_free(root);
    return rc;
}

/* The signature before anything is read out of the bytes. Those that were accepted before had one,
 * whose certificate may have expired since. */
static int read_statement(struct acceptance *a, const char *dir, const struct verify_policy *policy,
                          struct error *err)
{
    int64_t known = 0;
    int rc = folder_read(dir, MANIFEST_NAME, &a->bytes, err);

    if (rc)
        return rc;
    sha256(a->bytes.data, a->bytes.len, a->sha256);
    rc = sql_integer(&a->t->sql, err, &known, "SELECT 1 FROM manifests WHERE sha256 = ?", "b",
                     a->sha256, sizeof a->sha256);
    if (rc == 0 && !known) {
        rc = check_signature(a, dir, policy, err);
        sha256(a->bytes.data, a->bytes.len, a->sha256);
    }
    return rc ? rc : statement_parse(a->bytes.data, a->bytes.len, &a->s, err);
}

static int tell_required(struct acceptance *a, const struct verify_policy *given,
                         struct trust_accepted *accepted, struct error *err)
{
    for (enum cms_algorithm k = 0; given->signatures && k < CMS_ALGORITHMS; k++)
        accepted->given[k] = given->signatures->of[k].required;
    return required_list(a->t, a->log, accepted->required, err);
}

static int run(struct acceptance *a, const char *dir, const struct verify_policy *policy,
               struct trust_accepted *accepted, struct error *err)
{
    int rc;

    if ((rc = hash_pins(policy, NULL, a->pins, err)) || (rc = read_statement(a, dir, policy, err)))
        return rc;
    strcpy(accepted->origin, a->s.origin);
    accepted->seq = a->s.seq;
    if ((rc = db_begin(a->t, err)))
        return rc;
    rc = find_log(a, policy, err);
    if (rc == 0)
        rc = required_load(a->t, a->log, (int64_t)a->s.seq, policy->signatures, &a->required, err);
    if (rc == 0 && a->seq && a->s.seq <= (uint64_t)a->seq)
        rc = compare_known(a, dir, policy, accepted, err);
    else if (rc == 0)
        rc = accept_next(a, dir, policy, accepted, err);
    if (rc == 0)
        rc = tell_required(a, policy, accepted, err);
    if (rc) {
        db_rollback(a->t);
        return rc;
    }
    accepted->newest |= !accepted->before;
    return db_commit(a->t, err);
}

int trust_accept(struct trust *t, const char *dir, const struct verify_policy *policy,
                 const struct trust_orders *orders, struct trust_accepted *accepted,
                 struct error *err)
{
    struct acceptance a = {.t = t, .orders = orders, .now = clock_utc()};
    int rc;

    *accepted = (struct trust_accepted){0};
    buf_init(&a.bytes, STATEMENT_MAX);
    buf_init(&a.last, STATEMENT_MAX);
    buf_init(&a.log_key, EC_SPKI_SIZE);
    buf_init(&a.log_now, EC_SPKI_SIZE);
    buf_init(&a.signer, SHA256_SIZE);
    rc = run(&a, dir, policy, accepted, err);
    signatures_policy_done(&a.required);
    statement_done(&a.s);
    buf_done(&a.bytes);
    buf_done(&a.last);
    buf_done(&a.log_key);
    buf_done(&a.log_now);
    buf_done(&a.signer);
    return rc ? error_prefix(err, "'%s'", dir) : 0;
}
