/* What an operator says to a line, how fast it is, and how ports are handed to it. */
#include "check_util.h"

#include "station/line/command.h"
#include "station/line/pace.h"
#include "station/wire/channel.h"
#include "station/wire/offer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct error err;

/* ---- commands ---- */

static const struct {
    const char *line;
    bool json;
    int kind; /* -1: none */
    const char *slot;
} said[] = {
    {"pause", false, COMMAND_PAUSE, ""},
    {"  resume \r", false, COMMAND_RESUME, ""},
    {"resume", false, COMMAND_RESUME, ""},
    {"q", false, COMMAND_QUIT, ""},
    {"quit", false, COMMAND_QUIT, ""},
    {"ack S 1", false, COMMAND_ACK, "S 1"},
    {"ack", false, -1, ""},
    {"pause S1", false, -1, ""},
    {"stop", false, -1, ""},
    {"ack 0123456789012345678901234567890123456789", false, -1, ""},
    {"{\"command\":\"ack\",\"slot\":\"S1\"}", true, COMMAND_ACK, "S1"},
    {"{\"command\":\"quit\",\"more\":1}", true, COMMAND_QUIT, ""},
    {"{\"command\":\"quit\",\"slot\":\"S1\"}", true, -1, ""},
    {"{\"command\":\"ack\",\"slot\":7}", true, -1, ""},
    {"pause", true, -1, ""},
    {"", true, -1, ""},
};

START_TEST(a_command_is_one_of_four)
{
    struct command c = {.kind = COMMAND_PAUSE};
    int rc = command_parse(said[_i].line, said[_i].json, &c, &err);

    ck_assert_int_eq(rc, said[_i].kind < 0 ? ERR_INPUT : 0);
    if (rc == 0) {
        ck_assert_int_eq((int)c.kind, said[_i].kind);
        ck_assert_str_eq(c.slot, said[_i].slot);
    }
}
END_TEST

static void add(struct command_input *in, const char *text, size_t len)
{
    size_t taken;

    command_input_add(in, text, len, &taken);
    ck_assert_uint_eq(taken, len);
}

START_TEST(bytes_become_lines_and_one_that_is_too_long_becomes_an_empty_one)
{
    static struct command_input in;
    char line[COMMAND_LINE_MAX], noise[COMMAND_LINE_MAX];

    add(&in, "pau", 3);
    ck_assert(!command_input_line(&in, line));
    add(&in, "se\nquit\nx", 9);
    ck_assert(command_input_line(&in, line));
    ck_assert_str_eq(line, "pause");
    ck_assert(command_input_line(&in, line));
    ck_assert_str_eq(line, "quit");
    ck_assert(!command_input_line(&in, line));
    memset(noise, 'n', sizeof noise);
    for (int i = 0; i < 3; i++) {
        size_t taken;

        command_input_add(&in, noise, sizeof noise, &taken);
        ck_assert(!command_input_line(&in, line));
    }
    add(&in, "quit\npause\n", 11);
    ck_assert(command_input_line(&in, line));
    ck_assert_str_eq(line, "");
    ck_assert(command_input_line(&in, line));
    ck_assert_str_eq(line, "pause");
}
END_TEST

/* ---- pace ---- */

START_TEST(the_pace_is_that_of_the_last_ten_minutes)
{
    static struct pace p, early;

    ck_assert_int_eq((int)pace_per_hour(&p, 0), -1);
    pace_add(&p, 1000);
    ck_assert_int_eq((int)pace_per_hour(&p, 2000), -1);
    pace_add(&p, 31000);
    ck_assert_int_eq((int)pace_per_hour(&p, 31000), 120);
    for (int i = 0; i < 2; i++) /* two slots of one press: no pace yet */
        pace_add(&early, 1000);
    ck_assert_int_eq((int)pace_per_hour(&early, 10999), -1);
    ck_assert_int_eq((int)pace_per_hour(&early, 11000), 360);
    ck_assert_int_eq((int)pace_per_hour(&p, 61000), 60); /* nothing more came */
    ck_assert_int_eq((int)pace_per_hour(&p, 1000 + PACE_WINDOW_MS + 1), -1);
    for (int i = 0; i < PACE_MAX + 10; i++)
        pace_add(&p, 700000 + i);
    ck_assert_int_eq((int)pace_per_hour(&p, 700000 + PACE_MAX + 9), 3600000);
}
END_TEST

/* ---- offers ---- */

static int ends[2];

static void make_ends(void)
{
    err = (struct error)ERROR_INIT;
    ASSERT_OK(channel_pair(ends, &err), err);
}

START_TEST(an_offer_and_what_is_asked_come_as_they_were)
{
    struct offer offer = {
        .kind = OFFER_USB, .port = 513, .slot = "S1", .name = "usb:1-2.3", .text = ""};
    struct offer got;
    enum offer_ask ask;
    uint16_t port;
    int pair[2], fd = -1;

    make_ends();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ASSERT_OK(offer_send(ends[0], &offer, pair[0], &err), err);
    ASSERT_OK(offer_receive(ends[1], &got, &fd, &err), err);
    ck_assert_mem_eq(&got, &offer, sizeof got);
    ck_assert_int_ge(fd, 0);
    ASSERT_OK(offer_ask(ends[1], ASK_PORT, 513, &err), err);
    ASSERT_OK(offer_asked(ends[0], &ask, &port, &err), err);
    ck_assert_int_eq((int)ask, ASK_PORT);
    ck_assert_uint_eq(port, 513);
    close(ends[1]);
    ASSERT_FAILS(offer_asked(ends[0], &ask, &port, &err), ERR_GONE);
}
END_TEST

/* A descriptor that does not fit what is said of it. */
START_TEST(what_is_no_port_is_refused_and_closed)
{
    static const uint8_t kinds[] = {
        OFFER_SERIAL, OFFER_USB, OFFER_ADDRESS, OFFER_NOTICE, OFFER_LISTED, 0, 99};
    int file = open("/etc/passwd", O_RDONLY), next;
    struct offer got;
    int fd = -7;

    make_ends();
    for (size_t i = 0; i < sizeof kinds; i++) {
        struct offer offer = {.kind = kinds[i], .slot = "S1", .name = "x"};

        ASSERT_OK(offer_send(ends[0], &offer, file, &err), err);
        ck_assert_int_eq(offer_receive(ends[1], &got, &fd, &err), ERR_PROTOCOL);
        ck_assert_int_eq(fd, -7);
        next = dup(0);
        ck_assert_int_eq(next, ends[1] > file ? ends[1] + 1 : file + 1);
        close(next);
    }
    for (size_t i = 0; i < 2; i++) { /* and none where one belongs */
        struct offer offer = {.kind = kinds[i], .slot = "S1", .name = "x"};

        ASSERT_OK(offer_send(ends[0], &offer, -1, &err), err);
        ck_assert_int_eq(offer_receive(ends[1], &got, &fd, &err), ERR_PROTOCOL);
    }
    ck_assert_int_eq(send(ends[0], "\1\0\0\0\377\377", 6, 0), 6);
    ck_assert_int_eq(offer_receive(ends[1], &got, &fd, &err), ERR_PROTOCOL);
}
END_TEST

CHECK_ITEMS_MAIN("line", EACH_ROW(a_command_is_one_of_four, said),
                 ONCE(bytes_become_lines_and_one_that_is_too_long_becomes_an_empty_one),
                 ONCE(the_pace_is_that_of_the_last_ten_minutes),
                 ONCE(an_offer_and_what_is_asked_come_as_they_were),
                 ONCE(what_is_no_port_is_refused_and_closed))
