#include "station/board/words.h"

#include "base/message.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *action, *next, *brief;
} actions[] = {
    {"reseat", N_("Press the device into its slot; check power and cable. It begins by itself."),
     N_("reseat it")},
    {"set_aside", N_("Set the device aside, and note this text. Do not try it again."),
     N_("set aside")},
    {"free_port", N_("Close the other program that holds the port."), N_("port busy")},
    {"generate", N_("The stock is empty; the device is fine. Call the engineer."), N_("no stock")},
    {"again", N_("Nothing is wrong: it was stopped before it began."), N_("try again")},
    {"scan", N_("Its label is not scanned. End with F4, run again and scan it."), N_("scan it")},
    {"swap", N_("The label is another unit's. Compare label and slot."), N_("wrong one")},
    {"job", N_("The device is fine, the job is not its own. Ask the engineer."), N_("wrong job")},
    {"order", N_("The order is full or over; the device is fine. Call the engineer."), N_("order")},
    {"send_back", N_("The unit is not ready. Send it back to the step before, with this text."),
     N_("send back")},
    {"acknowledge", N_("The slot is disabled. Use another one; when it was looked at: F3 at it."),
     N_("use another")},
    {"restart", N_("The station ended. Run it again; the second time call the engineer."),
     N_("run again")},
    {"call", N_("Call the engineer, and show this text."), N_("call")},
};
#define ACTIONS (sizeof actions / sizeof *actions)

/* One that is not known is as good as the last. */
static size_t find_action(const char *name)
{
    size_t i = 0;

    while (i < ACTIONS - 1 && strcmp(actions[i].action, name))
        i++;
    return i;
}

const char *words_state(const struct board *b, const struct board_slot *s)
{
    static const char *const names[BOARD_STATES] = {"EMPTY",  "HELD",    "READY",    "FOUND",
                                                    "KEYGEN", "WRITING", "CHECKING", "SCAN",
                                                    "PASS",   "FAIL",    "DISABLED"};

    if (s->state == BOARD_WAIT && b->line != BOARD_RUNNING)
        return b->line == BOARD_PAUSED ? "PAUSED" : "CLOSED";
    if (s->state == BOARD_WAIT && s->armed)
        return "ARMED";
    return names[s->state];
}

const char *words_next(const struct board *b, const struct board_slot *s)
{
    switch (s->state) {
    case BOARD_EMPTY:
        return _("Nothing is plugged in here.");
    case BOARD_HOLD:
        return strcmp(s->hold, "lid") == 0 ? _("Close the lid.")
               : strcmp(s->hold, "start") == 0
                   ? _("The fixture starts it.")
                   : _("The fixture does not answer. Call the engineer.");
    case BOARD_WAIT:
        if (b->line != BOARD_RUNNING)
            return "";
        return s->armed ? _("Put the unit in that you scanned.")
                        : _("Put a device in. One that is in does not answer.");
    case BOARD_SCAN:
        return s->wants_label ? _("Scan the label of this unit.")
                              : _("Scan this slot, then its unit.");
    case BOARD_PASS:
        if (s->waits)
            return _("It is locked later. Take it out.");
        return s->again ? _("Was finished before. Take it out.") : _("Take it out.");
    case BOARD_FAIL:
        return _(actions[find_action(s->action)].next);
    case BOARD_DISABLED:
        return s->worn_out
                   ? _("Use another slot. The contacts of this one are worn: call the engineer.")
                   : _("Use another slot. When this one was looked at: F3 at it.");
    default:
        return _("Wait.");
    }
}

const char *words_next_short(const struct board_slot *s)
{
    switch (s->state) {
    case BOARD_HOLD:
        return strcmp(s->hold, "lid") == 0     ? _("lid")
               : strcmp(s->hold, "start") == 0 ? ""
                                               : _("call");
    case BOARD_SCAN:
        return _("scan it");
    case BOARD_PASS:
        return _("take out");
    case BOARD_FAIL:
        return _(actions[find_action(s->action)].brief);
    case BOARD_DISABLED:
        return _("use another");
    default:
        return "";
    }
}

const char *words_line(const struct board *b)
{
    static const char *const names[] = {"STARTING", "RUNNING", "PAUSED", "ENDING", "ENDED"};

    return names[b->line];
}

/* The figures from the whole row to what nobody can do without. */
static const struct counts_form {
    const char *gap;
    bool again, yield, pace;
} counts_forms[] = {{"   ", true, true, true},
                    {"  ", true, true, true},
                    {"  ", false, true, true},
                    {"  ", false, true, false},
                    {"  ", false, false, false}};

static int put_counts(const struct board *b, const struct counts_form *f, char *out, size_t size)
{
    char yield[32] = "yield -", pace[48] = "pace -", again[48] = "";

    if (board_yield(b) >= 0)
        snprintf(yield, sizeof yield, "yield %d %%", board_yield(b));
    if (b->pace >= 0)
        snprintf(pace, sizeof pace, "pace %" PRId64 "/h", b->pace);
    if (f->again && b->again > 0)
        snprintf(again, sizeof again, " (+%" PRId64 " again)", b->again);
    return snprintf(
        out, size, "passed %" PRId64 "%s%sfailed %" PRId64 "%s%s%s%s%sleft %" PRId64 " of %" PRId64,
        b->passed, again, f->gap, b->failed, f->gap, f->yield ? yield : "", f->yield ? f->gap : "",
        f->pace ? pace : "", f->pace ? f->gap : "", b->remaining, b->good);
}

char *words_counts(const struct board *b, size_t width, char *out, size_t size)
{
    for (size_t i = 0; i < sizeof counts_forms / sizeof *counts_forms; i++)
        if (put_counts(b, &counts_forms[i], out, size) <= (int)width)
            break;
    return out;
}

bool words_wrap(const char **text, size_t width, char *out)
{
    const char *at = *text + strspn(*text, " ");
    size_t len = strlen(at), cut = len;

    *text = at;
    if (len == 0 || width == 0)
        return false;
    if (len > width) {
        cut = width;
        while (cut > 0 && at[cut] != ' ')
            cut--;
        if (cut == 0)
            cut = width;
    }
    *text = at + cut;
    while (cut > 0 && at[cut - 1] == ' ')
        cut--;
    memcpy(out, at, cut);
    out[cut] = 0;
    return true;
}
