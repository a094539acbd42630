/*
 * records: verifies every record of a batch, with its certificate and its evidence, in one pass.
 *
 * A part of verify.h: the signature and the files were checked before.
 */
#ifndef MANIFESTS_RECORDS_H
#define MANIFESTS_RECORDS_H

#include "manifests/chain.h"
#include "manifests/verify.h"

struct records_context {
    const char *dir;
    const struct statement *s;
    const struct statement *after;  /* the manifest that s extends, or NULL */
    const struct chain *chain;      /* NULL without chain.pem */
    const struct note_key *log;     /* that signed the checkpoint */
    const struct verify_sink *sink; /* or NULL */
    bool skip_proofs;
    unsigned threads;
    const struct folder_progress *progress;
};

/*
 * Checks each record and fills the counts of report. The totals are compared with the records: what
 * this batch adds to an order, under whichever of its versions, must be what its totals grew by.
 * Without after that is known only for the first batch of a log; for others the totals must have room for the records.
 * Errors: see manifest_verify.
 */
MUST_USE int records_verify(const struct records_context *context, struct verify_report *report,
                            struct error *err);

/* The totals of an order, or NULL. */
const struct manifest_totals *records_totals(const struct statement *s,
                                             const uint8_t order[SHA256_SIZE]);

#endif
