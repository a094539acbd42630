#include "station/line/events.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "station/line/pace.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const kind_names[] = {"empty",    "hold",     "wait",  "hello", "keygen",
                                         "deliver",  "prove",    "scan",  "pass",  "fail",
                                         "disabled", "progress", "retry", "out"};
static const char *const hold_names[HOLDS] = {
    [HOLD_FIXTURE] = "fixture", [HOLD_LID] = "lid", [HOLD_START] = "start"};
static const char *const line_names[] = {"begin", "counts", "state", "notice", "scanned", "end"};
static const char *const scan_names[WIRE_SCAN_KINDS] = {
    [WIRE_SCAN_SLOT] = "slot",         [WIRE_SCAN_ARMED] = "armed",
    [WIRE_SCAN_EXPIRED] = "expired",   [WIRE_SCAN_LABEL] = "label",
    [WIRE_SCAN_MISMATCH] = "mismatch", [WIRE_SCAN_REFUSED] = "refused",
    [WIRE_SCAN_NOTICE] = "scanner",    [WIRE_SCAN_ACK] = "acknowledged"};
static const char *const state_names[] = {"running", "paused", "quitting"};

enum line_kind { LINE_BEGIN, LINE_COUNTS, LINE_STATE, LINE_NOTICE, LINE_SCANNED, LINE_END };

/* What the progress line calls each state. */
static const char *const state_words[] = {N_("empty"),     N_("held"),          N_("waiting"),
                                          N_("answering"), N_("making a key"),  N_("delivering"),
                                          N_("proving"),   N_("to be scanned"), N_("passed"),
                                          N_("failed"),    N_("disabled")};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool as_json;
static bool as_progress;
static unsigned in_state[EVENT_STATES];
static unsigned passed, again, failed;
static struct pace pace;
static void (*observer)(void *context, const struct event *event);
static void *observer_context;

void events_init(const char *output)
{
    as_json = strcmp(output, "json") == 0 || strcmp(output, "board") == 0;
    as_progress = strcmp(output, "words") == 0 && isatty(STDERR_FILENO);
}

/* A copy of a text with nothing in it that a terminal or a file could take for anything else. */
static const char *plain(const char *text, char out[sizeof(((struct error *)0)->text)])
{
    size_t n = 0;

    for (; text && text[n] && n + 1 < sizeof(((struct error *)0)->text); n++)
        out[n] = text[n] < 0x20 || text[n] > 0x7e ? '?' : text[n];
    out[n] = 0;
    return out;
}

/* ---- JSON ---- */

static json_t *text_of(const char *text)
{
    char safe[sizeof(((struct error *)0)->text)];

    return json_string(plain(text, safe));
}

/* What a person does: docs/events.md. */
static const char *const actions[NEXT_COUNT] = {
    [NEXT_RESEAT] = "reseat",       [NEXT_SET_ASIDE] = "set_aside",
    [NEXT_CALL] = "call",           [NEXT_SCAN] = "scan",
    [NEXT_SWAP] = "swap",           [NEXT_JOB] = "job",
    [NEXT_ORDER] = "order",         [NEXT_RESTART] = "restart",
    [NEXT_SEND_BACK] = "send_back", [NEXT_ACKNOWLEDGE] = "acknowledge"};

/* About a class of failure, where nobody said more. ERR_REFUSED alone does not say that it is the device
 * that is bad. */
const char *events_action(const struct error *why)
{
    if (why->next)
        return actions[why->next];
    switch (why->code) {
    case ERR_TIMEOUT:
    case ERR_GONE:
    case ERR_PROTOCOL:
        return "reseat";
    case ERR_DUPLICATE:
    case ERR_PROOF:
    case ERR_SIGNATURE:
    case ERR_LABEL_MISMATCH:
        return "set_aside";
    case ERR_BUSY:
        return "free_port";
    case ERR_EXHAUSTED:
        return "generate";
    case ERR_INTERRUPTED:
        return "again";
    default:
        return "call";
    }
}

static void print_object(json_t *o)
{
    json_dumpf(o, stdout, JSON_COMPACT | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(o);
}

static void add_failure(json_t *o, const struct event *e)
{
    char safe[sizeof e->why->local];

    json_object_set_new(o, "error", json_string(error_name(e->why->code)));
    json_object_set_new(o, "message", json_string(e->why->message));
    json_object_set_new(o, "text", text_of(e->why->text));
    if (*e->why->local)
        json_object_set_new(o, "local",
                            json_string(text_readable(e->why->local, safe, sizeof safe)));
}

static bool has_plant(const struct event *e)
{
    return e->plant && *e->plant && (e->kind == EVENT_PASS || e->kind == EVENT_FAIL);
}

static void add_members(json_t *o, const struct event *e)
{
    switch (e->kind) {
    case EVENT_PASS:
        json_object_set_new(o, "again", json_boolean(e->again));
        if (e->waits)
            json_object_set_new(o, "waits", json_string("lock"));
        json_object_set_new(o, "ms", json_integer(e->took_ms));
        break;
    case EVENT_FAIL:
        add_failure(o, e);
        json_object_set_new(o, "action", json_string(events_action(e->why)));
        json_object_set_new(o, "exit", json_integer(error_exit_status(e->why->code)));
        json_object_set_new(o, "ms", json_integer(e->took_ms));
        break;
    case EVENT_DISABLED:
        json_object_set_new(o, "reason", json_string(e->worn_out ? "contacts" : "failures"));
        json_object_set_new(o, "text", text_of(e->why->text));
        break;
    case EVENT_RETRY:
        add_failure(o, e);
        json_object_set_new(o, "attempt", json_integer(e->attempt));
        json_object_set_new(o, "limit", json_integer(e->most));
        break;
    case EVENT_HOLD:
        json_object_set_new(o, "hold", json_string(hold_names[e->hold]));
        break;
    case EVENT_SCAN:
        json_object_set_new(o, "scan", json_string(e->label ? "label" : "unit"));
        break;
    case EVENT_PROGRESS:
        json_object_set_new(o, "done", json_integer(e->done));
        json_object_set_new(o, "total", json_integer(e->total));
        break;
    default:
        break;
    }
}

static void print_json(const struct event *e)
{
    json_t *o = json_pack("{s:s, s:s}", "event", kind_names[e->kind], "slot", e->slot);

    if (e->serial && *e->serial)
        json_object_set_new(o, "serial", text_of(e->serial));
    add_members(o, e);
    if (has_plant(e))
        json_object_set_new(o, "plant", text_of(e->plant));
    print_object(o);
}

/* ---- words ---- */

static void clear_progress(void)
{
    if (as_progress)
        fputs("\r\033[K", stderr);
}

static void show_progress(void)
{
    const char *comma = "";

    if (!as_progress)
        return;
    for (int i = 0; i < EVENT_STATES; i++)
        if (in_state[i]) {
            fprintf(stderr, "%s%u %s", comma, in_state[i], _(state_words[i]));
            comma = ", ";
        }
    fflush(stderr);
}

static void print_words(const struct event *e)
{
    static const char *const holds[HOLDS] = {[HOLD_FIXTURE] = N_("its fixture does not answer"),
                                             [HOLD_LID] = N_("close the lid"),
                                             [HOLD_START] = N_("the fixture did not start it")};
    const char *serial = e->serial && *e->serial ? e->serial : "-";
    char shown[ERROR_SHOWN_SIZE], safe[ERROR_SHOWN_SIZE];

    if (e->kind == EVENT_PASS)
        printf("slot %-6s PASS  %s  %" PRId64 ".%" PRId64 " s%s\n", e->slot, serial,
               e->took_ms / 1000, e->took_ms % 1000 / 100,
               e->waits   ? _("  (installed; it counts once it is locked)")
               : e->again ? _("  (it was finished before)")
                          : "");
    else if (e->kind == EVENT_FAIL)
        printf("slot %-6s FAIL  %s  %s\n", e->slot, serial,
               text_readable(error_shown(e->why, shown), safe, sizeof safe));
    else if (e->kind == EVENT_HOLD)
        printf("slot %-6s HOLD  %s\n", e->slot, _(holds[e->hold]));
    else if (e->kind == EVENT_DISABLED)
        printf("slot %-6s OFF   -  %s\n", e->slot,
               text_readable(error_shown(e->why, shown), safe, sizeof safe));
    else if (e->kind == EVENT_SCAN)
        printf("slot %-6s SCAN  %s  %s\n", e->slot, serial,
               e->label ? _("scan the label of the unit") : _("scan the slot and the unit"));
    else if (e->kind == EVENT_RETRY)
        printf("slot %-6s again, %u of %u: %s\n", e->slot, e->attempt, e->most,
               text_readable(error_shown(e->why, shown), safe, sizeof safe));
    if (has_plant(e))
        printf("slot %-6s       %s  note: %s\n", e->slot, serial, plain(e->plant, safe));
}

/* ---- events ---- */

static void begin_line(void)
{
    pthread_mutex_lock(&lock);
    clear_progress();
}

static void end_line(void)
{
    fflush(stdout);
    show_progress();
    pthread_mutex_unlock(&lock);
}

static void count(const struct event *e)
{
    if (e->kind < EVENT_STATES) {
        if (e->from < EVENT_STATES)
            in_state[e->from]--;
        in_state[e->kind]++;
    }
    if (e->kind == EVENT_FAIL)
        failed++;
    else if (e->kind == EVENT_PASS && e->again)
        again++;
    else if (e->kind == EVENT_PASS) {
        passed++;
        pace_add(&pace, clock_mono_ms());
    }
}

void events_emit(const struct event *event)
{
    if (observer)
        observer(observer_context, event);
    begin_line();
    count(event);
    if (as_json)
        print_json(event);
    else
        print_words(event);
    end_line();
}

void events_observe(void (*seen)(void *context, const struct event *event), void *context)
{
    observer_context = context;
    observer = seen;
}

void events_begin(bool once, const struct wire_counts *counts)
{
    begin_line();
    if (as_json)
        print_object(json_pack("{s:s, s:i, s:s, s:s, s:s}", "event", line_names[LINE_BEGIN],
                               "version", 1, "mode", once ? "once" : "watch", "order",
                               counts->order, "product", counts->product));
    else if (!once)
        printf("order '%s': put devices in; Ctrl-C finishes what was begun and ends\n",
               counts->order);
    end_line();
}

void events_counts(const struct wire_counts *c)
{
    int64_t rate;
    json_t *o;

    begin_line();
    rate = pace_per_hour(&pace, clock_mono_ms());
    if (as_json) {
        o = json_pack("{s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:I}", "event", line_names[LINE_COUNTS],
                      "passed", (int)passed, "again", (int)again, "failed", (int)failed, "good",
                      (json_int_t)c->good, "proven", (json_int_t)c->proven, "available",
                      (json_int_t)c->available, "remaining", (json_int_t)c->remaining);
        json_object_set_new(o, "pace", rate < 0 ? json_null() : json_integer(rate));
        print_object(o);
    }
    end_line();
}

void events_state(enum event_state state)
{
    begin_line();
    if (as_json)
        print_object(
            json_pack("{s:s, s:s}", "event", line_names[LINE_STATE], "state", state_names[state]));
    else
        printf("the line is %s\n", state_names[state]);
    end_line();
}

/* Beside a text that is translated; what has arguments in it came translated or is English. */
static void add_local(json_t *o, const char *text)
{
    char safe[sizeof(((struct error *)0)->local)];

    if (*text && gettext(text) != text)
        json_object_set_new(o, "local",
                            json_string(text_readable(gettext(text), safe, sizeof safe)));
}

void events_notice(const char *text, const char *command, bool ok)
{
    char safe[sizeof(((struct error *)0)->text)];
    json_t *o;

    begin_line();
    if (as_json) {
        o = json_pack("{s:s, s:s}", "event", line_names[LINE_NOTICE], "text", plain(text, safe));
        add_local(o, text);
        if (command) {
            json_object_set_new(o, "command", text_of(command));
            json_object_set_new(o, "ok", json_boolean(ok));
        }
        print_object(o);
    } else {
        puts(text_readable(*text ? _(text) : text, safe, sizeof safe));
    }
    end_line();
}

static void print_scanned(const struct wire_scan *scan)
{
    json_t *o =
        json_pack("{s:s, s:s}", "event", line_names[LINE_SCANNED], "state", scan_names[scan->kind]);

    json_object_set_new(o, "text", json_string(scan->text)); /* which the wire let pass */
    add_local(o, scan->text);
    if (*scan->slot)
        json_object_set_new(o, "slot", text_of(scan->slot));
    if (*scan->serial)
        json_object_set_new(o, "serial", text_of(scan->serial));
    print_object(o);
}

void events_scanned(const struct wire_scan *scan)
{
    char safe[sizeof(((struct error *)0)->text)];

    if (scan->kind == WIRE_SCAN_NONE || scan->kind >= WIRE_SCAN_KINDS)
        return;
    begin_line();
    if (as_json)
        print_scanned(scan);
    else
        printf("%s%s%s%s%s%s\n", *scan->slot ? "slot " : "", scan->slot, *scan->slot ? "  " : "",
               scan->serial, *scan->serial ? "  " : "",
               text_readable(*scan->text ? _(scan->text) : "", safe, sizeof safe));
    end_line();
}

void events_end(const char *reason)
{
    pthread_mutex_lock(&lock);
    clear_progress();
    if (as_json)
        print_object(json_pack("{s:s, s:i, s:i, s:s}", "event", line_names[LINE_END], "passed",
                               (int)(passed + again), "failed", (int)failed, "reason", reason));
    else
        printf("%u passed, %u failed\n", passed + again, failed);
    fflush(stdout);
    pthread_mutex_unlock(&lock);
}
