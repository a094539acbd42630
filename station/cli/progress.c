#include "station/cli/progress.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void progress_start(struct progress *p, const char *what, int64_t total, bool quiet)
{
    p->what = what;
    p->total = total;
    p->started_ms = clock_mono_ms();
    p->shown_ms = p->started_ms;
    p->on = !quiet && isatty(STDERR_FILENO);
}

void progress_show(struct progress *p, int64_t done)
{
    int64_t now = clock_mono_ms(), spent = now - p->started_ms, left;

    if (!p->on || now - p->shown_ms < 100 || done <= 0)
        return;
    p->shown_ms = now;
    left = (p->total - done) * spent / done / 1000;
    fprintf(stderr,
            "\r\033[K%" PRId64 " of %" PRId64 " %s, %" PRId64 " a second, %" PRId64 ":%02" PRId64
            " left",
            done, p->total, p->what, done * 1000 / (spent ? spent : 1), left / 60, left % 60);
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->on)
        fputs("\r\033[K", stderr);
    p->on = false;
}
