/* What a confined process can still do, and what it cannot. */
#include "check_util.h"

#include "station/confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs one attempt in a child: 0 when it was refused, 1 when it worked. */
static int attempt(int (*act)(void), bool confined)
{
    struct error err = ERROR_INIT;
    char missing[300];
    int status;
    pid_t child = fork();

    if (child == 0) {
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

static int (*const refused[])(void) = {
    open_a_file,           create_a_file,       open_a_device,          remove_a_file,
    make_a_network_socket, make_a_local_socket, start_a_program,        start_a_process,
    signal_the_parent,     trace_the_parent,    make_memory_executable, lift_the_limits,
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

static int (*const granted[])(void) = {start_a_thread, make_a_pair, allocate_and_print};

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

CHECK_ITEMS_MAIN("confine", EACH_ROW(a_confined_line_is_refused_what_it_does_not_need, refused),
                 EACH_ROW(a_confined_line_can_do_its_work, granted),
                 ONCE(what_is_open_stays_usable),
                 ONCE(a_process_of_the_station_dumps_no_core_and_is_closed_to_its_user))
