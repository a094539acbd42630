/*
 * issue: makes credentials on threads of their own, so that the HSM works while the database writes.
 *
 * A thread has one session of the token (hsm/worker.h). It makes the key, has the certificate signed
 * and the row's MAC made, and touches neither database nor job: what a credential will be called was
 * decided when its batch was dispatched. Batches are worked on in the order of their dispatch, the
 * credentials of one by all threads.
 *
 * Invariants
 *  1. Whoever opens the line dispatches, waits and closes; a batch belongs to the line from
 *     issue_dispatch until issue_wait returned or issue_close.
 *  2. What was made and not stored was never anything: its key exists wrapped in memory, and a batch
 *     that is thrown away gives its ids and serials to the next.
 */
#ifndef STATION_VAULT_ISSUE_H
#define STATION_VAULT_ISSUE_H

#include "pki/profile.h"
#include "pki/serial_name.h"
#include "station/vault/vault.h"

#define ISSUE_THREADS_MAX 16

struct issue_batch {
    int64_t first_id;
    size_t count;
    char (*serials)[SERIAL_TEXT_MAX + 1]; /* of each; not used for keys alone */
    uint8_t (*random)[CERT_RANDOM_SIZE];  /* of each certificate's serial number */
    struct credential *made;              /* count that were initialised */
    /* Private to the line. */
    size_t taken, finished;
    int rc; /* of the first credential that failed */
    struct error err;
    struct issue_batch *next;
};

struct issue_params {
    const struct vault *v; /* hsm, job, issuer */
    const char *storage;   /* name of the storage key */
    bool keys_alone;       /* no certificates: spare keys (store/spares.h) */
    size_t name_len;       /* of the first serial's name, for the template */
    int64_t not_before;
};

struct issue_line;

/* Starts threads, 1 to ISSUE_THREADS_MAX. Errors: those of the HSM and of cert_template_new. */
MUST_USE int issue_open(const struct issue_params *params, unsigned threads,
                        struct issue_line **out, struct error *err);

void issue_dispatch(struct issue_line *line, struct issue_batch *batch);

/* Waits until the oldest batch is complete, and calls watch every tenth of a second and at its end
 * with how many credentials of it are made. Errors: those of the HSM, ERR_INPUT for a serial that
 * has no name; the batch, and those after it, are then of no use. */
MUST_USE int issue_wait(struct issue_line *line, struct issue_batch *batch,
                        void (*watch)(void *context, size_t made), void *context,
                        struct error *err);

/* Ends the threads after the credential each has at hand, and closes their sessions. */
void issue_close(struct issue_line *line);

#endif
