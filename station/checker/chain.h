/*
 * chain: judges the certificate chain with which a silicon vendor attests a device's key.
 *
 * A chain is DER certificates one after the other, the device's own first, each signed by the next;
 * the last is signed by a vendor root, or is one. It is good when
 *
 *  1. it is at most CHAIN_CERTS_MAX certificates and nothing else, not a byte before, between or after;
 *  2. its path, in the order given, ends at one of the roots and passes RFC 5280 section 6 under
 *     strict rules, at security level 2 (112 bits: no SHA-1, no RSA below 2048 bits), at the time
 *     given; every certificate is on the path;
 *  3. the device's own certificate is no CA, may sign, and holds a P-256 key.
 *
 * Extended key usages say nothing here: vendors have no common one.
 */
#ifndef STATION_CHECKER_CHAIN_H
#define STATION_CHECKER_CHAIN_H

#include "station/wire/check.h"

#include <openssl/x509.h>
#include <time.h>

#define CHAIN_CERTS_MAX 4

/* Always fills *answer; whatever is wrong, the verdict is not WIRE_CHECK_GOOD and there is no key. */
void chain_check(STACK_OF(X509) * roots, const void *bytes, size_t len, time_t now,
                 struct wire_check *answer);

#endif
