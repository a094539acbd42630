/*
 * imprint-board: the operator's screen, and the one process of a running line that has the terminal. It
 * reads the line's events (docs/events.md), writes commands, passes on what a scanner types, and has nothing
 * else: no device, no PIN, no file. `imprint run` starts it when it runs on a terminal.
 *
 * It says READY before anything else, or ends, on a terminal that it cannot use. It touches the terminal
 * only once the line speaks: until then the vault may ask for a PIN there.
 *
 * usage: imprint-board
 */
#include "base/clock.h"
#include "station/board/draw.h"
#include "station/board/ink.h"
#include "station/board/wedge.h"
#include "station/confine/confine.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_FD          3 /* where it is started with the line's events and commands, */
#define ERRORS_FD        4 /* and what the line and its helpers write on stderr, */
#define TYPED_FD         5 /* and to the vault, with what a scanner typed */
#define READY            "r"
#define EVENT_MAX        16384
#define SAID_MAX         64
#define TICK_MS          250 /* also how late a new size may be seen */
#define QUESTION_MS      10000
#define CTRL_KEY(letter) ((letter)&0x1f)

#ifdef __SANITIZE_ADDRESS__
/* The leak checker traces its own process and reads /proc, which a confined one may not. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}
#endif

/* Bytes until they are lines. */
struct lines {
    int fd;
    char bytes[EVENT_MAX];
    size_t len;
    bool too_long, ended;
};

struct screen {
    struct board board;
    struct view view;
    struct lines events, errors;
    struct wedge wedge;
    char said[SAID_MAX][BOARD_TEXT_MAX + 1]; /* of stderr: for who reads the terminal afterwards */
    size_t said_count;
    int64_t asked_ms;
    bool lit;  /* ncurses has the terminal */
    bool gone; /* the terminal was closed */
    bool told; /* the line was told to end */
};

static volatile sig_atomic_t hung_up, told_to_end;

static void on_signal(int number)
{
    if (number == SIGHUP)
        hung_up = 1;
    else
        told_to_end = 1;
}

/* ---- what the line is told ---- */

/* A line that does not read is one that ended: the events say so. */
static void say(const char *command)
{
    (void)!send(LINE_FD, command, strlen(command), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void quit(struct screen *s)
{
    if (!s->told)
        say("{\"command\":\"quit\"}\n");
    s->told = true;
}

static void pause_or_go_on(struct screen *s)
{
    if (s->board.line == BOARD_PAUSED)
        say("{\"command\":\"resume\"}\n");
    else if (s->board.line == BOARD_RUNNING)
        say("{\"command\":\"pause\"}\n");
}

/* A label is printable ASCII; quotation marks and backslashes alone mean something in JSON. */
static void try_again(struct screen *s)
{
    char command[64 + 2 * BOARD_LABEL_MAX] = "{\"command\":\"ack\",\"slot\":\"";
    size_t n = strlen(command);
    int focus = draw_focus(&s->board, &s->view);

    if (focus < 0 || (s->board.slots[focus].state != BOARD_FAIL &&
                      s->board.slots[focus].state != BOARD_DISABLED))
        return;
    for (const char *p = s->board.slots[focus].label; *p; p++) {
        if (*p == '"' || *p == '\\')
            command[n++] = '\\';
        command[n++] = *p;
    }
    strcpy(command + n, "\"}\n");
    say(command);
}

/* ---- scans that are typed: the vault reads them, where station.yaml says so ---- */

/* In one piece: the vault takes it for one code. What it does not take is lost, as a bad scan is. */
static void pass_code(const struct wedge *w)
{
    char code[WEDGE_MAX + 1];

    memcpy(code, w->code, w->len);
    code[w->len] = '\r';
    (void)!send(TYPED_FD, code, w->len + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- keys: none that a scanner types, which are letters, digits and the Enter and Tab keys ---- */

static void choose(struct screen *s, int step)
{
    int focus = draw_focus(&s->board, &s->view), to = focus < 0 ? 0 : focus + step;

    if (to >= 0 && to < (int)s->board.count)
        strcpy(s->view.chosen, s->board.slots[to].label);
}

static void ask_or_quit(struct screen *s)
{
    if (s->view.asks_quit)
        quit(s);
    s->view.asks_quit = !s->view.asks_quit && !s->told;
    s->asked_ms = clock_mono_ms();
}

static void take_key(struct screen *s, int key)
{
    bool quits = key == KEY_F(4) || key == CTRL_KEY('c');

    if (quits)
        ask_or_quit(s);
    else
        s->view.asks_quit = false;
    if (key == KEY_F(2) || key == CTRL_KEY('p'))
        pause_or_go_on(s);
    else if (key == KEY_F(3) || key == CTRL_KEY('r'))
        try_again(s);
    else if (key == KEY_LEFT || key == KEY_RIGHT)
        choose(s, key == KEY_LEFT ? -1 : 1);
    else if (key == KEY_UP || key == KEY_DOWN)
        choose(s, (key == KEY_UP ? -1 : 1) * draw_columns(&s->board));
    else if (key == CTRL_KEY('l'))
        clearok(curscr, TRUE);
}

static void take_keys(struct screen *s)
{
    for (int key = getch(); key != ERR; key = getch()) {
        int64_t now = clock_mono_ms();
        bool typed = wedge_is_typing(&s->wedge, now);

        if (wedge_take(&s->wedge, key == KEY_ENTER ? '\r' : key, now))
            pass_code(&s->wedge);
        if (!typed)
            take_key(s, key);
    }
}

/* ---- what comes in ---- */

static void take_error(struct screen *s, const char *line, size_t len)
{
    board_notice(&s->board, line, len);
    if (s->said_count < SAID_MAX)
        strcpy(s->said[s->said_count++], s->board.notice);
}

static void take_line(struct screen *s, struct lines *in, size_t len)
{
    if (in->too_long || len == 0)
        return;
    if (in == &s->events)
        board_take(&s->board, in->bytes, len);
    else
        take_error(s, in->bytes, len);
}

/* Every whole line in the buffer; one that does not fit is passed over. */
static void take_lines(struct screen *s, struct lines *in)
{
    char *end;

    while ((end = memchr(in->bytes, '\n', in->len))) {
        size_t len = (size_t)(end - in->bytes);

        take_line(s, in, len);
        in->too_long = false;
        in->len -= len + 1;
        memmove(in->bytes, end + 1, in->len);
    }
    if (in->len == sizeof in->bytes) {
        in->too_long = true;
        in->len = 0;
    }
}

static void read_lines(struct screen *s, struct lines *in)
{
    ssize_t n = read(in->fd, in->bytes + in->len, sizeof in->bytes - in->len);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        in->ended = true;
        return;
    }
    in->len += (size_t)n;
    take_lines(s, in);
}

/* ---- the terminal ---- */

static bool light(struct screen *s)
{
    const char *term = getenv("TERM");
    bool ascii =
        strcmp(nl_langinfo(CODESET), "UTF-8") != 0 || (term && strncmp(term, "vt", 2) == 0);

    set_escdelay(50);
    s->lit = newterm(NULL, stdout, stdin) != NULL;
    if (!s->lit)
        return false;
    raw(); /* Ctrl-C is a key: it asks before it ends the line */
    noecho();
    nonl();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    (void)curs_set(0);
    ink_init(ascii);
    return true;
}

static void put_out(struct screen *s)
{
    if (s->lit && !s->gone)
        endwin();
    s->lit = false;
}

static void look_after(struct screen *s)
{
    s->gone |= hung_up;
    if (s->gone || told_to_end)
        quit(s);
    if (clock_mono_ms() - s->asked_ms > QUESTION_MS)
        s->view.asks_quit = false;
}

static void wait_for_something(struct screen *s)
{
    struct pollfd p[] = {{.fd = s->gone ? -1 : STDIN_FILENO, .events = POLLIN},
                         {.fd = s->events.fd, .events = POLLIN},
                         {.fd = s->errors.ended ? -1 : s->errors.fd, .events = POLLIN}};

    if (poll(p, sizeof p / sizeof *p, TICK_MS) < 0)
        p[0].revents = p[1].revents = p[2].revents = 0;
    if (p[1].revents)
        read_lines(s, &s->events);
    if (p[2].revents)
        read_lines(s, &s->errors);
    if (p[0].revents & (POLLHUP | POLLERR | POLLNVAL))
        s->gone = true;
    else if (!s->gone)
        take_keys(s); /* also without a byte: a new size is a key */
}

static void show(struct screen *s)
{
    while (!s->events.ended) {
        if (!s->gone)
            draw_board(&s->board, &s->view);
        wait_for_something(s);
        look_after(s);
    }
    while (!s->errors.ended)
        read_lines(s, &s->errors);
}

/* What stays on the terminal afterwards: what still failed, what was said, and how many. */
static void report(const struct screen *s)
{
    const struct board *b = &s->board;

    for (size_t i = 0; i < b->count; i++)
        if (b->slots[i].state == BOARD_FAIL)
            printf("slot %-6s FAIL  %s  %s\n", b->slots[i].label,
                   *b->slots[i].serial ? b->slots[i].serial : "-", b->slots[i].text);
    for (size_t i = 0; i < s->said_count; i++)
        printf("%s\n", s->said[i]);
    if (b->line == BOARD_ENDED)
        printf("%lld passed, %lld failed\n", (long long)(b->passed + b->again),
               (long long)b->failed);
    fflush(stdout);
}

/* ---- the beginning ---- */

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);
}

/* Nothing is read, so that a vault that asks for a PIN has the terminal to itself. False: the line
 * ended without a word. */
static bool wait_for_line(struct screen *s)
{
    char first;
    ssize_t n;

    do
        n = recv(LINE_FD, &first, 1, MSG_PEEK);
    while (n < 0 && errno == EINTR && !hung_up);
    s->gone |= hung_up;
    return n == 1;
}

static int begin(struct error *err)
{
    (void)setlocale(LC_CTYPE, "");
    if (confine_memory(err))
        return err->code;
    if (!ink_terminal_is_usable())
        return ERR_MISSING; /* 'imprint run' prints lines instead */
    catch_signals();
    return send(LINE_FD, READY, 1, MSG_NOSIGNAL) == 1 ? 0 : ERR_GONE;
}

int main(int argc, char **argv)
{
    static struct screen s = {.events = {.fd = LINE_FD}, .errors = {.fd = ERRORS_FD}};
    struct error err = ERROR_INIT;
    int rc;

    message_language();
    (void)argv;
    if (argc != 1) {
        fprintf(stderr, "imprint-board: 'imprint run' starts this program\n");
        return error_exit_status(ERR_USAGE);
    }
    rc = begin(&err);
    if (rc)
        return error_exit_status(rc);
    board_init(&s.board);
    if (wait_for_line(&s)) {
        /* The description of the terminal is read here, and from then on no file. */
        if (!s.gone && !light(&s))
            s.gone = true;
        rc = confine_board(&err);
    }
    if (rc == 0)
        show(&s);
    put_out(&s);
    if (rc)
        error_tell("imprint-board", &err);
    if (!s.gone)
        report(&s);
    return error_exit_status(rc);
}
