#include "station/confine/confine.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/input.h>
#include <linux/landlock.h>
#include <linux/usbdevice_fs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Landlock as later kernels know it; Debian 12's headers end at ABI 2. A right that the running
 * kernel does not have is left out by its ABI.
 */
#define FS_RIGHTS_ABI_1 ((UINT64_C(1) << 13) - 1) /* execute ... make symbolic links */
#define FS_REFER_ABI_2  (UINT64_C(1) << 13)
#define FS_TRUNC_ABI_3  (UINT64_C(1) << 14)
#define NET_TCP_ABI_4   UINT64_C(3) /* bind, connect */
#define NET_CONNECT     UINT64_C(2)
#define SCOPES_ABI_6    UINT64_C(3) /* abstract sockets, signals */
#define RULE_NET_PORT   2
#define ABI_WANTED      6

struct ruleset {
    uint64_t fs, net, scoped;
};

struct port_rule {
    uint64_t allowed, port;
};

int confine_memory(struct error *err)
{
    struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0))
        return error_set_errno(err, errno, "cannot keep this process out of core dumps");
    return 0;
}

bool confine_may_lock_memory(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct has[2] = {{0, 0, 0}, {0, 0, 0}};
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
        return true;
    return syscall(SYS_capget, &header, has) == 0 &&
           has[CAP_IPC_LOCK / 32].effective >> CAP_IPC_LOCK % 32 & 1;
}

bool confine_lock_memory(void)
{
    /* Below a limit it would succeed now, and a later allocation would fail. */
    return confine_may_lock_memory() && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

/* ---- namespaces ---- */

/* The file system becomes an empty one that nobody can write to. */
static bool leave_files(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k") == 0 &&
           chdir("/tmp") == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
           umount2(".", MNT_DETACH) == 0 && chdir("/") == 0 &&
           mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                 NULL) == 0;
}

/* What root, or who made the namespaces, could still do in them. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};

    return syscall(SYS_capset, &header, none) == 0;
}

/*
 * Leaves what namespaces can take, each by itself: a kernel may allow some only. A process id
 * namespace would hold children, and there are none. True when all of them were left.
 */
static bool leave_namespaces(bool network, bool files)
{
    bool left = unshare(CLONE_NEWUSER) == 0;

    left &= unshare(CLONE_NEWIPC) == 0;
    if (network)
        left &= unshare(CLONE_NEWNET) == 0;
    if (files)
        left &= leave_files();
    return drop_capabilities() && left;
}

/* With new credentials a kernel may forget who is told when the parent ends. */
static int keep_parent_signal(int number, pid_t parent, struct error *err)
{
    if (prctl(PR_SET_PDEATHSIG, number))
        return error_set_errno(err, errno, "cannot be ended with the vault");
    return getppid() == parent ? 0 : error_set(err, ERR_GONE, "the vault ended");
}

/* ---- Landlock ---- */

static int make_ruleset(int abi)
{
    struct ruleset rules = {.fs = FS_RIGHTS_ABI_1, .net = NET_TCP_ABI_4, .scoped = SCOPES_ABI_6};
    size_t size = abi >= 6 ? sizeof rules : abi >= 4 ? 2 * sizeof rules.fs : sizeof rules.fs;

    if (abi >= 2)
        rules.fs |= FS_REFER_ABI_2;
    if (abi >= 3)
        rules.fs |= FS_TRUNC_ABI_3;
    return (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
}

#define FS_READ  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE LANDLOCK_ACCESS_FS_WRITE_FILE

/* Folders of devices; one that is not there is passed over. */
static bool allow_devices(int ruleset)
{
    static const struct {
        const char *path;
        uint64_t allowed;
    } folders[] = {
        {"/dev", FS_READ | FS_WRITE}, {"/dev/bus/usb", FS_READ | FS_WRITE}, {"/sys", FS_READ},
        {"/sys/class/tty", FS_READ},  {"/sys/bus/usb/devices", FS_READ},    {"/proc", FS_READ}};
    bool ok = true;

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct landlock_path_beneath_attr beneath = {.allowed_access = folders[i].allowed};
        DIR *folder = opendir(folders[i].path);

        if (!folder)
            continue;
        beneath.parent_fd = dirfd(folder);
        ok &= syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
        closedir(folder);
    }
    return ok;
}

/* No file but devices, no TCP but to these ports. Returns the ABI, 0 without Landlock. */
static int deny_files(const uint16_t *ports, size_t count, bool devices)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int fd = abi < 1 ? -1 : make_ruleset(abi);

    if (fd < 0)
        return 0;
    for (size_t i = 0; abi >= 4 && i < count; i++) {
        struct port_rule rule = {NET_CONNECT, ports[i]};

        if (syscall(SYS_landlock_add_rule, fd, RULE_NET_PORT, &rule, 0))
            abi = 0;
    }
    if ((devices && !allow_devices(fd)) || syscall(SYS_landlock_restrict_self, fd, 0))
        abi = 0;
    close(fd);
    return abi;
}

/* ---- system calls ---- */

/* What every confined process calls: messages over what is open, memory, time, the exit (with a
 * sanitizer that takes its signal stack down). */
static const int common_calls[] = {
    SCMP_SYS(read),          SCMP_SYS(write),        SCMP_SYS(close),
    SCMP_SYS(poll),          SCMP_SYS(ppoll),        SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),      SCMP_SYS(mmap),         SCMP_SYS(munmap),
    SCMP_SYS(mremap),        SCMP_SYS(madvise),      SCMP_SYS(brk),
    SCMP_SYS(futex),         SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom),
    SCMP_SYS(getpid),        SCMP_SYS(gettid),       SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),          SCMP_SYS(exit_group),   SCMP_SYS(sigaltstack),
};

/* The line: ports that are open, the screen, threads, descriptors that it hands to the vault. */
static const int line_calls[] = {
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(flock),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(getsockopt), /* is what was handed over a socket? */
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
};

/*
 * What the line asks of what is open. The operator's terminal is open as well: none of this types
 * into it (TIOCSTI, TIOCLINUX), takes it (TIOCSCTTY) or hides what is typed (TCSETS). FIOASYNC is
 * not there, and no fcntl, because an owner of a descriptor (F_SETOWN) is sent any signal.
 */
static const unsigned long line_requests[] = {
    TCGETS,   /* is it a terminal? */
    FIONREAD, /* is the port still there? */
    TCFLSH,   /* before a port is closed, */
    TIOCNXCL, /* and given back */
};

/* The opener: finds and opens ports, and moves the bytes of USB devices. */
static const int opener_calls[] = {
    SCMP_SYS(openat),     SCMP_SYS(open),      SCMP_SYS(getdents64), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(access),    SCMP_SYS(faccessat),  SCMP_SYS(faccessat2),
    SCMP_SYS(fstatfs),    SCMP_SYS(stat),      SCMP_SYS(lstat),      SCMP_SYS(statx),
    SCMP_SYS(statfs),     SCMP_SYS(getcwd),    SCMP_SYS(fcntl),      SCMP_SYS(dup),
    SCMP_SYS(pread64),    SCMP_SYS(pipe2),     SCMP_SYS(eventfd2),   SCMP_SYS(timerfd_create),
    SCMP_SYS(uname),      SCMP_SYS(getuid),    SCMP_SYS(geteuid),    SCMP_SYS(getegid),
    SCMP_SYS(getppid),    SCMP_SYS(prlimit64), SCMP_SYS(connect),    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
};

/* What libserialport asks of a port that it configures (TCGETX and so on have no name in every header),
 * and libusb of a device (linux/usbdevice_fs.h). Nothing types into a terminal or takes it. */
#define REQUEST_TCGETX 0x5432
#define REQUEST_TCSETX 0x5433
static const unsigned long opener_requests[] = {
    TCSETS,
    TCSETSW,
    TCSETSF,
    TCGETS2,
    TCSETS2,
    TCSETSW2,
    TCSETSF2,
    REQUEST_TCGETX,
    REQUEST_TCSETX,
    TIOCMGET,
    TIOCMSET,
    TIOCMBIS,
    TIOCMBIC,
    TIOCEXCL,
    TIOCGSERIAL,
    TIOCSSERIAL,
    TIOCOUTQ,
    EVIOCGRAB, /* a keyboard that is a scanner */
    USBDEVFS_CONNECTINFO,
    USBDEVFS_GET_CAPABILITIES,
    USBDEVFS_CONTROL,
    USBDEVFS_CLAIMINTERFACE,
    USBDEVFS_DISCONNECT_CLAIM,
    USBDEVFS_SUBMITURB,
    USBDEVFS_REAPURBNDELAY,
    USBDEVFS_DISCARDURB,
    USBDEVFS_CLEAR_HALT,
    USBDEVFS_GETDRIVER,
    USBDEVFS_RELEASEINTERFACE,
    USBDEVFS_IOCTL /* gives the driver back */
};

/* The connector: makes a connection and hands it over. */
static const int connector_calls[] = {
    SCMP_SYS(connect), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
};

/* The board: draws on the terminal. Padding of old terminals is waited for. */
static const int board_calls[] = {
    SCMP_SYS(rt_sigaction), SCMP_SYS(fstat),     SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),        SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
};

static const unsigned long board_requests[] = {
    TCGETS, TCSETS, TCSETSW, TCSETSF, TCFLSH, TIOCGWINSZ,
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static int allow_list(scmp_filter_ctx filter, const int *calls, size_t count)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return rc;
}

/* The kernel looks at the low 32 bits of a request alone. */
static int allow_requests(scmp_filter_ctx filter, const unsigned long *requests, size_t count)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]));
    return rc;
}

static int allow_common(scmp_filter_ctx filter)
{
    int rc = allow_list(filter, common_calls, COUNT(common_calls));

    /* Memory never becomes code. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
    return rc;
}

static int allow_checker(scmp_filter_ctx filter)
{
    return allow_common(filter);
}

static int allow_line(scmp_filter_ctx filter)
{
    int rc = allow_common(filter);

    if (rc == 0)
        rc = allow_list(filter, line_calls, COUNT(line_calls));
    if (rc == 0)
        rc = allow_requests(filter, line_requests, COUNT(line_requests));
    /* Threads, not processes: glibc falls back to clone, whose flags a filter can see. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, 0x00010000, 0x00010000));
    /* Channels to the vault are pairs of local sockets. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
                              SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    return rc;
}

/* As the line, and what opens ports. Local sockets are how devices are played without hardware. */
static int allow_opener(scmp_filter_ctx filter)
{
    int rc = allow_line(filter);

    if (rc == 0)
        rc = allow_list(filter, opener_calls, COUNT(opener_calls));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(timerfd_settime), 0);
    if (rc == 0)
        rc = allow_requests(filter, opener_requests, COUNT(opener_requests));
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                              SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    return rc;
}

/* Stream sockets, of the families that a job can name; the flags are SOCK_CLOEXEC and so on. */
static int allow_connector(scmp_filter_ctx filter)
{
    static const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6};
    int rc = allow_common(filter);

    if (rc == 0)
        rc = allow_list(filter, connector_calls, COUNT(connector_calls));
    for (size_t i = 0; rc == 0 && i < COUNT(families); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
                              SCMP_A0(SCMP_CMP_EQ, families[i]),
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_STREAM));
    return rc;
}

static int allow_board(scmp_filter_ctx filter)
{
    int rc = allow_common(filter);

    if (rc == 0)
        rc = allow_list(filter, board_calls, COUNT(board_calls));
    if (rc == 0)
        rc = allow_requests(filter, board_requests, COUNT(board_requests));
    return rc;
}

static int filter_calls(int (*allow)(scmp_filter_ctx), struct error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc;

    if (!filter)
        return error_set(err, ERR_INTERNAL, "out of memory");
    rc = allow(filter);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    if (rc)
        return error_set_native(err, ERR_INTERNAL, -rc,
                                "this kernel does not take a system-call filter: %s; the station "
                                "needs one with seccomp",
                                strerror(-rc));
    return 0;
}

/* ---- the processes ---- */

/* What one kind of process gives up. */
struct confinement {
    bool network, files; /* leaves these namespaces as well */
    const uint16_t *ports;
    size_t port_count;
    bool devices; /* may open what is a device, and read what the system says of devices */
    int (*allow)(scmp_filter_ctx filter);
};

static void say_missing(bool namespaces, int abi, char *missing, size_t size)
{
    const char *landlock =
        abi == 0           ? "Landlock: files are closed to the line by the call filter alone"
        : abi < ABI_WANTED ? "the newer parts of Landlock: the call filter stands for them"
                           : "";

    snprintf(missing, size, "%s%s%s",
             namespaces ? ""
                        : "user namespaces, or does not allow them: the line sees the "
                          "machine's network and files, and can use neither",
             namespaces || !*landlock ? "" : "; and ", landlock);
}

static int confine(const struct confinement *c, char *missing, size_t size, struct error *err)
{
    pid_t parent = getppid();
    bool namespaces;
    int number = 0, abi, rc;

    (void)prctl(PR_GET_PDEATHSIG, &number);
    namespaces = leave_namespaces(c->network, c->files);
    rc = number ? keep_parent_signal(number, parent, err) : 0;
    if (rc)
        return rc;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return error_set_errno(err, errno, "cannot give up new privileges");
    abi = deny_files(c->ports, c->port_count, c->devices);
    say_missing(namespaces, abi, missing, size);
    return filter_calls(c->allow, err);
}

int confine_line(char *missing, size_t size, struct error *err)
{
    const struct confinement line = {.network = true, .files = true, .allow = allow_line};

    return confine(&line, missing, size, err);
}

int confine_checker(struct error *err)
{
    const struct confinement checker = {.network = true, .files = true, .allow = allow_checker};
    char unsaid[300]; /* the line says it: the kernel is the same */

    return confine(&checker, unsaid, sizeof unsaid, err);
}

int confine_board(struct error *err)
{
    const struct confinement board = {.network = true, .files = true, .allow = allow_board};
    char unsaid[300]; /* the line says it */

    return confine(&board, unsaid, sizeof unsaid, err);
}

int confine_opener(struct error *err)
{
    const struct confinement opener = {.network = true, .devices = true, .allow = allow_opener};
    char unsaid[300];

    return confine(&opener, unsaid, sizeof unsaid, err);
}

int confine_connector(const uint16_t *ports, size_t count, struct error *err)
{
    const struct confinement connector = {
        .ports = ports, .port_count = count, .allow = allow_connector};
    char unsaid[300];

    return confine(&connector, unsaid, sizeof unsaid, err);
}
