/* What stations and fixtures say, and how it holds a slot. */
#include "check_util.h"

#include "station/fixture/talk.h"
#include "station/line/gate.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- lines ---- */

static const struct {
    enum fixture_side from;
    const char *line;
    bool good;
} lines[] = {
    {FIXTURE_DEVICE, "FIXTURE 1 nest-3", true},
    {FIXTURE_DEVICE, "PONG", true},
    {FIXTURE_DEVICE, "LID S1 OPEN", true},
    {FIXTURE_DEVICE, "LID S1 CLOSED", true},
    {FIXTURE_DEVICE, "POWER S1 ON", true},
    {FIXTURE_DEVICE, "START S1", true},
    {FIXTURE_DEVICE, "ABORT S1", true},
    {FIXTURE_DEVICE, "RESULT S1", true},
    {FIXTURE_STATION, "FIXTURE 1", true},
    {FIXTURE_STATION, "PING", true},
    {FIXTURE_STATION, "POWER S1 OFF", true},
    {FIXTURE_STATION, "IDLE S1", true},
    {FIXTURE_STATION, "BUSY S1", true},
    {FIXTURE_STATION, "OK S1 AB/12 WAITS", true},
    {FIXTURE_STATION, "NG S1 ERR_TIMEOUT reseat", true},
    {FIXTURE_STATION, "LAMP S1 RED", true},
    {FIXTURE_STATION, "BUZZER S1 CALL", true},
    {FIXTURE_STATION, "NO START S1 LID", true},
    {FIXTURE_STATION, "BYE", true},
    /* of the other side, */
    {FIXTURE_DEVICE, "PING", false},
    {FIXTURE_DEVICE, "FIXTURE 1", false},
    {FIXTURE_DEVICE, "LAMP S1 RED", false},
    {FIXTURE_STATION, "LID S1 OPEN", false},
    {FIXTURE_STATION, "START S1", false},
    /* and what is none */
    {FIXTURE_DEVICE, "", false},
    {FIXTURE_DEVICE, " PONG", false},
    {FIXTURE_DEVICE, "PONG ", false},
    {FIXTURE_DEVICE, "PONG S1", false},
    {FIXTURE_DEVICE, "pong", false},
    {FIXTURE_DEVICE, "LID  S1 OPEN", false},
    {FIXTURE_DEVICE, "LID S1\tOPEN", false},
    {FIXTURE_DEVICE, "LID S1 open", false},
    {FIXTURE_DEVICE, "LID S1", false},
    {FIXTURE_DEVICE, "LID S1 OPEN OPEN", false},
    {FIXTURE_DEVICE, "LID S\xc3\xa4 OPEN", false},
    {FIXTURE_DEVICE, "FIXTURE 2 nest", false},
    {FIXTURE_DEVICE, "START 123456789012345678901234567890123", false},
    {FIXTURE_DEVICE, "START", false},
    {FIXTURE_DEVICE, "LIDS S1 OPEN", false},
};

START_TEST(a_line_has_one_form)
{
    const char *line = lines[_i].line;
    char again[FIXTURE_LINE_MAX + 2];
    struct fixture_message m;
    int rc = fixture_parse(lines[_i].from, line, strlen(line), &m, NULL);

    ck_assert_msg((rc == 0) == lines[_i].good, "%s", line);
    if (rc)
        return;
    ck_assert_uint_eq(fixture_format(lines[_i].from, &m, again), strlen(line) + 1);
    ck_assert_int_eq(strncmp(again, line, strlen(line)), 0);
}
END_TEST

START_TEST(what_is_no_word_is_not_written)
{
    struct fixture_message m = {.verb = FIXTURE_NG, .slot = "S1", .text = {"ERR", "two words"}};
    char line[FIXTURE_LINE_MAX + 2];

    ck_assert_uint_eq(fixture_format(FIXTURE_STATION, &m, line), 0);
    strcpy(m.text[1], "");
    ck_assert_uint_eq(fixture_format(FIXTURE_STATION, &m, line), 0);
    strcpy(m.text[1], "one\nPING");
    ck_assert_uint_eq(fixture_format(FIXTURE_STATION, &m, line), 0);
    strcpy(m.text[1], "call");
    ck_assert_uint_gt(fixture_format(FIXTURE_STATION, &m, line), 0);
    ck_assert_uint_eq(fixture_format(FIXTURE_DEVICE, &m, line), 0);
}
END_TEST

/* ---- octets ---- */

static struct talk talk;
static int other;

static void connect_pair(void)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    talk_init(&talk, fds[0], FIXTURE_DEVICE);
    other = fds[1];
}

/* The messages of what the fixture sends; those that are none count 100 each. */
static int count_in(const char *text, size_t len)
{
    struct fixture_message m;
    int count = 0, got;

    ck_assert_int_eq(write(other, text, len), (ssize_t)len);
    ck_assert_int_eq(talk_read(&talk, NULL), 0);
    while ((got = talk_next(&talk, &m, NULL)))
        count += got > 0 ? 1 : 100;
    return count;
}

START_TEST(lines_come_in_pieces_and_together)
{
    char endless[300];

    connect_pair();
    ck_assert_int_eq(count_in("PO", 2), 0);
    ck_assert_int_eq(count_in("NG\r", 3), 0);
    ck_assert_int_eq(count_in("\nPONG\nLID S1 OP", 15), 2);
    ck_assert_int_eq(count_in("EN\n", 3), 1);
    ck_assert_int_eq(count_in("PO\0NG\nPONG\n", 11), 101);
    ck_assert_int_eq(count_in("\r\n\n", 3), 200);
    memset(endless, 'A', sizeof endless);
    ck_assert_int_eq(count_in(endless, sizeof endless), 0);
    ck_assert_int_eq(count_in("\nPONG\n", 6), 101);
}
END_TEST

START_TEST(who_does_not_read_is_told_nothing_more)
{
    const struct fixture_message ping = {.verb = FIXTURE_PING};
    int rc = 0;

    connect_pair();
    for (int i = 0; rc == 0 && i < 1000000; i++)
        rc = talk_say(&talk, &ping, NULL);
    ck_assert_int_eq(rc, ERR_PROTOCOL);
    ck_assert(talk_has_more(&talk));
}
END_TEST

START_TEST(who_hung_up_is_gone)
{
    connect_pair();
    close(other);
    ck_assert_int_eq(talk_read(&talk, NULL), ERR_GONE);
}
END_TEST

/* ---- the gate ---- */

static const volatile bool no_stop = false;

/* Makes a gate and says what holds it, without waiting. */
static enum event_hold hold(struct gate *g)
{
    return gate_enter(g, HOLD_NONE, &no_stop, GATE_FOR_EVER);
}

START_TEST(nothing_begins_before_all_is_said)
{
    struct event wait = {.kind = EVENT_WAIT, .slot = "S1"},
                 pass = {.kind = EVENT_PASS, .slot = "S1", .serial = "A"};
    enum fixture_reason why;
    struct gate g;

    gate_init(&g, "S1", &(struct gate_rules){.lid = true, .start = true});
    ck_assert_int_eq(hold(&g), HOLD_FIXTURE);
    gate_found(&g);
    ck_assert_int_eq(hold(&g), HOLD_LID);
    ck_assert_int_eq(gate_start(&g, &why), -1);
    ck_assert_int_eq(why, REASON_LID);
    gate_lid(&g, true);
    ck_assert_int_eq(hold(&g), HOLD_START);
    ck_assert_int_eq(gate_start(&g, &why), -1);
    ck_assert_int_eq(why, REASON_PORT);
    gate_show(&g, &wait);
    ck_assert_int_eq(gate_start(&g, &why), 0);
    ck_assert_int_eq(gate_start(&g, &why), -1);
    ck_assert_int_eq(why, REASON_BUSY);
    ck_assert_int_eq(hold(&g), HOLD_NONE);
    gate_show(&g, &pass);
    ck_assert_int_eq(gate_start(&g, &why), 0);
    ck_assert(gate_wants(&g));
    gate_leave(&g);
    ck_assert_int_eq(hold(&g), HOLD_NONE);
    gate_leave(&g);
    ck_assert_int_eq(hold(&g), HOLD_START);
    ck_assert_int_eq(gate_abort(&g, &why), -1);
    ck_assert_int_eq(why, REASON_IDLE);
    ck_assert_int_eq(gate_start(&g, &why), 0);
    gate_lid(&g, false); /* what was started is not, once somebody reaches in */
    gate_lid(&g, true);
    ck_assert_int_eq(hold(&g), HOLD_START);
    gate_lost(&g);
    ck_assert_int_eq(hold(&g), HOLD_FIXTURE);
    gate_done(&g);
}
END_TEST

START_TEST(a_fixture_of_lamps_alone_holds_nothing)
{
    struct gate g;

    gate_init(&g, "S1", &(struct gate_rules){.lid = false});
    ck_assert_int_eq(hold(&g), HOLD_NONE);
    gate_found(&g);
    gate_lid(&g, false);
    gate_lost(&g);
    ck_assert(!gate_is_broken(&g));
    ck_assert_int_eq(hold(NULL), HOLD_NONE);
    gate_done(&g);
}
END_TEST

START_TEST(a_lid_that_was_open_for_a_moment_was_open)
{
    bool opened = false;
    struct gate g;

    gate_init(&g, "S1", &(struct gate_rules){.lid = true});
    gate_found(&g);
    gate_lid(&g, true);
    ck_assert_int_eq(hold(&g), HOLD_NONE);
    gate_lid(&g, false);
    gate_lid(&g, true);
    ck_assert(gate_is_broken(&g));
    ck_assert(gate_reach(&g, &opened));
    ck_assert(opened);
    ck_assert(!gate_is_broken(&g));
    opened = false;
    ck_assert(gate_reach(&g, &opened));
    ck_assert(!opened);
    gate_lid(&g, false);
    ck_assert(!gate_reach(&g, &opened));
    ck_assert(opened);
    gate_done(&g);
}
END_TEST

START_TEST(an_abort_is_nobody_who_reached_in)
{
    enum fixture_reason why;
    bool opened = false;
    struct gate g;

    gate_init(&g, "S1", &(struct gate_rules){.lid = true});
    gate_found(&g);
    gate_lid(&g, true);
    ck_assert_int_eq(hold(&g), HOLD_NONE);
    ck_assert_int_eq(gate_abort(&g, &why), 0);
    ck_assert(gate_is_broken(&g));
    ck_assert(gate_reach(&g, &opened));
    ck_assert(!opened);
    gate_done(&g);
}
END_TEST

/* A device that says nothing and takes everything. */
static int written;

static int mute_write(struct transport *t, const uint8_t *bytes, size_t len, int timeout_ms,
                      struct error *err)
{
    (void)t, (void)bytes, (void)timeout_ms, (void)err;
    written += (int)len;
    return 0;
}

static int mute_read(struct transport *t, uint8_t *out, size_t max, size_t *got, int timeout_ms,
                     struct error *err)
{
    (void)t, (void)out, (void)max, (void)got, (void)timeout_ms;
    return error_set(err, ERR_TIMEOUT, "nothing");
}

static void mute_close(struct transport *t)
{
    (void)t;
}

START_TEST(a_broken_gate_passes_nothing)
{
    static const struct transport_ops ops = {mute_write, mute_read, mute_close};
    struct transport mute = {&ops, "mute"}, *t;
    struct error err = ERROR_INIT;
    uint8_t octet = 0;
    struct gate g;
    size_t got;

    gate_init(&g, "S1", &(struct gate_rules){.lid = true});
    gate_found(&g);
    gate_lid(&g, true);
    t = gate_transport(&g, &mute);
    ck_assert_int_eq(transport_write(t, &octet, 1, 10, NULL), 0);
    ck_assert_int_eq(transport_read(t, &octet, 1, &got, 120, NULL), ERR_TIMEOUT);
    gate_lid(&g, false);
    gate_lid(&g, true);
    ck_assert_int_eq(transport_write(t, &octet, 1, 10, &err), ERR_INTERRUPTED);
    ck_assert_int_eq(err.next, NEXT_RESEAT);
    ck_assert_int_eq(transport_read(t, &octet, 1, &got, 10, NULL), ERR_INTERRUPTED);
    ck_assert_int_eq(written, 1);
    transport_close(t);
    ck_assert_ptr_eq(gate_transport(NULL, &mute), &mute);
    gate_done(&g);
}
END_TEST

static const struct {
    struct event event;
    enum fixture_verb result;
    enum fixture_lamp lamp;
    int tone;
    const char *text[2];
} facts[] = {
    {{.kind = EVENT_EMPTY}, FIXTURE_IDLE, LAMP_OFF, -1, {"", ""}},
    {{.kind = EVENT_HOLD, .hold = HOLD_LID}, FIXTURE_IDLE, LAMP_BLUE, -1, {"", ""}},
    {{.kind = EVENT_HOLD, .hold = HOLD_START}, FIXTURE_IDLE, LAMP_OFF, -1, {"", ""}},
    {{.kind = EVENT_WAIT}, FIXTURE_IDLE, LAMP_WHITE, -1, {"", ""}},
    {{.kind = EVENT_DELIVER}, FIXTURE_BUSY, LAMP_YELLOW, -1, {"", ""}},
    {{.kind = EVENT_SCAN}, FIXTURE_BUSY, LAMP_BLUE, TONE_CALL, {"", ""}},
    {{.kind = EVENT_PASS, .serial = "A B\n"}, FIXTURE_OK, LAMP_GREEN, TONE_GOOD, {"A?B?", ""}},
    {{.kind = EVENT_FAIL, .why = &(const struct error){.code = ERR_DUPLICATE}},
     FIXTURE_NG,
     LAMP_RED,
     TONE_BAD,
     {"ERR_DUPLICATE", "set_aside"}},
    {{.kind = EVENT_DISABLED}, FIXTURE_NG, LAMP_RED, -1, {"", ""}},
};

START_TEST(what_a_slot_shows)
{
    struct gate_view v;
    struct gate g;

    gate_init(&g, "S1", &(struct gate_rules){.lid = true});
    gate_show(&g, &facts[_i].event);
    gate_view(&g, &v);
    ck_assert_uint_eq(v.number, 1);
    ck_assert_int_eq(v.result, facts[_i].result);
    ck_assert_int_eq(v.lamp, facts[_i].lamp);
    ck_assert_int_eq(v.tone, facts[_i].tone);
    ck_assert_str_eq(v.text[0], facts[_i].text[0]);
    ck_assert_str_eq(v.text[1], facts[_i].text[1]);
    gate_done(&g);
}
END_TEST

START_TEST(power_follows_the_lid)
{
    struct gate g;

    gate_init(&g, "S1", &(struct gate_rules){.lid = true, .power_ms = 100});
    ck_assert(!gate_wants_power(&g));
    gate_found(&g);
    ck_assert(!gate_wants_power(&g));
    gate_lid(&g, true);
    ck_assert(gate_wants_power(&g));
    gate_lid(&g, false);
    ck_assert(!gate_wants_power(&g));
    gate_done(&g);
}
END_TEST

CHECK_ITEMS_MAIN("fixture", EACH_ROW(a_line_has_one_form, lines),
                 ONCE(what_is_no_word_is_not_written), ONCE(lines_come_in_pieces_and_together),
                 ONCE(who_does_not_read_is_told_nothing_more), ONCE(who_hung_up_is_gone),
                 ONCE(nothing_begins_before_all_is_said),
                 ONCE(a_fixture_of_lamps_alone_holds_nothing),
                 ONCE(a_lid_that_was_open_for_a_moment_was_open),
                 ONCE(an_abort_is_nobody_who_reached_in), ONCE(a_broken_gate_passes_nothing),
                 EACH_ROW(what_a_slot_shows, facts), ONCE(power_follows_the_lid))
