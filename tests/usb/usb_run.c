/*
 * Runs a command on a machine whose USB devices are the simulated devices behind some terminals.
 *
 * usage: umockdev-wrapper usb_run TERMINAL... -- COMMAND...
 *
 * The first terminal is 1209:0001 at 1-1, the second at 1-2, and so on. A device whose terminal
 * hangs up is unplugged, and so is TERMINAL@BYTES after so many bytes. "tty" instead of a terminal is a
 * device with a serial port /dev/ttyACM<n>. From the pipe that USB_RUN_ORDERS names come lines: "out N"
 * pulls device N out, "in N" puts the same terminal back, where it was.
 */
#include "usb_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PLUGGED_MAX 16

static int open_terminal(const char *path)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;

    if (fd < 0 || tcgetattr(fd, &raw)) {
        perror(path);
        _exit(1);
    }
    cfmakeraw(&raw);
    tcsetattr(fd, TCSAFLUSH, &raw);
    return fd;
}

static struct rig_usb *plug_in(int number, char *terminal)
{
    char *pull = strrchr(terminal, '@');
    struct rig_usb *device;

    if (pull)
        *pull++ = 0;
    device = rig_usb_plug(number, RIG_USB_BULK, open_terminal(terminal));
    if (pull)
        rig_usb_unplug_after(device, (unsigned)atoi(pull));
    return device;
}

static struct rig_usb *plugged[PLUGGED_MAX];

static void obey(char *const *terminals, int count, const char *order, int number)
{
    if (number < 1 || number > count || number >= PLUGGED_MAX)
        return;
    if (strcmp(order, "out") == 0)
        rig_usb_remove(plugged[number]);
    else
        plugged[number] = rig_usb_plug(number, RIG_USB_BULK, open_terminal(terminals[number]));
}

/* Follows the orders until their writer is gone. */
static void follow(const char *path, char *const *terminals, int count)
{
    FILE *in = fopen(path, "re");
    char order[8];
    int number;

    while (in && fscanf(in, "%7s %d", order, &number) == 2)
        obey(terminals, count, order, number);
    if (in)
        fclose(in);
}

int main(int argc, char **argv)
{
    const char *orders = getenv("USB_RUN_ORDERS");
    int status = 0, at;
    pid_t child;

    rig_usb_start();
    for (at = 1; at < argc && strcmp(argv[at], "--"); at++)
        if (strcmp(argv[at], "tty") == 0)
            rig_usb_add_tty(at);
        else if (at < PLUGGED_MAX)
            plugged[at] = plug_in(at, argv[at]);
    if (at + 1 >= argc) {
        fprintf(stderr, "usage: usb_run TERMINAL... -- COMMAND...\n");
        return 2;
    }
    child = fork();
    if (child == 0) {
        execv(argv[at + 1], argv + at + 1);
        _exit(127);
    }
    if (orders)
        follow(orders, argv, at - 1);
    if (waitpid(child, &status, 0) != child)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
