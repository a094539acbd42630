#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define LOST_AFTER_MS 1000

static int link_name(const char *path, const char *terminal, struct error *err)
{
    char temp[PATH_MAX];
    int n = snprintf(temp, sizeof temp, "%s.%ld", path, (long)getpid());

    if (n < 0 || (size_t)n >= sizeof temp)
        return error_set(err, ERR_INPUT, "the path '%s' is too long", path);
    (void)unlink(temp);
    if (symlink(terminal, temp) || rename(temp, path)) {
        int saved = errno;

        (void)unlink(temp);
        return error_set_errno(err, saved, "cannot create '%s'", path);
    }
    return 0;
}

int port_open(struct port *port, const char *path, struct error *err)
{
    char terminal[64];
    struct termios raw;
    int rc;

    if (unlink(path) && errno != ENOENT)
        return error_set_errno(err, errno, "cannot replace '%s'", path);
    if (openpty(&port->master, &port->slave, terminal, NULL, NULL))
        return error_set_errno(err, errno, "cannot create a pseudo-terminal");
    (void)fcntl(port->master, F_SETFD, FD_CLOEXEC);
    (void)fcntl(port->slave, F_SETFD, FD_CLOEXEC);
    (void)fcntl(port->master, F_SETFL, O_NONBLOCK);
    if (tcgetattr(port->slave, &raw) == 0) {
        cfmakeraw(&raw);
        (void)tcsetattr(port->slave, TCSANOW, &raw);
    }
    snprintf(port->path, sizeof port->path, "%s", path);
    rc = link_name(path, terminal, err);
    if (rc) {
        close(port->master);
        close(port->slave);
        port->master = -1;
    }
    return rc;
}

/*
 * A station that was killed leaves its exclusive mode behind: real ports lose it with their last
 * descriptor, and this one has a descriptor of its own. The station's lock holds all the same.
 */
void port_rest(const struct port *port)
{
    (void)ioctl(port->slave, TIOCNXCL);
}

void port_close(struct port *port)
{
    (void)unlink(port->path);
    close(port->slave);
    close(port->master);
}

void port_send(const struct port *port, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        struct pollfd p = {.fd = port->master, .events = POLLOUT};
        ssize_t n = write(port->master, bytes, len);

        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno != EINTR && (errno != EAGAIN || poll(&p, 1, LOST_AFTER_MS) == 0)) {
            return;
        }
    }
}
