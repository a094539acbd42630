#include "manifests/unique.h"

#include "base/scratch.h"
#include "manifests/folder.h"
#include "manifests/sorter.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A hash of something, and the line of the batch that it stands in, from 0. */
struct seen {
    uint64_t hash;
    uint64_t line;
};

enum effect { NOTHING, BEGINS, REPLACES, ENDS, REVOKES };

/* What a record does to a device. */
struct step {
    uint64_t device, chip; /* hashes; chip 0 for none */
    uint64_t line;
    enum effect effect;
};

/* A stretch of the batch in which a chip belongs to a live device. */
struct span {
    uint64_t chip;
    uint64_t from, to; /* lines; to is exclusive */
};

/* What a later record asks of an earlier one, by its line; those of old lines lie in a file. */
struct past {
    uint64_t device;
    uint64_t effect;
};

#define PAST_LINES 65536 /* in memory */

struct unique {
    uint64_t first, count;
    struct sorter *steps, *keys, *serials, *spans;
    struct past *past; /* of the lines from stored on */
    uint64_t stored;   /* lines in the file */
    int file;          /* -1 while there are none */
};

static int order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_hash(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    int first = order(x->hash, y->hash);

    return first ? first : order(x->line, y->line);
}

static int by_device(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    int first = order(x->device, y->device);

    return first ? first : order(x->line, y->line);
}

static int by_chip(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    int first = order(x->chip, y->chip);

    return first ? first : order(x->from, y->from);
}

struct unique *unique_new(uint64_t first)
{
    struct unique *u = calloc(1, sizeof *u);

    if (!u)
        return NULL;
    *u = (struct unique){.first = first,
                         .steps = sorter_new(sizeof(struct step), by_device),
                         .keys = sorter_new(sizeof(struct seen), by_hash),
                         .serials = sorter_new(sizeof(struct seen), by_hash),
                         .spans = sorter_new(sizeof(struct span), by_chip),
                         .past = calloc(PAST_LINES, sizeof *u->past),
                         .file = -1};
    if (u->steps && u->keys && u->serials && u->spans && u->past)
        return u;
    unique_free(u);
    return NULL;
}

void unique_free(struct unique *u)
{
    if (!u)
        return;
    if (u->file >= 0)
        close(u->file);
    sorter_free(u->steps);
    sorter_free(u->keys);
    sorter_free(u->serials);
    sorter_free(u->spans);
    free(u->past);
    free(u);
}

#define PARTS_MAX (RECORD_CERT_MAX + 128)

/* Both parts are bounded by what a record can hold. */
static uint64_t hash_parts(const void *a, size_t a_len, const void *b, size_t b_len)
{
    uint8_t parts[PARTS_MAX], digest[SHA256_SIZE];
    uint64_t hash;

    memcpy(parts, &a_len, sizeof a_len);
    memcpy(parts + sizeof a_len, a, a_len);
    memcpy(parts + sizeof a_len + a_len, b, b_len);
    sha256(parts, sizeof a_len + a_len + b_len, digest);
    memcpy(&hash, digest, sizeof hash);
    return hash;
}

static enum effect effect_of(enum record_type t)
{
    switch (t) {
    case RECORD_ADD:
    case RECORD_ATTR:
    case RECORD_RECOMMISSION:
        return BEGINS;
    case RECORD_REPLACE:
        return REPLACES;
    case RECORD_DECOMMISSION:
        return ENDS;
    case RECORD_REVOKE:
        return REVOKES;
    default:
        return NOTHING;
    }
}

static int store_past(struct unique *u, struct error *err)
{
    int rc = u->file < 0 ? scratch_open(&u->file, err) : 0;

    if (rc == 0)
        rc = scratch_put(u->file, u->past, PAST_LINES * sizeof *u->past,
                         u->stored * sizeof *u->past, err);
    if (rc == 0)
        u->stored += PAST_LINES;
    return rc;
}

/* What the record did that a later one refers to. */
static int find_past(const struct unique *u, uint64_t line, struct past *found, struct error *err)
{
    if (line < u->stored)
        return scratch_get(u->file, found, sizeof *found, line * sizeof *found, err);
    *found = u->past[line - u->stored];
    return 0;
}

/* Records that change another must name one before them, and of the same device. */
static int check_ref(const struct unique *u, const struct record *r, uint64_t device,
                     struct error *err)
{
    struct past past = {0};
    int rc = 0;

    if (!record_has_ref(r) || r->ref < u->first)
        return 0;
    if (r->ref - u->first < u->count)
        rc = find_past(u, r->ref - u->first, &past, err);
    if (rc)
        return rc;
    if (r->ref - u->first >= u->count || past.device != device)
        return error_set(err, ERR_INTEGRITY,
                         "the record of '%s' changes record %" PRIu64
                         ", which is not an earlier one of the same device",
                         r->sn, r->ref);
    if (r->t == RECORD_REVOKE && past.effect != BEGINS && past.effect != REPLACES)
        return error_set(err, ERR_INTEGRITY,
                         "the record of '%s' revokes record %" PRIu64 ", which gave it no identity",
                         r->sn, r->ref);
    return 0;
}

static int add_step(struct unique *u, const struct record *r, uint64_t device, struct error *err)
{
    struct step step = {.device = device, .line = u->count, .effect = effect_of(r->t)};
    int rc = u->count - u->stored == PAST_LINES ? store_past(u, err) : 0;

    if (rc)
        return rc;
    if (r->chip_len)
        step.chip = hash_parts("chip", 4, r->chip, r->chip_len);
    u->past[u->count - u->stored] = (struct past){device, step.effect};
    u->count++;
    return sorter_add(u->steps, &step, err);
}

static int add_certificate(struct unique *u, const struct record *r, const struct cert *cert,
                           uint64_t line, struct error *err)
{
    struct seen key = {hash_parts("key", 3, r->spki.p, r->spki.len), line};
    struct seen serial = {hash_parts(r->iss, sizeof r->iss, cert->serial.p, cert->serial.len),
                          line};
    int rc = sorter_add(u->keys, &key, err);

    return rc ? rc : sorter_add(u->serials, &serial, err);
}

int unique_add(struct unique *u, const struct record *r, const struct cert *cert, struct error *err)
{
    uint64_t device = hash_parts(r->prod, strlen(r->prod), r->sn, strlen(r->sn));
    uint64_t line = u->count;
    int rc = check_ref(u, r, device, err);

    if (rc == 0)
        rc = add_step(u, r, device, err);
    return rc || !cert ? rc : add_certificate(u, r, cert, line, err);
}

static int report(const char *what, uint64_t one, uint64_t other, struct error *err)
{
    char a[128], b[128];

    folder_position("devices", one, a, sizeof a);
    folder_position("devices", other, b, sizeof b);
    return error_set(err, ERR_DUPLICATE,
                     "%s stands twice: in %s and in %s; do not import the manifest, ask the "
                     "factory",
                     what, a, b);
}

static int check_seen(struct sorter *list, const char *what, struct error *err)
{
    struct seen now, before = {0};
    bool any = false;
    int rc = sorter_sort(list, err);

    while (rc == 0 && (rc = sorter_next(list, &now, err)) == 1) {
        rc = any && now.hash == before.hash ? report(what, before.line, now.line, err) : 0;
        before = now;
        any = true;
    }
    return rc;
}

/* A device while its steps are walked. An effect of NOTHING: there is none. */
struct walk {
    struct step live, revoked;
};

/* A stretch in which the device was live with a chip ends. */
static int end_span(struct unique *u, const struct step *live, uint64_t to, struct error *err)
{
    struct span span = {live->chip, live->line, to};

    return live->effect == NOTHING || !live->chip ? 0 : sorter_add(u->spans, &span, err);
}

static int walk_step(struct unique *u, struct walk *w, const struct step *s, struct error *err)
{
    int rc;

    if (s->effect == NOTHING)
        return 0;
    if (s->effect == BEGINS && w->live.effect != NOTHING)
        return report("a device", w->live.line, s->line, err);
    if (s->effect == REVOKES && w->revoked.effect != NOTHING)
        return report("a revocation", w->revoked.line, s->line, err);
    rc = end_span(u, &w->live, s->line, err);
    w->revoked = s->effect == REVOKES ? *s : (struct step){0};
    w->live = s->effect == BEGINS || s->effect == REPLACES ? *s : (struct step){0};
    return rc;
}

static int check_chips(struct unique *u, struct error *err)
{
    struct span now, before = {0};
    bool any = false;
    int rc = sorter_sort(u->spans, err);

    while (rc == 0 && (rc = sorter_next(u->spans, &now, err)) == 1) {
        rc = any && before.chip == now.chip && before.to > now.from
                 ? report("a chip of a live device", before.from, now.from, err)
                 : 0;
        before = now;
        any = true;
    }
    return rc;
}

/* Walks the steps of one device after the other; each stretch with a chip becomes a span. */
static int check_devices(struct unique *u, struct error *err)
{
    struct walk w = {0};
    struct step s;
    uint64_t device = 0;
    int rc = sorter_sort(u->steps, err);

    while (rc == 0 && (rc = sorter_next(u->steps, &s, err)) == 1) {
        rc = 0;
        if (s.device != device) {
            rc = end_span(u, &w.live, UINT64_MAX, err);
            w = (struct walk){0};
        }
        device = s.device;
        if (rc == 0)
            rc = walk_step(u, &w, &s, err);
    }
    if (rc == 0)
        rc = end_span(u, &w.live, UINT64_MAX, err);
    return rc ? rc : check_chips(u, err);
}

int unique_check(struct unique *u, struct error *err)
{
    int rc = check_devices(u, err);

    if (rc == 0)
        rc = check_seen(u->keys, "a public key", err);
    if (rc == 0)
        rc = check_seen(u->serials, "a certificate serial number", err);
    return rc;
}
