/*
 * bench_hosted_ca: the hosted CA of a benchmark, and what nobody can spare who takes in what it signed.
 */
#ifndef BENCH_HOSTED_CA_H
#define BENCH_HOSTED_CA_H

#include "bench_station.h"

/* Signs each request of a CSV (vault/hosted/request_files.h) as it asks to be, and writes the certificates
 * into a PEM file. Memory does not grow with them. */
MUST_USE int bench_hosted_sign(const struct bench_station *s, const char *csv, const char *pem,
                               struct error *err);

/* Reads the certificates of such a file one by one and verifies each one's signature, and nothing else. */
MUST_USE int bench_hosted_verify(const struct bench_station *s, const char *pem,
                                 struct bench_time *took, struct error *err);

#endif
