#include "station/line/pace.h"

#define HOUR_MS (60 * 60 * 1000)
#define SOON_MS (10 * 1000) /* a few devices in less time are no pace */
#define FEW     10

static void drop_first(struct pace *p)
{
    p->first = (p->first + 1) % PACE_MAX;
    p->count--;
}

void pace_add(struct pace *p, int64_t now)
{
    if (p->count == PACE_MAX)
        drop_first(p);
    p->at[(p->first + p->count++) % PACE_MAX] = now;
}

int64_t pace_per_hour(struct pace *p, int64_t now)
{
    int64_t since;

    while (p->count > 0 && p->at[p->first] < now - PACE_WINDOW_MS)
        drop_first(p);
    if (p->count < 2)
        return -1;
    since = now - p->at[p->first];
    if (since < SOON_MS && p->count < FEW)
        return -1;
    return (int64_t)(p->count - 1) * HOUR_MS / (since > 0 ? since : 1);
}
