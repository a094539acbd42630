#include "station/line/events.h"

#include "base/error.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const step_names[] = {"wait",  "hello", "keygen", "deliver",
                                         "prove", "pass",  "fail"};

/* What the progress line calls each step. */
static const char *const step_words[] = {"waiting", "answering", "making keys", "delivering",
                                         "proving", "passed",    "failed"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool as_json;
static bool as_progress;
static unsigned at_step[EVENT_STEPS];

void events_init(const char *output, unsigned slots)
{
    as_json = strcmp(output, "json") == 0;
    as_progress = strcmp(output, "words") == 0 && isatty(STDERR_FILENO);
    at_step[EVENT_WAIT] = slots;
}

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
    for (int i = 0; i < EVENT_STEPS; i++)
        if (at_step[i]) {
            fprintf(stderr, "%s%u %s", comma, at_step[i], step_words[i]);
            comma = ", ";
        }
    fflush(stderr);
}

static void print_json(const struct event *e)
{
    json_t *o = json_pack("{s:s, s:s}", "event", step_names[e->step], "slot", e->slot);

    if (e->serial && *e->serial)
        json_object_set_new(o, "serial", json_string(e->serial));
    if (e->step == EVENT_PASS)
        json_object_set_new(o, "again", json_boolean(e->again));
    if (e->step == EVENT_PASS && e->waits)
        json_object_set_new(o, "waits", json_string("lock"));
    if (e->step == EVENT_FAIL) {
        json_object_set_new(o, "error", json_string(error_name(e->code)));
        json_object_set_new(o, "exit", json_integer(error_exit_status(e->code)));
        json_object_set_new(o, "text", json_string(e->text));
    }
    if (e->step >= EVENT_PASS)
        json_object_set_new(o, "ms", json_integer(e->took_ms));
    json_dumpf(o, stdout, JSON_COMPACT | JSON_SORT_KEYS);
    putchar('\n');
    json_decref(o);
}

static void print_words(const struct event *e)
{
    const char *serial = e->serial && *e->serial ? e->serial : "-";

    if (e->step == EVENT_PASS)
        printf("slot %-6s PASS  %s  %" PRId64 ".%" PRId64 " s%s\n", e->slot, serial,
               e->took_ms / 1000, e->took_ms % 1000 / 100,
               e->waits   ? "  (installed; it counts once it is locked)"
               : e->again ? "  (it was finished before)"
                          : "");
    else if (e->step == EVENT_FAIL)
        printf("slot %-6s FAIL  %s  %s\n", e->slot, serial, e->text);
}

void events_emit(const struct event *event)
{
    pthread_mutex_lock(&lock);
    at_step[event->from]--;
    at_step[event->step]++;
    clear_progress();
    if (as_json)
        print_json(event);
    else
        print_words(event);
    fflush(stdout);
    show_progress();
    pthread_mutex_unlock(&lock);
}

void events_summary(unsigned passed, unsigned failed)
{
    clear_progress();
    if (as_json)
        printf("{\"event\":\"end\",\"failed\":%u,\"passed\":%u}\n", failed, passed);
    else
        printf("%u passed, %u failed\n", passed, failed);
    fflush(stdout);
}
