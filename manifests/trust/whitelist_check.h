/*
 * whitelist_check: asks an accepted state whether a device may be trusted; for servers.
 *
 * Link with libimprint-whitelist, libcrypto and libsqlite3. A lookup is one read in an index of the
 * state file: microseconds, so ask for each connection, and a manifest that is accepted or a device
 * that is revoked meanwhile counts from the next lookup on.
 *
 * Invariants
 *  1. Only WHITELIST_OK lets a device in. Every failure is another answer.
 *  2. The certificate is compared byte for byte (by hash) with the one in the accepted manifest. It
 *     is the caller, TLS, who verifies that the peer holds the key.
 *  3. The state file is only read. A handle belongs to one thread; open one for each.
 */
#ifndef IMPRINT_WHITELIST_CHECK_H
#define IMPRINT_WHITELIST_CHECK_H

#include <stddef.h>

enum whitelist_answer {
    WHITELIST_OK = 0,
    WHITELIST_HELD,     /* the owner holds the device back for now */
    WHITELIST_REVOKED,  /* by the factory or by the owner; also burned or decommissioned */
    WHITELIST_REPLACED, /* the device has a newer identity */
    WHITELIST_UNKNOWN,  /* not in any accepted manifest */
    WHITELIST_FAILED    /* the state cannot be read */
};

struct whitelist;

/* state: the file that `imprint-manifest accept` keeps. NULL on failure, with a sentence in why. */
struct whitelist *whitelist_open(const char *state, char *why, size_t why_size);
void whitelist_close(struct whitelist *w); /* NULL is fine */

/* Judges a certificate in DER. */
enum whitelist_answer whitelist_check(struct whitelist *w, const unsigned char *der, size_t len);

/* Judges a device by serial; product NULL when only one product has that serial. */
enum whitelist_answer whitelist_check_serial(struct whitelist *w, const char *serial,
                                             const char *product);

/* A sentence about the last answer, for a log; valid until the next call. */
const char *whitelist_why(const struct whitelist *w);

/* "ok", "held", "revoked", "replaced", "unknown", "failed". */
const char *whitelist_answer_name(enum whitelist_answer answer);

#endif
