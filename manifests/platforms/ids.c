#include "manifests/platforms/ids.h"

#include "pki/digest.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST 1024

static uint64_t hash_of(const char *id, bool folds_case)
{
    uint8_t digest[SHA256_SIZE];
    char text[256];
    size_t len = strnlen(id, sizeof text);
    uint64_t hash;

    for (size_t i = 0; i < len; i++)
        text[i] = (char)(folds_case ? tolower((unsigned char)id[i]) : id[i]);
    sha256(text, len, digest);
    memcpy(&hash, digest, sizeof hash);
    return hash ? hash : 1;
}

/* The slot that has the hash, or the free one for it. */
static uint64_t *slot_of(const struct ids *ids, uint64_t hash)
{
    size_t at = hash & (ids->size - 1);

    while (ids->slots[at] && ids->slots[at] != hash)
        at = (at + 1) & (ids->size - 1);
    return &ids->slots[at];
}

static int grow(struct ids *ids, struct error *err)
{
    struct ids more = {.size = ids->size ? 2 * ids->size : SLOTS_FIRST, .used = ids->used};

    more.slots = calloc(more.size, sizeof *more.slots);
    if (!more.slots)
        return error_set(err, ERR_INTERNAL, "out of memory for %zu ids", more.size);
    for (size_t i = 0; i < ids->size; i++)
        if (ids->slots[i])
            *slot_of(&more, ids->slots[i]) = ids->slots[i];
    free(ids->slots);
    *ids = more;
    return 0;
}

int ids_add(struct ids *ids, const char *id, bool folds_case, bool *known, struct error *err)
{
    uint64_t hash = hash_of(id, folds_case), *slot;
    int rc = 4 * ids->used >= 3 * ids->size ? grow(ids, err) : 0;

    if (rc)
        return rc;
    slot = slot_of(ids, hash);
    *known = *slot == hash;
    if (!*known) {
        *slot = hash;
        ids->used++;
    }
    return 0;
}

void ids_done(struct ids *ids)
{
    free(ids->slots);
    *ids = (struct ids){.used = 0};
}
