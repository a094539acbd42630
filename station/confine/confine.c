#include "station/confine/confine.h"

#include <errno.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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
#define SCOPES_ABI_6    UINT64_C(3) /* abstract sockets, signals */
#define ABI_WANTED      6

struct ruleset {
    uint64_t fs, net, scoped;
};

int confine_memory(struct error *err)
{
    struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0))
        return error_set_errno(err, errno, "cannot keep this process out of core dumps");
    return 0;
}

/* A ruleset that handles every right and allows none. Returns the ABI, 0 without Landlock. */
static int deny_files(void)
{
    struct ruleset rules = {.fs = FS_RIGHTS_ABI_1};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    size_t size = abi >= 6 ? sizeof rules : abi >= 4 ? 2 * sizeof rules.fs : sizeof rules.fs;
    long fd;

    if (abi < 1)
        return 0;
    if (abi >= 2)
        rules.fs |= FS_REFER_ABI_2;
    if (abi >= 3)
        rules.fs |= FS_TRUNC_ABI_3;
    rules.net = NET_TCP_ABI_4;
    rules.scoped = SCOPES_ABI_6;
    fd = syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (fd < 0)
        return 0;
    if (syscall(SYS_landlock_restrict_self, (int)fd, 0))
        abi = 0;
    close((int)fd);
    return (int)abi;
}

/* What the line calls once its ports are open: its own work, threads, memory, time, the exit. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(lseek),
    SCMP_SYS(ioctl),
    SCMP_SYS(fcntl),
    SCMP_SYS(flock),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

static int allow(scmp_filter_ctx filter)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof allowed / sizeof *allowed; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    /* Threads, not processes: glibc falls back to clone, whose flags a filter can see. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, 0x00010000, 0x00010000));
    /* Channels to the vault are pairs of local sockets. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
                              SCMP_A0(SCMP_CMP_EQ, 1));
    /* Memory never becomes code. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
    return rc;
}

static int filter_calls(struct error *err)
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

int confine_line(char *missing, size_t size, struct error *err)
{
    int abi;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return error_set_errno(err, errno, "cannot give up new privileges");
    abi = deny_files();
    snprintf(missing, size, "%s",
             abi == 0           ? "Landlock: files are closed to the line by the call filter alone"
             : abi < ABI_WANTED ? "the newer parts of Landlock: the call filter stands for them"
                                : "");
    return filter_calls(err);
}
