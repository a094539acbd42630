/*
 * whitelist: the records that manifests are made of, and the journal of sealing.
 *
 * A record gets its leaf index in the transaction that makes it true (proven, void, revoked): the index is
 * the place in the station's Merkle log for ever. Until it is sealed nothing but its row speaks for
 * it, so the row carries a MAC from the HSM: "imprint record v1\0" ‖ u64 index ‖ SHA-256(line) ‖
 * SHA-256(evidence). Sealing journals every exact byte before it is
 * signed, so that a restart signs the same bytes again and no two manifests bear one number:
 *   1. first, count, created, totals   the range is fixed
 *   2. root                            after the leaves were hashed
 *   3. checkpoint                      the signed note, kept because the statement holds its hash
 *   4. statement                       manifest.json, kept before it is signed
 *   5. published                       the folder stands in its place
 */
#ifndef STATION_STORE_WHITELIST_H
#define STATION_STORE_WHITELIST_H

#include "base/buf.h"
#include "station/store/store.h"

/* Appends a record and its evidence line (may be empty), both without a line end; its index is what
 * whitelist_size says before. */
MUST_USE int whitelist_add(struct store *store, const struct buf *line, const struct buf *evidence,
                           struct error *err);
MUST_USE int whitelist_size(struct store *store, int64_t *size, struct error *err);

/*
 * Calls each record from index first on, count of them, its MAC verified; a negative return ends
 * the walk. Errors: ERR_INTEGRITY when a record was changed or is not there.
 */
MUST_USE int whitelist_each(struct store *store, int64_t first, int64_t count,
                            int (*each)(void *context, const void *line, size_t line_len,
                                        const void *evidence, size_t evidence_len,
                                        struct error *err),
                            void *context, struct error *err);

struct sealing {
    int64_t seq, first, count, created;
    struct buf totals;     /* as vault/sealing encodes them */
    struct buf root;       /* 32 bytes, or empty */
    struct buf checkpoint; /* or empty */
    struct buf statement;  /* or empty */
    bool published;
};

void sealing_init(struct sealing *s);
void sealing_done(struct sealing *s);

/* The manifest with the highest number, or *found false. */
MUST_USE int sealing_last(struct store *store, struct sealing *s, bool *found, struct error *err);
MUST_USE int sealing_get(struct store *store, int64_t seq, struct sealing *s, bool *found,
                         struct error *err);
/* Step 1, and steps 2 to 5 as the members are filled. */
MUST_USE int sealing_add(struct store *store, const struct sealing *s, struct error *err);
MUST_USE int sealing_update(struct store *store, const struct sealing *s, struct error *err);

#endif
