#include "station/vault/clock_stop.h"

#include "base/clock.h"
#include "base/jcs.h"
#include "station/store/ledger.h"

/* The time that the clock must have reached. */
static int64_t floor_of(int64_t last_entry)
{
    int64_t latest = last_entry > clock_build() ? last_entry : clock_build();

    return latest - CLOCK_TOLERANCE;
}

static int stop(struct store *store, int64_t now, int64_t least, struct error *err)
{
    char clock[CLOCK_TEXT_SIZE], not_before[CLOCK_TEXT_SIZE];
    struct buf data;
    struct jcs j;
    int rc;

    clock_text(now, clock);
    clock_text(least, not_before);
    buf_init(&data, 256);
    jcs_init(&j, &data);
    jcs_object(&j, NULL);
    jcs_str(&j, "clock", clock);
    jcs_str(&j, "not_before", not_before);
    jcs_end(&j);
    rc = ledger_append_alone(store, "clock_stopped", &data, err);
    buf_done(&data);
    return rc;
}

static int refuse(int64_t least, struct error *err)
{
    char text[CLOCK_TEXT_SIZE];

    clock_text(least, text);
    return error_set(err, ERR_CLOCK,
                     "the station's clock went wrong, or is: it must be past %s; nothing is issued "
                     "until a supervisor has set it and confirms it with a recovery ticket",
                     text);
}

int clock_stop_check(struct store *store, struct error *err)
{
    int64_t now = clock_utc(), least;
    struct ledger_head last;
    bool stopped;
    int rc = ledger_head(store, &last, err);

    if (rc == 0)
        rc = ledger_clock_stopped(store, &stopped, err);
    if (rc)
        return rc;
    least = floor_of(last.at);
    if (!stopped && now >= least)
        return 0;
    if (!stopped)
        rc = stop(store, now, least, err);
    return rc ? rc : refuse(least, err);
}

int clock_stop_check_build(struct error *err)
{
    int64_t least = floor_of(0);
    char text[CLOCK_TEXT_SIZE];

    if (clock_utc() >= least)
        return 0;
    clock_text(least, text);
    return error_set(err, ERR_CLOCK,
                     "the machine's clock is wrong: this program was not there before %s; set the "
                     "clock and run the command again",
                     text);
}
