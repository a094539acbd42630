/*
 * list: the whole whitelist, one row after the other, in constant memory.
 */
#ifndef MANIFESTS_TRUST_LIST_H
#define MANIFESTS_TRUST_LIST_H

#include "manifests/record.h"
#include "manifests/trust/trust.h"
#include "manifests/trust/whitelist_check.h"

/* One identity. Texts and bytes are valid during the call. */
struct trust_row {
    const char *product, *serial, *origin;
    uint64_t leaf;
    enum whitelist_answer answer; /* log and owner together */
    enum trust_state state;       /* what the log says */
    bool held, owner_revoked;
    enum record_reason reason;
    const uint8_t *key, *cert;  /* SHA-256 of SubjectPublicKeyInfo and certificate; NULL for none */
    const uint8_t *issuer;      /* SHA-256 of its certificate; NULL for none */
    struct record_bytes number; /* serial number of the certificate */
    const uint8_t *order;       /* SHA-256 */
    int64_t ts, changed;
};

/* Calls each() in the order of logs and leaves. Errors: those of each(). */
MUST_USE int trust_list(struct trust *t,
                        int (*each)(void *ctx, const struct trust_row *row, struct error *err),
                        void *ctx, struct error *err);

#endif
