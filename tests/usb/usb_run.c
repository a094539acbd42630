/*
 * Runs a command on a machine whose USB devices are the simulated devices behind some terminals.
 *
 * usage: umockdev-wrapper usb_run TERMINAL... -- COMMAND...
 *
 * The first terminal is 1209:0001 at 1-1, the second at 1-2, and so on. A device whose terminal
 * hangs up is unplugged, and so is TERMINAL@BYTES after so many bytes. "tty" instead of a terminal is a device with a serial port /dev/ttyACM<n>.
 */
#include "usb_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

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

static void plug_in(int number, char *terminal)
{
    char *pull = strrchr(terminal, '@');
    struct rig_usb *device;

    if (pull)
        *pull++ = 0;
    device = rig_usb_plug(number, RIG_USB_BULK, open_terminal(terminal));
    if (pull)
        rig_usb_unplug_after(device, (unsigned)atoi(pull));
}

int main(int argc, char **argv)
{
    int status = 0, at;
    pid_t child;

    rig_usb_start();
    for (at = 1; at < argc && strcmp(argv[at], "--"); at++)
        if (strcmp(argv[at], "tty") == 0)
            rig_usb_add_tty(at);
        else
            plug_in(at, argv[at]);
    if (at + 1 >= argc) {
        fprintf(stderr, "usage: usb_run TERMINAL... -- COMMAND...\n");
        return 2;
    }
    child = fork();
    if (child == 0) {
        execv(argv[at + 1], argv + at + 1);
        _exit(127);
    }
    if (waitpid(child, &status, 0) != child)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
