/*
 * rotation: a new manifest key or log key, announced in the log and signed by the old and the new.
 *
 * It is a `rotate` record with crit ["rotation"] and the member "rotation" of ext (docs/
 * manifest-format.md section 9.1). The manifest that holds it is signed with the old keys, and its
 * checkpoint also with a new log key; from the next one on only the new ones count. Both keys sign
 *   "imprint rotate v1\0" ‖ lp(key) ‖ lp(origin) ‖ lp(environment) ‖ lp(station) ‖ u64 leaf ‖ u64 ts
 *   ‖ lp(old) ‖ lp(new) ‖ lp(by) ‖ lp(reason)
 * with ECDSA and SHA-256, so that neither a thief of the old key alone nor whoever makes a new one
 * alone can take the log over, and no statement counts at another place or in another log.
 */
#ifndef MANIFESTS_ROTATION_H
#define MANIFESTS_ROTATION_H

#include "manifests/record.h"
#include "pki/ec.h"

#define ROTATION_MEMBER     "rotation" /* of ext, and in crit */
#define ROTATION_BY_MAX     64
#define ROTATION_REASON_MAX 128

enum rotation_key { ROTATION_LOG = 1, ROTATION_MANIFEST, ROTATION_KEYS };

/* "log-key" or "manifest-key". */
const char *rotation_key_name(enum rotation_key key);

struct rotation {
    enum rotation_key key;
    uint64_t leaf; /* its own place in the log */
    int64_t ts;    /* of its record */
    uint8_t old[EC_SPKI_SIZE], new[EC_SPKI_SIZE];
    uint8_t sig_old[EC_SIG_SIZE], sig_new[EC_SIG_SIZE];
    char by[ROTATION_BY_MAX + 1], reason[ROTATION_REASON_MAX + 1];
};

/* What it holds for, which the statement of its manifest says. */
struct rotation_scope {
    const char *origin, *environment, *station;
};

/* Appends what both keys sign. */
void rotation_message(const struct rotation *r, const struct rotation_scope *scope,
                      struct buf *out);

/* Appends the record, without line end. n: 32 random bytes. Errors: those of record_write. */
MUST_USE int rotation_write(const struct rotation *r, const uint8_t n[RECORD_N_SIZE],
                            struct buf *line, struct error *err);

/* Reads a `rotate` record. Errors: ERR_FORMAT when it holds anything else than one rotation. */
MUST_USE int rotation_read(const struct record *record, struct rotation *r, struct error *err);

/*
 * Whether both keys signed it for this place in this log. Errors: ERR_SIGNATURE (one did not),
 * ERR_INTEGRITY (it is of another place, or the keys are the same).
 */
MUST_USE int rotation_verify(const struct rotation *r, const struct rotation_scope *scope,
                             uint64_t leaf, struct error *err);

#endif
