/* What the benchmarks of manifests share: a clock, and parts of a benchmark in processes of their own. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "base/error.h"

/* Seconds of a clock that only goes on. */
double bench_now(void);

/* Seconds of processor time that all threads of this process have had. */
double bench_cpu(void);

/* Ends the program with the text of the error unless rc is 0. */
void bench_must(int rc, const struct error *err, const char *what);

/* What a part took. */
struct bench_part {
    double seconds; /* by the clock */
    double cpu;     /* of all its threads */
    double peak;    /* MB: the most memory that it had at once (max RSS) */
};

/* Runs work in a process of its own, so that its memory is nobody else's; ends with it if it fails. */
struct bench_part bench_run(void (*work)(void *ctx), void *ctx);

#endif
