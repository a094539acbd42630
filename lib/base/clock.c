#include "base/clock.h"

#include <time.h>

int64_t clock_mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_utc(void)
{
    return (int64_t)time(NULL);
}

void clock_text(int64_t utc, char out[CLOCK_TEXT_SIZE])
{
    time_t t = (time_t)utc;
    struct tm parts;

    gmtime_r(&t, &parts);
    strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}
