/*
 * checker: verifies certificates and proofs of records on all processors at once, and hands the
 * records back in the order in which they came.
 *
 * A signature takes longer than all the rest that is done for a record, so only signatures are
 * spread; whoever reads the files stays one thread and sees one record after the other.
 *
 * Invariants
 *  1. take() is called in the thread of the caller, once for each record, in order, and only when
 *     everything before it was good: the first failure is that of the first wrong record.
 *  2. Memory is bounded: a fixed number of records is under way.
 */
#ifndef MANIFESTS_CHECKER_H
#define MANIFESTS_CHECKER_H

#include "manifests/chain.h"

/* One record that was checked. Valid during the call of take(). */
struct checked {
    const struct record *record;
    const struct cert *cert; /* NULL when the record has no certificate */
    uint64_t line;           /* in the batch, from 0 */
    bool proof;              /* the proof of possession was verified */
};

struct checker_policy {
    const struct chain *chain; /* NULL without chain.pem */
    const char *environment;   /* of the manifest */
    bool skip_proofs;          /* check the form of evidence, but not the device's signature */
    unsigned threads;          /* 0: one for each processor */
    int (*take)(void *ctx, const struct checked *c, struct error *err);
    void *ctx;
};

struct checker;

/* NULL without memory. policy must stay. */
struct checker *checker_new(const struct checker_policy *policy);

/* Ends the threads. NULL is fine. */
void checker_free(struct checker *c);

/*
 * Takes a record over (it is released in any case) with a copy of the evidence line that its type
 * needs, NULL for others. Returns the first failure of a record that was added before, with
 * file and line in the text: those of chain_check, evidence_verify and take().
 */
MUST_USE int checker_add(struct checker *c, struct record *r, const char *evidence,
                         size_t evidence_len, struct error *err);

/* Waits for all that was added. Errors: as checker_add. */
MUST_USE int checker_finish(struct checker *c, struct error *err);

#endif
