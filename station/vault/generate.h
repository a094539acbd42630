/*
 * generate: makes credentials ahead of time, in batches that are each one transaction.
 */
#ifndef STATION_VAULT_GENERATE_H
#define STATION_VAULT_GENERATE_H

#include "station/vault/vault.h"

#define GENERATE_BATCH 1000 /* credentials of one transaction and one ledger entry */

struct generate_watch {
    void (*progress)(void *context, int64_t done); /* some times a second, and before each commit */
    bool (*stop)(void *context);                   /* true: end after the batch at hand */
    void *context;
};

/*
 * Makes count credentials for the vault's job with 1 to ISSUE_THREADS_MAX threads (vault/issue.h),
 * beside the caller's own, which writes the database. Ids and serials are in order whatever the
 * number of threads. Memory does not grow with count. *made is how many are in the database, also
 * after an error: each batch is there whole or not at all. The first certificate of every batch is
 * checked by OpenSSL. Errors: those of the HSM and the store,
 * ERR_DUPLICATE for a serial that exists, ERR_INPUT when the pattern has no numbers left,
 * ERR_INTERRUPTED when stop said so.
 */
MUST_USE int generate_credentials(struct vault *v, int64_t count, unsigned threads,
                                  const struct generate_watch *watch, int64_t *made,
                                  struct error *err);

#endif
