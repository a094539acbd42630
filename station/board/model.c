#include "station/board/model.h"

#include "base/message.h"
#include "base/text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *const state_names[BOARD_STATES] = {"empty",  "hold",    "wait",    "hello",
                                                      "keygen", "deliver", "prove",   "scan",
                                                      "pass",   "fail",    "disabled"};
static const char *const line_names[] = {"", "running", "paused", "quitting"};

void board_init(struct board *b)
{
    b->pace = -1;
}

/* Copies at most size - 1 bytes; what is not printable ASCII becomes '?'. Ends with a zero. */
static void put_plain(char *out, size_t size, const char *text, size_t len)
{
    size_t n = len < size - 1 ? len : size - 1;

    for (size_t i = 0; i < n; i++)
        out[i] = text[i] < 0x20 || text[i] > 0x7e ? '?' : text[i];
    out[n] = 0;
}

/* ---- members ---- */

/* A member that is not there, or no text, leaves what was. */
static void take_text(const json_t *o, const char *name, char *out, size_t size)
{
    const json_t *text = json_object_get(o, name);

    if (json_is_string(text))
        put_plain(out, size, json_string_value(text), json_string_length(text));
}

/* What happened, as a person reads it: in their language if the line has it, and its code. */
static void take_shown(const json_t *o, char *out, size_t size)
{
    const char *local = json_string_value(json_object_get(o, "local"));
    char message[MESSAGE_CODE_SIZE + 1] = "";
    size_t used;

    take_text(o, "text", out, size);
    if (local)
        (void)text_readable(local, out, size);
    take_text(o, "message", message, sizeof message);
    used = strlen(out);
    if (*message && used + sizeof message + 4 < size)
        snprintf(out + used, size - used, " (%s)", message);
}

static void take_number(const json_t *o, const char *name, int64_t *out)
{
    const json_t *number = json_object_get(o, name);

    if (json_is_integer(number) && json_integer_value(number) >= 0)
        *out = json_integer_value(number);
}

/* ---- slots ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* As a person orders labels: runs of digits by their value. */
static int compare_labels(const char *a, const char *b)
{
    while (*a && *b) {
        size_t m = 0, n = 0;

        if (!is_digit(*a) || !is_digit(*b)) {
            if (*a != *b)
                return *a < *b ? -1 : 1;
            a++, b++;
            continue;
        }
        a += strspn(a, "0"), b += strspn(b, "0");
        while (is_digit(a[m]))
            m++;
        while (is_digit(b[n]))
            n++;
        if (m != n || strncmp(a, b, m))
            return m != n ? (m < n ? -1 : 1) : strncmp(a, b, m);
        a += m, b += n;
    }
    return *a ? 1 : *b ? -1 : 0;
}

static bool comes_before(const char *a, const char *b)
{
    int order = compare_labels(a, b);

    return order ? order < 0 : strcmp(a, b) < 0;
}

int board_find(const struct board *b, const char *label)
{
    for (size_t i = 0; i < b->count; i++)
        if (strcmp(b->slots[i].label, label) == 0)
            return (int)i;
    return -1;
}

static struct board_slot *get_slot(struct board *b, const char *label)
{
    int found = board_find(b, label);
    size_t at = 0;

    if (found >= 0)
        return &b->slots[found];
    if (b->count == BOARD_SLOTS_MAX || !*label)
        return NULL;
    while (at < b->count && comes_before(b->slots[at].label, label))
        at++;
    memmove(&b->slots[at + 1], &b->slots[at], (b->count - at) * sizeof *b->slots);
    b->count++;
    b->slots[at] = (struct board_slot){.state = BOARD_EMPTY};
    strcpy(b->slots[at].label, label);
    return &b->slots[at];
}

/* What the next device must not show of the one before. */
static void forget_device(struct board_slot *s)
{
    s->serial[0] = s->text[0] = s->action[0] = 0;
    s->attempt = s->limit = s->done = s->total = 0;
    s->again = false;
}

static void enter_state(struct board *b, struct board_slot *s, enum board_state state,
                        const json_t *o)
{
    char what[BOARD_NAME_MAX + 1] = "";

    if (state == BOARD_EMPTY || state == BOARD_HOLD || state == BOARD_WAIT)
        forget_device(s);
    if (state == BOARD_DELIVER)
        s->done = s->total = 0;
    if (state == BOARD_FAIL || state == BOARD_DISABLED)
        s->failed_at = ++b->failures;
    s->state = state;
    s->again = json_is_true(json_object_get(o, "again"));
    s->waits = json_object_get(o, "waits") != NULL;
    take_text(o, "scan", what, sizeof what);
    s->wants_label = strcmp(what, "label") == 0;
    s->hold[0] = 0;
    take_text(o, "hold", s->hold, sizeof s->hold);
    take_text(o, "reason", what, sizeof what);
    s->worn_out = strcmp(what, "contacts") == 0;
    if (state == BOARD_KEYGEN || state == BOARD_DELIVER || state == BOARD_PROVE ||
        state == BOARD_PASS)
        s->armed = false; /* it was for this device; any other end of it is told */
    take_text(o, "action", s->action, sizeof s->action);
}

/* The answer to a command stands until something happens in a slot; what is said about ports, or by a
 * program, until a port comes. */
static void outdate_notice(struct board *b, bool port_came)
{
    if (b->notice_answers || port_came)
        b->notice[0] = 0;
}

/* What the plant's system said although the line goes on: nobody is held up, and everybody sees it. */
static void take_plant(struct board *b, const char *label, const json_t *o)
{
    char text[BOARD_TEXT_MAX + 1] = "";

    take_text(o, "plant", text, sizeof text);
    if (!*text)
        return;
    snprintf(b->notice, sizeof b->notice, "%s: %.*s", label, BOARD_TEXT_MAX - BOARD_LABEL_MAX - 2,
             text);
    b->notice_answers = false;
}

static void take_slot(struct board *b, const char *event, const json_t *o)
{
    char label[BOARD_LABEL_MAX + 1] = "";
    struct board_slot *s;
    int state = 0;

    take_text(o, "slot", label, sizeof label);
    while (state < BOARD_STATES && strcmp(event, state_names[state]))
        state++;
    if (state == BOARD_STATES && strcmp(event, "progress") && strcmp(event, "retry"))
        return;
    s = get_slot(b, label);
    if (!s)
        return;
    if (state < BOARD_STATES) {
        outdate_notice(b, s->state == BOARD_EMPTY && state != BOARD_EMPTY);
        enter_state(b, s, (enum board_state)state, o);
    }
    take_text(o, "serial", s->serial, sizeof s->serial);
    take_shown(o, s->text, sizeof s->text);
    take_number(o, "done", &s->done);
    take_number(o, "total", &s->total);
    take_number(o, "attempt", &s->attempt);
    take_number(o, "limit", &s->limit);
    take_plant(b, label, o);
}

/* ---- scanners ---- */

static void take_scanned(struct board *b, const json_t *o)
{
    char label[BOARD_LABEL_MAX + 1] = "", state[BOARD_NAME_MAX + 1] = "",
                                 text[BOARD_TEXT_MAX + 1] = "";
    int at;

    take_text(o, "slot", label, sizeof label);
    take_text(o, "state", state, sizeof state);
    take_shown(o, text, sizeof text);
    snprintf(b->notice, sizeof b->notice, "%s%s%.*s", label, *label ? ": " : "",
             BOARD_TEXT_MAX - BOARD_LABEL_MAX - 2, text);
    at = board_find(b, label);
    if (at >= 0 && strcmp(state, "slot"))
        b->slots[at].armed = strcmp(state, "armed") == 0;
}

/* ---- the line ---- */

static void take_counts(struct board *b, const json_t *o)
{
    take_number(o, "passed", &b->passed);
    take_number(o, "again", &b->again);
    take_number(o, "failed", &b->failed);
    take_number(o, "good", &b->good);
    take_number(o, "remaining", &b->remaining);
    b->pace = -1;
    take_number(o, "pace", &b->pace);
}

static void take_line_state(struct board *b, const json_t *o)
{
    char name[BOARD_NAME_MAX + 1] = "";

    take_text(o, "state", name, sizeof name);
    for (int i = BOARD_RUNNING; i <= BOARD_QUITTING; i++)
        if (strcmp(name, line_names[i]) == 0)
            b->line = (enum board_line)i;
}

static void take_event(struct board *b, const char *event, const json_t *o)
{
    if (strcmp(event, "scanned") == 0) {
        take_scanned(b, o);
    } else if (json_object_get(o, "slot")) {
        take_slot(b, event, o);
    } else if (strcmp(event, "begin") == 0) {
        take_text(o, "order", b->order, sizeof b->order);
        take_text(o, "product", b->product, sizeof b->product);
    } else if (strcmp(event, "counts") == 0) {
        take_counts(b, o);
    } else if (strcmp(event, "state") == 0) {
        take_line_state(b, o);
    } else if (strcmp(event, "notice") == 0) {
        take_shown(o, b->notice, sizeof b->notice);
        b->notice_answers = json_object_get(o, "command") != NULL;
    } else if (strcmp(event, "end") == 0) {
        b->line = BOARD_ENDED;
        take_text(o, "reason", b->reason, sizeof b->reason);
    }
}

void board_take(struct board *b, const char *line, size_t len)
{
    json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    const char *event = json_string_value(json_object_get(o, "event"));

    if (event)
        take_event(b, event, o);
    else
        board_notice(b, line, len);
    json_decref(o);
}

void board_notice(struct board *b, const char *text, size_t len)
{
    put_plain(b->notice, sizeof b->notice, text, len);
    b->notice_answers = false;
}

/* ---- figures ---- */

int board_last_failure(const struct board *b)
{
    int last = -1;

    for (size_t i = 0; i < b->count; i++)
        if ((b->slots[i].state == BOARD_FAIL || b->slots[i].state == BOARD_DISABLED) &&
            (last < 0 || b->slots[i].failed_at > b->slots[last].failed_at))
            last = (int)i;
    return last;
}

int board_yield(const struct board *b)
{
    double all = (double)b->passed + (double)b->failed;

    return all > 0 ? (int)((double)b->passed * 100 / all) : -1;
}

int board_percent(const struct board_slot *s)
{
    if (s->total <= 0 || s->done <= 0)
        return 0;
    return s->done >= s->total ? 100 : (int)((double)s->done * 100 / (double)s->total);
}
