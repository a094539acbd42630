#include "station/line/terminal.h"

#include <asm/ioctls.h>
#include <asm/termbits.h> /* not <termios.h>, which knows a list of rates alone */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

int terminal_open(const char *path)
{
    return open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

int terminal_configure(int fd, int baud)
{
    struct termios2 t;

    if (ioctl(fd, TCGETS2, &t))
        return -1;
    t.c_iflag = 0;
    t.c_oflag = 0;
    t.c_lflag = 0;
    t.c_cflag = CS8 | CREAD | CLOCAL | BOTHER;
    memset(t.c_cc, 0, sizeof t.c_cc); /* VMIN and VTIME among them */
    t.c_ispeed = t.c_ospeed = (speed_t)baud;
    return ioctl(fd, TCSETS2, &t) || ioctl(fd, TCFLSH, TCIOFLUSH) ? -1 : 0;
}
