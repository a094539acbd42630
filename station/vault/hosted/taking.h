/*
 * taking: what a hosted CA sent back becomes credentials.
 *
 * A certificate is found by its public key, judged against the job's profile and the CA's chain
 * (pki/hosted.h), and only then is its key a credential that `imprint run` gives out. They come in any
 * order, in any number of pieces, and as often as somebody sends them.
 *
 * Invariants
 *  1. A key gets one certificate: the first that was good. The same again is no fault; another one is
 *     told, and what to do about it.
 *  2. What is not good changes nothing, and keeps nothing else out.
 *  3. A credential is committed and anchored before anything uses it; a command that was killed is run
 *     again as it was.
 */
#ifndef STATION_VAULT_HOSTED_TAKING_H
#define STATION_VAULT_HOSTED_TAKING_H

#include "station/vault/vault.h"

#define TAKING_BATCH 500 /* certificates, of whatever verdict, of one transaction */

enum taking_verdict {
    TAKING_TAKEN,
    TAKING_AGAIN,   /* this very certificate was taken before */
    TAKING_DOUBLED, /* its key has another certificate already */
    TAKING_FOREIGN, /* its key is none that this order waits for */
    TAKING_WRONG,   /* it is not what was asked for */
    TAKING_BROKEN,  /* it cannot be read */
    TAKING_CA,      /* it is the hosted CA's, or one above it */
    TAKING_VERDICTS
};

/* "taken", "again", "doubled", "foreign", "wrong", "broken" or "ca". */
const char *taking_verdict_name(enum taking_verdict verdict);

struct taking_watch {
    /* A certificate that was not taken and that somebody has to look at; serial may be empty. */
    void (*refused)(void *context, enum taking_verdict verdict, const char *place,
                    const char *serial, const char *why);
    void (*progress)(void *context, int64_t done);
    bool (*stop)(void *context); /* true: end after the batch at hand; asked after each */
    void *context;
};

struct taking_report {
    int64_t of[TAKING_VERDICTS]; /* those that are TAKING_TAKEN are committed */
    int64_t waiting;             /* requests of the order that have no certificate yet */
};

/*
 * Reads the paths (vault/hosted/answers.h), with constant memory. report is filled also after an error.
 * Errors: ERR_REFUSED when no hosted CA is to sign, or the order has not begun or has ended;
 * ERR_INTERRUPTED when stop said so; those of the store and the HSM, and of files. That certificates
 * were refused is no error here.
 */
MUST_USE int taking_run(struct vault *v, char *const *paths, size_t count,
                        const struct taking_watch *watch, struct taking_report *report,
                        struct error *err);

#endif
