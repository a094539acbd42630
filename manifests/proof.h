/*
 * proof: shows, offline and without the rest of the batch, that one record is in the log.
 *
 * The file is a C2SP tlog-proof: "c2sp.org/tlog-proof@v1", "extra <base64 of the record line>",
 * "index <leaf index>", the hashes of the inclusion proof from the leaf up, an empty line, and the
 * signed checkpoint. extra is not covered by any signature: the leaf is computed from it, and the
 * checkpoint covers that.
 *
 * What a proof does not show: that no later record revokes the device.
 */
#ifndef MANIFESTS_PROOF_H
#define MANIFESTS_PROOF_H

#include "manifests/note.h"
#include "manifests/record.h"

#define PROOF_MAX 262144 /* bytes of a proof file */

/*
 * Appends the proof of the last record of a serial in the batch in dir; product may be NULL when
 * only one product has that serial. The records must give the manifest's root, otherwise nothing is
 * verified here. Errors: ERR_MISSING (no such record), ERR_DUPLICATE (product is needed),
 * ERR_INTEGRITY (the root), and those of reading.
 */
MUST_USE int proof_make(const char *dir, const char *serial, const char *product, struct buf *out,
                        struct error *err);

struct proof_report {
    struct checkpoint checkpoint;
    uint64_t index;
    struct record record; /* free with proof_report_done */
};

/*
 * Verifies a proof with the log's key. Errors: ERR_FORMAT, ERR_SIGNATURE (checkpoint),
 * ERR_INTEGRITY (the record is not at that place in the log).
 */
MUST_USE int proof_verify(const void *bytes, size_t len, const struct note_key *key,
                          struct proof_report *report, struct error *err);
void proof_report_done(struct proof_report *report);

#endif
