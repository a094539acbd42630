#include "station/conform/report.h"

#include "base/codec.h"
#include "station/conform/judge.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define SHOWN 4 /* exchanges of a failed case, in words */

static void print_json(json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(object);
}

static char *hex_of(const struct buf *b)
{
    char *text = malloc(2 * b->len + 1);

    if (text)
        hex_encode(b->data, b->len, text);
    return text;
}

/* The first whole frame in some bytes; its payload lies in the reader. */
static bool first_frame(const struct buf *b, struct link_frame_reader *reader,
                        struct link_frame *frame)
{
    link_frame_reader_init(reader);
    for (size_t i = 0; i < b->len; i++)
        if (link_frame_feed(reader, b->data[i], frame))
            return true;
    return false;
}

/* "PUT", or what else was sent. */
static const char *request_name(const struct exchange *e)
{
    static struct link_frame_reader reader;
    struct link_frame frame;

    if (!first_frame(&e->sent, &reader, &frame))
        return "bytes";
    return frame.message == 0 || frame.message > IMPRINT_MSG_DECOMMISSION
               ? "another message"
               : link_message_name(frame.message);
}

/* The status in an answer; -1 where none came. Every reply begins with a map and key 0. */
static int status_of(const struct exchange *e)
{
    static struct link_frame_reader reader;
    struct link_frame frame;

    if (!first_frame(&e->came, &reader, &frame) || frame.len < 3 || frame.payload[0] >> 5 != 5 ||
        frame.payload[1] != IMPRINT_KEY_STATUS || frame.payload[2] >= 24)
        return -1;
    return frame.payload[2];
}

/* ---- the device ---- */

static const char *mode_names(uint32_t modes)
{
    static const char *const names[] = {
        "none",    "hsm",         "device",         "hsm device",
        "derived", "hsm derived", "device derived", "hsm device derived"};

    return modes < sizeof names / sizeof *names ? names[modes] : "unknown";
}

static json_t *suites_json(const struct link_facts *f)
{
    json_t *suites = json_array();

    for (size_t i = 0; i < f->suite_count; i++)
        json_array_append_new(suites, json_integer(f->suites[i]));
    return suites;
}

static const char *state_name(const struct bench *b)
{
    if (b->hello.facts.lifecycle == IMPRINT_LIFE_LOCKED)
        return "locked";
    if (b->hello.state == IMPRINT_TX_OPEN)
        return "open";
    return b->hello.commit_count > 0 ? "identity" : "blank";
}

void report_device(const struct report *r, const struct bench *b)
{
    const struct link_facts *f = &b->hello.facts;
    char chip[2 * IMPRINT_CHIP_ID_MAX + 1];

    hex_encode(f->chip_id, f->chip_id_len, chip);
    if (r->json) {
        print_json(json_pack("{s:s, s:s, s:s, s:o, s:i, s:b, s:b, s:i, s:s}", "event", "device",
                             "chip_id", chip, "firmware", f->firmware, "suites", suites_json(f),
                             "modes", (int)f->modes, "pinned", f->pinned, "attested",
                             b->hello.attested, "frame", (int)f->frame_max, "state",
                             state_name(b)));
        return;
    }
    printf("device %s, firmware %s: modes %s, suites", chip, f->firmware, mode_names(f->modes & 7));
    for (size_t i = 0; i < f->suite_count; i++)
        printf(" %u", f->suites[i]);
    printf(", frames of %u bytes, %s authority, %s\n", (unsigned)f->frame_max,
           f->pinned ? "pins an" : "pins no", state_name(b));
}

/* ---- cases ---- */

static const char *verdict_name(int verdict)
{
    return verdict == CASE_PASS ? "pass" : verdict == CASE_SKIP ? "skip" : "fail";
}

static json_t *exchanges_json(const struct exchange *exchanges, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        char *sent = hex_of(&exchanges[i].sent), *came = hex_of(&exchanges[i].came);
        int status = status_of(&exchanges[i]);

        json_array_append_new(list,
                              json_pack("{s:s, s:s?, s:s?, s:o}", "request",
                                        request_name(&exchanges[i]), "sent", sent, "came", came,
                                        "status", status < 0 ? json_null() : json_integer(status)));
        free(sent);
        free(came);
    }
    return list;
}

static void print_bytes(const char *what, const struct buf *bytes)
{
    char *text = hex_of(bytes);

    printf("        %-22s %s\n", what, text && *text ? text : "nothing");
    free(text);
}

static void print_exchanges(const struct exchange *exchanges, size_t count, size_t from)
{
    char what[32];

    if (from > 0)
        printf("        %zu exchanges before: --hex shows them\n", from);
    for (size_t i = from; i < count; i++) {
        snprintf(what, sizeof what, "sent %s", request_name(&exchanges[i]));
        print_bytes(what, &exchanges[i].sent);
        print_bytes("came", &exchanges[i].came);
    }
}

static void print_words(const struct report *r, const struct conform_case *c, int verdict,
                        const char *found, const struct exchange *exchanges, size_t count)
{
    printf("%s  %-2s %-26s %s\n", verdict < 0 ? "FAIL" : verdict_name(verdict), c->section, c->name,
           c->requires);
    if (*found)
        printf("        %s\n", found);
    if (r->hex)
        print_exchanges(exchanges, count, 0);
    else if (verdict < 0)
        print_exchanges(exchanges, count, count > SHOWN ? count - SHOWN : 0);
    fflush(stdout);
}

void report_case(const struct report *r, const struct conform_case *c, int verdict,
                 const char *found, const struct exchange *exchanges, size_t count)
{
    if (verdict == CASE_PASS)
        found = "";
    if (!r->json) {
        print_words(r, c, verdict, found, exchanges, count);
        return;
    }
    print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "event", "case", "case", c->name,
                         "section", c->section, "requires", c->requires, "result",
                         verdict_name(verdict), "found", found, "exchanges",
                         exchanges_json(exchanges, count)));
}

void report_end(const struct report *r, const struct bench *b, const struct judgement *j)
{
    if (r->json) {
        print_json(json_pack("{s:s, s:i, s:i, s:i, s:s}", "event", "end", "passed", (int)j->passed,
                             "failed", (int)j->failed, "skipped", (int)j->skipped, "left",
                             state_name(b)));
        return;
    }
    printf("%u passed, %u failed, %u skipped; the device is left %s\n", j->passed, j->failed,
           j->skipped,
           b->hello.facts.lifecycle == IMPRINT_LIFE_LOCKED ? "locked"
           : b->hello.commit_count > 0                     ? "with an identity"
                                                           : "blank");
}

void report_error(const struct report *r, const struct error *err)
{
    if (r->json)
        print_json(json_pack("{s:s, s:s, s:s, s:i}", "error", error_name(err->code), "message",
                             err->message, "text", err->text, "exit",
                             error_exit_status(err->code)));
    error_tell("imprint", err);
}

void report_list(const struct report *r)
{
    const struct conform_case *c;

    for (size_t i = 0; (c = case_at(i)); i++)
        if (r->json)
            print_json(json_pack("{s:s, s:s, s:s}", "case", c->name, "section", c->section,
                                 "requires", c->requires));
        else
            printf("%-2s %-26s %s\n", c->section, c->name, c->requires);
}
