/*
 * lookup: what the state says of one certificate or device.
 *
 * The verdict joins what the logs say with the owner's decisions; the stricter of both counts.
 */
#ifndef MANIFESTS_TRUST_LOOKUP_H
#define MANIFESTS_TRUST_LOOKUP_H

#include "manifests/record.h"
#include "manifests/trust/trust.h"
#include "manifests/trust/whitelist_check.h"

#define TRUST_ORIGIN_MAX 128

struct trust_verdict {
    enum whitelist_answer answer;
    char product[RECORD_PROD_MAX + 1]; /* empty with WHITELIST_UNKNOWN */
    char serial[IMPRINT_SERIAL_MAX + 1];
    char origin[TRUST_ORIGIN_MAX + 1]; /* the log of its record */
    uint64_t leaf;                     /* its place there */
    char why[256];                     /* what decided, lower case without full stop */
};

/* The stricter of what the log says of an identity and what the owner decided. */
enum whitelist_answer trust_judge(enum trust_state state, bool revoked, bool held);

/* A certificate in DER: known when both its key and its bytes are those of a record. */
MUST_USE int trust_lookup_cert(struct trust *t, const void *der, size_t len,
                               struct trust_verdict *v, struct error *err);

/*
 * A device: its live identity, or else its newest. product may be NULL when only one product has
 * that serial. Errors: ERR_DUPLICATE when several have.
 */
MUST_USE int trust_lookup_serial(struct trust *t, const char *serial, const char *product,
                                 struct trust_verdict *v, struct error *err);

#endif
