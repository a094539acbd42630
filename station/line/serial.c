#include "station/line/serial.h"

#include "station/line/terminal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libserialport.h>
#include <limits.h>
#include <linux/serial.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define TTY_FOLDER "/sys/class/tty" /* has a name for each terminal that is no pseudo-terminal */

struct serial {
    struct sp_port *port;
    bool plain; /* libserialport does not open it: see terminal.h */
    int fd;     /* belongs to port, unless plain */
    char name[PATH_MAX];
};

/* The errno behind a failed call of libserialport. */
static int last_errno(enum sp_return rc)
{
    return rc == SP_ERR_FAIL ? sp_last_error_code() : 0;
}

static bool means_gone(int saved_errno)
{
    return saved_errno == EIO || saved_errno == ENXIO || saved_errno == ENODEV ||
           saved_errno == EBADF;
}

static int fail_io(const struct serial *s, const char *what, enum sp_return rc, struct error *err)
{
    int saved = last_errno(rc);

    if (means_gone(saved))
        return error_set_native(err, ERR_GONE, saved, "port '%s': the device was unplugged",
                                s->name);
    return error_set_native(err, ERR_IO, saved, "port '%s': cannot %s: %s", s->name, what,
                            saved ? strerror(saved) : "not supported by this port");
}

/* The process that holds a lock on this file, by /proc/locks; 0 when it does not say. */
static int lock_holder(int fd)
{
    struct stat st;
    char line[256];
    int holder = 0;
    FILE *locks = fopen("/proc/locks", "re");

    if (!locks)
        return 0;
    if (fstat(fd, &st))
        st.st_ino = 0;
    while (holder == 0 && fgets(line, sizeof line, locks)) {
        unsigned major_number, minor_number;
        unsigned long inode;
        int pid;

        if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major_number, &minor_number,
                   &inode) == 4 &&
            inode == st.st_ino && major_number == major(st.st_dev) &&
            minor_number == minor(st.st_dev))
            holder = pid;
    }
    fclose(locks);
    return holder;
}

static int fail_busy(const struct serial *s, struct error *err)
{
    int pid = s->fd >= 0 ? lock_holder(s->fd) : 0;
    char path[64], name[64] = "";
    FILE *comm;

    if (pid <= 0)
        return error_set(err, ERR_BUSY,
                         "port '%s' is in use by another process: 'fuser %s' says by which",
                         s->name, s->name);
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    comm = fopen(path, "re");
    if (comm) {
        if (fgets(name, sizeof name, comm))
            name[strcspn(name, "\n")] = 0;
        fclose(comm);
    }
    return error_set(err, ERR_BUSY, "port '%s' is in use by process %d '%s'", s->name, pid, name);
}

static int fail_open(const struct serial *s, enum sp_return rc, struct error *err)
{
    int saved = last_errno(rc);

    if (saved == EBUSY)
        return fail_busy(s, err);
    if (rc == SP_ERR_ARG || saved == ENOENT)
        return error_set(err, ERR_MISSING, "there is no serial port '%s'", s->name);
    if (saved == EACCES || saved == EPERM)
        return error_set_native(err, ERR_IO, saved,
                                "no permission to open port '%s': the user must be in its group "
                                "('ls -l %s' names it)",
                                s->name, s->name);
    return fail_io(s, "open it", rc, err);
}

static int configure(const struct serial *s, int baud, struct error *err)
{
    enum sp_return rc;

    if (s->plain)
        return terminal_configure(s->fd, baud) == 0
                   ? 0
                   : error_set_errno(err, errno, "port '%s': cannot set %d baud, 8N1", s->name,
                                     baud);
    if ((rc = sp_set_baudrate(s->port, baud)) < 0)
        return fail_io(s, "set the baud rate", rc, err);
    if ((rc = sp_set_bits(s->port, 8)) < 0 || (rc = sp_set_parity(s->port, SP_PARITY_NONE)) < 0 ||
        (rc = sp_set_stopbits(s->port, 1)) < 0 ||
        (rc = sp_set_flowcontrol(s->port, SP_FLOWCONTROL_NONE)) < 0)
        return fail_io(s, "set 8N1 without flow control", rc, err);
    if ((rc = sp_flush(s->port, SP_BUF_BOTH)) < 0)
        return fail_io(s, "drop old input", rc, err);
    return 0;
}

/* A port without modem lines (ENOTTY) is opened without libserialport. */
static int open_descriptor(struct serial *s, struct error *err)
{
    enum sp_return rc = sp_open(s->port, SP_MODE_READ_WRITE);

    s->plain = last_errno(rc) == ENOTTY;
    if (rc < 0 && !s->plain)
        return fail_open(s, rc, err);
    if (s->plain && (s->fd = terminal_open(s->name)) < 0)
        return fail_open(s, SP_ERR_FAIL, err);
    if (!s->plain && sp_get_port_handle(s->port, &s->fd) < 0)
        return error_set(err, ERR_INTERNAL, "port '%s' has no handle", s->name);
    return 0;
}

static void let_go(struct serial *s)
{
    if (!s->plain)
        (void)sp_close(s->port);
    else if (s->fd >= 0)
        close(s->fd);
}

/* Opens, locks and configures s->port. */
static int acquire(struct serial *s, int baud, struct error *err)
{
    int code = open_descriptor(s, err);

    /* The lock stops programs that look for it, exclusive mode those that do not. */
    if (code)
        return code;
    if (flock(s->fd, LOCK_EX | LOCK_NB))
        code = errno == EWOULDBLOCK ? fail_busy(s, err)
                                    : error_set_errno(err, errno, "cannot lock '%s'", s->name);
    else if (ioctl(s->fd, TIOCEXCL))
        code = error_set_errno(err, errno, "cannot take port '%s' for this process alone", s->name);
    else
        code = configure(s, baud, err);
    if (code)
        let_go(s);
    return code;
}

/* libserialport keeps the descriptor to itself: the caller gets another one of the same open file. */
static int hand_out(struct serial *s, int *fd, struct error *err)
{
    int copy = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    int rc = copy < 0 ? error_set_errno(err, errno, "cannot hand out port '%s'", s->name) : 0;

    let_go(s);
    if (rc == 0)
        *fd = copy;
    return rc;
}

int serial_open(const char *name, int baud, int *fd, struct error *err)
{
    struct serial s = {.fd = -1};
    enum sp_return rc;
    int code;

    /* libserialport 0.1.1 knows a port only by the name that the kernel gave it. */
    if (!realpath(name, s.name))
        snprintf(s.name, sizeof s.name, "%s", name);
    rc = sp_get_port_by_name(s.name, &s.port);
    code = rc < 0 ? fail_open(&s, rc, err) : acquire(&s, baud, err);
    if (code == 0)
        code = hand_out(&s, fd, err);
    sp_free_port(s.port);
    return code;
}

/*
 * Where the kernel says that the port of this name hangs; false when it is none, or none any more. A
 * link, or, of older kernels, a folder with a link in it.
 */
static bool find_parent(const char *name, char out[PATH_MAX])
{
    char path[PATH_MAX];
    struct stat st;
    ssize_t len;

    snprintf(path, sizeof path, TTY_FOLDER "/%s", name);
    if (lstat(path, &st))
        return false;
    if (!S_ISLNK(st.st_mode))
        snprintf(path, sizeof path, TTY_FOLDER "/%s/device", name);
    len = readlink(path, out, PATH_MAX - 1);
    if (len > 0)
        out[len] = 0;
    return len > 0;
}

/* The 8250 driver shows as many ports as it might have: is there a chip behind this one? */
static bool has_chip(const char *path)
{
    int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct serial_struct chip;
    bool has;

    if (fd < 0)
        return false;
    has = ioctl(fd, TIOCGSERIAL, &chip) == 0 && chip.type != PORT_UNKNOWN;
    close(fd);
    return has;
}

static bool is_serial_port(const char *name, char path[PATH_MAX])
{
    char parent[PATH_MAX];

    if (name[0] == '.' || !find_parent(name, parent) || strstr(parent, "virtual"))
        return false;
    snprintf(path, PATH_MAX, "/dev/%s", name);
    return !strstr(parent, "serial8250") || has_chip(path);
}

static int describe(const struct sp_port *port,
                    int (*each)(void *context, const struct serial_info *info), void *context)
{
    struct serial_info info = {.name = sp_get_port_name(port), .usb_vid = -1, .usb_pid = -1};

    info.description = sp_get_port_description(port);
    if (sp_get_port_transport(port) == SP_TRANSPORT_USB) {
        (void)sp_get_port_usb_vid_pid(port, &info.usb_vid, &info.usb_pid);
        (void)sp_get_port_usb_bus_address(port, &info.usb_bus, &info.usb_address);
        info.usb_serial = sp_get_port_usb_serial(port);
    }
    return each(context, &info);
}

/*
 * Not sp_list_ports: when a port is unplugged while libserialport 0.1.1 lists them, it crashes, or
 * returns success without a list.
 */
int serial_list(int (*each)(void *context, const struct serial_info *info), void *context,
                struct error *err)
{
    DIR *folder = opendir(TTY_FOLDER);
    const struct dirent *entry;
    char path[PATH_MAX];
    int code = 0;

    if (!folder)
        return error_set_native(err, ERR_IO, errno,
                                "cannot list the serial ports of this machine: " TTY_FOLDER ": %s",
                                strerror(errno));
    while (code == 0 && (entry = readdir(folder))) {
        struct sp_port *port;

        if (!is_serial_port(entry->d_name, path) || sp_get_port_by_name(path, &port) < 0)
            continue;
        code = describe(port, each, context);
        sp_free_port(port);
    }
    closedir(folder);
    return code;
}
