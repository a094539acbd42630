/* The vault's server against whole line processes: some end early, some send anything but requests.
 */
#include "played_device.h"

#include "station/vault/server.h"
#include "station/vault/session.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

static const struct rig_order plain_order = {.lock = false};

enum { LINE_STATUS = 18, CHANNELS_TOO_MANY = CHANNELS_MAX + 20, KEPT = 100 };

/* Runs play as the line: it has the control socket, and ends with what it returns. */
static int serve(struct rig *r, int (*play)(int control), struct error *err)
{
    struct server server = {.control = -1, .scanners = -1, .typed = -1};
    struct error ignored = ERROR_INIT;
    int fds[2];

    ASSERT_OK(channel_pair(fds, &ignored), ignored);
    server.line = fork();
    if (server.line == 0) {
        uint8_t go;

        close(fds[0]);
        alarm(60);
        if (read(fds[1], &go, 1) != 1)
            _exit(99);
        _exit(play(fds[1]));
    }
    close(fds[1]);
    server.control = fds[0];
    alarm(60); /* a vault that hangs fails the test */
    return server_run(&server, &r->v, err);
}

static int open_channel(int control)
{
    struct error err = ERROR_INIT;
    int fd = -1;

    return channel_open(control, &fd, &err) ? -1 : fd;
}

/* Sends bytes as one request; 0 when an answer came, whatever it says. */
static int request(int fd, const struct buf *m)
{
    struct error err = ERROR_INIT;
    struct buf reply;
    int rc = channel_send(fd, m, &err);

    buf_init(&reply, WIRE_MAX);
    if (rc == 0)
        rc = channel_receive(fd, &reply, &err);
    buf_done(&reply);
    return rc;
}

static int request_open(int fd)
{
    const struct wire_open open = {"S1"};
    struct buf m;
    int rc;

    buf_init(&m, WIRE_MAX);
    wire_put_open(&m, &open);
    rc = request(fd, &m);
    buf_done(&m);
    return rc;
}

/* ---- lines ---- */

static int ends_at_once(int control)
{
    (void)control;
    return LINE_STATUS;
}

static int opens_and_ends(int control)
{
    return request_open(open_channel(control)) ? 98 : LINE_STATUS;
}

static int sends_bytes_on_the_control_socket(int control)
{
    if (send(control, "hello", 5, MSG_NOSIGNAL) != 5)
        return 98;
    return LINE_STATUS;
}

static int opens_too_many_channels(int control)
{
    int fds[CHANNELS_TOO_MANY], served = 0;

    for (int i = 0; i < CHANNELS_TOO_MANY; i++)
        fds[i] = open_channel(control);
    for (int i = 0; i < CHANNELS_TOO_MANY; i++)
        served += fds[i] >= 0 && request_open(fds[i]) == 0;
    return served == CHANNELS_MAX ? LINE_STATUS : 98;
}

static int sends_noise(int control)
{
    int fd = open_channel(control);
    struct buf m;

    buf_init(&m, WIRE_MAX);
    for (unsigned i = 0; i < 2000; i++) {
        size_t len = 1 + (i * 37u) % 900;

        buf_reset(&m);
        for (size_t k = 0; k < len; k++)
            buf_put_u8(&m, (uint8_t)((i + 1) * (k + 3) * 2654435761u >> 13));
        if (request(fd, &m))
            return 98;
    }
    return request_open(fd) ? 97 : LINE_STATUS;
}

/* Its channel is dropped; another one is served all the same. */
static int sends_a_message_that_is_too_long(int control)
{
    static const uint8_t noise[WIRE_MAX + 1];
    int fd = open_channel(control), other = open_channel(control);
    uint8_t byte;

    if (send(fd, noise, sizeof noise, 0) != sizeof noise || recv(fd, &byte, 1, 0) != 0)
        return 98;
    return request_open(other) ? 97 : LINE_STATUS;
}

static int asks_and_does_not_wait(int control)
{
    const struct wire_open open = {"S1"};
    struct error err = ERROR_INIT;
    struct buf m;

    buf_init(&m, WIRE_MAX);
    wire_put_open(&m, &open);
    for (int i = 0; i < 50; i++) {
        int fd = open_channel(control);

        if (channel_send(fd, &m, &err))
            return 98;
        close(fd);
    }
    return LINE_STATUS;
}

/* Requests without end, answers never read: the channel is dropped, the vault is not held up. */
static int asks_and_never_reads(int control)
{
    int fd = open_channel(control), other = open_channel(control);

    for (int i = 0; i < 200000; i++)
        if (send(fd, "\377", 1, MSG_NOSIGNAL) < 0)
            return request_open(other) ? 97 : LINE_STATUS;
    return 98;
}

/* A channel of which the line kept the vault's end as well. */
static void open_channel_and_keep(int control, int fds[2])
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } sent = {.space = {0}};
    struct iovec part = {"", 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = sent.space,
                             .msg_controllen = sizeof sent.space};

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds))
        _exit(96);
    sent.header.cmsg_level = SOL_SOCKET;
    sent.header.cmsg_type = SCM_RIGHTS;
    sent.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&sent.header), &fds[1], sizeof(int));
    if (sendmsg(control, &message, 0) != 1)
        _exit(95);
}

/* One byte on each channel; then whatever the vault did not get to is taken back. How many were. */
static int ask_and_take_back(int fds[KEPT][2])
{
    int taken = 0;
    char byte;

    for (int i = 0; i < KEPT; i++)
        if (send(fds[i][0], "\377", 1, 0) != 1)
            _exit(94);
    /* The vault saw some of them come, and serves the first ones at this moment. */
    for (int i = KEPT - 1; i >= 0; i--)
        if (recv(fds[i][1], &byte, 1, MSG_DONTWAIT) == 1)
            taken++;
        else
            (void)!recv(fds[i][0], &byte, 1, 0);
    return taken;
}

static int takes_back_what_it_sent(int control)
{
    int fds[KEPT][2], taken = 0;

    for (int i = 0; i < KEPT; i++)
        open_channel_and_keep(control, fds[i]);
    for (int round = 0; round < 100; round++)
        taken += ask_and_take_back(fds);
    if (taken == 0)
        return 98;
    return request_open(fds[0][0]) ? 97 : LINE_STATUS;
}

/* Alive, and deaf to what a terminal sends: the vault does not wait for it. */
static int closes_its_socket_and_stays(int control)
{
    (void)request_open(open_channel(control));
    close(control);
    signal(SIGTERM, SIG_IGN);
    alarm(0);
    return pause();
}

static int is_killed(int control)
{
    (void)request_open(open_channel(control));
    raise(SIGKILL);
    return 98;
}

static const struct {
    int (*play)(int control);
    int code;
} lines[] = {
    {ends_at_once, -LINE_STATUS},
    {opens_and_ends, -LINE_STATUS},
    {sends_bytes_on_the_control_socket, -LINE_STATUS},
    {opens_too_many_channels, -LINE_STATUS},
    {sends_noise, -LINE_STATUS},
    {sends_a_message_that_is_too_long, -LINE_STATUS},
    {asks_and_does_not_wait, -LINE_STATUS},
    {asks_and_never_reads, -LINE_STATUS},
    {takes_back_what_it_sent, -LINE_STATUS},
    {is_killed, ERR_INTERNAL},
    {closes_its_socket_and_stays, ERR_INTERNAL},
};

START_TEST(whatever_a_line_does_the_vault_ends_in_order)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, 1);
    ASSERT_FAILS(serve(&r, lines[_i].play, &err), lines[_i].code);
    ck_assert_int_eq(rig_attempts(&r), 0); /* no device said HELLO */
    ck_assert_int_eq(rig_state(&r, CREDENTIAL_AVAILABLE), 1);
    rig_end(&r);
}
END_TEST

/* A device on a channel of its own that was opened: *m is its HELLO, and handle what the vault gave. */
static int begin_device(int fd, struct buf *m, uint8_t handle[WIRE_HANDLE_SIZE])
{
    const struct wire_open open = {"S1"};
    struct error err = ERROR_INIT;
    struct wire_opened opened;
    struct wire_hello h;
    struct device d;
    struct reader in;

    device_init(&d, 0xa1);
    wire_put_open(m, &open);
    if (channel_send(fd, m, &err) || channel_receive(fd, m, &err))
        return 98;
    reader_init(&in, m->data, m->len);
    if (wire_get_status(&in, &err) || wire_get_opened(&in, &opened))
        return 97;
    d.transport = EVP_EC_gen("P-256");
    if (ec_point(d.transport, d.dev_pub, &err))
        return 96;
    h = device_hello(&d, opened.nonce);
    memcpy(h.handle, opened.handle, sizeof h.handle);
    memcpy(handle, opened.handle, WIRE_HANDLE_SIZE);
    buf_reset(m);
    wire_put_hello(m, &h);
    return 0;
}

/* A failure of the vault itself ends the serving, and the line is told before. */
static int claims_something(int control)
{
    uint8_t handle[WIRE_HANDLE_SIZE];
    int fd = open_channel(control), rc;
    struct error err = ERROR_INIT;
    struct reader in;
    struct buf m;

    buf_init(&m, WIRE_MAX);
    rc = begin_device(fd, &m, handle);
    if (rc)
        return rc;
    if (channel_send(fd, &m, &err) || channel_receive(fd, &m, &err))
        return 95;
    reader_init(&in, m.data, m.len);
    return wire_get_status(&in, &err) == ERR_INTEGRITY ? LINE_STATUS : 94;
}

START_TEST(a_failure_of_the_vault_ends_the_line_and_is_what_is_told)
{
    struct error err = ERROR_INIT;
    struct rig r;

    rig_start(&r, &plain_order, 1);
    rig_sql(&r, "UPDATE credentials SET mac = zeroblob(32)");
    ASSERT_FAILS(serve(&r, claims_something, &err), ERR_INTEGRITY);
    ck_assert_ptr_nonnull(strstr(err.text, "PUMP-000001"));
    rig_drop(&r);
}
END_TEST

/* ---- what need not wait for a group ---- */

/* drawn: the nonce was journalled with the claim; passed: the proof is recorded. Whatever may write, or tell
 * of what is not durable yet, waits. */
static const struct {
    uint8_t op;
    bool drawn, passed, at_once;
} requests[] = {{WIRE_OPEN, false, false, true},   {WIRE_CHAIN, false, false, true},
                {WIRE_OBJECT, false, false, true}, {WIRE_NONCE, true, false, true},
                {WIRE_NONCE, false, false, false}, {WIRE_NONCE, false, true, false},
                {WIRE_RESULT, false, true, true},  {WIRE_RESULT, false, false, false},
                {WIRE_RESULT, true, false, false}, {WIRE_HELLO, true, true, false},
                {WIRE_PROOF, true, true, false},   {WIRE_CSR, true, true, false},
                {WIRE_COUNTS, true, true, false},  {0, true, true, false},
                {0xff, true, true, false}};

START_TEST(what_may_change_the_database_waits_for_its_group)
{
    struct session s;
    struct buf m;

    session_init(&s);
    buf_init(&m, WIRE_MAX);
    ck_assert(!session_is_at_once(&s, &m));
    s.nonce_drawn = requests[_i].drawn;
    s.passed = requests[_i].passed;
    buf_put_u8(&m, requests[_i].op);
    ck_assert(session_is_at_once(&s, &m) == requests[_i].at_once);
    buf_done(&m);
    session_done(&s);
}
END_TEST

/* What the line that asks ahead was answered: shared with the test. */
struct answers {
    int told; /* status of HELLO, or ERR_GONE: the vault ended with requests unread, which resets */
    int count; /* answers after it */
    int rc;    /* of the line */
};
static struct answers *answers;

/* Asks for a whole bundle and its nonce before HELLO is answered: they lie ready on the channel. */
static int asks_ahead(int control)
{
    uint8_t handle[WIRE_HANDLE_SIZE];
    int fd = open_channel(control);
    struct error err = ERROR_INIT;
    struct reader in;
    struct buf m;

    buf_init(&m, WIRE_MAX);
    answers->rc = begin_device(fd, &m, handle) || channel_send(fd, &m, &err);
    /* Where the group fails the vault may have ended before these leave. */
    for (uint8_t i = 0; i < 3; i++) {
        buf_reset(&m);
        wire_put_object(&m, handle, i);
        (void)!channel_send(fd, &m, NULL);
    }
    buf_reset(&m);
    wire_put_nonce(&m, handle);
    (void)!channel_send(fd, &m, NULL);
    answers->told = channel_receive(fd, &m, &err);
    if (answers->told == ERR_GONE) /* the reset is told first, what was answered after it */
        answers->told = channel_receive(fd, &m, &err);
    reader_init(&in, m.data, m.len);
    if (answers->told == 0)
        answers->told = wire_get_status(&in, &err);
    while (answers->count < 4 && channel_receive(fd, &m, &err) == 0)
        answers->count++;
    return LINE_STATUS;
}

static int no_anchor(void *context, int64_t seq, const uint8_t head[32], struct error *err)
{
    (void)context;
    (void)seq;
    (void)head;
    return error_set(err, ERR_HSM, "the token is gone");
}

/* A claim that is in the database and not anchored may not be released, also not to who asked before. */
START_TEST(what_was_asked_ahead_is_not_answered_when_its_group_fails)
{
    struct error err = ERROR_INIT;
    struct rig r;

    answers =
        mmap(NULL, sizeof *answers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(answers, MAP_FAILED);
    rig_start(&r, &plain_order, 1);
    if (_i)
        store_set_anchor(r.store, no_anchor, NULL);
    ck_assert_int_eq(serve(&r, asks_ahead, &err) == ERR_HSM, _i);
    ck_assert_int_eq(answers->rc, 0);
    ck_assert(_i ? answers->told == ERR_HSM || answers->told == ERR_GONE : answers->told == 0);
    ck_assert_int_eq(answers->count, _i ? 0 : 4);
    rig_drop(&r);
}
END_TEST

static const bool anchor_fails[] = {false, true};

RIG_MAIN("server", EACH_ROW(what_may_change_the_database_waits_for_its_group, requests),
         EACH_ROW(whatever_a_line_does_the_vault_ends_in_order, lines),
         ONCE(a_failure_of_the_vault_ends_the_line_and_is_what_is_told),
         EACH_ROW(what_was_asked_ahead_is_not_answered_when_its_group_fails, anchor_fails))
