#include "manifests/sorter.h"

#include "base/scratch.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A sorted stretch of the file, of which some elements are in memory. */
struct run {
    uint8_t *block;
    uint64_t from, to; /* elements of the file that were not read yet */
    size_t at, have;   /* elements of block */
};

struct sorter {
    size_t size, room; /* bytes of an element; elements that memory holds */
    int (*order)(const void *, const void *);
    uint8_t *block;
    size_t count;    /* elements in block */
    uint64_t stored; /* elements in the file: all of its runs but the last are of room elements */
    int file;        /* -1 while nothing was stored */
    struct run *runs;
    struct run **heap; /* runs with elements left, the one with the least first */
    size_t heap_count;
    size_t taken; /* from block, where nothing was stored */
};

struct sorter *sorter_new(size_t size, int (*order)(const void *, const void *))
{
    struct sorter *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    *s = (struct sorter){.size = size, .room = SORTER_BYTES / size, .order = order, .file = -1};
    s->block = malloc(s->room * size);
    if (s->block)
        return s;
    free(s);
    return NULL;
}

void sorter_free(struct sorter *s)
{
    if (!s)
        return;
    if (s->file >= 0)
        close(s->file);
    free(s->heap);
    free(s->runs);
    free(s->block);
    free(s);
}

/* Sorts what is in memory and moves it to the end of the file. */
static int store(struct sorter *s, struct error *err)
{
    int rc = s->file < 0 ? scratch_open(&s->file, err) : 0;

    if (rc)
        return rc;
    qsort(s->block, s->count, s->size, s->order);
    rc = scratch_put(s->file, s->block, s->count * s->size, s->stored * s->size, err);
    s->stored += s->count;
    s->count = 0;
    return rc;
}

int sorter_add(struct sorter *s, const void *element, struct error *err)
{
    int rc = s->count == s->room ? store(s, err) : 0;

    if (rc == 0)
        memcpy(s->block + s->count++ * s->size, element, s->size);
    return rc;
}

/* Reads on in a run, whose block is used up. */
static int refill(struct sorter *s, struct run *r, size_t room, struct error *err)
{
    r->at = 0;
    r->have = r->to - r->from < room ? (size_t)(r->to - r->from) : room;
    r->from += r->have;
    return scratch_get(s->file, r->block, r->have * s->size, (r->from - r->have) * s->size, err);
}

static bool before(const struct sorter *s, const struct run *a, const struct run *b)
{
    return s->order(a->block + a->at * s->size, b->block + b->at * s->size) < 0;
}

/* Lets the run at a place sink until none below it comes before it. */
static void sink(struct sorter *s, size_t at)
{
    for (;;) {
        size_t least = at, child = 2 * at + 1;
        struct run *moved = s->heap[at];

        for (size_t i = child; i < child + 2 && i < s->heap_count; i++)
            if (before(s, s->heap[i], s->heap[least]))
                least = i;
        if (least == at)
            return;
        s->heap[at] = s->heap[least];
        s->heap[least] = moved;
        at = least;
    }
}

/* The block of memory is shared out among the runs: enough of each is read at once. */
static size_t share(const struct sorter *s, size_t runs)
{
    return s->room / runs ? s->room / runs : 1;
}

static int open_runs(struct sorter *s, size_t runs, struct error *err)
{
    size_t each = share(s, runs);
    int rc = 0;

    s->runs = calloc(runs, sizeof *s->runs);
    s->heap = calloc(runs, sizeof(struct run *));
    if (!s->runs || !s->heap || each * runs > s->room)
        return error_set(err, ERR_INTERNAL, "out of memory for sorting %zu runs", runs);
    for (size_t i = 0; rc == 0 && i < runs; i++) {
        struct run *r = &s->runs[i];
        uint64_t end = ((uint64_t)i + 1) * s->room;

        *r = (struct run){.block = s->block + i * each * s->size,
                          .from = (uint64_t)i * s->room,
                          .to = end < s->stored ? end : s->stored};
        rc = refill(s, r, each, err);
        s->heap[s->heap_count++] = r;
    }
    for (size_t i = runs; rc == 0 && i > 0; i--)
        sink(s, i - 1);
    return rc;
}

int sorter_sort(struct sorter *s, struct error *err)
{
    int rc;

    if (s->file < 0) {
        if (s->count)
            qsort(s->block, s->count, s->size, s->order);
        return 0;
    }
    rc = store(s, err);
    return rc ? rc : open_runs(s, (size_t)((s->stored + s->room - 1) / s->room), err);
}

static int next_merged(struct sorter *s, void *element, struct error *err)
{
    struct run *r;
    int rc = 0;

    if (s->heap_count == 0)
        return 0;
    r = s->heap[0];
    memcpy(element, r->block + r->at++ * s->size, s->size);
    if (r->at == r->have)
        rc = refill(s, r, r->have, err);
    if (rc == 0 && r->have == 0)
        s->heap[0] = s->heap[--s->heap_count];
    if (rc == 0 && s->heap_count)
        sink(s, 0);
    return rc ? rc : 1;
}

int sorter_next(struct sorter *s, void *element, struct error *err)
{
    if (s->file >= 0)
        return next_merged(s, element, err);
    if (s->taken == s->count)
        return 0;
    memcpy(element, s->block + s->taken++ * s->size, s->size);
    return 1;
}
