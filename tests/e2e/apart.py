#!/usr/bin/env python3
"""Runs a test apart from the rest of the machine: terminals and a /tmp that only it and its children see.

The kernel gives the number of a closed pseudo-terminal to the next one who opens one. A test that unplugs a
device leaves links to such numbers, and would find another test's device behind them: so it has an
instance of devpts of its own, and two tests may run at the same time. Its /tmp is in memory: stations write
through to the disk, with syncfs even, which waits for what everybody else wrote; nobody cuts the power of this machine.

    apart.py PROGRAM [ARGUMENT...]   runs a program apart; as it is, and says so, where that may not be
    apart.py                         ends with 0 where it may be, says why not otherwise

It takes root, or CAP_SYS_ADMIN. /tmp stays the machine's when something that the test needs lies in it.
"""
import ctypes
import os
import pathlib
import sys

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)


def require(result, doing):
    if result:
        raise OSError(ctypes.get_errno(), f"{doing}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind, flags, options=None):
    require(libc.mount(source, target, kind, ctypes.c_ulong(flags), options),
            f"mount on {target.decode()}")


def needs_tmp():
    """Whether a name that the test was given leads into /tmp."""
    names = [__file__, os.getcwd(), *sys.argv, *os.environ.values()]
    return any(pathlib.Path("/tmp") in (path, *path.parents) for path in map(pathlib.Path, names)
               if str(path) != "/tmp")


def leave():
    """Why this process cannot be apart, or None: now it is. It must not have threads yet."""
    try:
        require(libc.unshare(CLONE_NEWNS), "unshare")
        mount(None, b"/", None, MS_REC | MS_PRIVATE)  # nothing of this is seen outside
        mount(b"devpts", b"/dev/pts", b"devpts", 0, b"newinstance,ptmxmode=0666,mode=620")
        mount(b"/dev/pts/ptmx", b"/dev/ptmx", None, MS_BIND)
        if not needs_tmp():
            mount(b"tmpfs", b"/tmp", b"tmpfs", 0, b"mode=1777")
    except OSError as error:
        return error.strerror
    return None


def leave_or_say():
    """Once for a process and its children."""
    if "IMPRINT_TEST_APART" not in os.environ and (why := leave()):
        print(f"not apart from other tests: {why}: run none that has devices meanwhile", file=sys.stderr)
    os.environ["IMPRINT_TEST_APART"] = "tried"


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(leave())
    leave_or_say()
    os.execvp(sys.argv[1], sys.argv[1:])
