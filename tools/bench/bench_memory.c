/*
 * bench_memory: the most memory that a station takes for a long run: so many credentials made in
 * one call, then so many rewraps, each from its row of the inventory for another device.
 */
#include "bench_rewrap.h"

#include "station/vault/generate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 2

static int generate(struct bench_station *s, int64_t count, struct error *err)
{
    struct bench_time begun = bench_now();
    int64_t made;
    int rc = generate_credentials(&s->v, count, THREADS, &bench_watch, &made, err);

    printf("%" PRId64 " credentials with %d threads in %.0f s: peak %ld kB, %u recycles\n", made,
           THREADS, bench_since(begun).clock, bench_peak_kb(), hsm_recycle_count(s->hsm));
    fflush(stdout);
    return rc;
}

static int rewrap(struct bench_station *s, int64_t count, int64_t credentials, struct error *err)
{
    struct bench_time begun = bench_now();
    uint8_t dev_pub[EC_POINT_SIZE];
    EVP_PKEY *device = EVP_EC_gen("P-256");
    struct credential c;
    int rc = ec_point(device, dev_pub, err);

    credential_init(&c);
    for (int64_t i = 0; rc == 0 && i < count; i++) {
        rc = credential_get(s->store, 1 + i % credentials, &c, err);
        if (rc == 0)
            rc = bench_rewrap(s, &c, dev_pub, err);
    }
    credential_done(&c);
    EVP_PKEY_free(device);
    printf("%" PRId64 " rewraps in %.0f s: peak %ld kB, %u recycles in all\n", count,
           bench_since(begun).clock, bench_peak_kb(), hsm_recycle_count(s->hsm));
    return rc;
}

int main(int argc, char **argv)
{
    static struct bench_station s;
    struct error err = ERROR_INIT;
    int64_t credentials = argc > 1 ? atoll(argv[1]) : 1000000;
    int64_t rewraps = argc > 2 ? atoll(argv[2]) : 200000;
    int rc;

    if (argc > 3 || credentials < 1 || rewraps < 0) {
        fprintf(stderr, "usage: bench_memory [CREDENTIALS [REWRAPS]]\n");
        return error_exit_status(ERR_USAGE);
    }
    rc = bench_station_open(&s, &err);
    if (rc == 0)
        rc = generate(&s, credentials, &err);
    if (rc == 0)
        rc = rewrap(&s, rewraps, credentials, &err);
    if (rc)
        fprintf(stderr, "bench_memory: %s\n", err.text);
    bench_station_done(&s);
    return error_exit_status(rc);
}
