/*
 * bench_claim: what a claim costs the database: the oldest credential picked and verified, compared
 * with the ledger, bound to a device, told in the ledger, committed and anchored. No rewrap.
 */
#ifndef BENCH_CLAIM_H
#define BENCH_CLAIM_H

#include "bench_station.h"

MUST_USE int bench_claim(struct bench_station *s, long count, struct bench_time *took,
                         struct error *err);

#endif
