#include "station/report/figures.h"

#include <stdlib.h>
#include <string.h>

const char *figures_meaning(int code)
{
    static const char *const meanings[] = {
#define MEANING(name, status, meaning) [status] = meaning,
        ERROR_LIST(MEANING)
#undef MEANING
    };
    size_t status = (size_t)error_exit_status(code);

    return status < sizeof meanings / sizeof *meanings && meanings[status] ? meanings[status]
                                                                           : "a failure";
}

static void count_one(struct figures_count *c, const struct report_attempt *a)
{
    c->passed += a->code == 0 && !a->again;
    c->again += a->again;
    c->failed += a->code != 0;
}

/* ---- slots ---- */

/* S2 before S10. */
static int compare_slots(const void *a, const void *b)
{
    const struct figures_slot *x = a, *y = b;

    return strverscmp(x->slot, y->slot);
}

/* Of more slots than there is room for, the last stands for the rest. */
static struct figures_slot *slot_of(struct figures *f, const char *name)
{
    for (size_t i = 0; i < f->slot_count; i++)
        if (strcmp(f->slots[i].slot, name) == 0)
            return &f->slots[i];
    if (f->slot_count == FIGURES_SLOTS_MAX)
        return &f->slots[FIGURES_SLOTS_MAX - 1];
    strcpy(f->slots[f->slot_count].slot, name);
    return &f->slots[f->slot_count++];
}

/* ---- reasons ---- */

static int compare_reasons(const void *a, const void *b)
{
    const struct figures_reason *x = a, *y = b;

    return x->count != y->count ? (x->count < y->count ? 1 : -1) : y->code - x->code;
}

static void count_reason(struct figures *f, const struct report_attempt *a)
{
    size_t i = 0;

    if (a->code == 0)
        return;
    while (i < f->reason_count && f->reasons[i].code != a->code)
        i++;
    if (i == FIGURES_REASONS_MAX)
        return; /* there are fewer codes */
    f->reason_count += i == f->reason_count;
    f->reasons[i].code = a->code;
    f->reasons[i].count++;
    f->reasons[i].text = a->text;
}

/* ---- time ---- */

static int64_t bin_width(int64_t seconds)
{
    static const int64_t widths[] = {60,   300,   600,   900,   1800,   3600,
                                     7200, 14400, 28800, 86400, 172800, 604800};
    int64_t week = 604800;

    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        if (seconds / widths[i] + 2 <= FIGURES_BINS_MAX)
            return widths[i];
    while (seconds / week + 2 > FIGURES_BINS_MAX)
        week *= 2;
    return week;
}

/* What the bins cover. */
static bool time_span(const struct report *r, int64_t *from, int64_t *to)
{
    if (r->filter.kind == HISTORY_TIME) {
        *from = r->filter.from;
        *to = r->filter.to < r->made ? r->filter.to : r->made + 1;
    } else if (r->attempt_count) {
        *from = r->attempts[0].at;
        *to = r->attempts[r->attempt_count - 1].at + 1;
    }
    return (r->filter.kind == HISTORY_TIME || r->attempt_count) && *from < *to;
}

static void make_bins(const struct report *r, struct figures *f)
{
    int64_t from, to;

    if (!time_span(r, &from, &to))
        return;
    f->bin_seconds = bin_width(to - from);
    f->bin_from = from - from % f->bin_seconds;
    f->bin_count = (size_t)((to - 1 - f->bin_from) / f->bin_seconds + 1);
}

static void count_bin(struct figures *f, const struct report_attempt *a)
{
    int64_t at = f->bin_count ? (a->at - f->bin_from) / f->bin_seconds : -1;

    if (a->at >= f->bin_from && at >= 0 && at < (int64_t)f->bin_count)
        count_one(&f->bins[at], a);
}

/* ---- units ---- */

static void count_unit(struct figures *f, const struct report_unit *u)
{
    f->proven += strcmp(u->state, "proven") == 0;
    f->revoked += strcmp(u->state, "revoked") == 0;
    f->burned += strcmp(u->state, "burned") == 0 || strcmp(u->state, "lost") == 0;
    f->open += strcmp(u->state, "claimed") == 0;
    f->first_try += u->proven && u->failed == 0;
}

void figures_take(const struct report *report, struct figures *f)
{
    memset(f, 0, sizeof *f);
    make_bins(report, f);
    for (size_t i = 0; i < report->unit_count; i++)
        count_unit(f, &report->units[i]);
    for (size_t i = 0; i < report->attempt_count; i++) {
        const struct report_attempt *a = &report->attempts[i];

        count_one(&f->all, a);
        count_one(&slot_of(f, a->slot)->count, a);
        count_reason(f, a);
        count_bin(f, a);
    }
    qsort(f->slots, f->slot_count, sizeof *f->slots, compare_slots);
    qsort(f->reasons, f->reason_count, sizeof *f->reasons, compare_reasons);
}

int64_t figures_yield(const struct figures_count *c)
{
    int64_t all = c->passed + c->failed;

    return all ? (1000 * c->passed + all / 2) / all : -1;
}

int64_t figures_pace(const struct report *report, const struct figures *figures)
{
    int64_t from, to, seconds;

    if (!time_span(report, &from, &to))
        return -1;
    seconds = report->filter.kind == HISTORY_TIME ? to - from : to - 1 - from;
    return seconds > 0 ? (figures->all.passed * 36000 + seconds / 2) / seconds : -1;
}
