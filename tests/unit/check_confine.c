/* What a confined process can still do, and what it cannot. */
#include "check_util.h"

#include "station/confine/confine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* What the line has of the operator: the terminal that a process of its own session hangs on. */
static int terminal = -1;

/* In the child, before it is confined. */
static void take_a_terminal(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0 || grantpt(master) || unlockpt(master) || setsid() < 0)
        _exit(4);
    terminal = open(ptsname(master), O_RDWR); /* becomes the session's terminal */
    if (terminal < 0 || tcgetsid(terminal) != getsid(0))
        _exit(5);
}

/* Runs one attempt in a child: 0 when it was refused, 1 when it worked. */
static int attempt(int (*act)(void), bool confined)
{
    struct error err = ERROR_INIT;
    char missing[300];
    int status;
    pid_t child = fork();

    if (child == 0) {
        take_a_terminal();
        if (confined && confine_line(missing, sizeof missing, &err))
            _exit(3);
        _exit(act() ? 1 : 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int open_a_file(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0;
}

static int create_a_file(void)
{
    return creat("/tmp/check_confine_file", 0600) >= 0;
}

static int open_a_device(void)
{
    return open("/dev/null", O_RDWR) >= 0;
}

static int remove_a_file(void)
{
    return unlink("/tmp/check_confine_nothing") == 0 || errno == ENOENT;
}

static int make_a_network_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_INET, SOCK_DGRAM, 0) >= 0;
}

static int make_a_local_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static int start_a_program(void)
{
    execl("/bin/false", "false", (char *)NULL); /* ends with 1, as what worked does */
    return errno != EPERM;
}

static int start_a_process(void)
{
    return fork() >= 0;
}

static int signal_the_parent(void)
{
    return kill(getppid(), 0) == 0;
}

static int trace_the_parent(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static int make_memory_executable(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static int lift_the_limits(void)
{
    return prctl(PR_SET_DUMPABLE, 1) == 0 || setuid(0) == 0;
}

/* A kernel can refuse this to everybody, with EIO. */
static int type_into_the_terminal(void)
{
    return ioctl(terminal, TIOCSTI, "x") == 0 || errno != EPERM;
}

/* The kernel takes the low half of a request alone. */
static int type_with_another_number(void)
{
    return syscall(SYS_ioctl, terminal, TIOCSTI | UINT64_C(1) << 32, "x") == 0 || errno != EPERM;
}

/* What it would type is not for this kind of terminal: ENOTTY. */
static int type_into_the_console(void)
{
    char paste = 3;

    return ioctl(terminal, TIOCLINUX, &paste) == 0 || errno != EPERM;
}

static int take_the_terminal_again(void)
{
    return ioctl(terminal, TIOCSCTTY, 0) == 0;
}

static int hide_what_is_typed(void)
{
    struct termios settings;

    return tcgetattr(terminal, &settings) == 0 && tcsetattr(terminal, TCSANOW, &settings) == 0;
}

static int name_who_is_signalled(void)
{
    return fcntl(terminal, F_SETOWN, getppid()) == 0;
}

static int name_who_is_signalled_as_a_struct(void)
{
    struct f_owner_ex owner = {F_OWNER_PID, getppid()};

    return fcntl(terminal, F_SETOWN_EX, &owner) == 0;
}

static int choose_the_signal(void)
{
    return fcntl(terminal, F_SETSIG, SIGKILL) == 0;
}

static int ask_for_signals(void)
{
    return fcntl(terminal, F_SETFL, O_RDWR | O_ASYNC) == 0;
}

static int ask_for_signals_by_request(void)
{
    int on = 1;

    return ioctl(terminal, FIOASYNC, &on) == 0;
}

static int (*const refused[])(void) = {
    open_a_file,
    create_a_file,
    open_a_device,
    remove_a_file,
    make_a_network_socket,
    make_a_local_socket,
    start_a_program,
    start_a_process,
    signal_the_parent,
    trace_the_parent,
    make_memory_executable,
    lift_the_limits,
    type_into_the_terminal,
    type_with_another_number,
    type_into_the_console,
    take_the_terminal_again,
    hide_what_is_typed,
    name_who_is_signalled,
    name_who_is_signalled_as_a_struct,
    choose_the_signal,
    ask_for_signals,
    ask_for_signals_by_request,
};

START_TEST(a_confined_line_is_refused_what_it_does_not_need)
{
    ck_assert_int_eq(attempt(refused[_i], true), 0);
    if (refused[_i] != trace_the_parent) /* it would stop this test */
        ck_assert_int_eq(attempt(refused[_i], false), 1);
}
END_TEST

static void *answer(void *context)
{
    return context;
}

static int start_a_thread(void)
{
    pthread_t thread;
    int mark = 1;
    void *got = NULL;

    return pthread_create(&thread, NULL, answer, &mark) == 0 && pthread_join(thread, &got) == 0 &&
           got == &mark;
}

static int make_a_pair(void)
{
    int fds[2];
    char byte = 0;

    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0 &&
           send(fds[0], "x", 1, MSG_NOSIGNAL) == 1 && recv(fds[1], &byte, 1, 0) == 1 && byte == 'x';
}

static int allocate_and_print(void)
{
    char *memory = malloc(4 << 20);
    int ok = memory && fprintf(stderr, "%s", "") == 0;

    free(memory);
    return ok;
}

/* What serial ports are asked once they are configured. */
static int ask_the_port(void)
{
    int waiting;

    return isatty(terminal) && ioctl(terminal, FIONREAD, &waiting) == 0 &&
           tcflush(terminal, TCIOFLUSH) == 0 && ioctl(terminal, TIOCNXCL) == 0;
}

static int (*const granted[])(void) = {start_a_thread, make_a_pair, allocate_and_print,
                                       ask_the_port};

START_TEST(a_confined_line_can_do_its_work)
{
    ck_assert_int_eq(attempt(granted[_i], true), 1);
}
END_TEST

START_TEST(what_is_open_stays_usable)
{
    struct error err = ERROR_INIT;
    char missing[300], byte = 0;
    int status, fds[2];
    pid_t child;

    ck_assert_int_eq(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        if (confine_line(missing, sizeof missing, &err))
            _exit(3);
        _exit(write(fds[1], "y", 1) == 1 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_int_eq((int)read(fds[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
}
END_TEST

START_TEST(a_process_of_the_station_dumps_no_core_and_is_closed_to_its_user)
{
    struct error err = ERROR_INIT;
    struct rlimit limit;

    ASSERT_OK(confine_memory(&err), err);
    ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_max, 0);
}
END_TEST

/* ---- memory, against another process of the same ordinary user ---- */

/* A process of user nobody; its pid, once it runs. It waits to be killed. */
static pid_t start_as_nobody(bool closed)
{
    struct error err = ERROR_INIT;
    int ready[2];
    uint8_t byte;
    pid_t child;

    ck_assert_int_eq(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        if (setgid(65534) || setuid(65534) || prctl(PR_SET_DUMPABLE, 1) ||
            (closed && confine_memory(&err)) || write(ready[1], "x", 1) != 1)
            _exit(3);
        for (;;)
            pause();
    }
    close(ready[1]);
    ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

/* How many ways into a process another one of that user finds: its memory, and tracing. */
static int ways_into(pid_t target)
{
    char path[64];
    int status;
    pid_t child = fork();

    if (child == 0) {
        int ways = 0;

        snprintf(path, sizeof path, "/proc/%d/mem", (int)target);
        if (setgid(65534) || setuid(65534))
            _exit(99);
        ways += open(path, O_RDONLY) >= 0;
        ways += ptrace(PTRACE_SEIZE, target, NULL, NULL) == 0;
        _exit(ways);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) < 3);
    return WEXITSTATUS(status);
}

START_TEST(another_process_of_the_same_user_reads_and_traces_nothing)
{
    pid_t open_one, closed;

    if (geteuid() != 0)
        return; /* only root becomes nobody */
    open_one = start_as_nobody(false);
    closed = start_as_nobody(true);
    ck_assert_int_eq(ways_into(closed), 0);
    ck_assert_int_gt(ways_into(open_one), 0); /* so the test can tell */
    kill(open_one, SIGKILL);
    kill(closed, SIGKILL);
}
END_TEST

START_TEST(a_crash_leaves_no_core)
{
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct error err = ERROR_INIT;
    int status;
    pid_t child = fork();

    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &all);
        if (confine_memory(&err) == 0)
            raise(SIGABRT);
        _exit(3);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && !WCOREDUMP(status));
}
END_TEST

START_TEST(memory_is_locked_where_the_limit_allows_it_and_never_runs_out)
{
    struct rlimit small = {65536, 65536};
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (setrlimit(RLIMIT_MEMLOCK, &small) || setgid(65534) || setuid(65534))
            _exit(geteuid() == 0 ? 2 : 0); /* only root becomes nobody */
        if (confine_lock_memory())
            _exit(3);
        _exit(calloc(1, 16 << 20) ? 0 : 4);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* ---- the checker and the connector ---- */

static int attempt_with(int (*confine)(void), int (*act)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        take_a_terminal();
        _exit(confine() ? 3 : act() ? 1 : 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

static int as_checker(void)
{
    return confine_checker(NULL);
}

static uint16_t listed_port;

static int as_connector(void)
{
    return confine_connector(&listed_port, 1, NULL);
}

static int start_any_thread(void)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, answer, NULL) == 0;
}

START_TEST(the_checker_is_refused_all_of_that_and_more)
{
    ck_assert_int_eq(attempt_with(as_checker, refused[_i]), 0);
    ck_assert_int_eq(attempt_with(as_checker, start_any_thread), 0);
    ck_assert_int_eq(attempt_with(as_checker, make_a_pair), 0);
}
END_TEST

/* What it needs apart from files: sockets, which are tried below. */
START_TEST(the_connector_is_refused_what_it_does_not_need)
{
    if (refused[_i] != make_a_network_socket && refused[_i] != make_a_local_socket)
        ck_assert_int_eq(attempt_with(as_connector, refused[_i]), 0);
    ck_assert_int_eq(attempt_with(as_connector, start_any_thread), 0);
}
END_TEST

static struct sockaddr_in listening[2];

static int connect_to(size_t i)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd >= 0 && connect(fd, (struct sockaddr *)&listening[i], sizeof listening[i]) == 0;
}

static int connect_listed(void)
{
    return connect_to(0);
}

static int connect_other(void)
{
    return connect_to(1);
}

static int make_a_datagram_socket(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0) >= 0 || socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

START_TEST(the_connector_connects_to_the_listed_ports_alone)
{
    socklen_t len = sizeof listening[0];

    for (size_t i = 0; i < 2; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        listening[i] =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        ck_assert_int_eq(bind(fd, (struct sockaddr *)&listening[i], len), 0);
        ck_assert_int_eq(listen(fd, 4), 0);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&listening[i], &len), 0);
    }
    listed_port = ntohs(listening[0].sin_port);
    ck_assert_int_eq(attempt_with(as_connector, connect_listed), 1);
    ck_assert_int_eq(attempt_with(as_connector, make_a_datagram_socket), 0);
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 4) /* Landlock knows ports since then */
        ck_assert_int_eq(attempt_with(as_connector, connect_other), 0);
}
END_TEST

/* The signal at the parent's death is still there after the namespaces. */
START_TEST(a_confined_line_ends_with_its_parent)
{
    int alive[2];
    uint8_t byte;
    pid_t parent;

    ck_assert_int_eq(pipe(alive), 0);
    parent = fork();
    if (parent == 0) {
        char missing[300];

        if (fork() == 0) {
            if (prctl(PR_SET_PDEATHSIG, SIGKILL) || confine_line(missing, sizeof missing, NULL) ||
                write(alive[1], "x", 1) != 1)
                _exit(3);
            for (;;)
                (void)poll(NULL, 0, -1);
        }
        close(alive[1]);
        (void)!read(alive[0], &byte, 1);
        _exit(0);
    }
    close(alive[1]);
    ck_assert_int_eq(waitpid(parent, NULL, 0), parent);
    alarm(30); /* a line that lives on holds the pipe open */
    ck_assert_int_eq((int)read(alive[0], &byte, 1), 0);
}
END_TEST

CHECK_ITEMS_MAIN("confine", EACH_ROW(a_confined_line_is_refused_what_it_does_not_need, refused),
                 EACH_ROW(a_confined_line_can_do_its_work, granted),
                 ONCE(what_is_open_stays_usable),
                 ONCE(a_process_of_the_station_dumps_no_core_and_is_closed_to_its_user),
                 ONCE(another_process_of_the_same_user_reads_and_traces_nothing),
                 ONCE(a_crash_leaves_no_core),
                 ONCE(memory_is_locked_where_the_limit_allows_it_and_never_runs_out),
                 EACH_ROW(the_checker_is_refused_all_of_that_and_more, refused),
                 EACH_ROW(the_connector_is_refused_what_it_does_not_need, refused),
                 ONCE(the_connector_connects_to_the_listed_ports_alone),
                 ONCE(a_confined_line_ends_with_its_parent))
