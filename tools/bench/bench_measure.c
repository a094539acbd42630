#include "tools/bench/bench_measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void bench_must(int rc, const struct error *err, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, err->text);
    exit(1);
}

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

double bench_cpu(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return seconds(&usage.ru_utime) + seconds(&usage.ru_stime);
}

struct bench_part bench_run(void (*work)(void *ctx), void *ctx)
{
    double from = bench_now();
    struct rusage usage;
    int status = 0;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (child == 0) {
        work(ctx);
        fflush(NULL);
        _exit(0);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0) {
        fprintf(stderr, "%s: a part failed\n", program_invocation_short_name);
        exit(1);
    }
    return (struct bench_part){bench_now() - from,
                               seconds(&usage.ru_utime) + seconds(&usage.ru_stime),
                               (double)usage.ru_maxrss / 1024};
}
