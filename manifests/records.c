#include "manifests/records.h"

#include "manifests/checker.h"
#include "manifests/unique.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_STEP 4096

/*
 * Certificates by what became of them. Identities are those that an add or replace record names:
 * they are live, replaced or revoked, and stay one of the three.
 */
struct tally {
    uint64_t identities, scrapped, burned, revoked;
};

struct pass {
    const struct records_context *context;
    struct verify_report *report;
    struct folder_lines devices, evidence;
    struct merkle_tree tree;
    struct unique *unique;
    struct checker *checker;
    struct manifest_version *versions; /* of all orders */
    size_t version_count;
    struct tally *tallies; /* of the records of this batch, for each of the totals */
    uint64_t done;
    bool added; /* the record at hand was given to the checker, whose failures name their place */
};

static int by_order(const void *order, const void *totals)
{
    return memcmp(order, ((const struct manifest_totals *)totals)->order, SHA256_SIZE);
}

const struct manifest_totals *records_totals(const struct statement *s,
                                             const uint8_t order[SHA256_SIZE])
{
    return s->totals_count ? bsearch(order, s->totals, s->totals_count, sizeof *s->totals, by_order)
                           : NULL;
}

static bool is_identity(const struct record *r)
{
    return r->t == RECORD_ADD || r->t == RECORD_REPLACE;
}

static int by_version(const void *hash, const void *version)
{
    return memcmp(hash, ((const struct manifest_version *)version)->hash, SHA256_SIZE);
}

/* Counts a record for its order, whichever version was in force. */
static int count_for_order(struct pass *p, const struct record *r, struct error *err)
{
    const struct manifest_version *v =
        bsearch(r->order, p->versions, p->version_count, sizeof *v, by_version);
    struct tally *tally;

    if (!v)
        return error_set(err, ERR_INCOMPLETE,
                         "the totals do not know the order %02x%02x%02x%02x... of '%s'",
                         r->order[0], r->order[1], r->order[2], r->order[3], r->sn);
    tally = &p->tallies[v->totals - p->context->s->totals];
    tally->identities += is_identity(r);
    tally->scrapped += r->t == RECORD_VOID && r->reason == RECORD_SCRAPPED;
    tally->burned += r->t == RECORD_VOID && r->reason == RECORD_BURNED;
    tally->revoked += r->t == RECORD_REVOKE || r->t == RECORD_DECOMMISSION;
    tally->revoked -= r->t == RECORD_RECOMMISSION; /* of one that was decommissioned */
    return 0;
}

static void count_record(struct verify_report *report, const struct checked *c)
{
    const struct record *r = c->record;
    bool identity = is_identity(r);

    report->by_type[r->t]++;
    report->plain += identity && r->plain;
    report->unauthenticated += identity && r->auth == RECORD_AUTH_NONE;
    report->certificates += c->cert != NULL;
    report->proofs += c->proof;
    report->proofs_derived += identity && r->mode == RECORD_MODE_DERIVED;
    report->proofs_skipped += identity && r->mode != RECORD_MODE_DERIVED && !c->proof;
}

/* A record whose signatures were verified: what is left needs the records before it. */
static int take_record(void *ctx, const struct checked *c, struct error *err)
{
    struct pass *p = ctx;
    const struct records_context *context = p->context;
    uint64_t index = context->s->first + c->line;
    int rc = unique_add(p->unique, c->record, c->cert, err);

    if (rc == 0 && context->sink)
        rc = context->sink->take(context->sink->ctx, c->record, c->cert, index, err);
    count_record(p->report, c);
    return rc;
}

/* The evidence line of a record that has one; it must be the next. */
static int next_evidence(struct pass *p, const struct record *r, const char **line, size_t *len,
                         struct error *err)
{
    int rc;

    *line = NULL;
    *len = 0;
    if (!is_identity(r))
        return 0;
    rc = folder_lines_next(&p->evidence, line, len, err);
    if (rc < 0)
        return rc;
    return rc ? 0 : error_set(err, ERR_INCOMPLETE, "the evidence of '%s' is missing", r->sn);
}

/* Whether the old key is the one in force here. Of the log key the pin may also be the new one. */
static bool is_in_force(const struct pass *p, const struct rotation *r)
{
    uint8_t hash[SHA256_SIZE], spki[EC_SPKI_SIZE], point[EC_POINT_SIZE];

    if (r->key == ROTATION_MANIFEST) {
        sha256(r->old, sizeof r->old, hash);
        return sha256_equal(hash, p->report->signer.key);
    }
    if (ec_point(p->context->log->key, point, NULL))
        return false;
    ec_spki(point, spki);
    return memcmp(spki, r->old, sizeof spki) == 0 || memcmp(spki, r->new, sizeof spki) == 0;
}

static int check_rotation(struct pass *p, const struct record *record, struct error *err)
{
    const struct statement *s = p->context->s;
    struct rotation_scope scope = {s->origin, s->environment, s->station};
    struct rotation r;
    int rc = rotation_read(record, &r, err);

    if (rc == 0)
        rc = rotation_verify(&r, &scope, p->tree.size, err);
    if (rc)
        return rc;
    if (!is_in_force(p, &r))
        return error_set(err, ERR_SIGNATURE,
                         "the rotation of the %s is from a key that is not in force: do not accept "
                         "it, and ask the factory",
                         rotation_key_name(r.key));
    if (p->report->rotated[r.key].key)
        return error_set(err, ERR_DUPLICATE, "the %s is rotated twice in one manifest",
                         rotation_key_name(r.key));
    p->report->rotated[r.key] = r;
    return 0;
}

static int check_record(struct pass *p, struct record *r, struct error *err)
{
    const char *evidence;
    size_t len;
    int rc = r->t == RECORD_ROTATE ? check_rotation(p, r, err) : count_for_order(p, r, err);

    if (rc == 0 && record_has_ref(r) && r->ref >= p->tree.size)
        rc = error_set(err, ERR_INTEGRITY, "the record of '%s' refers to one that is not before it",
                       r->sn);
    if (rc == 0)
        rc = next_evidence(p, r, &evidence, &len, err);
    if (rc) {
        record_done(r);
        return rc;
    }
    p->added = true;
    return checker_add(p->checker, r, evidence, len, err);
}

/* A failure here: a record before this one may be wrong as well, and then it is the one to name. */
static int fail_line(struct pass *p, int rc, struct error *err)
{
    struct error earlier;
    int before = checker_finish(p->checker, &earlier);
    char where[128];

    if (before) {
        *err = earlier;
        return before;
    }
    folder_position("devices", p->done, where, sizeof where);
    error_prefix(err, "%s", where);
    return rc;
}

static int check_line(struct pass *p, const char *line, size_t len, struct error *err)
{
    struct merkle_hash leaf;
    struct record r;
    int rc = record_parse(line, len, &r, err);

    p->added = false;
    if (rc == 0)
        rc = check_record(p, &r, err);
    if (rc)
        return p->added ? rc : fail_line(p, rc, err);
    merkle_leaf(line, len, &leaf);
    merkle_push(&p->tree, &leaf);
    p->done++;
    return 0;
}

static void show_progress(const struct pass *p)
{
    const struct folder_progress *progress = p->context->progress;

    if (progress->report && p->done % PROGRESS_STEP == 0)
        progress->report(progress->ctx, "records", p->done, p->context->s->count);
}

static int check_lines(struct pass *p, struct error *err)
{
    const struct statement *s = p->context->s;
    const char *line;
    size_t len;
    int rc;

    while ((rc = folder_lines_next(&p->devices, &line, &len, err)) > 0) {
        if (p->done == s->count)
            return error_set(err, ERR_INCOMPLETE,
                             "there are more records than the %" PRIu64 " that the manifest says",
                             s->count);
        rc = check_line(p, line, len, err);
        if (rc)
            return rc;
        show_progress(p);
    }
    if (rc == 0)
        rc = checker_finish(p->checker, err);
    if (rc)
        return rc;
    if (p->done != s->count)
        return error_set(err, ERR_INCOMPLETE,
                         "there are %" PRIu64 " records and the manifest says %" PRIu64, p->done,
                         s->count);
    rc = folder_lines_next(&p->evidence, &line, &len, err);
    if (rc > 0)
        return error_set(err, ERR_INCOMPLETE,
                         "there is evidence that no record names, after %" PRIu64 " lines",
                         p->evidence.taken - 1);
    return rc;
}

static int check_root(const struct pass *p, struct error *err)
{
    struct merkle_hash root;

    merkle_root(&p->tree, &root);
    if (memcmp(&root, &p->context->s->root, sizeof root))
        return error_set(err, ERR_INTEGRITY,
                         "the records do not give the root that the manifest states: a record was "
                         "changed, dropped, repeated or moved");
    return 0;
}

static struct tally tally_of(const struct manifest_totals *t)
{
    if (!t)
        return (struct tally){0};
    return (struct tally){t->good + t->replaced + t->revoked, t->scrapped, t->burned, t->revoked};
}

/* exact: what was there before is known; otherwise the records must only fit in. */
static int compare(const char *what, uint64_t before, uint64_t now, uint64_t records, bool exact,
                   struct error *err)
{
    if (exact ? now == before + records : now >= records)
        return 0;
    return error_set(err, ERR_INCOMPLETE,
                     "the totals went from %" PRIu64 " to %" PRIu64 " %s and the records show "
                     "%" PRIu64 " of them: records are missing, or the totals are wrong",
                     before, now, what, records);
}

static int check_order(const struct pass *p, const struct manifest_totals *t,
                       const struct tally *shown, struct error *err)
{
    const struct statement *after = p->context->after;
    struct tally before = tally_of(after ? records_totals(after, t->order) : NULL);
    struct tally now = tally_of(t);
    bool exact = !p->context->s->has_prev || after;
    int rc =
        compare("identities", before.identities, now.identities, shown->identities, exact, err);

    if (rc == 0)
        rc = compare("scrapped", before.scrapped, now.scrapped, shown->scrapped, exact, err);
    if (rc == 0)
        rc = compare("burned", before.burned, now.burned, shown->burned, exact, err);
    if (rc == 0)
        rc = compare("revoked", before.revoked, now.revoked, shown->revoked, exact, err);
    return rc;
}

static int check_totals(const struct pass *p, struct error *err)
{
    const struct statement *s = p->context->s;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < s->totals_count; i++)
        rc = check_order(p, &s->totals[i], &p->tallies[i], err);
    return rc;
}

/* What counting needs, before the first record. */
static int prepare(struct pass *p, const struct checker_policy *policy, struct error *err)
{
    const struct statement *s = p->context->s;

    p->unique = unique_new(s->first);
    p->tallies = calloc(s->totals_count + 1, sizeof *p->tallies);
    p->checker = checker_new(policy);
    if (!p->unique || !p->tallies || !p->checker)
        return error_set(err, ERR_INTERNAL, "out of memory");
    return statement_versions(s, &p->versions, &p->version_count, err);
}

static int run(struct pass *p, struct error *err)
{
    int rc;

    if ((rc = check_lines(p, err)) || (rc = check_root(p, err)) || (rc = check_totals(p, err)))
        return rc;
    return unique_check(p->unique, err);
}

int records_verify(const struct records_context *context, struct verify_report *report,
                   struct error *err)
{
    const struct statement *s = context->s;
    struct pass p = {.context = context, .report = report};
    struct checker_policy policy = {
        .chain = context->chain,
        .environment = s->environment,
        .skip_proofs = context->skip_proofs,
        .threads = context->threads,
        .take = take_record,
        .ctx = &p,
    };
    int rc;

    if (s->has_prev)
        p.tree = s->prev.tree;
    if ((rc = prepare(&p, &policy, err)) == 0 &&
        (rc = folder_lines_open(&p.devices, context->dir, "devices", s, err)) == 0 &&
        (rc = folder_lines_open(&p.evidence, context->dir, "evidence", s, err)) == 0)
        rc = run(&p, err);
    if (rc == 0)
        report->tree = p.tree;
    checker_free(p.checker);
    folder_lines_close(&p.devices);
    folder_lines_close(&p.evidence);
    unique_free(p.unique);
    free(p.tallies);
    free(p.versions);
    return rc;
}
