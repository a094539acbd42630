/*
 * verdict: whether a device is what it says it is, and whether its owner may trust it.
 *
 * Invariants
 *  1. Genuine is only who signs, over the random number drawn for this one question, with the key of the
 *     certificate in its record, and names serial, chip and certificate as that record does.
 *  2. Only VERDICT_OK is good. The first answer below that fits is given, so a device that is not genuine
 *     is never told by its whitelist entry, nor a revoked one by its label.
 */
#ifndef STATION_VERIFY_VERDICT_H
#define STATION_VERIFY_VERDICT_H

#include "gs1/gs1.h"
#include "manifests/trust/lookup.h"
#include "station/verify/found.h"
#include "station/verify/probe.h"

enum verdict_answer {
    VERDICT_EMPTY,       /* it holds no finished identity */
    VERDICT_UNKNOWN,     /* no manifest, or none that was accepted, has its identity */
    VERDICT_UNPROVABLE,  /* a symmetric key alone: only who holds it can verify a proof */
    VERDICT_NOT_GENUINE, /* it does not hold the key, or another's certificate, serial or chip */
    VERDICT_REVOKED,
    VERDICT_REPLACED,
    VERDICT_HELD,
    VERDICT_LABEL, /* genuine and whitelisted, and the label is that of another */
    VERDICT_OK,
    VERDICT_ANSWERS
};

/* "ok", "not_genuine", and so on; the exit status as an error code, 0 for ok. */
const char *verdict_name(enum verdict_answer answer);
int verdict_code(enum verdict_answer answer);

struct verdict_question {
    const struct probe *probe;
    const uint8_t *nonce;           /* IMPRINT_NONCE_SIZE bytes, that PROVE was asked with */
    const struct buf *certificates; /* what the device gave to be read */
    const struct found *found;
    struct trust *trust;
    const struct gs1_code *label; /* what was scanned on the unit, or NULL */
};

struct verdict {
    enum verdict_answer answer;
    bool proved;                /* the proof was verified, and is good */
    struct trust_verdict trust; /* where it was looked up: origin is not empty */
    bool newer;                 /* of a revoked one: its serial has a newer identity that is good */
    char why[300];              /* lower case, without full stop */
};

/* Errors: those of the whitelist's state; ERR_CRYPTO. */
MUST_USE int verdict_reach(const struct verdict_question *q, struct verdict *v, struct error *err);

#endif
