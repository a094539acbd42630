/*
 * bench_station: a fresh station in a temporary folder, on a token of its own, for a benchmark.
 */
#ifndef BENCH_STATION_H
#define BENCH_STATION_H

#include "station/vault/generate.h"
#include "station/vault/vault.h"

#define BENCH_PIN   "123456"
#define BENCH_TOKEN "bench"

struct bench_station {
    char dir[PATH_MAX];
    struct config config;
    struct job job;
    EVP_PKEY *owner; /* signs the order; signer is its certificate */
    X509 *signer;
    EVP_PKEY *hosted_key; /* of bench_station_open_hosted, NULL otherwise */
    X509 *hosted;
    struct store *store;
    struct hsm *hsm;
    struct anchoring anchoring;
    struct vault v;
};

/* Runs the ceremony and opens the station under an order of 10^8. bench_station_done in any case. */
MUST_USE int bench_station_open(struct bench_station *s, struct error *err);
void bench_station_done(struct bench_station *s);

/* The same, and the order names a hosted CA, which is its own root: hosted, with hosted_key. */
MUST_USE int bench_station_open_hosted(struct bench_station *s, struct error *err);

/* For generate_credentials: nobody looks on, and nobody stops it. */
extern const struct generate_watch bench_watch;

/* Adds rows to inventory, index of keys and ledger that look like generated ones but for their MACs
 * and keys, which are random bytes. */
MUST_USE int bench_station_fill(struct bench_station *s, int64_t rows, struct error *err);

/* Seconds: by the clock, and of processor time that all threads took. */
struct bench_time {
    double clock, cpu;
};
struct bench_time bench_now(void);
struct bench_time bench_since(struct bench_time begun);
long bench_peak_kb(void);

/* Sorts the values. */
double bench_median(double *values, long count);

#endif
