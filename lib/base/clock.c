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

/* Every record pays for its time: this is a fraction of what strftime and strptime take. */
static void put_number(char *out, int digits, int value)
{
    for (int i = digits; i > 0; i--, value /= 10)
        out[i - 1] = (char)('0' + value % 10);
}

void clock_text(int64_t utc, char out[CLOCK_TEXT_SIZE])
{
    time_t t = (time_t)utc;
    struct tm parts;

    gmtime_r(&t, &parts);
    memcpy(out, "0000-00-00T00:00:00Z", CLOCK_TEXT_SIZE);
    put_number(out, 4, parts.tm_year + 1900);
    put_number(out + 5, 2, parts.tm_mon + 1);
    put_number(out + 8, 2, parts.tm_mday);
    put_number(out + 11, 2, parts.tm_hour);
    put_number(out + 14, 2, parts.tm_min);
    put_number(out + 17, 2, parts.tm_sec);
}

/* What is no digit gives a number that is not written so again. */
static int take_number(const char *from, int digits)
{
    int value = 0;

    for (int i = 0; i < digits; i++)
        value = 10 * value + (from[i] >= '0' && from[i] <= '9' ? from[i] - '0' : 0);
    return value;
}

int clock_parse(const char *text, int64_t *utc)
{
    char again[CLOCK_TEXT_SIZE];
    struct tm parts;
    int64_t value;

    if (strlen(text) != CLOCK_TEXT_SIZE - 1)
        return ERR_FORMAT;
    parts = (struct tm){.tm_year = take_number(text, 4) - 1900,
                        .tm_mon = take_number(text + 5, 2) - 1,
                        .tm_mday = take_number(text + 8, 2),
                        .tm_hour = take_number(text + 11, 2),
                        .tm_min = take_number(text + 14, 2),
                        .tm_sec = take_number(text + 17, 2)};
    value = (int64_t)timegm(&parts);
    if (value < 0)
        return ERR_FORMAT;
    clock_text(value, again); /* there is one text of each time: no 31st of June, and no blank */
    if (strcmp(again, text))
        return ERR_FORMAT;
    *utc = value;
    return 0;
}
