#include "base/clock.h"

#include <string.h>
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

int64_t clock_build(void)
{
    return IMPRINT_BUILD_TIME;
}

void clock_text(int64_t utc, char out[CLOCK_TEXT_SIZE])
{
    time_t t = (time_t)utc;
    struct tm parts;

    gmtime_r(&t, &parts);
    strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

int clock_parse(const char *text, int64_t *utc)
{
    char again[CLOCK_TEXT_SIZE];
    struct tm parts = {0};
    const char *end;
    int64_t value;

    if (strlen(text) != CLOCK_TEXT_SIZE - 1)
        return ERR_FORMAT;
    end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (!end || *end)
        return ERR_FORMAT;
    value = (int64_t)timegm(&parts);
    if (value < 0)
        return ERR_FORMAT;
    clock_text(value, again); /* strptime takes the 31st of any month, and blanks */
    if (strcmp(again, text))
        return ERR_FORMAT;
    *utc = value;
    return 0;
}
