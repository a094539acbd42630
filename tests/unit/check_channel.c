/* The sockets between vault and line, against a peer that ends, floods or sends something else. */
#include "check_util.h"

#include "station/wire/channel.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int control[2];

static void make_control(void)
{
    struct error err = ERROR_INIT;

    ASSERT_OK(channel_pair(control, &err), err);
}

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* The vault's and the line's end of a channel. */
static void make_channel(int *vault, int *line)
{
    struct error err = ERROR_INIT;

    ASSERT_OK(channel_open(control[1], line, &err), err);
    ASSERT_OK(channel_accept(control[0], vault, &err), err);
}

START_TEST(a_channel_carries_whole_messages_both_ways)
{
    struct error err = ERROR_INIT;
    struct buf sent, got;
    int vault, line;

    make_control();
    make_channel(&vault, &line);
    ck_assert_int_ne(vault, line);
    ck_assert(fcntl(vault, F_GETFD) & FD_CLOEXEC);
    ck_assert(fcntl(line, F_GETFD) & FD_CLOEXEC);
    buf_init(&sent, WIRE_MAX);
    buf_init(&got, WIRE_MAX);
    for (size_t len = 1; len <= WIRE_MAX; len = len < 4 ? len + 1 : len == 4 ? WIRE_MAX : len + 1) {
        buf_reset(&sent);
        memset(buf_grow(&sent, len), (int)len, len);
        ASSERT_OK(channel_send(line, &sent, &err), err);
        ASSERT_OK(channel_send(vault, &sent, &err), err);
        ASSERT_OK(channel_receive(vault, &got, &err), err);
        ck_assert_uint_eq(got.len, len);
        ck_assert_mem_eq(got.data, sent.data, len);
        ASSERT_OK(channel_receive(line, &got, &err), err);
        ck_assert_uint_eq(got.len, len);
    }
    buf_done(&sent);
    buf_done(&got);
}
END_TEST

START_TEST(two_channels_of_one_control_socket_are_apart)
{
    struct error err = ERROR_INIT;
    int vault[2], line[2];
    struct buf m;

    make_control();
    make_channel(&vault[0], &line[0]);
    make_channel(&vault[1], &line[1]);
    buf_init(&m, WIRE_MAX);
    buf_put_str(&m, "first");
    ASSERT_OK(channel_send(line[0], &m, &err), err);
    buf_reset(&m);
    buf_put_str(&m, "second");
    ASSERT_OK(channel_send(line[1], &m, &err), err);
    ASSERT_OK(channel_receive(vault[1], &m, &err), err);
    ck_assert_mem_eq(m.data, "second", 6);
    ASSERT_OK(channel_receive(vault[0], &m, &err), err);
    ck_assert_mem_eq(m.data, "first", 5);
    buf_done(&m);
}
END_TEST

START_TEST(a_message_that_is_too_long_is_refused_and_the_next_one_read)
{
    struct error err = ERROR_INIT;
    char noise[WIRE_MAX + 1] = {0};
    int vault, line;
    struct buf m;

    make_control();
    make_channel(&vault, &line);
    buf_init(&m, WIRE_MAX);
    ck_assert_int_eq(send(line, noise, sizeof noise, 0), sizeof noise);
    ck_assert_int_eq(send(line, "next", 4, 0), 4);
    ASSERT_FAILS(channel_receive(vault, &m, &err), ERR_PROTOCOL);
    ck_assert_uint_eq(m.len, 0); /* nothing of it remains */
    ASSERT_OK(channel_receive(vault, &m, &err), err);
    ck_assert_uint_eq(m.len, 4);
    buf_done(&m);
    buf_init(&m, 4);
    buf_put_str(&m, "five5"); /* over its limit: failed */
    ASSERT_FAILS(channel_send(line, &m, &err), ERR_INTERNAL);
    buf_done(&m);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_told_apart)
{
    struct error err = ERROR_INIT;
    int vault, line;
    struct buf m;

    make_control();
    make_channel(&vault, &line);
    close(line);
    buf_init(&m, WIRE_MAX);
    ASSERT_FAILS(channel_receive(vault, &m, &err), ERR_GONE);
    buf_put_str(&m, "hello");
    ASSERT_FAILS(channel_send(vault, &m, &err), ERR_GONE); /* and no SIGPIPE */
    close(control[1]);
    ASSERT_FAILS(channel_accept(control[0], &line, &err), ERR_GONE);
    make_control();
    close(control[0]);
    ASSERT_FAILS(channel_open(control[1], &line, &err), ERR_GONE);
    buf_done(&m);
}
END_TEST

START_TEST(what_was_sent_before_the_peer_went_is_still_read)
{
    struct error err = ERROR_INIT;
    int vault, line;
    struct buf m;

    make_control();
    make_channel(&vault, &line);
    ck_assert_int_eq(send(line, "last words", 10, 0), 10);
    close(line);
    buf_init(&m, WIRE_MAX);
    ASSERT_OK(channel_receive(vault, &m, &err), err);
    ck_assert_uint_eq(m.len, 10);
    ASSERT_FAILS(channel_receive(vault, &m, &err), ERR_GONE);
    buf_done(&m);
}
END_TEST

/* A byte on the control socket with count descriptors beside it. */
static void send_descriptors(const int *fds, size_t count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(8 * sizeof(int))];
    } data;
    uint8_t byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    memset(&data, 0, sizeof data);
    if (count) {
        m.msg_control = data.space;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
        CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
        CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, count * sizeof(int));
    }
    ck_assert_int_eq(sendmsg(control[1], &m, 0), 1);
}

/* Descriptors beside the one that is expected, and what is none of a channel. */
START_TEST(anything_but_one_socket_is_refused_and_closed)
{
    struct error err = ERROR_INIT;
    int fds[8], before, fd = -7;

    make_control();
    for (size_t i = 0; i < 8; i++)
        fds[i] = open("/dev/null", O_RDONLY);
    before = open_descriptors();
    for (size_t count = 0; count <= 8; count++) {
        send_descriptors(fds, count);
        ck_assert_msg(channel_accept(control[0], &fd, &err) == ERR_PROTOCOL,
                      "%zu descriptors are taken", count);
        ck_assert_int_eq(fd, -7);
        ck_assert_msg(open_descriptors() == before, "some of %zu descriptors stay open", count);
    }
}
END_TEST

START_TEST(a_stream_socket_is_no_channel)
{
    struct error err = ERROR_INIT;
    int pair[2], fd = -7, before;

    make_control();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    before = open_descriptors();
    send_descriptors(pair, 1);
    ASSERT_FAILS(channel_accept(control[0], &fd, &err), ERR_PROTOCOL);
    ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

CHECK_MAIN("channel", a_channel_carries_whole_messages_both_ways,
           two_channels_of_one_control_socket_are_apart,
           a_message_that_is_too_long_is_refused_and_the_next_one_read,
           a_peer_that_is_gone_is_told_apart, what_was_sent_before_the_peer_went_is_still_read,
           anything_but_one_socket_is_refused_and_closed, a_stream_socket_is_no_channel)
