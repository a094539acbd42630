/*
 * bench_rewrap: the token's part of a claim alone.
 */
#ifndef BENCH_REWRAP_H
#define BENCH_REWRAP_H

#include "bench_station.h"
#include "station/store/inventory.h"

/* Rewraps the key of a row of the inventory for a device, and drops the result. */
MUST_USE int bench_rewrap(struct bench_station *s, struct credential *c,
                          const uint8_t dev_pub[EC_POINT_SIZE], struct error *err);

#endif
