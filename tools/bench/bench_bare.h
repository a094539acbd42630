/*
 * bench_bare: the PKCS#11 calls that a credential needs, and nothing else.
 *
 * For each: C_GenerateKeyPair with the station's attributes, C_GetAttributeValue of the point, C_WrapKey, C_DestroyObject of both
 * halves, C_SignInit and C_Sign with the issuing CA over a digest, C_SignInit and C_Sign with the
 * ledger key over as many bytes as a row's MAC covers. No certificate is built, nothing is hashed,
 * checked or stored, and the module is never initialised anew.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include "bench_station.h"

/* Makes count credentials' worth of calls with so many threads, and takes their time. The station's
 * token is open and has the storage key. */
MUST_USE int bench_bare(const struct bench_station *s, long count, unsigned threads,
                        struct bench_time *took, struct error *err);

#endif
