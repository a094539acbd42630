/* The serial transport on pseudo-terminals that look like serial ports. */
#include "shim_util.h"

#include "base/clock.h"
#include "station/line/serial.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char dir[64];
static struct error err;
static pid_t peer;

/* A port "/dev/ttyFACT0" whose other end echoes, in a process that can be killed. */
static void plug_in(const char *first_words)
{
    char terminal[64], link[PATH_MAX];
    struct termios raw;
    int master, slave, ready[2];
    char byte;

    err = (struct error)ERROR_INIT;
    shim_dir(dir);
    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(openpty(&master, &slave, terminal, NULL, NULL), 0);
    snprintf(link, sizeof link, "%s/ttyFACT0", dir);
    ck_assert_int_eq(symlink(terminal, link), 0);
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    peer = fork();
    ck_assert_int_ge(peer, 0);
    if (peer == 0) {
        uint8_t bytes[4096];
        ssize_t n = write(master, first_words, strlen(first_words));

        (void)!write(ready[1], "x", 1);
        while ((n = read(master, bytes, sizeof bytes)) > 0)
            (void)!write(master, bytes, (size_t)n);
        _exit(0);
    }
    ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    close(master);
    close(slave);
}

static void pull_out(void)
{
    kill(peer, SIGKILL);
    waitpid(peer, NULL, 0);
    peer = 0;
}

static void clean_up(struct transport *t)
{
    transport_close(t);
    if (peer)
        pull_out();
    shim_dir_remove(dir);
}

static void assert_all_bytes_come_back(struct transport *t)
{
    uint8_t sent[2048], received[2048];
    size_t have = 0, got;

    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i + i / 256);
    ASSERT_OK(transport_write(t, sent, sizeof sent, 1000, &err), err);
    while (have < sizeof received) {
        ASSERT_OK(transport_read(t, received + have, sizeof received - have, &got, 1000, &err),
                  err);
        ck_assert_uint_gt(got, 0);
        have += got;
    }
    ck_assert_mem_eq(sent, received, sizeof sent);
}

START_TEST(all_256_byte_values_come_back_unchanged)
{
    struct transport *t;

    plug_in("");
    ASSERT_OK(open_transport("/dev/ttyFACT0", 115200, &t, &err), err);
    assert_all_bytes_come_back(t);
    clean_up(t);
}
END_TEST

/* As a driver leaves it: lines are edited and echoed. */
static void set_cooked(void)
{
    char path[PATH_MAX];
    struct termios cooked;
    int fd;

    snprintf(path, sizeof path, "%s/ttyFACT0", dir);
    fd = open(path, O_RDWR | O_NOCTTY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(tcgetattr(fd, &cooked), 0);
    cooked.c_lflag |= ICANON | ECHO | ISIG;
    cooked.c_iflag |= ICRNL | IXON;
    cooked.c_oflag |= OPOST | ONLCR;
    ck_assert_int_eq(tcsetattr(fd, TCSANOW, &cooked), 0);
    close(fd);
}

/* The generic driver of USB serial devices has none, and libserialport opens no such port. */
START_TEST(a_port_without_modem_lines_is_a_port_like_any_other)
{
    struct transport *t, *second;

    plug_in("");
    set_cooked();
    setenv("TTYSHIM_BARE", "1", 1);
    ASSERT_OK(open_transport("/dev/ttyFACT0", 250000, &t, &err), err);
    assert_all_bytes_come_back(t);
    ASSERT_FAILS(open_transport("/dev/ttyFACT0", 115200, &second, &err), ERR_BUSY);
    pull_out();
    ASSERT_FAILS(transport_write(t, (const uint8_t *)"x", 1, 1000, &err), ERR_GONE);
    clean_up(t);
}
END_TEST

START_TEST(what_the_device_said_before_is_never_read)
{
    struct transport *t;
    uint8_t bytes[64];
    size_t got;

    plug_in("boot: U-Boot 2023.01, hello hello hello");
    ASSERT_OK(open_transport("/dev/ttyFACT0", 115200, &t, &err), err);
    ASSERT_FAILS(transport_read(t, bytes, sizeof bytes, &got, 50, &err), ERR_TIMEOUT);
    ASSERT_OK(transport_write(t, (const uint8_t *)"x", 1, 100, &err), err);
    ASSERT_OK(transport_read(t, bytes, sizeof bytes, &got, 1000, &err), err);
    ck_assert_uint_eq(got, 1);
    ck_assert_uint_eq(bytes[0], 'x');
    clean_up(t);
}
END_TEST

START_TEST(a_silent_device_is_a_timeout_after_the_time)
{
    static const int times[] = {0, 1, 50, 450};
    struct transport *t;
    uint8_t byte;
    size_t got = 77;

    plug_in("");
    ASSERT_OK(open_transport("/dev/ttyFACT0", 115200, &t, &err), err);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t start = clock_mono_ms(), took;

        ASSERT_FAILS(transport_read(t, &byte, 1, &got, times[i], &err), ERR_TIMEOUT);
        took = clock_mono_ms() - start;
        ck_assert_msg(took >= times[i] && took < times[i] + 250, "%d ms took %d ms", times[i],
                      (int)took);
    }
    ck_assert_uint_eq(got, 77);
    clean_up(t);
}
END_TEST

START_TEST(an_unplugged_device_is_gone_and_long_before_the_time)
{
    struct transport *t;
    uint8_t byte;
    size_t got;
    int64_t start;

    plug_in("");
    ASSERT_OK(open_transport("/dev/ttyFACT0", 115200, &t, &err), err);
    pull_out();
    start = clock_mono_ms();
    ASSERT_FAILS(transport_read(t, &byte, 1, &got, 5000, &err), ERR_GONE);
    ck_assert_int_lt((int)(clock_mono_ms() - start), 1000);
    ck_assert_ptr_nonnull(strstr(err.text, "unplugged"));
    ASSERT_FAILS(transport_read(t, &byte, 1, &got, 0, &err), ERR_GONE);
    ASSERT_FAILS(transport_write(t, &byte, 1, 100, &err), ERR_GONE);
    clean_up(t);
}
END_TEST

START_TEST(a_port_that_is_open_is_busy_and_free_once_closed)
{
    struct transport *t, *second;
    char pid[32];

    plug_in("");
    ASSERT_OK(open_transport("/dev/ttyFACT0", 115200, &t, &err), err);
    ASSERT_FAILS(open_transport("/dev/ttyFACT0", 115200, &second, &err), ERR_BUSY);
    snprintf(pid, sizeof pid, "process %d 'check_serial'", (int)getpid());
    ck_assert_msg(strstr(err.text, pid) != NULL, "%s", err.text);
    transport_close(t);
    ASSERT_OK(open_transport("/dev/ttyFACT0", 115200, &t, &err), err);
    clean_up(t);
}
END_TEST

START_TEST(a_port_that_another_program_locked_is_busy)
{
    struct transport *t;
    char path[PATH_MAX], expected[32];
    int ready[2], done[2];
    char byte;
    pid_t holder;

    plug_in("");
    snprintf(path, sizeof path, "%s/ttyFACT0", dir);
    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(done), 0);
    holder = fork();
    if (holder == 0) {
        int fd = open(path, O_RDWR | O_NOCTTY);
        bool held = fd >= 0 && flock(fd, LOCK_EX) == 0;

        close(done[1]);
        (void)!write(ready[1], held ? "y" : "n", 1);
        (void)!read(done[0], &byte, 1);
        _exit(0);
    }
    close(done[0]);
    ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    ASSERT_FAILS(open_transport("/dev/ttyFACT0", 115200, &t, &err), ERR_BUSY);
    snprintf(expected, sizeof expected, "process %d", (int)holder);
    ck_assert_msg(strstr(err.text, expected) != NULL, "%s", err.text);
    close(done[1]);
    waitpid(holder, NULL, 0);
    ASSERT_OK(open_transport("/dev/ttyFACT0", 115200, &t, &err), err);
    clean_up(t);
}
END_TEST

START_TEST(a_symbolic_link_is_followed)
{
    struct transport *t;
    char path[PATH_MAX];

    plug_in("");
    snprintf(path, sizeof path, "%s/by-path-1.4.2", dir);
    ck_assert_int_eq(symlink("/dev/ttyFACT0", path), 0);
    ASSERT_OK(open_transport(path, 115200, &t, &err), err);
    ASSERT_OK(transport_write(t, (const uint8_t *)"x", 1, 100, &err), err);
    clean_up(t);
}
END_TEST

START_TEST(what_is_no_serial_port_is_missing)
{
    static const char *const names[] = {"/dev/ttyFACT9", "/dev/null", "/etc/passwd",
                                        "ttyFACT0",      "",          "/dev/"};
    struct transport *t = NULL;

    plug_in("");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int rc = open_transport(names[i], 115200, &t, &err);

        ck_assert_msg(rc == ERR_MISSING, "'%s': %s: %s", names[i], error_name(rc), err.text);
        ck_assert_ptr_null(t);
    }
    if (peer)
        pull_out();
    shim_dir_remove(dir);
}
END_TEST

/* Creates a file with a line in it, below dir. */
static void put_file(const char *name, const char *line)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    ASSERT_OK(file_write(path, line, strlen(line), 0644, &err), err);
}

static void make_dirs(const char *path)
{
    char name[PATH_MAX];

    for (const char *slash = path; *slash; slash++) {
        if (slash[1] != '/' && slash[1])
            continue;
        snprintf(name, sizeof name, "%s/%.*s", dir, (int)(slash - path) + 1, path);
        ASSERT_OK(file_make_dir(name, 0755, &err), err);
    }
}

static void make_link(const char *name, const char *target)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    ck_assert_int_eq(symlink(target, path), 0);
}

struct seen {
    int count, usb;
    int stop_after;
};

static int see(void *context, const struct serial_info *info)
{
    struct seen *seen = context;

    seen->count++;
    if (strcmp(info->name, "/dev/ttyACM3") == 0) {
        seen->usb++;
        ck_assert_int_eq(info->usb_vid, 0x1209);
        ck_assert_int_eq(info->usb_pid, 0x0001);
        ck_assert_str_eq(info->usb_serial, "FIX-17");
        ck_assert_str_eq(info->description, "Pump - FIX-17");
    } else {
        ck_assert_str_eq(info->name, "/dev/ttyFACT0");
        ck_assert_int_eq(info->usb_vid, -1);
        ck_assert_ptr_null(info->usb_serial);
    }
    return seen->count == seen->stop_after ? ERR_INTERRUPTED : 0;
}

START_TEST(ports_are_listed_with_what_usb_says_of_them)
{
    static const char device[] = "sys/devices/usb1/1-1/1-1:1.0/tty/ttyACM3";
    struct seen seen = {0};

    plug_in("");
    ASSERT_OK(serial_list(see, &seen, &err), err);
    ck_assert_int_eq(seen.count, 1);
    make_dirs("sys/class/tty");
    make_dirs(device);
    make_link("sys/class/tty/ttyACM3", "../../devices/usb1/1-1/1-1:1.0/tty/ttyACM3");
    make_link("sys/class/tty/ttyFACT0", "../../devices/platform/ttyFACT0");
    make_link("sys/devices/usb1/1-1/1-1:1.0/tty/ttyACM3/device", "../../../1-1:1.0");
    put_file("sys/devices/usb1/1-1/busnum", "1\n");
    put_file("sys/devices/usb1/1-1/devnum", "4\n");
    put_file("sys/devices/usb1/1-1/idVendor", "1209\n");
    put_file("sys/devices/usb1/1-1/idProduct", "0001\n");
    put_file("sys/devices/usb1/1-1/product", "Pump\n");
    put_file("sys/devices/usb1/1-1/serial", "FIX-17\n");
    seen.count = 0;
    ASSERT_OK(serial_list(see, &seen, &err), err);
    ck_assert_int_eq(seen.count, 2);
    ck_assert_int_eq(seen.usb, 1);
    seen = (struct seen){.stop_after = 1};
    ASSERT_FAILS(serial_list(see, &seen, &err), ERR_INTERRUPTED);
    ck_assert_int_eq(seen.count, 1);
    clean_up(NULL);
}
END_TEST

/* In a process of its own: a port comes and goes as fast as it can. */
static pid_t flicker(const char *path)
{
    pid_t child = fork();

    if (child == 0)
        for (;;)
            if (symlink("/dev/ptmx", path) || unlink(path))
                _exit(EXIT_FAILURE);
    return child;
}

static int count_port(void *context, const struct serial_info *info)
{
    ck_assert_ptr_nonnull(info->name);
    *(int *)context += strcmp(info->name, "/dev/ttyFACT0") == 0;
    return 0;
}

/* A bug of libserialport 0.1.1: its list of ports is NULL then, and it says that all is well. */
START_TEST(a_port_that_goes_while_ports_are_listed_is_left_out)
{
    enum { LISTS = 20000 };
    char path[PATH_MAX];
    int seen = 0;

    plug_in("");
    snprintf(path, sizeof path, "%s/ttyZ", dir);
    pid_t child = flicker(path);
    for (int i = 0; i < LISTS; i++)
        ASSERT_OK(serial_list(count_port, &seen, &err), err);
    ck_assert_int_eq(seen, LISTS);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    clean_up(NULL);
}
END_TEST

START_TEST(other_programs_run_as_ever_under_the_shim)
{
    plug_in("");
    ck_assert_int_eq(system("test \"$(stty -F /dev/ttyFACT0 speed)\" -gt 0"), 0);
    ck_assert_int_eq(system("test \"$(cat /etc/hostname 2>/dev/null || echo -)\" != ''"), 0);
    ck_assert_int_eq(system("/usr/bin/python3 -c 'import os; os.listdir(\"/sys/class/tty\"); "
                            "open(\"/dev/null\", \"w\").write(\"x\")'"),
                     0);
    ck_assert_int_ne(system("cat /dev/ttyFACT9 2>/dev/null"), 0);
    clean_up(NULL);
}
END_TEST

SHIM_MAIN("serial", all_256_byte_values_come_back_unchanged,
          what_the_device_said_before_is_never_read, a_silent_device_is_a_timeout_after_the_time,
          an_unplugged_device_is_gone_and_long_before_the_time,
          a_port_that_is_open_is_busy_and_free_once_closed,
          a_port_that_another_program_locked_is_busy, a_symbolic_link_is_followed,
          a_port_without_modem_lines_is_a_port_like_any_other, what_is_no_serial_port_is_missing,
          ports_are_listed_with_what_usb_says_of_them,
          a_port_that_goes_while_ports_are_listed_is_left_out,
          other_programs_run_as_ever_under_the_shim)
