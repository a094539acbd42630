#include "manifests/unique.h"

#include "manifests/folder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A hash of something, and the line of the batch that it stands in, from 0. */
struct seen {
    uint64_t hash;
    uint64_t line;
};

struct seen_list {
    struct seen *at;
    size_t count, cap;
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

struct unique {
    uint64_t first;
    struct step *steps;
    size_t count, cap;
    struct seen_list keys, serials;
};

struct unique *unique_new(uint64_t first)
{
    struct unique *u = calloc(1, sizeof *u);

    if (u)
        u->first = first;
    return u;
}

void unique_free(struct unique *u)
{
    if (!u)
        return;
    free(u->steps);
    free(u->keys.at);
    free(u->serials.at);
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

/* Room for one more element in a doubling array; the new address, or NULL. */
static void *room(void *at, size_t count, size_t *cap, size_t size)
{
    size_t bigger = *cap ? 2 * *cap : 1024;
    void *moved;

    if (count < *cap)
        return at;
    moved = reallocarray(at, bigger, size);
    if (moved)
        *cap = bigger;
    return moved;
}

static bool push_seen(struct seen_list *list, uint64_t hash, uint64_t line)
{
    struct seen *at = room(list->at, list->count, &list->cap, sizeof *at);

    if (!at)
        return false;
    list->at = at;
    list->at[list->count++] = (struct seen){hash, line};
    return true;
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

/* Records that change another must name one before them, and of the same device. */
static int check_ref(const struct unique *u, const struct record *r, uint64_t device,
                     struct error *err)
{
    if (!record_has_ref(r) || r->ref < u->first)
        return 0;
    if (r->ref - u->first >= u->count || u->steps[r->ref - u->first].device != device)
        return error_set(err, ERR_INTEGRITY,
                         "the record of '%s' changes record %" PRIu64
                         ", which is not an earlier one of the same device",
                         r->sn, r->ref);
    if (r->t == RECORD_REVOKE && u->steps[r->ref - u->first].effect != BEGINS &&
        u->steps[r->ref - u->first].effect != REPLACES)
        return error_set(err, ERR_INTEGRITY,
                         "the record of '%s' revokes record %" PRIu64 ", which gave it no identity",
                         r->sn, r->ref);
    return 0;
}

static bool push_step(struct unique *u, const struct record *r, uint64_t device)
{
    struct step *at = room(u->steps, u->count, &u->cap, sizeof *at);
    uint64_t chip = 0;

    if (!at)
        return false;
    u->steps = at;
    if (r->chip_len)
        chip = hash_parts("chip", 4, r->chip, r->chip_len);
    u->steps[u->count] = (struct step){device, chip, u->count, effect_of(r->t)};
    u->count++;
    return true;
}

int unique_add(struct unique *u, const struct record *r, const struct cert *cert, struct error *err)
{
    uint64_t device = hash_parts(r->prod, strlen(r->prod), r->sn, strlen(r->sn));
    uint64_t line = u->count;
    int rc = check_ref(u, r, device, err);

    if (rc)
        return rc;
    if (!push_step(u, r, device) ||
        (cert &&
         (!push_seen(&u->keys, hash_parts("key", 3, r->spki.p, r->spki.len), line) ||
          !push_seen(&u->serials,
                     hash_parts(r->iss, sizeof r->iss, cert->serial.p, cert->serial.len), line))))
        return error_set(err, ERR_INTERNAL, "out of memory after %" PRIu64 " records", line);
    return 0;
}

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

static int check_seen(struct seen_list *list, const char *what, struct error *err)
{
    if (list->count)
        qsort(list->at, list->count, sizeof *list->at, by_hash);
    for (size_t i = 1; i < list->count; i++)
        if (list->at[i - 1].hash == list->at[i].hash)
            return report(what, list->at[i - 1].line, list->at[i].line, err);
    return 0;
}

/* Walks the steps of one device; each stretch in which it is live with a chip becomes a span. */
static int walk_device(const struct step *steps, size_t count, struct span *spans, size_t *made,
                       struct error *err)
{
    const struct step *live = NULL, *revoked = NULL;

    for (size_t i = 0; i <= count; i++) {
        const struct step *s = i < count ? &steps[i] : NULL;

        if (s && s->effect == NOTHING)
            continue;
        if (s && s->effect == BEGINS && live)
            return report("a device", live->line, s->line, err);
        if (s && s->effect == REVOKES && revoked)
            return report("a revocation", revoked->line, s->line, err);
        revoked = s && s->effect == REVOKES ? s : NULL;
        if (live && live->chip)
            spans[(*made)++] = (struct span){live->chip, live->line, s ? s->line : UINT64_MAX};
        live = s && s->effect != ENDS && s->effect != REVOKES ? s : NULL;
    }
    return 0;
}

static int check_chips(struct span *spans, size_t count, struct error *err)
{
    if (count)
        qsort(spans, count, sizeof *spans, by_chip);
    for (size_t i = 1; i < count; i++)
        if (spans[i - 1].chip == spans[i].chip && spans[i - 1].to > spans[i].from)
            return report("a chip of a live device", spans[i - 1].from, spans[i].from, err);
    return 0;
}

static int check_devices(struct unique *u, struct error *err)
{
    struct span *spans = calloc(u->count ? u->count : 1, sizeof *spans);
    size_t made = 0, from = 0;
    int rc = 0;

    if (!spans)
        return error_set(err, ERR_INTERNAL, "out of memory for %zu records", u->count);
    if (u->count)
        qsort(u->steps, u->count, sizeof *u->steps, by_device);
    for (size_t i = 1; rc == 0 && i <= u->count; i++)
        if (i == u->count || u->steps[i].device != u->steps[from].device) {
            rc = walk_device(u->steps + from, i - from, spans, &made, err);
            from = i;
        }
    if (rc == 0)
        rc = check_chips(spans, made, err);
    free(spans);
    return rc;
}

int unique_check(struct unique *u, struct error *err)
{
    int rc = check_devices(u, err);

    if (rc == 0)
        rc = check_seen(&u->keys, "a public key", err);
    if (rc == 0)
        rc = check_seen(&u->serials, "a certificate serial number", err);
    return rc;
}
